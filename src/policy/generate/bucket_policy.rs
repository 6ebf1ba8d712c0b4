//! Bucket policies: the tool's own statements for a bucket, and access for principals of another account.
//!
//! Across accounts both sides must allow, so readers and writers elsewhere need a pair: this document on the bucket, and
//! an identity policy of the same entitlement in their own account.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-walkthroughs-managing-access-example2.html>

use super::units::{Unit, units};
use super::{Frame, GenerateError, Generated, Kind, identity, literal, statement};
use crate::layout::controls::{Circumstances, own_statements};
use crate::layout::{Bucket, Layout};
use crate::model::{Arn, BucketName, Endpoint, Identity, Region};
use crate::policy::entitlement::Entitlement;
use serde_json::{Map, Value, json};

/// What `apply` wants in the policy of each bucket of a layout: TLS only, and delivery of access logs. A bucket that wants
/// neither has no document.
pub fn of_layout(layout: &Layout) -> Vec<Generated> {
    let around = Circumstances {
        identity: Identity { account: layout.account.clone(), arn: None },
        endpoint: Endpoint::Aws,
        region: layout.region.clone().unwrap_or_else(Region::us_east_1),
    };
    let generated = |bucket: &Bucket| {
        let statements = own_statements(bucket, &around);
        (!statements.is_empty()).then(|| of_bucket(&bucket.name, &statements))
    };
    layout.buckets.iter().filter_map(generated).collect()
}

/// A bucket's document.
pub fn of_bucket(bucket: &BucketName, statements: &[Value]) -> Generated {
    let document = statement::document(statements);
    Generated { name: bucket.to_string(), kind: Kind::Bucket(bucket.clone()), document }
}

/// The statements that let `principals` do on `bucket` what `entitlement` says.
pub fn for_principals(
    entitlement: &Entitlement,
    bucket: &BucketName,
    principals: &[Arn],
    frame: &Frame,
) -> Result<Vec<Value>, GenerateError> {
    literal::check(entitlement)?;
    let of_bucket = |unit: &Unit| match unit {
        Unit::Bucket(side) => side.bucket == *bucket,
        Unit::Objects(unit) => unit.bucket == *bucket,
    };
    let units: Vec<Unit> = units(entitlement).into_iter().filter(of_bucket).collect();
    let names: Vec<String> = principals.iter().map(ToString::to_string).collect();
    let principal = json!({ "AWS": statement::one_or_many(names) });
    // The bucket's own account is what it is; a condition on it would say nothing.
    let frame = Frame { guard: None, ..frame.clone() };
    let statements = identity::s3_statements(entitlement, &units, &frame);
    Ok(statements.into_iter().map(|statement| with_principal(statement, &principal)).collect())
}

/// The statement with its principal where people look for it, behind the effect.
fn with_principal(statement: Value, principal: &Value) -> Value {
    let Value::Object(fields) = statement else { return statement };
    let mut named = Map::new();
    for (field, value) in fields {
        let behind = field == "Effect";
        named.insert(field, value);
        if behind {
            named.insert("Principal".to_owned(), principal.clone());
        }
    }
    Value::Object(named)
}
