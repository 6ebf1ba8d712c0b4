//! Global condition keys: those that any service's request may carry.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>, read 2026-09.

use super::{KeyLookup, KeyType, ValueType};

const fn one(values: ValueType) -> KeyType {
    KeyType { values, multivalued: false }
}

const MANY: KeyType = KeyType { values: ValueType::String, multivalued: true };

/// The keys and what they hold; a family ends with its slash.
pub(crate) const GLOBAL_KEYS: &[(&str, KeyType)] = &[
    ("aws:AssumedRoot", one(ValueType::Bool)),
    ("aws:CalledVia", MANY),
    ("aws:CalledViaAWSMCP", one(ValueType::String)),
    ("aws:CalledViaFirst", one(ValueType::String)),
    ("aws:CalledViaLast", one(ValueType::String)),
    ("aws:ChatbotSourceArn", one(ValueType::Arn)),
    ("aws:CurrentTime", one(ValueType::Date)),
    ("aws:Ec2InstanceSourcePrivateIPv4", one(ValueType::IpAddress)),
    ("aws:Ec2InstanceSourceVpc", one(ValueType::String)),
    ("aws:EpochTime", one(ValueType::Epoch)),
    ("aws:FederatedProvider", one(ValueType::String)),
    ("aws:IsMcpServiceAction", one(ValueType::Bool)),
    ("aws:MultiFactorAuthAge", one(ValueType::Numeric)),
    ("aws:MultiFactorAuthPresent", one(ValueType::Bool)),
    ("aws:PrincipalAccount", one(ValueType::String)),
    ("aws:PrincipalArn", one(ValueType::Arn)),
    ("aws:PrincipalIsAWSService", one(ValueType::Bool)),
    ("aws:PrincipalOrgID", one(ValueType::String)),
    ("aws:PrincipalOrgPaths", MANY),
    ("aws:PrincipalServiceName", one(ValueType::String)),
    ("aws:PrincipalServiceNamesList", MANY),
    ("aws:PrincipalTag/", one(ValueType::String)),
    ("aws:PrincipalType", one(ValueType::String)),
    ("aws:referer", one(ValueType::String)),
    ("aws:RequestedRegion", one(ValueType::String)),
    ("aws:RequestTag/", one(ValueType::String)),
    ("aws:ResourceAccount", one(ValueType::String)),
    ("aws:ResourceOrgID", one(ValueType::String)),
    ("aws:ResourceOrgPaths", MANY),
    ("aws:ResourceTag/", one(ValueType::String)),
    ("aws:SecureTransport", one(ValueType::Bool)),
    ("aws:SourceAccount", one(ValueType::String)),
    ("aws:SourceArn", one(ValueType::Arn)),
    ("aws:SourceIdentity", one(ValueType::String)),
    ("aws:SourceIp", one(ValueType::IpAddress)),
    ("aws:SourceOrgID", one(ValueType::String)),
    ("aws:SourceOrgPaths", MANY),
    ("aws:SourceOwner", one(ValueType::String)),
    ("aws:SourceVpc", one(ValueType::String)),
    ("aws:SourceVpcArn", one(ValueType::Arn)),
    ("aws:SourceVpce", one(ValueType::String)),
    ("aws:TagKeys", MANY),
    ("aws:TokenIssueTime", one(ValueType::Date)),
    ("aws:UserAgent", one(ValueType::String)),
    ("aws:userid", one(ValueType::String)),
    ("aws:username", one(ValueType::String)),
    ("aws:ViaAWSMCPService", one(ValueType::Bool)),
    ("aws:ViaAWSService", one(ValueType::Bool)),
    ("aws:VpceAccount", one(ValueType::String)),
    ("aws:VpceOrgID", one(ValueType::String)),
    ("aws:VpceOrgPaths", MANY),
    ("aws:VpcSourceIp", one(ValueType::IpAddress)),
];

/// An `aws:` key by its name, whatever its case.
pub(crate) fn global_key(name: &str) -> KeyLookup<'static> {
    let (base, rest) = name.split_once('/').map_or((name, None), |(base, rest)| (base, Some(rest)));
    let is_it = |key: &str| key.strip_suffix('/').unwrap_or(key).eq_ignore_ascii_case(base);
    match GLOBAL_KEYS.iter().find(|(key, _)| is_it(key)) {
        Some((key, _)) if key.ends_with('/') && rest.is_none_or(str::is_empty) => KeyLookup::WithoutTagKey(key),
        Some((key, kind)) if key.ends_with('/') == rest.is_some() => KeyLookup::Known(key, *kind),
        _ => KeyLookup::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyLookup, MANY, ValueType, global_key, one};

    #[test]
    fn keys_are_found_whatever_their_case() {
        for (name, expected) in [
            ("AWS:sourceip", KeyLookup::Known("aws:SourceIp", one(ValueType::IpAddress))),
            ("aws:TagKeys", KeyLookup::Known("aws:TagKeys", MANY)),
            ("aws:PrincipalTag/team/sub", KeyLookup::Known("aws:PrincipalTag/", one(ValueType::String))),
            ("aws:PrincipalTag", KeyLookup::WithoutTagKey("aws:PrincipalTag/")),
            ("aws:RequestTag/", KeyLookup::WithoutTagKey("aws:RequestTag/")),
            ("aws:SourceIp/x", KeyLookup::Unknown),
            ("aws:SourceIpp", KeyLookup::Unknown),
        ] {
            assert_eq!(global_key(name), expected, "{name}");
        }
    }
}
