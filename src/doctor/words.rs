//! Names as people say them: `role trainer`, `s3://lake/a.csv`, `do s3:PutObject on ...`.

use super::message::Symptom;
use crate::policy::{Because, Caller, Layer, Listed};

/// `role trainer (session run-1)`, or the text itself where it names nobody that is known here.
pub(super) fn who_words(principal: Option<&str>) -> String {
    match principal {
        None => "the caller".to_owned(),
        Some(text) => Caller::parse(text, None).map_or_else(|_| format!("`{text}`"), |caller| caller.to_string()),
    }
}

/// `s3:PutObject on s3://lake/a.csv`, as far as it is known.
pub(super) fn call_words(symptom: &Symptom) -> String {
    let what = symptom.action.clone().or_else(|| symptom.operation.clone()).unwrap_or_else(|| "do that".to_owned());
    match symptom.resource.as_deref() {
        Some(arn) => format!("{what} on {}", place_words(arn)),
        None => what,
    }
}

/// `s3://bucket/key` for ARNs of S3; others as they are.
pub(super) fn place_words(arn: &str) -> String {
    let of_s3 = arn.split_once(":s3:::").filter(|(start, _)| start.starts_with("arn:")).map(|(_, place)| place);
    of_s3.map_or_else(|| arn.to_owned(), |place| format!("s3://{place}"))
}

/// The bucket of an S3 ARN; empty for other ARNs.
pub(super) fn bucket_of(arn: &str) -> &str {
    arn.split_once(":s3:::").map_or("", |(_, place)| place.split('/').next().unwrap_or(place))
}

/// The key of an object's ARN; none for a bucket's.
pub(super) fn key_of(arn: &str) -> Option<&str> {
    arn.split_once(":s3:::")
        .and_then(|(_, place)| place.split_once('/'))
        .map(|(_, key)| key)
        .filter(|key| !key.is_empty())
}

/// The role of a session that an EC2 instance made: its sessions are named by the instance's id.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>
pub(super) fn instance_role(principal: &str) -> Option<&str> {
    let (role, session) = principal.split_once(":assumed-role/")?.1.split_once('/')?;
    let id = session.strip_prefix("i-")?;
    ((8..=17).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(role)
}

/// A statement by its Sid, or by its place.
pub(super) fn statement_words(because: &Because) -> String {
    match because.sid.as_deref().filter(|sid| !sid.is_empty()) {
        Some(sid) => format!("statement `{sid}`"),
        None => format!("statement {}", because.statement + 1),
    }
}

/// A layer in a sentence.
pub(super) fn one(layer: Layer) -> String {
    match layer {
        Layer::Scp | Layer::Rcp => format!("a {layer}"),
        Layer::Identity => format!("an {layer}"),
        Layer::Resource | Layer::Boundary | Layer::Session | Layer::Endpoint | Layer::Root => format!("the {layer}"),
    }
}

/// How far the nearest of the listed places agrees with a resource, letter by letter.
pub(super) fn agreement(listed: &Listed, resource: &str) -> usize {
    let of_entry = |entry: &String| entry.bytes().zip(resource.bytes()).take_while(|(one, other)| one == other).count();
    listed.entries.iter().map(of_entry).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{bucket_of, instance_role, key_of, place_words};

    #[test]
    fn names_come_from_arns() {
        assert_eq!(place_words("arn:aws-cn:s3:::lake/a:b"), "s3://lake/a:b");
        assert_eq!(place_words("arn:aws:kms:us-east-1:111111111111:key/1"), "arn:aws:kms:us-east-1:111111111111:key/1");
        assert_eq!((bucket_of("arn:aws:s3:::lake/a/b"), key_of("arn:aws:s3:::lake/a/b")), ("lake", Some("a/b")));
        assert_eq!((key_of("arn:aws:s3:::lake"), key_of("arn:aws:s3:::lake/")), (None, None));
    }

    #[test]
    fn an_instances_session_is_named_by_its_id() {
        let session = |name: &str| format!("arn:aws:sts::111111111111:assumed-role/node-group-1/{name}");
        assert_eq!(instance_role(&session("i-0a1b2c3d4e5f60718")), Some("node-group-1"));
        assert_eq!(instance_role(&session("i-am-not")), None);
        assert_eq!(instance_role(&session("botocore-session-1700000000")), None);
    }
}
