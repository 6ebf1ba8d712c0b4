//! Conditions as written, compiled once, and what they say about a context.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html>

use super::arn_pattern::{ArnPattern, fields};
use super::context::{Context, Value};
use super::document::OneOrMany;
use super::operators::{Operator, Quantifier, Test};
use super::pattern::{Pattern, Syntax};
use super::values::{Decimal, Moment, Network};
use super::variables::Variable;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// One operator with its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionBlock {
    /// The operator as written.
    pub operator_text: String,
    /// The operator; none for one that IAM does not know, under which nothing holds.
    pub operator: Option<Operator>,
    /// Its keys, in their order.
    pub keys: Vec<ConditionKey>,
}

/// One key with the values it is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionKey {
    /// The key's name as written.
    pub name: String,
    /// The values, of which one must match; under a negated operator none may.
    pub values: OneOrMany<ConditionValue>,
    /// The name as contexts are searched.
    key: Box<str>,
}

/// One value of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionValue {
    /// Its text; for a JSON boolean or number the text it stands for.
    pub text: String,
    /// How it was written.
    pub kind: ValueKind,
    wanted: Wanted,
}

/// How a condition value was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// As a text.
    Text,
    /// As a JSON number.
    Number,
    /// As a JSON boolean.
    Bool,
}

/// A value as its operator reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Text(Pattern),
    Arn(ArnPattern),
    Number,
    Date(Moment),
    Bool(bool),
    Bytes(Vec<u8>),
    Network(Network),
    /// Of another type than the operator compares: it matches nothing.
    Unreadable,
}

impl ConditionValue {
    pub(super) fn new(text: String, kind: ValueKind, test: Option<Test>, variables: bool) -> Self {
        let or_unreadable = |wanted: Option<Wanted>| wanted.unwrap_or(Wanted::Unreadable);
        let wanted = match test {
            Some(Test::StringEquals | Test::StringEqualsIgnoreCase) => {
                Wanted::Text(Pattern::parse(&text, Syntax { wildcards: false, variables }))
            }
            Some(Test::StringLike) => Wanted::Text(Pattern::parse(&text, Syntax { wildcards: true, variables })),
            Some(Test::Arn) => {
                let pattern = ArnPattern::condition_value(&text, variables);
                if pattern.is_malformed() { Wanted::Unreadable } else { Wanted::Arn(pattern) }
            }
            Some(Test::Numeric(_)) => or_unreadable(Decimal::parse(&text).map(|_| Wanted::Number)),
            Some(Test::Date(_)) => or_unreadable(Moment::parse(&text).map(Wanted::Date)),
            Some(Test::Bool | Test::Null) => or_unreadable(boolean(&text).map(Wanted::Bool)),
            Some(Test::Binary) => or_unreadable(BASE64_STANDARD.decode(&text).ok().map(Wanted::Bytes)),
            Some(Test::IpAddress) => or_unreadable(Network::parse(&text).map(Wanted::Network)),
            None => Wanted::Unreadable,
        };
        Self { text, kind, wanted }
    }

    /// True if the operator can compare it: a number under `NumericEquals`, a range under `IpAddress`.
    pub const fn is_readable(&self) -> bool {
        !matches!(self.wanted, Wanted::Unreadable)
    }

    /// The variables in it.
    pub fn variables(&self) -> Box<dyn Iterator<Item = &Variable> + '_> {
        match &self.wanted {
            Wanted::Text(pattern) => Box::new(pattern.variables()),
            Wanted::Arn(pattern) => Box::new(pattern.variables()),
            _ => Box::new(std::iter::empty()),
        }
    }

    /// True only if every text that matches `narrow` under `narrow_test` also matches this value under `test`.
    pub(super) fn covers(&self, test: Test, narrow: &Self, narrow_test: Test) -> bool {
        let ignores_case = |test| test == Test::StringEqualsIgnoreCase;
        match (&self.wanted, &narrow.wanted) {
            (Wanted::Text(wide), Wanted::Text(narrow)) if ignores_case(test) => {
                match (wide.literal(), narrow.literal()) {
                    (Some(wide), Some(narrow)) if narrow_test != Test::StringLike => wide.eq_ignore_ascii_case(narrow),
                    _ => narrow_test == test && wide == narrow,
                }
            }
            (Wanted::Text(wide), Wanted::Text(narrow)) => {
                if ignores_case(narrow_test) {
                    wide.is_everything()
                } else {
                    wide.covers(narrow)
                }
            }
            (Wanted::Arn(wide), Wanted::Arn(narrow)) => wide.covers(narrow),
            (Wanted::Number, Wanted::Number) => {
                let numbers = (Decimal::parse(&narrow.text), Decimal::parse(&self.text));
                let (Some(narrow), Some(wide)) = numbers else { return false };
                implies(narrow_test, test, narrow.cmp(&wide))
            }
            (Wanted::Date(wide), Wanted::Date(narrow)) => implies(narrow_test, test, narrow.cmp(wide)),
            (Wanted::Bool(wide), Wanted::Bool(narrow)) => wide == narrow,
            (Wanted::Bytes(wide), Wanted::Bytes(narrow)) => wide == narrow,
            (Wanted::Network(wide), Wanted::Network(narrow)) => wide.covers(*narrow),
            _ => false,
        }
    }

    /// True if this value and the request's match, before any negation.
    fn matches(&self, found: &Found<'_>, test: Test, context: &Context) -> bool {
        match (&self.wanted, found) {
            (Wanted::Text(pattern), Found::Text(text)) if test == Test::StringEqualsIgnoreCase => {
                equal_in_any_case(pattern, text, context)
            }
            (Wanted::Text(pattern), Found::Text(text)) => pattern.matches(text, context),
            (Wanted::Arn(pattern), Found::Text(text)) => pattern.matches(text, context),
            (Wanted::Number, Found::Number(found)) => {
                let order = |wanted: Decimal<'_>| test.order().is_some_and(|order| order.holds(found.cmp(&wanted)));
                Decimal::parse(&self.text).is_some_and(order)
            }
            (Wanted::Date(wanted), Found::Date(found)) => {
                test.order().is_some_and(|order| order.holds(found.cmp(wanted)))
            }
            (Wanted::Bool(wanted), Found::Bool(found)) => wanted == found,
            (Wanted::Bytes(wanted), Found::Bytes(found)) => wanted == found,
            (Wanted::Network(wanted), Found::Address(found)) => wanted.contains(*found),
            _ => false,
        }
    }
}

fn implies(narrow: Test, wide: Test, found: std::cmp::Ordering) -> bool {
    matches!((narrow.order(), wide.order()), (Some(narrow), Some(wide)) if narrow.implies(wide, found))
}

fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") { Some(true) } else { text.eq_ignore_ascii_case("false").then_some(false) }
}

fn equal_in_any_case(pattern: &Pattern, text: &str, context: &Context) -> bool {
    let equal = |wanted: &str| {
        let lower = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<Vec<_>>();
        wanted.eq_ignore_ascii_case(text) || lower(wanted) == lower(text)
    };
    pattern.literal().map_or_else(|| pattern.fill(context).is_some_and(|filled| equal(&filled)), equal)
}

/// A request's value as an operator reads it.
#[derive(Debug)]
enum Found<'request> {
    Text(&'request str),
    Number(Decimal<'request>),
    Date(Moment),
    Bool(bool),
    Bytes(Vec<u8>),
    Address(std::net::IpAddr),
}

impl<'request> Found<'request> {
    /// Reads a value; none if it is of another type than the operator compares.
    fn read(text: &'request str, test: Test) -> Option<Self> {
        Some(match test {
            Test::StringEquals | Test::StringEqualsIgnoreCase | Test::StringLike => Self::Text(text),
            // The colons are counted, the fields compared.
            Test::Arn => Self::Text(fields(text).filter(|fields| fields[0] == "arn").map(|_| text)?),
            Test::Numeric(_) => Self::Number(Decimal::parse(text)?),
            Test::Date(_) => Self::Date(Moment::parse(text)?),
            Test::Bool | Test::Null => Self::Bool(boolean(text)?),
            Test::Binary => Self::Bytes(BASE64_STANDARD.decode(text).ok()?),
            Test::IpAddress => Self::Address(text.parse().ok()?),
        })
    }
}

impl ConditionKey {
    pub(super) fn new(name: &str, values: OneOrMany<ConditionValue>) -> Self {
        Self { name: name.to_owned(), values, key: Context::key(name) }
    }

    /// The request's value of this key.
    pub(super) fn find<'request>(&self, context: &'request Context) -> Option<&'request Value> {
        context.get(&self.key)
    }

    /// True if the key stands to its values as the operator says.
    pub(super) fn holds(&self, operator: Operator, context: &Context) -> bool {
        // A list without values never lets a statement take effect, nor does one without a value that can be compared.
        if !self.values.items.iter().any(ConditionValue::is_readable) {
            return false;
        }
        let found = self.find(context).map_or(&[][..], Value::as_slice);
        if operator.test == Test::Null {
            let absent = Found::Bool(found.is_empty());
            return self.values.items.iter().any(|value| value.matches(&absent, Test::Null, context));
        }
        let suits = |text: &String| self.suits(text, operator, context);
        match operator.quantifier {
            _ if found.is_empty() => operator.when_missing(),
            Some(Quantifier::ForAnyValue) => found.iter().any(suits),
            Some(Quantifier::ForAllValues) => found.iter().all(suits),
            // Without a set operator no value of a set may be one that a negated operator excludes.
            None if operator.negated => found.iter().all(suits),
            None => found.iter().any(suits),
        }
    }

    /// True if one value of the request is as the operator wants it.
    fn suits(&self, text: &str, operator: Operator, context: &Context) -> bool {
        let Some(found) = Found::read(text, operator.test) else { return false };
        let matched = self.values.items.iter().any(|value| value.matches(&found, operator.test, context));
        matched != operator.negated
    }
}

#[cfg(test)]
mod tests;
