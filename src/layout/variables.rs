//! Variables: `${name}` in any text of a layout, from `--set`, the chosen environment, `[vars]` or the process.
//!
//! `--set` wins over `[env.NAME]`, which wins over `[vars]`. `${env:NAME}` reads the process's environment and nothing
//! else does. Values given from outside are taken literally; those in the file may hold variables themselves.

use super::ParseOptions;
use super::mistakes::{Mistakes, Span, quote};
use super::nearest::listed;
use super::placeholders::placeholder;
use std::collections::{BTreeMap, BTreeSet};
use toml::de::{DeTable, DeValue};

/// The longest text that variables may make, in bytes; a few lines of `${a}${a}` grow without end otherwise.
const MAX_EXPANDED: usize = 16 * 1024;

/// The longest that all texts with variables may be together, in bytes: four times the largest file.
const MAX_EXPANDED_TOTAL: usize = 4 * 1024 * 1024;

/// How many variables may lead to one another.
const MAX_DEPTH: usize = 32;

/// A value and where it comes from.
enum Definition<'file> {
    /// `--set`, taken literally.
    Set(String),
    /// A text in the file.
    File(&'file str, Span),
    /// Something in the file that is no text, which the reader of the tables reports.
    Unreadable,
}

/// All variables of a run, and what is known of them so far.
pub(super) struct Variables<'file> {
    definitions: BTreeMap<String, Definition<'file>>,
    /// Which environments define a name.
    environments: BTreeMap<&'file str, BTreeSet<&'file str>>,
    /// The environment that applies; none also if the one asked for does not exist.
    chosen: Option<&'file str>,
    /// An environment was asked for that does not exist, so what it would define is not known.
    chosen_is_unknown: bool,
    process: &'file BTreeMap<String, String>,
    values: BTreeMap<String, Option<String>>,
    used: BTreeSet<String>,
    /// The bytes that expansion has made so far.
    expanded_bytes: usize,
}

/// A piece of a text with variables in it.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'text> {
    Plain(&'text str),
    Variable(&'text str),
}

impl<'file> Variables<'file> {
    /// Reads `[vars]` and `[env]`, and reports an `--env` that the file does not have.
    pub(super) fn read(file: &'file DeTable<'_>, options: &'file ParseOptions<'_>, mistakes: &mut Mistakes) -> Self {
        let mut variables = Self {
            definitions: BTreeMap::new(),
            environments: BTreeMap::new(),
            chosen: None,
            chosen_is_unknown: false,
            process: options.env_vars,
            values: BTreeMap::new(),
            used: BTreeSet::new(),
            expanded_bytes: 0,
        };
        let tables = table(file, "env");
        let names: Vec<&str> =
            tables.iter().flat_map(|tables| tables.keys()).map(|key| key.get_ref().as_ref()).collect();
        variables.choose(options.environment, &names, mistakes);
        variables.define(table(file, "vars"));
        for name in names {
            let own = tables.and_then(|tables| table(tables, name)).and_then(|own| table(own, "vars"));
            for key in own.iter().flat_map(|own| own.keys()) {
                variables.environments.entry(key.get_ref().as_ref()).or_default().insert(name);
            }
            if variables.chosen == Some(name) {
                variables.define(own);
            }
        }
        for (name, value) in options.set {
            variables.definitions.insert(name.clone(), Definition::Set(value.clone()));
        }
        variables
    }

    fn choose(&mut self, asked: Option<&str>, names: &[&'file str], mistakes: &mut Mistakes) {
        let Some(asked) = asked else { return };
        self.chosen = names.iter().find(|name| **name == asked).copied();
        if self.chosen.is_none() {
            self.chosen_is_unknown = true;
            let near = mistakes.near(asked, names.iter().copied());
            let mistake =
                mistakes.anywhere(format!("--env {asked}: the layout has no environment {}{near}", quote(asked)));
            mistake.help(match names {
                [] => format!("add a table `[env.{asked}]`, or leave `--env` out"),
                names => format!("environments: {}", listed(names.iter().copied())),
            });
        }
    }

    fn define(&mut self, table: Option<&'file DeTable<'_>>) {
        for (key, value) in table.into_iter().flatten() {
            let definition = match value.get_ref() {
                DeValue::String(text) => Definition::File(text, value.span()),
                _ => Definition::Unreadable,
            };
            self.definitions.insert(key.get_ref().to_string(), definition);
        }
    }

    /// The environment that applies.
    pub(super) const fn chosen(&self) -> Option<&'file str> {
        self.chosen
    }

    /// Notes the variables in a text that does not apply now, so that `--set` of them is no typing error.
    pub(super) fn note(&mut self, text: &str) {
        for piece in pieces(text).unwrap_or_default() {
            if let Piece::Variable(name) = piece {
                self.used.insert(name.to_owned());
            }
        }
    }

    /// The text with every variable replaced. None if that failed, or if a placeholder was left: both are reported.
    pub(super) fn expand(&mut self, text: &str, span: &Span, mistakes: &mut Mistakes) -> Option<String> {
        let expanded =
            if text.contains("${") { self.replace_within_bounds(text, span, mistakes)? } else { text.to_owned() };
        if let Some(found) = placeholder(&expanded) {
            mistakes.at(span, format!("the placeholder {} is still there", quote(found))).help("write the real value");
            return None;
        }
        Some(expanded)
    }

    /// Replaces until all texts together are too long, which is told once.
    fn replace_within_bounds(&mut self, text: &str, span: &Span, mistakes: &mut Mistakes) -> Option<String> {
        if self.expanded_bytes > MAX_EXPANDED_TOTAL {
            return None;
        }
        let expanded = self.replace(text, span, &mut Vec::new(), mistakes)?;
        self.expanded_bytes += expanded.len();
        if self.expanded_bytes > MAX_EXPANDED_TOTAL {
            mistakes.at(span, format!("variables make the layout longer than {MAX_EXPANDED_TOTAL} bytes"));
            return None;
        }
        Some(expanded)
    }

    fn replace(&mut self, text: &str, span: &Span, stack: &mut Vec<String>, mistakes: &mut Mistakes) -> Option<String> {
        let pieces = match pieces(text) {
            Ok(pieces) => pieces,
            Err(wrong) => {
                mistakes.at(span, wrong).help("a variable is `${name}`; write `$${` for a plain `${`");
                return None;
            }
        };
        let mut expanded = Some(String::with_capacity(text.len()));
        for piece in pieces {
            let part = match piece {
                Piece::Plain(plain) => Some(plain.to_owned()),
                Piece::Variable(name) => self.value(name, span, stack, mistakes),
            };
            // One missing value spoils the text, but the others are looked up all the same, so that all are reported.
            expanded = match (expanded, part) {
                (Some(start), Some(part)) => Some(start + &part),
                _ => None,
            };
            if expanded.as_ref().is_some_and(|text| text.len() > MAX_EXPANDED) {
                mistakes.at(span, format!("variables make this text longer than {MAX_EXPANDED} bytes"));
                return None;
            }
        }
        expanded
    }

    fn value(&mut self, name: &str, span: &Span, stack: &mut Vec<String>, mistakes: &mut Mistakes) -> Option<String> {
        self.used.insert(name.to_owned());
        if let Some(start) = stack.iter().position(|above| above == name) {
            let circle: Vec<&str> = stack[start..].iter().map(String::as_str).chain([name]).collect();
            mistakes.at(span, format!("variables go round in a circle: {}", circle.join(" -> ")));
            return None;
        }
        if let Some(known) = self.values.get(name) {
            return known.clone();
        }
        let value = match self.lookup(name, span, mistakes) {
            Some((text, None)) => Some(text),
            Some((text, Some(inner))) if stack.len() < MAX_DEPTH => {
                stack.push(name.to_owned());
                let value = self.replace(&text, &inner, stack, mistakes);
                stack.pop();
                value
            }
            Some(_) => {
                mistakes.at(span, format!("more than {MAX_DEPTH} variables lead to one another here"));
                None
            }
            None => None,
        };
        let value = value.filter(|value| self.is_filled_in(name, value, mistakes));
        self.values.insert(name.to_owned(), value.clone());
        value
    }

    /// The text of a variable, and where it stands if it may hold variables itself.
    fn lookup(&self, name: &str, span: &Span, mistakes: &mut Mistakes) -> Option<(String, Option<Span>)> {
        if let Some(outer) = name.strip_prefix("env:") {
            let value = self.process.get(outer);
            if value.is_none() {
                mistakes
                    .at(span, format!("unresolved variable `${{{name}}}`"))
                    .help(format!("set the environment variable `{outer}`"));
            }
            return value.map(|value| (value.clone(), None));
        }
        match self.definitions.get(name) {
            Some(Definition::Set(value)) => Some((value.clone(), None)),
            Some(Definition::File(text, inner)) => Some(((*text).to_owned(), Some(inner.clone()))),
            Some(Definition::Unreadable) => None,
            None => {
                self.report_unresolved(name, span, mistakes);
                None
            }
        }
    }

    fn report_unresolved(&self, name: &str, span: &Span, mistakes: &mut Mistakes) {
        let owners = self.environments.get(name);
        if owners.is_some() && self.chosen_is_unknown {
            return;
        }
        let near = mistakes.near(name, self.definitions.keys().map(String::as_str));
        let help = match (owners, self.chosen) {
            (Some(owners), None) => {
                format!("pass --env {}", owners.iter().copied().collect::<Vec<_>>().join("|"))
            }
            (Some(owners), Some(chosen)) => {
                let owners = listed(owners.iter().copied());
                format!("environment `{chosen}` does not define it, but {owners} does; give it a value in [vars]")
            }
            (None, _) => format!("give it a value in [vars], or pass --set {name}=VALUE"),
        };
        mistakes.at(span, format!("unresolved variable `${{{name}}}`{near}")).help(help);
    }

    /// Reports a variable whose value is a placeholder where it stands, once, and not at each use.
    fn is_filled_in(&self, name: &str, value: &str, mistakes: &mut Mistakes) -> bool {
        let Some(found) = placeholder(value) else { return true };
        match self.definitions.get(name) {
            Some(Definition::File(_, span)) => {
                mistakes
                    .at(span, format!("variable `{name}` is still the placeholder {}", quote(found)))
                    .help(format!("write the real value here, or pass --set {name}=VALUE"));
            }
            _ => mistakes
                .anywhere(format!("variable `{name}` is the placeholder {}", quote(found)))
                .help(format!("give `{name}` its real value")),
        }
        false
    }

    /// Reports every `--set` of a variable that the file never uses: a typing error would go unnoticed otherwise.
    pub(super) fn report_unused(&self, mistakes: &mut Mistakes) {
        for (name, definition) in &self.definitions {
            if matches!(definition, Definition::Set(_)) && !self.used.contains(name) {
                let near = mistakes.near(name, self.used.iter().map(String::as_str));
                let mistake = mistakes.anywhere(format!("--set {name}: the layout uses no variable `{name}`{near}"));
                let known = listed(self.used.iter().map(String::as_str).filter(|name| !name.starts_with("env:")));
                mistake.maybe_help((!known.is_empty()).then(|| format!("variables in use: {known}")));
            }
        }
    }
}

/// The table under a key of a table.
fn table<'table>(outer: &'table DeTable<'_>, key: &str) -> Option<&'table DeTable<'table>> {
    outer.get(key).and_then(|value| value.get_ref().as_table())
}

/// True for what may be called a variable: a letter or `_`, then letters, digits, `_` and `-`.
pub(super) fn is_variable_name(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// Splits a text at its variables; the error says what is wrong with one.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        if rest[..start].ends_with('$') {
            // `$${`: everything up to the first dollar, then a plain `${`.
            pieces.push(Piece::Plain(&rest[..start - 1]));
            pieces.push(Piece::Plain("${"));
            rest = &rest[start + 2..];
            continue;
        }
        pieces.push(Piece::Plain(&rest[..start]));
        let Some(length) = rest[start..].find('}') else {
            return Err("`${` without a `}`".to_owned());
        };
        let name = &rest[start + 2..start + length];
        if !is_variable_name(name.strip_prefix("env:").unwrap_or(name)) {
            return Err(format!("{} is not the name of a variable", quote(name)));
        }
        pieces.push(Piece::Variable(name));
        rest = &rest[start + length + 1..];
    }
    pieces.push(Piece::Plain(rest));
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::{Piece, pieces};

    fn joined(text: &str) -> String {
        match pieces(text) {
            Err(wrong) => wrong,
            Ok(pieces) => pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Plain(plain) => (*plain).to_owned(),
                    Piece::Variable(name) => format!("[{name}]"),
                })
                .collect(),
        }
    }

    #[test]
    fn texts_split_at_variables() {
        for (text, expected) in [
            ("", ""),
            ("a${b}c${env:HOME}", "a[b]c[env:HOME]"),
            ("$${b}", "${b}"),
            ("a$b$", "a$b$"),
            ("${b", "`${` without a `}`"),
            ("${}", "`` is not the name of a variable"),
            ("${a b}", "`a b` is not the name of a variable"),
            ("${aws:x}", "`aws:x` is not the name of a variable"),
        ] {
            assert_eq!(joined(text), expected, "{text}");
        }
    }
}
