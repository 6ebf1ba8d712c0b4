//! Condition operators by name: what they compare, whether they are negated, and what a missing key means to them.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>

use std::cmp::Ordering;

/// A condition operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operator {
    /// `ForAllValues:` or `ForAnyValue:`
    pub quantifier: Option<Quantifier>,
    /// What is compared, and how.
    pub test: Test,
    /// True for the `Not` forms: none of the values may match.
    pub negated: bool,
    /// `...IfExists`
    pub if_exists: bool,
}

/// How a set of request values is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantifier {
    /// Every value of the request; true for none at all.
    ForAllValues,
    /// At least one value of the request; false for none at all.
    ForAnyValue,
}

/// What an operator compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    /// `StringEquals`: equal texts; `*` is a star.
    StringEquals,
    /// `StringEqualsIgnoreCase`
    StringEqualsIgnoreCase,
    /// `StringLike`: wildcards.
    StringLike,
    /// `NumericEquals`, `NumericLessThan`, ...
    Numeric(Order),
    /// `DateEquals`, `DateLessThan`, ...
    Date(Order),
    /// `Bool`
    Bool,
    /// `BinaryEquals`: equal bytes, written in base64.
    Binary,
    /// `IpAddress`: in a range.
    IpAddress,
    /// `ArnEquals` and `ArnLike`, which are the same: field by field with wildcards.
    Arn,
    /// `Null`: the key is absent (`true`) or present (`false`).
    Null,
}

/// How two values must stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Equal.
    Equal,
    /// The request's is smaller.
    Less,
    /// The request's is not greater.
    LessOrEqual,
    /// The request's is greater.
    Greater,
    /// The request's is not smaller.
    GreaterOrEqual,
}

impl Order {
    /// True if `found`, the request's value against the policy's, is as wanted.
    pub(super) const fn holds(self, found: Ordering) -> bool {
        match self {
            Self::Equal => found.is_eq(),
            Self::Less => found.is_lt(),
            Self::LessOrEqual => found.is_le(),
            Self::Greater => found.is_gt(),
            Self::GreaterOrEqual => found.is_ge(),
        }
    }
}

impl Order {
    /// True if whatever stands to `narrow` as this order wants also stands to a value as `wide` wants, where `found` is
    /// how `narrow` compares with that value.
    pub(super) const fn implies(self, wide: Self, found: Ordering) -> bool {
        match (self, wide) {
            (Self::Equal, _) => wide.holds(found),
            (Self::LessOrEqual, Self::Less) => found.is_lt(),
            (Self::GreaterOrEqual, Self::Greater) => found.is_gt(),
            (Self::Less | Self::LessOrEqual, Self::Less | Self::LessOrEqual) => found.is_le(),
            (Self::Greater | Self::GreaterOrEqual, Self::Greater | Self::GreaterOrEqual) => found.is_ge(),
            _ => false,
        }
    }
}

impl Test {
    /// The order that numbers and dates must have.
    pub(super) const fn order(self) -> Option<Order> {
        match self {
            Self::Numeric(order) | Self::Date(order) => Some(order),
            _ => None,
        }
    }
}

impl Operator {
    /// Reads an operator's name; none for a name that IAM does not know, such as `NullIfExists`.
    pub fn parse(name: &str) -> Option<Self> {
        let (quantifier, rest) = match name.split_once(':') {
            None => (None, name),
            Some(("ForAllValues", rest)) => (Some(Quantifier::ForAllValues), rest),
            Some(("ForAnyValue", rest)) => (Some(Quantifier::ForAnyValue), rest),
            Some(_) => return None,
        };
        let (base, if_exists) = rest.strip_suffix("IfExists").map_or((rest, false), |base| (base, true));
        let (_, test, negated) = OPERATORS.into_iter().find(|(name, ..)| *name == base)?;
        if if_exists && test == Test::Null {
            return None;
        }
        Some(Self { quantifier, test, negated, if_exists })
    }

    /// The outcome when the request does not carry the key; [`Test::Null`] decides that itself.
    pub(super) const fn when_missing(self) -> bool {
        match self.quantifier {
            _ if self.if_exists => true,
            Some(Quantifier::ForAllValues) => true,
            Some(Quantifier::ForAnyValue) => false,
            None => self.negated,
        }
    }
}

/// Every operator by its plain name, with what it compares and whether it is a `Not` form.
pub(super) const OPERATORS: [(&str, Test, bool); 27] = [
    ("StringEquals", Test::StringEquals, false),
    ("StringNotEquals", Test::StringEquals, true),
    ("StringEqualsIgnoreCase", Test::StringEqualsIgnoreCase, false),
    ("StringNotEqualsIgnoreCase", Test::StringEqualsIgnoreCase, true),
    ("StringLike", Test::StringLike, false),
    ("StringNotLike", Test::StringLike, true),
    ("NumericEquals", Test::Numeric(Order::Equal), false),
    ("NumericNotEquals", Test::Numeric(Order::Equal), true),
    ("NumericLessThan", Test::Numeric(Order::Less), false),
    ("NumericLessThanEquals", Test::Numeric(Order::LessOrEqual), false),
    ("NumericGreaterThan", Test::Numeric(Order::Greater), false),
    ("NumericGreaterThanEquals", Test::Numeric(Order::GreaterOrEqual), false),
    ("DateEquals", Test::Date(Order::Equal), false),
    ("DateNotEquals", Test::Date(Order::Equal), true),
    ("DateLessThan", Test::Date(Order::Less), false),
    ("DateLessThanEquals", Test::Date(Order::LessOrEqual), false),
    ("DateGreaterThan", Test::Date(Order::Greater), false),
    ("DateGreaterThanEquals", Test::Date(Order::GreaterOrEqual), false),
    ("Bool", Test::Bool, false),
    ("BinaryEquals", Test::Binary, false),
    ("IpAddress", Test::IpAddress, false),
    ("NotIpAddress", Test::IpAddress, true),
    ("ArnEquals", Test::Arn, false),
    ("ArnLike", Test::Arn, false),
    ("ArnNotEquals", Test::Arn, true),
    ("ArnNotLike", Test::Arn, true),
    ("Null", Test::Null, false),
];

#[cfg(test)]
mod tests {
    use super::{OPERATORS, Operator, Order, Quantifier, Test};

    #[test]
    fn every_operator_named_here_is_one() {
        for (name, ..) in OPERATORS {
            assert!(Operator::parse(name).is_some(), "{name}");
        }
    }

    #[test]
    fn names_are_read_once() {
        let operator = Operator::parse("ForAnyValue:StringNotLikeIfExists").unwrap();
        assert_eq!((operator.quantifier, operator.test), (Some(Quantifier::ForAnyValue), Test::StringLike));
        assert!(operator.negated && operator.if_exists);
        assert_eq!(Operator::parse("DateGreaterThanEquals").unwrap().test, Test::Date(Order::GreaterOrEqual));
        assert_eq!(Operator::parse("ArnLike"), Operator::parse("ArnEquals"));
        let unknown =
            ["", "stringlike", "NullIfExists", "ForSome:Bool", "NumericLike", "DateNotLessThan", "BinaryNotEquals"];
        for name in unknown {
            assert_eq!(Operator::parse(name), None, "{name}");
        }
    }

    #[test]
    fn orders_imply_each_other_for_every_number() {
        let all = [Order::Equal, Order::Less, Order::LessOrEqual, Order::Greater, Order::GreaterOrEqual];
        for (narrow, wide) in all.iter().flat_map(|narrow| all.map(|wide| (*narrow, wide))) {
            for (at, other) in (0..4).flat_map(|at| (0..4).map(move |other| (at, other))) {
                // Halves as well, because numbers are no integers.
                let breaks = |twice: &i32| narrow.holds(twice.cmp(&(2 * at))) && !wide.holds(twice.cmp(&(2 * other)));
                let holds = !(-4..12).any(|twice| breaks(&twice));
                assert_eq!(narrow.implies(wide, at.cmp(&other)), holds, "{narrow:?} {at} {wide:?} {other}");
            }
        }
    }

    #[test]
    fn a_missing_key_is_false_unless_negated_or_excused() {
        for (name, expected) in [
            ("StringEquals", false),
            ("StringNotEquals", true),
            ("NotIpAddress", true),
            ("ArnNotLike", true),
            ("Bool", false),
            ("BoolIfExists", true),
            ("StringNotLikeIfExists", true),
            ("ForAllValues:StringEquals", true),
            ("ForAnyValue:StringEquals", false),
            ("ForAnyValue:StringNotEquals", false),
            ("ForAnyValue:StringEqualsIfExists", true),
        ] {
            assert_eq!(Operator::parse(name).unwrap().when_missing(), expected, "{name}");
        }
    }
}
