//! Values of conditions: can the operator read them, and do they mean what they seem to.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>

use super::Report;
use super::codes::{
    Code, EMPTY_ARRAY_CONDITION, EMPTY_ARRAY_CONDITION_FORALLVALUES, EMPTY_ARRAY_CONDITION_FORANYVALUE,
    EMPTY_ARRAY_CONDITION_IFEXISTS, IMPROVE_IP_RANGE, INVALID_CONDITION_DATA_TYPE, INVALID_CONDITION_MULTIPLE_BOOLEAN,
    INVALID_DATE_VALUE, INVALID_VPC_FORMAT, INVALID_VPCE_FORMAT, PRIVATE_IP_ADDRESS, PRIVATE_IP_ADDRESS_SUBSET,
    PRIVATE_NOTIPADDRESS, PRIVATE_NOTIPADDRESS_SUBSET, REDUNDANT_CONDITION_VALUE_NUM, TYPE_MISMATCH_BOOLEAN,
    TYPE_MISMATCH_DATE, TYPE_MISMATCH_IP_RANGE, TYPE_MISMATCH_NUMBER, TYPE_MISMATCH_STRING,
    WILDCARD_WITHOUT_LIKE_OPERATOR,
};
use super::s3_arn::is_open;
use super::scope::{KeyAt, Scope};
use crate::policy::condition::{ConditionValue, ValueKind};
use crate::policy::operators::{Operator, Order, Quantifier, Test};
use crate::policy::path::DocumentPath;
use crate::policy::values::{Decimal, Network};
use crate::policy::variables::{Part, split};
use std::net::IpAddr;

pub(super) fn check(scope: &Scope<'_>, at: &KeyAt<'_>, report: &mut Report) {
    let values = &at.key.values;
    let Some(operator) = at.block.operator else { return };
    if values.listed && values.items.is_empty() {
        return empty(operator, at, report);
    }
    let kind_of = |value: &ConditionValue| value.kind;
    if values.items.windows(2).any(|pair| kind_of(&pair[0]) != kind_of(&pair[1])) {
        let message = "the values are of different JSON types";
        report.add(INVALID_CONDITION_DATA_TYPE, &at.path, message, "write them all as texts, in quotes");
    }
    if matches!(operator.test, Test::Bool | Test::Null) && values.items.len() > 1 {
        let message = format!("`{}` takes one value", at.block.operator_text);
        let fix = "write `true` or `false`; both together hold whenever the key is there";
        report.add(INVALID_CONDITION_MULTIPLE_BOOLEAN, &at.path, message, fix);
    }
    for (path, value) in scope.entries(&at.path, values) {
        readable(value, operator, &path, scope, report);
        wildcard(value, operator, &path, scope, report);
        network_id(value, operator, &at.key.name, &path, report);
    }
    if operator.test == Test::IpAddress {
        private(operator, at, report);
    }
    bounds(operator, at, report);
}

fn empty(operator: Operator, at: &KeyAt<'_>, report: &mut Report) {
    let (code, message): (Code, &str) = match operator.quantifier {
        Some(Quantifier::ForAllValues) => {
            (EMPTY_ARRAY_CONDITION_FORALLVALUES, "without values this holds where the key is missing, at most")
        }
        Some(Quantifier::ForAnyValue) => (EMPTY_ARRAY_CONDITION_FORANYVALUE, "without values this never holds"),
        None if operator.if_exists => {
            (EMPTY_ARRAY_CONDITION_IFEXISTS, "without values this holds where the key is missing, at most")
        }
        None => (EMPTY_ARRAY_CONDITION, "the key is compared with nothing"),
    };
    let fix = "name values; to ask whether the key is missing write `\"Null\": {\"KEY\": \"true\"}`";
    report.add(code, &at.path, message, fix);
}

/// Whether the operator can read the value. Variables where they have no place are told elsewhere.
fn readable(value: &ConditionValue, operator: Operator, path: &DocumentPath, scope: &Scope<'_>, report: &mut Report) {
    let text = &value.text;
    let has_variable = text.contains("${") && scope.document.has_variables();
    let epoch = value.kind == ValueKind::Number && text.len() != 4
        || text.len() > 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_no_boolean = value.kind == ValueKind::Number;
    let (code, message, fix) = match operator.test {
        _ if has_variable => return,
        Test::Bool | Test::Null if !value.is_readable() || is_no_boolean => {
            (TYPE_MISMATCH_BOOLEAN, format!("`{text}` is neither true nor false"), "write `true` or `false`")
        }
        Test::Date(_) if !value.is_readable() => {
            (TYPE_MISMATCH_DATE, format!("`{text}` is no time"), "write it as `2026-12-31T23:59:59Z`")
        }
        Test::Date(_) if epoch => (
            INVALID_DATE_VALUE,
            format!("`{text}` counts seconds since 1970, which few people can read"),
            "write it as `2026-12-31T23:59:59Z`",
        ),
        Test::Numeric(_) if !value.is_readable() => {
            (TYPE_MISMATCH_NUMBER, format!("`{text}` is no number"), "write digits, such as `100` or `1.5`")
        }
        Test::IpAddress if !value.is_readable() => {
            (TYPE_MISMATCH_IP_RANGE, format!("`{text}` is no address range"), "write it as `203.0.113.0/24`")
        }
        Test::IpAddress => return improve(text, path, report),
        Test::Binary if !value.is_readable() => {
            (TYPE_MISMATCH_STRING, format!("`{text}` is no base64"), "encode the bytes in base64, padding included")
        }
        _ => return,
    };
    report.add(code, path, message, fix);
}

fn wildcard(value: &ConditionValue, operator: Operator, path: &DocumentPath, scope: &Scope<'_>, report: &mut Report) {
    let like = match operator.test {
        Test::StringEquals if operator.negated => "StringNotLike",
        Test::StringEquals => "StringLike",
        Test::StringEqualsIgnoreCase => "StringLike` with each spelling, or list the values",
        _ => return,
    };
    let plain = |(_, part): &(usize, Part<'_>)| matches!(part, Part::Plain(text) if text.contains(['*', '?']));
    let is_wild = match scope.document.has_variables() {
        true => split(&value.text).iter().any(plain),
        false => value.text.contains(['*', '?']),
    };
    if is_wild {
        let message = format!("`{}` is compared as it stands: `*` and `?` are plain characters here", value.text);
        report.add(WILDCARD_WITHOUT_LIKE_OPERATOR, path, message, format!("for a pattern write `{like}`"));
    }
}

/// `aws:SourceVpc` and `aws:SourceVpce`: ids of 8 or 17 letters and digits.
fn network_id(value: &ConditionValue, operator: Operator, key: &str, path: &DocumentPath, report: &mut Report) {
    let (code, start, what) = match key.to_ascii_lowercase().as_str() {
        "aws:sourcevpc" => (INVALID_VPC_FORMAT, "vpc-", "VPC"),
        "aws:sourcevpce" => (INVALID_VPCE_FORMAT, "vpce-", "VPC endpoint"),
        _ => return,
    };
    let text = &value.text;
    if !matches!(operator.test, Test::StringEquals | Test::StringEqualsIgnoreCase | Test::StringLike) || is_open(text) {
        return;
    }
    let is_id = text
        .strip_prefix(start)
        .is_some_and(|id| matches!(id.len(), 8 | 17) && id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if !is_id {
        let fix = format!("write `{start}` and the 8 or 17 letters and digits of its id");
        report.add(code, path, format!("`{text}` is no {what}"), fix);
    }
}

/// A range's address without the bits beyond its mask.
fn improve(text: &str, path: &DocumentPath, report: &mut Report) {
    let Some((address, length)) = text.split_once('/') else { return };
    let (Ok(written), Some(network)) = (address.parse::<IpAddr>(), Network::parse(text)) else { return };
    let counted = match network {
        Network::V4(bits, _) => IpAddr::from(bits.to_be_bytes()),
        Network::V6(bits, _) => IpAddr::from(bits.to_be_bytes()),
    };
    if counted != written {
        let message = format!("the bits of `{address}` beyond the first {length} do not count");
        report.add(IMPROVE_IP_RANGE, path, message, format!("write `{counted}/{length}`"));
    }
}

/// Ranges that no request from the internet comes from.
///
/// Source: <https://www.iana.org/assignments/iana-ipv4-special-registry>, and the same for IPv6
const PRIVATE: [&str; 9] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
];

fn is_private(network: Network) -> bool {
    PRIVATE.iter().filter_map(|range| Network::parse(range)).any(|range| match (range, network) {
        (Network::V4(start, mask), Network::V4(bits, longer)) => longer & mask == mask && bits & mask == start,
        (Network::V6(start, mask), Network::V6(bits, longer)) => longer & mask == mask && bits & mask == start,
        _ => false,
    })
}

fn private(operator: Operator, at: &KeyAt<'_>, report: &mut Report) {
    if !at.key.name.eq_ignore_ascii_case("aws:SourceIp") {
        return;
    }
    let networks: Vec<Network> = at.key.values.items.iter().filter_map(|value| Network::parse(&value.text)).collect();
    let count = networks.iter().filter(|network| is_private(**network)).count();
    let all = count == networks.len();
    let (code, message) = match (operator.negated, all) {
        _ if count == 0 => return,
        (false, true) => (PRIVATE_IP_ADDRESS, "these are private addresses, and S3 sees public ones: this never holds"),
        (true, true) => {
            (PRIVATE_NOTIPADDRESS, "these are private addresses, and S3 sees public ones: this always holds")
        }
        (false, false) => (PRIVATE_IP_ADDRESS_SUBSET, "some of these are private addresses, which S3 never sees"),
        (true, false) => (PRIVATE_NOTIPADDRESS_SUBSET, "some of these are private addresses, which S3 never sees"),
    };
    let fix = "name the public addresses of your network; for callers through a VPC endpoint compare `aws:SourceVpce`, \
               or `aws:VpcSourceIp` beside `aws:SourceVpc`";
    report.add(code, &at.path, message, fix);
}

/// Several upper or lower bounds, of which the widest counts.
fn bounds(operator: Operator, at: &KeyAt<'_>, report: &mut Report) {
    let Test::Numeric(order) = operator.test else { return };
    let numbers = || {
        at.key.values.items.iter().filter_map(|value| Decimal::parse(&value.text).map(|number| (number, &value.text)))
    };
    if numbers().count() < 2 {
        return;
    }
    let (counts, word) = match order {
        Order::Less | Order::LessOrEqual => (numbers().max_by_key(|(number, _)| *number), "greatest"),
        Order::Greater | Order::GreaterOrEqual => (numbers().min_by_key(|(number, _)| *number), "least"),
        Order::Equal => return,
    };
    if let Some((_, text)) = counts {
        let message = format!("of several bounds only the {word} counts");
        report.add(REDUNDANT_CONDITION_VALUE_NUM, &at.path, message, format!("write `{text}` alone"));
    }
}
