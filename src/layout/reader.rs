//! Reads a TOML table by its description: unknown keys, wrong kinds, missing keys and variables, all in one walk.

use super::fields::{self, Field, Keys, Kind, Table};
use super::mistakes::{Mistakes, Span, quote};
use super::nearest::listed;
use super::section::{Entry, Node, Section, Value};
use super::variables::{Variables, is_variable_name};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

type Item<'file> = Spanned<DeValue<'file>>;

/// Reads tables, expands variables and gathers mistakes.
pub(super) struct Reader<'run, 'file> {
    pub(super) variables: &'run mut Variables<'file>,
    pub(super) mistakes: &'run mut Mistakes,
    /// Whether variables are replaced; not in environments that do not apply.
    live: bool,
}

impl<'run, 'file> Reader<'run, 'file> {
    pub(super) const fn new(variables: &'run mut Variables<'file>, mistakes: &'run mut Mistakes) -> Self {
        Self { variables, mistakes, live: true }
    }

    /// Reads one table with a fixed set of keys.
    pub(super) fn section(&mut self, table: &'static Table, source: &DeTable<'_>, span: Span) -> Section {
        let mut entries = Vec::new();
        for (key, item) in in_file_order(source) {
            let name: &str = key.get_ref();
            let Some(field) = table.field(name) else {
                self.unknown_key(table, name, &key.span());
                continue;
            };
            let node = self.node(field, item);
            entries.push(Entry { key: name.to_owned(), key_span: key.span(), node });
        }
        for field in table.fields.iter().filter(|field| field.required) {
            if !entries.iter().any(|entry| entry.key == field.name) {
                self.missing_key(table, field, &span);
            }
        }
        Section { span, table, entries }
    }

    fn unknown_key(&mut self, table: &Table, name: &str, span: &Span) {
        let known = || table.fields.iter().map(|field| field.name);
        let near = self.mistakes.near(name, known());
        let mistake = self.mistakes.at(span, format!("unknown key {}{near}", quote(name)));
        let homes = fields::ALL.iter().filter(|other| other.id != table.id && other.field(name).is_some());
        let homes: Vec<String> = homes.map(home).collect();
        match homes[..] {
            [_, ..] if near.is_empty() => mistake.help(format!("`{name}` belongs {}", homes.join(" or "))),
            _ => mistake.help(format!("keys of {}: {}", table.title, listed(known()))),
        }
    }

    fn missing_key(&mut self, table: &Table, field: &Field, span: &Span) {
        let mistake = self.mistakes.at(span, format!("{} lacks the key `{}`", table.title, field.name));
        mistake.help(match field.kind {
            Kind::Whole(least, most) if least == most => format!("write `{} = {least}`", field.name),
            Kind::Sections(inner) => format!("add at least one table `{}`", inner.title),
            Kind::Choice(_) => format!("`{}` is {}", field.name, field.kind.expected()),
            _ => format!("`{}` means: {}", field.name, field.doc.trim_end_matches('.')),
        });
    }

    fn node(&mut self, field: &Field, item: &Item<'_>) -> Node {
        Node { span: item.span(), value: self.value(field, item).unwrap_or(Value::Broken) }
    }

    /// The value by its kind; none if it is broken, which is then reported.
    fn value(&mut self, field: &Field, item: &Item<'_>) -> Option<Value> {
        let span = item.span();
        match (field.kind, item.get_ref()) {
            (Kind::Text | Kind::TextOrTexts, DeValue::String(text)) => self.text(text, &span).map(Value::Text),
            (Kind::Choice(words) | Kind::ChoiceOr(words, _), DeValue::String(text)) => {
                self.choice(field, words, text, &span)
            }
            (Kind::Flag, DeValue::Boolean(flag)) => Some(Value::Flag(*flag)),
            (Kind::Whole(least, most), DeValue::Integer(number)) => self.whole(field, least, most, number, &span),
            (Kind::Texts | Kind::TextOrTexts, DeValue::Array(items)) => {
                Some(Value::List(items.iter().map(|item| self.listed_text(field, item)).collect()))
            }
            (Kind::ChoiceOr(_, table) | Kind::Section(table), DeValue::Table(source)) => {
                Some(Value::Section(self.section(table, source, span)))
            }
            (Kind::Sections(table), DeValue::Array(items)) => {
                Some(Value::List(items.iter().map(|item| self.listed_section(field, table, item)).collect()))
            }
            (Kind::Map(keys), DeValue::Table(source)) => Some(Value::Map(self.map(keys, source))),
            (Kind::Named(table), DeValue::Table(source)) => Some(Value::Map(self.named(table, source))),
            (_, value) => {
                self.wrong_kind(field, value, &span);
                None
            }
        }
    }

    fn text(&mut self, text: &str, span: &Span) -> Option<String> {
        if self.live {
            return self.variables.expand(text, span, self.mistakes);
        }
        self.variables.note(text);
        (!text.contains("${")).then(|| text.to_owned())
    }

    fn choice(&mut self, field: &Field, words: &[&str], text: &str, span: &Span) -> Option<Value> {
        let word = self.text(text, span)?;
        if words.contains(&word.as_str()) {
            return Some(Value::Text(word));
        }
        let near = self.mistakes.near(&word, words.iter().copied());
        self.mistakes.at(span, format!("`{}` cannot be {}{near}", field.name, quote(&word))).help(format!(
            "`{}` is {}",
            field.name,
            field.kind.expected()
        ));
        None
    }

    fn whole(&mut self, field: &Field, least: u32, most: u32, number: &DeInteger<'_>, span: &Span) -> Option<Value> {
        let value = u32::from_str_radix(number.as_str(), number.radix()).ok();
        let value = value.filter(|value| (least..=most).contains(value));
        if value.is_none() {
            let found = quote(&number.to_string());
            self.mistakes.at(span, format!("`{}` must be {}, found {found}", field.name, field.kind.expected()));
        }
        value.map(Value::Whole)
    }

    fn listed_text(&mut self, field: &Field, item: &Item<'_>) -> Node {
        let span = item.span();
        let value = match item.get_ref() {
            DeValue::String(text) => self.text(text, &span).map(Value::Text),
            other => {
                let message = format!("`{}` is a list of texts, and this is {}", field.name, kind_of(other));
                self.mistakes.at(&span, message).maybe_help(quotes_help(other));
                None
            }
        };
        Node { span, value: value.unwrap_or(Value::Broken) }
    }

    fn listed_section(&mut self, field: &Field, table: &'static Table, item: &Item<'_>) -> Node {
        let span = item.span();
        let value = match item.get_ref() {
            DeValue::Table(source) => Value::Section(self.section(table, source, span.clone())),
            other => {
                let message = format!("`{}` is a list of tables, and this is {}", field.name, kind_of(other));
                let keys = table.fields.iter().map(|field| field.name);
                self.mistakes.at(&span, message).help(format!("write `{{ .. }}` with {}", listed(keys)));
                Value::Broken
            }
        };
        Node { span, value }
    }

    fn map(&mut self, keys: Keys, source: &DeTable<'_>) -> Vec<Entry> {
        in_file_order(source)
            .into_iter()
            .map(|(key, item)| {
                let name: &str = key.get_ref();
                let span = item.span();
                if keys == Keys::Variables && !is_variable_name(name) {
                    self.mistakes
                        .at(&key.span(), format!("{} is no name for a variable", quote(name)))
                        .help("a letter or `_`, then letters, digits, `_` and `-`");
                }
                let value = match item.get_ref() {
                    // Variables are expanded where they are used, if they are.
                    DeValue::String(text) if keys == Keys::Variables => {
                        self.variables.note(text);
                        Some(Value::Text(text.to_string()))
                    }
                    DeValue::String(text) => self.text(text, &span).map(Value::Text),
                    other => {
                        let message = format!("{} must be text, found {}", quote(name), kind_of(other));
                        self.mistakes.at(&span, message).maybe_help(quotes_help(other));
                        None
                    }
                };
                let node = Node { span, value: value.unwrap_or(Value::Broken) };
                Entry { key: name.to_owned(), key_span: key.span(), node }
            })
            .collect()
    }

    fn named(&mut self, table: &'static Table, source: &DeTable<'_>) -> Vec<Entry> {
        in_file_order(source)
            .into_iter()
            .map(|(key, item)| {
                let name: &str = key.get_ref();
                let span = item.span();
                self.live = table.id != fields::ENVIRONMENT.id || self.variables.chosen() == Some(name);
                let value = match item.get_ref() {
                    DeValue::Table(inner) => Value::Section(self.section(table, inner, span.clone())),
                    other => {
                        let title = table.title.replace("NAME", name);
                        self.mistakes
                            .at(&span, format!("{} must be a table, found {}", quote(name), kind_of(other)))
                            .help(format!("write `{title}` on a line of its own"));
                        Value::Broken
                    }
                };
                self.live = true;
                Entry { key: name.to_owned(), key_span: key.span(), node: Node { span, value } }
            })
            .collect()
    }

    fn wrong_kind(&mut self, field: &Field, value: &DeValue<'_>, span: &Span) {
        let name = field.name;
        let message = format!("`{name}` must be {}, found {}", field.kind.expected(), kind_of(value));
        let help = match (field.kind, value) {
            (Kind::Sections(table), DeValue::Table(_)) if table.title.starts_with("[[") => {
                Some(format!("write `{}` with double brackets", table.title))
            }
            (Kind::Texts, DeValue::String(text)) => Some(format!("write `{name} = [\"{}\"]`", plain(text))),
            (Kind::Flag | Kind::Whole(..), DeValue::String(text)) => {
                Some(format!("write `{name} = {}` without quotes", plain(text)))
            }
            (Kind::Text | Kind::TextOrTexts, _) => quotes_help(value),
            _ => None,
        };
        self.mistakes.at(span, message).maybe_help(help);
    }
}

/// The file's own text in a help line: a short start of it, so that the line stays readable.
fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(40).collect()
}

fn quotes_help(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Integer(number) => Some(format!("write it in quotes: \"{}\"", plain(&number.to_string()))),
        DeValue::Boolean(flag) => Some(format!("write it in quotes: \"{flag}\"")),
        _ => None,
    }
}

/// Where a key belongs.
fn home(table: &&Table) -> String {
    if table.id == fields::FILE.id {
        "at the top of the file, before any table".to_owned()
    } else {
        format!("in {}", table.title)
    }
}

/// The entries of a table as the file has them; the parser sorts them by key.
fn in_file_order<'table, 'file>(
    table: &'table DeTable<'file>,
) -> Vec<(&'table Spanned<toml::de::DeString<'file>>, &'table Item<'file>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

const fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(true) => "true",
        DeValue::Boolean(false) => "false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
