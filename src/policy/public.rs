//! Whether a bucket policy is public in the sense of Block Public Access: it grants something to nobody in particular.
//!
//! Only fixed values narrow a grant: no wildcards, no variables, no address range broader than /8.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>

use super::condition::{ConditionBlock, ConditionKey};
use super::document::{Document, Effect, Statement};
use super::operators::Test;

/// The keys that narrow a grant if their values are fixed, in lower case.
const NARROWING: [&str; 13] = [
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceip",
    "aws:sourceorgid",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "s3:dataaccesspointaccount",
];
/// The shortest mask of an address range that still narrows.
const MIN_MASK_BITS: u8 = 8;

impl Document {
    /// True if S3 would call this bucket policy public.
    pub fn is_public(&self) -> bool {
        self.statements().iter().any(is_public)
    }
}

fn is_public(statement: &Statement) -> bool {
    let everybody =
        statement.not_principal.is_some() || statement.principal.as_ref().is_some_and(|who| who.is_everybody());
    let narrowed = statement.condition.iter().flatten().any(narrows);
    statement.effect == Some(Effect::Allow) && statement.flaw().is_none() && everybody && !narrowed
}

fn narrows(block: &ConditionBlock) -> bool {
    let Some(operator) = block.operator else { return false };
    let fixes =
        matches!(operator.test, Test::StringEquals | Test::StringEqualsIgnoreCase | Test::StringLike | Test::Arn);
    let address = operator.test == Test::IpAddress;
    let positive = !operator.negated && !operator.if_exists && operator.quantifier.is_none();
    positive && (fixes || address) && block.keys.iter().any(|key| is_fixed(key, address))
}

fn is_fixed(key: &ConditionKey, address: bool) -> bool {
    let name = key.name.to_ascii_lowercase();
    let of_address = name == "aws:sourceip";
    let fixed = |text: &str| {
        if address {
            let mask = text.split_once('/').map_or(Some(u8::MAX), |(_, bits)| bits.parse().ok());
            mask.is_some_and(|bits| bits >= MIN_MASK_BITS)
        } else {
            !text.contains(['*', '?', '$'])
        }
    };
    NARROWING.contains(&name.as_str())
        && of_address == address
        && key.values.items.iter().all(|value| fixed(&value.text))
}

#[cfg(test)]
mod tests {
    use crate::policy::Document;

    #[test]
    fn only_fixed_values_make_a_grant_private() {
        let check = |principal: &str, condition: &str, public: bool| {
            let text = format!(
                r#"{{"Statement": {{"Effect": "Allow", {principal}, "Action": "s3:GetObject", "Resource": "*", "Condition": {condition}}}}}"#
            );
            assert_eq!(Document::parse(&text).unwrap().is_public(), public, "{text}");
            let denies = Document::parse(&text.replace("Allow", "Deny")).unwrap();
            assert!(!denies.is_public(), "a Deny grants nothing");
        };
        let all = r#""Principal": "*""#;
        check(all, "{}", true);
        check(r#""Principal": {"AWS": "*"}"#, "{}", true);
        check(r#""NotPrincipal": {"AWS": "111111111111"}"#, "{}", true);
        check(r#""Principal": {"AWS": "111111111111"}"#, "{}", false);
        check(all, r#"{"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}"#, false);
        check(all, r#"{"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "0.0.0.0/1"]}}"#, true);
        check(all, r#"{"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}"#, true);
        check(all, r#"{"StringEquals": {"aws:SourceVpc": "vpc-1"}}"#, false);
        check(all, r#"{"StringLike": {"aws:SourceVpc": "vpc-*"}}"#, true);
        check(all, r#"{"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}}"#, true);
        check(all, r#"{"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111111111111:role/a"}}"#, false);
        check(all, r#"{"StringEquals": {"aws:Referer": "me"}}"#, true);
    }
}
