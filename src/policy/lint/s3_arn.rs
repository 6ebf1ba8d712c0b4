//! What an entry of `Resource` can stand for in S3: a bucket, objects, or one of the things with Region and account.
//!
//! Source: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html#amazons3-resources-for-iam-policies>

use super::scope::PROBE;
use crate::policy::arn_pattern::{ArnPattern, cut_outside_variables};
use crate::policy::catalog::{ResourceType, S3Action};
use crate::policy::context::Context;
use crate::policy::pattern::{Pattern, Syntax};

/// What the last field of an S3 ARN begins with where it has an account.
const CONTROL_STARTS: [&str; 6] =
    ["accesspoint/", "access-grants/", "async-request/", "job/", "storage-lens/", "storage-lens-group/"];

/// An entry of `Resource`, cut into fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) text: &'a str,
    /// None for `*`, and for what is no ARN.
    fields: Option<[&'a str; 6]>,
    everything: bool,
}

/// A bucket's or objects' part of an ARN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BucketPart<'a> {
    pub(super) bucket: &'a str,
    /// What follows the first slash.
    pub(super) key: Option<&'a str>,
}

/// True if `text` as a pattern means `name`.
fn means(text: &str, name: &str) -> bool {
    Pattern::parse(text, Syntax { wildcards: true, variables: false }).matches(name, Context::EMPTY)
}

/// True if a text holds wildcards or variables, so that it means more than itself.
pub(super) fn is_open(text: &str) -> bool {
    text.contains(['*', '?']) || text.contains("${")
}

/// What stands before the first wildcard or variable.
pub(super) fn head(text: &str) -> &str {
    let wildcard = text.find(['*', '?']).unwrap_or(text.len());
    &text[..text.find("${").unwrap_or(text.len()).min(wildcard)]
}

impl<'a> Entry<'a> {
    pub(super) fn new(arn: &'a ArnPattern) -> Self {
        let fields = cut_outside_variables(&arn.text, true).try_into().ok();
        Self { text: &arn.text, fields, everything: arn.is_everything() }
    }

    /// The six fields, if it is an ARN.
    pub(super) const fn fields(&self) -> Option<[&'a str; 6]> {
        self.fields
    }

    /// Bucket and key, if it is an ARN of those. The ARNs of access points and the like are not.
    pub(super) fn bucket_part(&self) -> Option<BucketPart<'a>> {
        let [_, _, service, region, account, resource] = self.fields?;
        let control = !account.is_empty() && CONTROL_STARTS.iter().any(|start| resource.starts_with(start));
        if !means(service, "s3") || control || !means(region, "") || !means(account, "") {
            return None;
        }
        let cut = slash_outside_variables(resource);
        Some(match cut {
            Some(slash) => BucketPart { bucket: &resource[..slash], key: Some(&resource[slash + 1..]) },
            None => BucketPart { bucket: resource, key: None },
        })
    }

    /// True if its last field is that of an access point, job or the like.
    pub(super) fn is_control(&self) -> bool {
        self.fields.is_some_and(|[.., resource]| CONTROL_STARTS.iter().any(|start| resource.starts_with(start)))
    }

    /// True if an S3 action can act on something that it means.
    pub(super) fn suits(&self, action: &S3Action) -> bool {
        if self.everything {
            return true;
        }
        let part = self.bucket_part();
        if action.resources.is_empty() {
            // AWS's own examples allow `s3:ListAllMyBuckets` on this.
            let all = part == Some(BucketPart { bucket: "*", key: None });
            // An action with a key of access points acts on them, whatever AWS's table leaves out.
            let on_access_points = action.carries("s3:DataAccessPointArn");
            return all || (on_access_points && self.can_be(ResourceType::AccessPoint, part));
        }
        action.resources.iter().any(|kind| self.can_be(*kind, part))
    }

    fn can_be(&self, kind: ResourceType, part: Option<BucketPart<'_>>) -> bool {
        let Some([_, _, service, _, account, resource]) = self.fields else { return false };
        let control = |start: &str| {
            let head = head(resource);
            let open = head.len() < resource.len();
            means(service, "s3")
                && !account.is_empty()
                && (head.starts_with(start) || (open && start.starts_with(head)))
        };
        match kind {
            ResourceType::Bucket => part.is_some_and(|part| part.key.is_none()),
            ResourceType::Object => part.is_some_and(|part| part.key.is_some() || is_open(part.bucket)),
            ResourceType::ObjectLambdaAccessPoint => means(service, "s3-object-lambda"),
            ResourceType::AccessPointObject => {
                control("accesspoint/") && (resource.contains("/object") || is_open(resource))
            }
            ResourceType::AccessPoint | ResourceType::MultiRegionAccessPoint => control("accesspoint/"),
            ResourceType::AccessGrantsInstance => control("access-grants/default"),
            ResourceType::AccessGrant => control("access-grants/default/grant/"),
            ResourceType::AccessGrantsLocation => control("access-grants/default/location/"),
            ResourceType::Job => control("job/"),
            ResourceType::MultiRegionAccessPointRequestArn => control("async-request/"),
            ResourceType::StorageLensConfiguration => control("storage-lens/"),
            ResourceType::StorageLensGroup => control("storage-lens-group/"),
        }
    }
}

/// The first slash that belongs to no variable's name.
fn slash_outside_variables(text: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let slash = from + text[from..].find('/')?;
        match text[from..slash].rfind("${") {
            Some(open) if !text[from + open..slash].contains('}') => {
                from = slash + text[slash..].find('}')?;
            }
            _ => return Some(slash),
        }
    }
}

/// True if it means every bucket, or every object of every bucket.
pub(super) fn is_all_of_s3(arn: &ArnPattern) -> bool {
    let bucket = format!("arn:aws:s3:::{PROBE}");
    let object = format!("arn:aws:s3:::{PROBE}/{PROBE}");
    [bucket, object].iter().any(|probe| arn.matches(probe, Context::EMPTY))
}

#[cfg(test)]
mod tests {
    use super::{BucketPart, Entry, is_all_of_s3};
    use crate::policy::arn_pattern::ArnPattern;
    use crate::policy::catalog::S3;

    #[test]
    fn parts_of_buckets() {
        for (text, expected) in [
            ("arn:aws:s3:::lake", Some(("lake", None))),
            ("arn:aws:s3:::lake/a/b:c", Some(("lake", Some("a/b:c")))),
            ("arn:aws:s3:::lake/", Some(("lake", Some("")))),
            ("arn:*:s3:*:*:lake*", Some(("lake*", None))),
            ("arn:aws:s3:::${aws:PrincipalTag/team}-lake/x", Some(("${aws:PrincipalTag/team}-lake", Some("x")))),
            ("arn:aws:s3:::accesspoint/x", Some(("accesspoint", Some("x")))),
            ("arn:aws:s3:us-east-1:111111111111:accesspoint/x", None),
            ("arn:aws:s3::111111111111:lake", None),
            ("arn:aws:sqs:::lake", None),
            ("*", None),
            ("lake/*", None),
        ] {
            let arn = ArnPattern::resource(text, true);
            let found = Entry::new(&arn).bucket_part().map(|BucketPart { bucket, key }| (bucket, key));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn actions_suit_their_resources() {
        for (text, action, expected) in [
            ("*", "s3:ListAllMyBuckets", true),
            ("arn:aws:s3:::*", "s3:ListAllMyBuckets", true),
            ("arn:aws:s3:::lake", "s3:ListAllMyBuckets", false),
            ("arn:aws:s3:::lake", "s3:ListBucket", true),
            ("arn:aws:s3:::lake", "s3:GetObject", false),
            ("arn:aws:s3:::lake/*", "s3:GetObject", true),
            ("arn:aws:s3:::lake/*", "s3:ListBucket", false),
            ("arn:aws:s3:::lake*", "s3:ListBucket", true),
            ("arn:aws:s3:::lake*", "s3:GetObject", true),
            ("arn:aws:s3:::${aws:username}", "s3:GetObject", true),
            ("arn:aws:s3:us-east-1:111111111111:accesspoint/ap", "s3:ListBucket", true),
            ("arn:aws:s3:us-east-1:111111111111:accesspoint/ap", "s3:GetObject", false),
            ("arn:aws:s3:us-east-1:111111111111:accesspoint/ap/object/*", "s3:GetObject", true),
            ("arn:aws:s3:us-east-1:111111111111:accesspoint/*", "s3:GetAccessPoint", true),
            ("arn:aws:s3:us-east-1:111111111111:accesspoint/*", "s3:ListAllMyBuckets", false),
            ("arn:aws:s3::111111111111:accesspoint/*", "s3:GetObject", true),
            ("arn:aws:s3:*:*:*", "s3:DescribeJob", true),
            ("arn:aws:s3:us-east-1:111111111111:job/*", "s3:DescribeJob", true),
            ("arn:aws:s3:us-east-1:111111111111:job/*", "s3:GetObject", false),
            ("arn:aws:s3-object-lambda:us-east-1:111111111111:accesspoint/x", "s3:GetObject", false),
            ("arn:aws:s3-object-lambda:us-east-1:111111111111:accesspoint/x", "s3:GetAccessPointForObjectLambda", true),
            ("arn:aws:kms:us-east-1:111111111111:key/x", "s3:GetObject", false),
        ] {
            let arn = ArnPattern::resource(text, true);
            assert_eq!(Entry::new(&arn).suits(S3.action(action).unwrap()), expected, "{action} on {text}");
        }
    }

    #[test]
    fn all_of_s3() {
        for (text, expected) in [
            ("*", true),
            ("arn:aws:s3:::*", true),
            ("arn:*:s3:::*/*", true),
            ("arn:aws:s3:::lake*", false),
            ("arn:aws:s3:::lake/*", false),
        ] {
            assert_eq!(is_all_of_s3(&ArnPattern::resource(text, true)), expected, "{text}");
        }
    }
}
