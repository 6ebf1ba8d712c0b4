//! Policy variables, found once in a text: `${aws:username}`, `${aws:PrincipalTag/team, 'shared'}`, `${*}`.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>

use super::context::Context;

/// A variable as it stands in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// The key's name as written.
    pub name: String,
    /// What counts where the key has no value.
    pub default: Option<String>,
    /// What is wrong with it; such a variable never has a value.
    pub fault: Option<VariableFault>,
    /// The name as contexts are searched.
    key: Box<str>,
}

/// What is wrong with a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VariableFault {
    /// `${` without `}`
    MissingBrace,
    /// A default value that is not in single quotes.
    MissingQuote,
    /// A blank around the name.
    Space,
    /// `${}`
    Empty,
}

/// A text in parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'text> {
    /// Text in which wildcards count, if they count at all.
    Plain(&'text str),
    /// A character that is no wildcard: `${*}`, `${?}`, `${$}`.
    Literal(&'text str),
    /// A variable.
    Variable(Variable),
}

impl Variable {
    /// The variable's text in this context; none if it has no value. Keys with several values give none.
    pub fn resolve<'here>(&'here self, context: &'here Context) -> Option<&'here str> {
        if self.fault.is_some() {
            return None;
        }
        context.single(&self.key).or(self.default.as_deref())
    }

    /// Reads what stands between the braces.
    fn parse(inside: &str) -> Self {
        let (name, rest) = inside.split_once(',').map_or((inside, None), |(name, rest)| (name, Some(rest)));
        let quoted = |rest: &str| {
            let inner = rest.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            (!inner.contains('\'')).then(|| inner.to_owned())
        };
        let default = rest.and_then(quoted);
        let fault = if name.is_empty() {
            Some(VariableFault::Empty)
        } else if rest.is_some() && default.is_none() {
            Some(VariableFault::MissingQuote)
        } else if name.starts_with(' ') || name.ends_with(' ') {
            Some(VariableFault::Space)
        } else {
            None
        };
        Self { name: name.to_owned(), default, fault, key: Context::key(name) }
    }
}

/// Splits a text at its variables. Each part comes with the place where it starts.
pub(super) fn split(text: &str) -> Vec<(usize, Part<'_>)> {
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(plain) = text[at..].find("${") {
        if plain > 0 {
            parts.push((at, Part::Plain(&text[at..at + plain])));
        }
        let start = at + plain;
        let body = &text[start + 2..];
        let Some(end) = closing_brace(body) else {
            let fault = Some(VariableFault::MissingBrace);
            parts.push((start, Part::Variable(Variable { fault, ..Variable::parse(body) })));
            return parts;
        };
        let part = match &body[..end] {
            literal @ ("*" | "?" | "$") => Part::Literal(literal),
            inside => Part::Variable(Variable::parse(inside)),
        };
        parts.push((start, part));
        at = start + 2 + end + 1;
    }
    if at < text.len() {
        parts.push((at, Part::Plain(&text[at..])));
    }
    parts
}

/// The brace that ends a variable: not one inside the quotes of a default value, unless the quotes never end.
fn closing_brace(body: &str) -> Option<usize> {
    let first = body.find('}')?;
    let Some(open) = body[..first].find('\'') else { return Some(first) };
    let closed = body[open + 1..].find('\'').map(|close| open + 1 + close);
    closed.and_then(|close| body[close..].find('}').map(|brace| close + brace)).or(Some(first))
}

#[cfg(test)]
mod tests {
    use super::{Part, Variable, VariableFault, split};

    fn variable(text: &str) -> Variable {
        match split(text).remove(0).1 {
            Part::Variable(variable) => variable,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn texts_split_at_their_variables() {
        let parts = split("home/${aws:username}/${*}${?}${$}x");
        let shown: Vec<String> = parts
            .iter()
            .map(|(_, part)| match part {
                Part::Plain(text) => (*text).to_owned(),
                Part::Literal(text) => format!("literal {text}"),
                Part::Variable(variable) => format!("variable {}", variable.name),
            })
            .collect();
        assert_eq!(shown, ["home/", "variable aws:username", "/", "literal *", "literal ?", "literal $", "x"]);
        assert_eq!(split(""), []);
        assert_eq!(split("$x{y}"), [(0, Part::Plain("$x{y}"))]);
        assert_eq!(parts.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 5, 20, 21, 25, 29, 33]);
    }

    #[test]
    fn defaults_and_faults() {
        for (text, name, default, fault) in [
            ("${aws:PrincipalTag/team, 'shared'}", "aws:PrincipalTag/team", Some("shared"), None),
            ("${a:b,'x}y'}", "a:b", Some("x}y"), None),
            ("${a:b, ''}", "a:b", Some(""), None),
            ("${a:b, shared}", "a:b", None, Some(VariableFault::MissingQuote)),
            ("${a:b, 'shared}", "a:b", None, Some(VariableFault::MissingQuote)),
            ("${a:b }", "a:b ", None, Some(VariableFault::Space)),
            ("${}", "", None, Some(VariableFault::Empty)),
            ("${a:b", "a:b", None, Some(VariableFault::MissingBrace)),
        ] {
            let found = variable(text);
            assert_eq!((found.name.as_str(), found.default.as_deref(), found.fault), (name, default, fault), "{text}");
        }
    }
}
