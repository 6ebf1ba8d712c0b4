//! ARNs with wildcards, matched field by field: `arn:*:s3:::lake/*` means nothing in another account's field.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>

use super::context::Context;
use super::pattern::{Pattern, Syntax};
use super::variables::{Part, Variable, split};

/// The six fields of an ARN; the last one holds all further colons.
pub(super) type Fields<'text> = [&'text str; 6];

/// Cuts an ARN at its first five colons.
pub(super) fn fields(text: &str) -> Option<Fields<'_>> {
    let mut parts = text.splitn(6, ':');
    let mut next = || parts.next();
    Some([next()?, next()?, next()?, next()?, next()?, next()?])
}

/// An ARN as a policy writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArnPattern {
    /// As written.
    pub text: String,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// `*` alone.
    Everything,
    /// Behind `arn`: partition, service, region, account, resource.
    Fields(Box<[Pattern; 5]>),
    /// Variables that stand for more than one field.
    Whole(Pattern),
    /// No ARN, so no ARN is meant.
    Nothing,
}

impl ArnPattern {
    /// An entry of `Resource` or `NotResource`: variables count in the last field only.
    pub(super) fn resource(text: &str, variables: bool) -> Self {
        let plain = Syntax { wildcards: true, variables: false };
        let form = match fields(text) {
            Some(["arn", partition, service, region, account, resource]) => Form::Fields(Box::new([
                Pattern::parse(partition, plain),
                Pattern::parse(service, plain),
                Pattern::parse(region, plain),
                Pattern::parse(account, plain),
                Pattern::parse(resource, Syntax { wildcards: true, variables }),
            ])),
            _ if Pattern::parse(text, plain).is_everything() => Form::Everything,
            _ => Form::Nothing,
        };
        Self { text: text.to_owned(), form }
    }

    /// A value under an ARN operator: variables count in every field, and colons in their names divide nothing.
    pub(super) fn condition_value(text: &str, variables: bool) -> Self {
        let syntax = Syntax { wildcards: true, variables };
        let form = match cut_outside_variables(text, variables)[..] {
            ["arn", partition, service, region, account, resource] => Form::Fields(Box::new(
                [partition, service, region, account, resource].map(|field| Pattern::parse(field, syntax)),
            )),
            _ => {
                let whole = Pattern::parse(text, syntax);
                if whole.variables().next().is_some() { Form::Whole(whole) } else { Form::Nothing }
            }
        };
        Self { text: text.to_owned(), form }
    }

    /// True if this is `*`.
    pub const fn is_everything(&self) -> bool {
        matches!(self.form, Form::Everything)
    }

    /// True if this is neither an ARN nor `*`, so that it matches nothing.
    pub const fn is_malformed(&self) -> bool {
        matches!(self.form, Form::Nothing)
    }

    /// True only if this pattern means every ARN that `narrow` means.
    pub(super) fn covers(&self, narrow: &Self) -> bool {
        match (&self.form, &narrow.form) {
            (Form::Everything, _) | (_, Form::Nothing) => true,
            (Form::Fields(wide), Form::Fields(narrow)) => {
                wide.iter().zip(narrow.iter()).all(|(wide, narrow)| wide.covers(narrow))
            }
            (one, other) => one == other,
        }
    }

    /// True only if no ARN is meant by both.
    pub(super) fn is_disjoint(&self, other: &Self) -> bool {
        match (&self.form, &other.form) {
            (Form::Nothing, _) | (_, Form::Nothing) => true,
            (Form::Fields(one), Form::Fields(other)) => {
                one.iter().zip(other.iter()).any(|(one, other)| one.is_disjoint(other))
            }
            _ => false,
        }
    }

    /// The pattern of the last field; none for `*`, and for what is no ARN.
    pub(super) fn last_field(&self) -> Option<&Pattern> {
        match &self.form {
            Form::Fields(fields) => Some(&fields[4]),
            _ => None,
        }
    }

    /// The variables in it.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        let patterns = match &self.form {
            Form::Fields(fields) => fields.as_slice(),
            Form::Whole(whole) => std::slice::from_ref(whole),
            Form::Everything | Form::Nothing => &[],
        };
        patterns.iter().flat_map(Pattern::variables)
    }

    /// True if `text` is an ARN that this pattern means, or anything at all for `*`.
    pub fn matches(&self, text: &str, context: &Context) -> bool {
        match &self.form {
            Form::Everything => true,
            Form::Nothing => false,
            Form::Whole(whole) => whole.matches(text, context),
            Form::Fields(_) => fields(text).is_some_and(|fields| self.matches_fields(Some(&fields), context)),
        }
    }

    /// The same for an ARN that has been cut already; none stands for a text that is no ARN, such as `*`.
    pub(super) fn matches_fields(&self, arn: Option<&Fields<'_>>, context: &Context) -> bool {
        match (&self.form, arn) {
            (Form::Everything, _) => true,
            (Form::Fields(patterns), Some(fields)) => {
                // The resource first, because it differs most often.
                fields[0] == "arn"
                    && patterns[4].matches(fields[5], context)
                    && patterns[..4].iter().zip(&fields[1..5]).all(|(pattern, field)| pattern.matches(field, context))
            }
            _ => false,
        }
    }
}

/// At most six pieces of text, cut at colons that belong to no variable.
pub(super) fn cut_outside_variables(text: &str, variables: bool) -> Vec<&str> {
    if !variables {
        return text.splitn(6, ':').collect();
    }
    let mut colons = Vec::new();
    for (start, part) in split(text) {
        if let Part::Plain(plain) = part {
            colons.extend(plain.match_indices(':').map(|(colon, _)| start + colon));
        }
    }
    let mut fields = Vec::new();
    let mut start = 0;
    for colon in colons.into_iter().take(5) {
        fields.push(&text[start..colon]);
        start = colon + 1;
    }
    fields.push(&text[start..]);
    fields
}

#[cfg(test)]
mod tests {
    use super::ArnPattern;
    use crate::policy::context::Context;

    fn context() -> Context {
        let arn = "arn:aws:iam::111111111111:role/trainer";
        Context::default()
            .with("aws:PrincipalArn", arn)
            .with("aws:PrincipalAccount", "111111111111")
            .with("x:tag", "a:b")
    }

    #[test]
    fn resources_match_field_by_field() {
        for (pattern, resource, expected) in [
            ("*", "*", true),
            ("*", "arn:aws:s3:::lake/k", true),
            ("**", "arn:aws:s3:::lake/k", true),
            ("arn:aws:s3:::lake/a:*", "arn:aws:s3:::lake/a:b:c", true),
            ("arn:*:s3:::lake/*", "arn:aws-cn:s3:::lake/k", true),
            ("arn:aws:s3:::lake/*", "arn:aws:s3:::lake", false),
            ("arn:aws:s3:::lake", "arn:aws:s3:::lake/k", false),
            ("arn:aws:s3:::lake*", "arn:aws:s3:::lake-secret", true),
            ("arn:aws:s3:::LAKE/*", "arn:aws:s3:::lake/k", false),
            ("arn:aws:s3*:lake/*", "arn:aws:s3:::lake/k", false),
            ("arn:aws:*", "arn:aws:s3:::lake/k", false),
            ("arn:aws:s3:lake/*", "arn:aws:s3:lake/k", false),
            ("lake/*", "arn:aws:s3:::lake/k", false),
            ("arn:aws:s3:::*", "*", false),
            ("?rn:aws:s3:::lake/k", "arn:aws:s3:::lake/k", false),
            ("arn:aws:s3:::${aws:PrincipalAccount}/*", "arn:aws:s3:::111111111111/k", true),
            ("arn:aws:s3::${aws:PrincipalAccount}:b/*", "arn:aws:s3::111111111111:b/k", false),
            ("arn:aws:s3:::${x:tag}/*", "arn:aws:s3:::a:b/k", true),
        ] {
            assert_eq!(ArnPattern::resource(pattern, true).matches(resource, &context()), expected, "{pattern}");
        }
    }

    #[test]
    fn condition_values_hold_variables_in_every_field() {
        for (pattern, arn, expected) in [
            ("arn:aws:iam::${aws:PrincipalAccount}:role/*", "arn:aws:iam::111111111111:role/x", true),
            ("arn:aws:iam::${aws:PrincipalAccount}:role/*", "arn:aws:iam::222222222222:role/x", false),
            ("${aws:PrincipalArn}", "arn:aws:iam::111111111111:role/trainer", true),
            ("${aws:PrincipalArn}", "arn:aws:iam::111111111111:role/other", false),
            ("arn:aws:iam::${x:tag}:role/x", "arn:aws:iam::a:b:role/x", false),
            (
                "arn:aws:s:*:111122223333:finance/*",
                "arn:aws:s:us-east-2:999999999999:store/abc:111122223333:finance/d",
                false,
            ),
            ("arn:aws:sns:*:*:*", "arn:aws:sns:us-east-1:1:topic:sub", true),
            ("*", "arn:aws:sns:us-east-1:1:topic", false),
        ] {
            assert_eq!(ArnPattern::condition_value(pattern, true).matches(arn, &context()), expected, "{pattern}");
        }
    }
}
