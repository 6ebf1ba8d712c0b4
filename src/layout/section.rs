//! What was read from one table of a layout: values of the right kind, each with its place in the file.
//!
//! A value that could not be read is *broken*: it was reported already, counts as present, and gives nothing.

use super::fields::Table;
use super::mistakes::Span;

/// A value and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found<'tree, T> {
    pub(super) value: T,
    pub(super) span: &'tree Span,
}

/// One value.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
}

/// What a value may be once its kind has been checked.
#[derive(Debug)]
pub(super) enum Value {
    Text(String),
    Flag(bool),
    Whole(u32),
    List(Vec<Node>),
    Section(Section),
    /// Keys that the writer chose, each with its value.
    Map(Vec<Entry>),
    Broken,
}

/// One key with its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) node: Node,
}

/// A table with a fixed set of keys, in the file's order.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) span: Span,
    pub(super) table: &'static Table,
    pub(super) entries: Vec<Entry>,
}

impl Section {
    fn entry(&self, key: &str) -> Option<&Entry> {
        debug_assert!(self.table.field(key).is_some(), "{} has no key {key}", self.table.title);
        self.entries.iter().find(|entry| entry.key == key)
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.entry(key).map(|entry| &entry.node.value)
    }

    /// True if the key is there, readable or not.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Where the key stands; the table's head if it does not.
    pub(super) fn key_span(&self, key: &str) -> &Span {
        self.entry(key).map_or(&self.span, |entry| &entry.key_span)
    }

    /// True if what the key says is only partly known, because something in it could not be read.
    pub(super) fn is_broken(&self, key: &str) -> bool {
        match self.value(key) {
            Some(Value::Broken) => true,
            Some(Value::List(nodes)) => nodes.iter().any(|node| matches!(node.value, Value::Broken)),
            _ => false,
        }
    }

    pub(super) fn text(&self, key: &str) -> Option<Found<'_, &str>> {
        match &self.entry(key)?.node {
            Node { value: Value::Text(text), span } => Some(Found { value: text, span }),
            _ => None,
        }
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        match self.value(key)? {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    pub(super) fn whole(&self, key: &str) -> Option<u32> {
        match self.value(key)? {
            Value::Whole(number) => Some(*number),
            _ => None,
        }
    }

    /// The readable texts of a list; a single text counts as a list of one.
    pub(super) fn texts(&self, key: &str) -> Vec<Found<'_, &str>> {
        match self.entry(key).map(|entry| &entry.node) {
            Some(Node { value: Value::List(nodes), .. }) => nodes.iter().filter_map(Node::text).collect(),
            Some(node) => node.text().into_iter().collect(),
            None => Vec::new(),
        }
    }

    pub(super) fn section(&self, key: &str) -> Option<&Self> {
        match self.value(key)? {
            Value::Section(section) => Some(section),
            _ => None,
        }
    }

    /// The readable tables of a list of tables.
    pub(super) fn sections(&self, key: &str) -> impl Iterator<Item = &Self> {
        let nodes: &[Node] = match self.value(key) {
            Some(Value::List(nodes)) => nodes,
            _ => &[],
        };
        nodes.iter().filter_map(|node| match &node.value {
            Value::Section(section) => Some(section),
            _ => None,
        })
    }

    /// The entries of a table whose keys the writer chose.
    pub(super) fn map(&self, key: &str) -> &[Entry] {
        match self.value(key) {
            Some(Value::Map(entries)) => entries,
            _ => &[],
        }
    }
}

impl Node {
    fn text(&self) -> Option<Found<'_, &str>> {
        match &self.value {
            Value::Text(text) => Some(Found { value: text, span: &self.span }),
            _ => None,
        }
    }
}

impl Entry {
    /// The value, if it is a readable text.
    pub(super) fn text(&self) -> Option<Found<'_, &str>> {
        self.node.text()
    }

    /// The value, if it is a readable table.
    pub(super) const fn section(&self) -> Option<&Section> {
        match &self.node.value {
            Value::Section(section) => Some(section),
            _ => None,
        }
    }
}
