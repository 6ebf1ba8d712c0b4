//! Whether what one statement asks of caller and context is never more than what another asks: by proof, not by trying.
//!
//! A statement is cut into choices first, one principal and one value of each condition at a time, so that several
//! statements can cover one together. Where nothing can be proven the answer is no.

use crate::policy::principal::{PrincipalEntry, Principals};
use crate::policy::{
    ConditionBlock, ConditionKey, ConditionValue, Named, Operator, Quantifier, Statement, Test, operation,
};

/// The most choices that a statement is cut into; beyond, it is taken as a whole.
const MAX_CHOICES: usize = 256;

/// What one choice asks of a key: one of these values, or with a negated operator none of them.
#[derive(Debug, Clone)]
struct Asked<'statement> {
    operator: Operator,
    key: &'statement ConditionKey,
    values: Vec<&'statement ConditionValue>,
}

/// One way in which a statement can apply. All choices of a statement together are all ways.
#[derive(Debug, Clone)]
pub(super) struct Choice<'statement> {
    statement: &'statement Statement,
    /// One of its principals; none where it names none, or everybody, or has exceptions.
    principal: Option<&'statement PrincipalEntry>,
    asked: Vec<Asked<'statement>>,
}

/// The choices of a statement; none at all for one that never applies.
pub(super) fn choices(statement: &Statement) -> Vec<Choice<'_>> {
    let mut whole: Vec<Asked<'_>> = Vec::new();
    for (block, key) in pairs(statement) {
        let values: Vec<&ConditionValue> = key.values.items.iter().filter(|value| value.is_readable()).collect();
        let Some(operator) = block.operator.filter(|_| !values.is_empty()) else { return Vec::new() };
        whole.push(Asked { operator, key, values });
    }
    let principals: Vec<Option<&PrincipalEntry>> = match &statement.principal {
        Some(Principals::Text(text)) if text != "*" => return Vec::new(),
        Some(principals) if !principals.is_everybody() => {
            principals.entries().filter(|entry| entry.named != Named::Nobody).map(Some).collect()
        }
        _ => vec![None],
    };
    let ways = |asked: &Asked<'_>| if is_one_of_many(asked.operator) { asked.values.len() } else { 1 };
    let count = whole.iter().try_fold(principals.len(), |count, asked| count.checked_mul(ways(asked)));
    let cut = count.is_some_and(|count| count <= MAX_CHOICES);
    let mut choices: Vec<Choice<'_>> =
        principals.into_iter().map(|principal| Choice { statement, principal, asked: Vec::new() }).collect();
    for asked in &whole {
        let ways = if cut { asked.ways() } else { vec![asked.clone()] };
        choices = choices.iter().flat_map(|choice| ways.iter().map(|way| choice.and(way))).collect();
    }
    choices
}

impl<'statement> Choice<'statement> {
    fn and(&self, way: &Asked<'statement>) -> Self {
        let mut choice = self.clone();
        choice.asked.push(way.clone());
        choice
    }

    /// True only if the other statement's principal and conditions hold wherever this choice's do.
    pub(super) fn implies(&self, other: &Statement) -> bool {
        self.names_within(other) && self.unmet(other).next().is_none()
    }

    /// The condition keys of the other statement that this choice might not meet.
    pub(super) fn unmet<'other>(&self, other: &'other Statement) -> impl Iterator<Item = &'other str> {
        let met = |block: &ConditionBlock, key: &ConditionKey| {
            let readable = key.values.items.iter().all(ConditionValue::is_readable) && !key.values.items.is_empty();
            block.operator.is_some_and(|operator| {
                let wanted = Asked { operator, key, values: key.values.items.iter().collect() };
                readable && self.asked.iter().any(|asked| asked.implies(&wanted))
            })
        };
        let unmet: Vec<&str> =
            pairs(other).filter(|(block, key)| !met(block, key)).map(|(_, key)| key.name.as_str()).collect();
        unmet.into_iter()
    }

    fn names_within(&self, other: &Statement) -> bool {
        let everybody = other.principal.as_ref().is_some_and(Principals::is_everybody);
        match (&self.statement.principal, &self.statement.not_principal) {
            (None, None) => other.principal.is_none() && other.not_principal.is_none(),
            _ if everybody => true,
            (Some(_), _) => match (self.principal, &other.principal) {
                (Some(one), Some(principals)) => principals.entries().any(|entry| entry == one),
                _ => false,
            },
            (None, Some(others)) => other.not_principal.as_ref() == Some(others),
        }
    }

    /// True only if no request for the action can meet this choice, because it never carries what is asked for.
    pub(super) fn is_beyond(&self, action: &str) -> bool {
        self.asked.iter().any(|asked| {
            let never = operation::carries(action, &asked.key.name) == Some(false);
            never && !asked.holds_when_missing()
        })
    }
}

impl<'statement> Asked<'statement> {
    /// The same, one value at a time where one is enough.
    fn ways(&self) -> Vec<Self> {
        if !is_one_of_many(self.operator) {
            return vec![self.clone()];
        }
        let one = |value: &&'statement ConditionValue| Self { values: vec![*value], ..self.clone() };
        self.values.iter().map(one).collect()
    }

    fn holds_when_missing(&self) -> bool {
        match self.operator.test {
            Test::Null => self.values.iter().any(|value| value.text.eq_ignore_ascii_case("true")),
            _ => self.operator.when_missing(),
        }
    }

    /// True only if `wanted` holds in every context in which this holds.
    fn implies(&self, wanted: &Self) -> bool {
        if !self.key.name.eq_ignore_ascii_case(&wanted.key.name) {
            return false;
        }
        match (self.operator.test, wanted.operator.test) {
            (_, Test::Null) => self.implies_null(wanted),
            // The key is absent, and the other side does not mind.
            (Test::Null, _) => {
                self.values.iter().all(|value| value.text.eq_ignore_ascii_case("true")) && wanted.holds_when_missing()
            }
            _ => self.implies_values(wanted),
        }
    }

    fn implies_null(&self, wanted: &Self) -> bool {
        let wants = |absent: &str| wanted.values.iter().any(|value| value.text.eq_ignore_ascii_case(absent));
        match self.operator.test {
            Test::Null => self.values.iter().all(|value| wants(&value.text.to_ascii_lowercase())),
            // Only a key that is there can have met this.
            _ => wants("false") && !self.holds_when_missing(),
        }
    }

    fn implies_values(&self, wanted: &Self) -> bool {
        let (one, other) = (self.operator, wanted.operator);
        let comparable = one.quantifier == other.quantifier
            && one.negated == other.negated
            && (one.test == other.test
                || (is_text(one.test) && is_text(other.test))
                || is_ordered(one.test, other.test));
        if !comparable || (self.holds_when_missing() && !wanted.holds_when_missing()) {
            return false;
        }
        let covers = |wide: &Self, narrow: &Self| {
            narrow.values.iter().all(|value| {
                let within =
                    |wide_value: &&ConditionValue| wide_value.covers(wide.operator.test, value, narrow.operator.test);
                wide.values.iter().any(within)
            })
        };
        if one.negated { covers(self, wanted) } else { covers(wanted, self) }
    }
}

/// True for operators that hold if one value of the list does, so that the list can be cut.
fn is_one_of_many(operator: Operator) -> bool {
    !operator.negated && operator.quantifier != Some(Quantifier::ForAllValues)
}

fn is_text(test: Test) -> bool {
    matches!(test, Test::StringEquals | Test::StringEqualsIgnoreCase | Test::StringLike)
}

fn is_ordered(one: Test, other: Test) -> bool {
    matches!((one, other), (Test::Numeric(_), Test::Numeric(_)) | (Test::Date(_), Test::Date(_)))
}

fn pairs(statement: &Statement) -> impl Iterator<Item = (&ConditionBlock, &ConditionKey)> {
    let blocks = statement.condition.iter().flatten();
    blocks.flat_map(|block| block.keys.iter().map(move |key| (block, key)))
}
