//! The bucket policy statements that the tool itself wants: TLS only, and the delivery of access logs.

use super::Bucket;
use super::controls::Circumstances;
use crate::model::{BucketName, Control};
use serde_json::{Value, json};

/// The statements' purposes, as plans and checks name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Requests without TLS are denied.
    TlsOnly,
    /// The logging service may write.
    LogDelivery,
}

impl Part {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::TlsOnly => "requests without TLS denied",
            Self::LogDelivery => "log delivery allowed",
        }
    }

    pub(super) const fn impact(self) -> &'static str {
        match self {
            Self::TlsOnly => "clients that speak plain HTTP are refused",
            Self::LogDelivery => "the logging service may write under the log prefixes",
        }
    }
}

const TLS_ONLY_SID: &str = "BucketwrightTlsOnly";
const LOG_DELIVERY_SID_START: &str = "BucketwrightLogDelivery";

/// True where the layout wants TLS and asking for it does no harm.
fn wants_tls(bucket: &Bucket, around: &Circumstances) -> bool {
    bucket.waiver(Control::TlsOnly).is_none() && around.endpoint.passes_secure_transport()
}

/// Whether an own statement of that Sid is for [`wanted`] to say. A TLS statement that is waived, or that cannot be
/// asked for over this endpoint, stays as it was found: nothing is weakened in passing.
pub(super) fn is_replaced(sid: &str, bucket: &Bucket, around: &Circumstances) -> bool {
    sid != TLS_ONLY_SID || wants_tls(bucket, around)
}

/// Whether an own statement of that Sid belongs to `part`. Where no log is delivered, a statement that once allowed it
/// is for the other part to remove.
pub(super) fn belongs_to(part: Part, sid: &str, bucket: &Bucket) -> bool {
    let delivers = sid.starts_with(LOG_DELIVERY_SID_START) && !bucket.logs_from.is_empty();
    delivers == (part == Part::LogDelivery)
}

/// Every own statement that `bucket` should have here.
pub(super) fn wanted(bucket: &Bucket, around: &Circumstances) -> Vec<Value> {
    [Part::TlsOnly, Part::LogDelivery].into_iter().flat_map(|part| wanted_of(part, bucket, around)).collect()
}

/// The own statements of one part that `bucket` should have here.
pub(super) fn wanted_of(part: Part, bucket: &Bucket, around: &Circumstances) -> Vec<Value> {
    match part {
        Part::TlsOnly => wants_tls(bucket, around).then(|| tls_only(bucket, around)).into_iter().collect(),
        Part::LogDelivery => log_deliveries(bucket, around),
    }
}

/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html>
fn log_deliveries(bucket: &Bucket, around: &Circumstances) -> Vec<Value> {
    let partition = around.region.partition();
    let delivery = |(index, (source, prefix)): (usize, &(BucketName, String))| {
        let mut condition = json!({ "ArnLike": { "aws:SourceArn": source.arn(partition) } });
        // Without a known account the source's ARN alone must do; bucket names are unique in a partition.
        if let Some(account) = &around.identity.account {
            condition["StringEquals"] = json!({ "aws:SourceAccount": account.as_str() });
        }
        json!({
            "Sid": format!("{LOG_DELIVERY_SID_START}{}", index + 1),
            "Effect": "Allow",
            "Principal": { "Service": "logging.s3.amazonaws.com" },
            "Action": "s3:PutObject",
            "Resource": format!("{}/{prefix}*", bucket.name.arn(partition)),
            "Condition": condition,
        })
    };
    bucket.logs_from.iter().enumerate().map(delivery).collect()
}

/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html>
fn tls_only(bucket: &Bucket, around: &Circumstances) -> Value {
    let arn = bucket.name.arn(around.region.partition());
    json!({
        "Sid": TLS_ONLY_SID,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, format!("{arn}/*")],
        "Condition": { "Bool": { "aws:SecureTransport": "false" } },
    })
}
