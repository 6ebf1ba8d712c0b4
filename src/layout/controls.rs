//! Each control of a bucket, wanted against found: the one comparison behind `plan`, `apply` and `verify`.

use super::{Bucket, lifecycle, statements};
use crate::document::Document;
use crate::model::{
    BucketState, Control, Encryption, Endpoint, Identity, LayoutId, PublicAccessBlock, Reading, Region, Setting,
    TagKey, TagValue, Tags,
};

/// What the planners must know of the world beyond the buckets.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// The caller.
    pub identity: Identity,
    /// The kind of endpoint.
    pub endpoint: Endpoint,
    /// The Region requests are signed for.
    pub region: Region,
}

/// How one control of one bucket stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// The control.
    pub control: Control,
    /// How it stands.
    pub standing: Standing,
}

/// How a control stands, with what a person wants to know about it.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// As wanted; the text says what was found.
    Holds(String),
    /// Not as wanted.
    Differs {
        /// What was found, in words.
        found: String,
        /// What is wanted, in words.
        wanted: String,
        /// The setting that mends it.
        setting: Setting,
        /// What somebody who used the bucket as it was could notice.
        impact: &'static str,
    },
    /// Given up by the layout, for this reason.
    Waived(String),
    /// It could not be told.
    Unknown(String),
    /// The endpoint does not know the setting.
    Unsupported,
    /// The layout does not ask for it.
    NotAsked(String),
    /// Wanted, but it would do harm here; the text says why.
    Unsafe(String),
}

/// The statements that `bucket` should have in its policy, as `apply` writes them: TLS only, and delivery of access logs.
pub fn own_statements(bucket: &Bucket, around: &Circumstances) -> Vec<serde_json::Value> {
    statements::wanted(bucket, around)
}

/// Assesses every control of `bucket` in the order in which settings are written.
pub fn assess(bucket: &Bucket, id: &LayoutId, found: &BucketState, around: &Circumstances) -> Vec<Assessment> {
    Control::ALL
        .into_iter()
        .flat_map(|control| {
            let standings = match bucket.waiver(control) {
                // A log bucket needs its delivery policy whatever it gives up for its own log.
                Some(reason) if control != Control::AccessLog || bucket.logs_from.is_empty() => {
                    vec![Standing::Waived(reason.to_owned())]
                }
                _ => assess_control(control, bucket, id, found, around),
            };
            standings.into_iter().map(move |standing| Assessment { control, standing })
        })
        .collect()
}

fn assess_control(
    control: Control,
    bucket: &Bucket,
    id: &LayoutId,
    found: &BucketState,
    around: &Circumstances,
) -> Vec<Standing> {
    let single = match control {
        Control::Tags => tags(bucket, id, &found.tags),
        Control::Ownership => ownership(&found.owner_enforced),
        Control::PublicAccess => public_access(&found.public_access),
        Control::Encryption => encryption(bucket, &found.encryption),
        Control::SseC => sse_c(bucket, &found.encryption, around.endpoint),
        Control::Versioning => versioning(&found.versioning),
        Control::Lifecycle => lifecycle_rules(bucket, found),
        Control::TlsOnly => policy(bucket, found, around, statements::Part::TlsOnly),
        Control::AccessLog => return access_log(bucket, found, around),
    };
    vec![single]
}

/// Applies `judge` to a value that could be read, and says why it could not be read otherwise.
fn reading<T>(reading: &Reading<T>, judge: impl FnOnce(&T) -> Standing) -> Standing {
    match reading {
        Reading::Known(value) => judge(value),
        Reading::Denied(message) => Standing::Unknown(format!("may not be read: {message}")),
        Reading::Unsupported => Standing::Unsupported,
    }
}

/// The bucket's tags with the layout's and the owner tag among them; foreign tags stay.
pub(super) fn wanted_tags(bucket: &Bucket, id: &LayoutId, found: &Tags) -> Tags {
    let mut wanted = found.clone();
    wanted.extend(bucket.tags.clone());
    wanted.insert(TagKey::owner(), TagValue::from(id));
    wanted
}

fn tags(bucket: &Bucket, id: &LayoutId, found: &Reading<Tags>) -> Standing {
    reading(found, |found| {
        let wanted = wanted_tags(bucket, id, found);
        if wanted == *found {
            return Standing::Holds(format!("owner tag `{id}`, {} in all", wanted.len()));
        }
        let show = |tags: &Tags| match tags.len() {
            0 => "untagged".to_owned(),
            _ => tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" "),
        };
        let changed = wanted.iter().filter(|(key, value)| found.get(*key) != Some(*value));
        let changed: Tags = changed.map(|(key, value)| (key.clone(), value.clone())).collect();
        Standing::Differs {
            found: show(found),
            wanted: show(&changed),
            setting: Setting::Tags(wanted),
            impact: "cost reports and tag conditions may read these tags",
        }
    })
}

fn ownership(found: &Reading<bool>) -> Standing {
    reading(found, |enforced| {
        if *enforced {
            return Standing::Holds("ACLs are off".to_owned());
        }
        Standing::Differs {
            found: "ACLs in force".to_owned(),
            wanted: "bucket owner enforced".to_owned(),
            setting: Setting::OwnerEnforced,
            impact: "access that rests on ACLs ends, and uploads that send an ACL are refused",
        }
    })
}

fn public_access(found: &Reading<PublicAccessBlock>) -> Standing {
    reading(found, |found| {
        if *found == PublicAccessBlock::ALL {
            return Standing::Holds("all four flags on".to_owned());
        }
        let flags = [
            found.block_public_acls,
            found.ignore_public_acls,
            found.block_public_policy,
            found.restrict_public_buckets,
        ];
        Standing::Differs {
            found: format!("{} of 4 flags on", flags.iter().filter(|flag| **flag).count()),
            wanted: "all four on".to_owned(),
            setting: Setting::PublicAccess(PublicAccessBlock::ALL),
            impact: "anonymous readers and public links stop working",
        }
    })
}

/// The encryption document to write: what the layout wants, and what it waives as it was found.
fn wanted_encryption(bucket: &Bucket, found: Option<&Encryption>) -> Encryption {
    let kms_key = match bucket.waiver(Control::Encryption) {
        Some(_) => found.and_then(|found| found.kms_key.clone()),
        None => bucket.kms_key.clone(),
    };
    let sse_c_blocked = match bucket.waiver(Control::SseC) {
        Some(_) => found.and_then(|found| found.sse_c_blocked),
        None => Some(true),
    };
    Encryption { bucket_key: kms_key.is_some(), kms_key, sse_c_blocked }
}

fn encryption_words(encryption: Option<&Encryption>) -> String {
    match encryption {
        None => "none".to_owned(),
        Some(Encryption { kms_key: None, .. }) => "SSE-S3".to_owned(),
        Some(Encryption { kms_key: Some(key), bucket_key, .. }) => {
            format!("SSE-KMS with {key}{}", if *bucket_key { "" } else { ", no bucket key" })
        }
    }
}

fn encryption(bucket: &Bucket, found: &Reading<Option<Encryption>>) -> Standing {
    reading(found, |found| {
        let wanted = wanted_encryption(bucket, found.as_ref());
        let same = |found: &Encryption| {
            found.kms_key == wanted.kms_key && (wanted.kms_key.is_none() || found.bucket_key == wanted.bucket_key)
        };
        if found.as_ref().is_some_and(same) {
            return Standing::Holds(encryption_words(found.as_ref()));
        }
        let weaker = found.as_ref().is_some_and(|found| found.kms_key.is_some()) && wanted.kms_key.is_none();
        Standing::Differs {
            found: encryption_words(found.as_ref()),
            wanted: encryption_words(Some(&wanted)),
            setting: Setting::Encryption(wanted),
            impact: if weaker {
                "new objects are no longer under the KMS key: name it as `encryption = { kms_key = ... }` to keep it"
            } else {
                "new objects are encrypted with another key; readers need rights on it"
            },
        }
    })
}

fn sse_c(bucket: &Bucket, found: &Reading<Option<Encryption>>, endpoint: Endpoint) -> Standing {
    reading(found, |found| {
        let blocked = found.as_ref().and_then(|found| found.sse_c_blocked);
        match (blocked, endpoint) {
            (Some(true), _) => Standing::Holds("uploads with customer-provided keys are refused".to_owned()),
            (None, Endpoint::OtherHttp | Endpoint::OtherHttps) if found.is_some() => {
                Standing::NotAsked("the endpoint does not say whether it refuses SSE-C".to_owned())
            }
            _ => Standing::Differs {
                found: "SSE-C allowed".to_owned(),
                wanted: "SSE-C refused".to_owned(),
                setting: Setting::Encryption(wanted_encryption(bucket, found.as_ref())),
                impact: "uploads that bring their own key are refused",
            },
        }
    })
}

fn versioning(found: &Reading<bool>) -> Standing {
    reading(found, |enabled| {
        if *enabled {
            return Standing::Holds("enabled".to_owned());
        }
        Standing::Differs {
            found: "off".to_owned(),
            wanted: "enabled".to_owned(),
            setting: Setting::Versioning,
            impact: "overwritten and deleted objects are kept as versions and cost storage",
        }
    })
}

fn lifecycle_rules(bucket: &Bucket, found: &BucketState) -> Standing {
    reading(&found.lifecycle, |rules| {
        let wanted = lifecycle::merged(bucket, rules);
        if wanted == *rules {
            return Standing::Holds(lifecycle::words(bucket, rules));
        }
        Standing::Differs {
            found: match rules.rules.len() {
                0 => "no rules".to_owned(),
                count => format!("{count} rules"),
            },
            wanted: lifecycle::words(bucket, rules),
            setting: Setting::Lifecycle(wanted),
            impact: "uploads that stay unfinished for 7 days are lost",
        }
    })
}

fn policy(bucket: &Bucket, found: &BucketState, around: &Circumstances, part: statements::Part) -> Standing {
    if part == statements::Part::TlsOnly && !around.endpoint.passes_secure_transport() {
        return Standing::Unsafe(
            "this endpoint speaks plain HTTP: a TLS-only policy would lock everyone out".to_owned(),
        );
    }
    reading(&found.policy, |text| {
        let current = match text.as_ref().map(Document::parse) {
            None => Document::empty(),
            Some(Ok(document)) => document,
            Some(Err(error)) => return Standing::Unknown(error.to_string()),
        };
        let of_part = |sid: &str| statements::belongs_to(part, sid, bucket);
        let with_part = current.with_own_statements(of_part, &statements::wanted_of(part, bucket, around));
        if with_part.means_the_same_as(&current) {
            return Standing::Holds(part.words().to_owned());
        }
        // A bucket has one policy document, so what is written serves every part.
        let is_replaced = |sid: &str| statements::is_replaced(sid, bucket, around);
        let whole = current.with_own_statements(is_replaced, &statements::wanted(bucket, around));
        Standing::Differs {
            found: if current.is_empty() { "no policy".to_owned() } else { "a policy that does not say so".to_owned() },
            wanted: part.words().to_owned(),
            setting: Setting::Policy(whole.render()),
            impact: part.impact(),
        }
    })
}

fn access_log(bucket: &Bucket, found: &BucketState, around: &Circumstances) -> Vec<Standing> {
    let mut standings = Vec::new();
    if !bucket.logs_from.is_empty() {
        standings.push(policy(bucket, found, around, statements::Part::LogDelivery));
    }
    if let Some(wanted) = &bucket.access_log {
        standings.push(reading(&found.access_log, |current| {
            let words = format!("to s3://{}/{}", wanted.bucket, wanted.prefix);
            if current.as_ref() == Some(wanted) {
                return Standing::Holds(words);
            }
            Standing::Differs {
                found: current
                    .as_ref()
                    .map_or("off".to_owned(), |log| format!("to s3://{}/{}", log.bucket, log.prefix)),
                wanted: words,
                setting: Setting::AccessLog(wanted.clone()),
                impact: "log records appear under another place",
            }
        }));
    }
    if standings.is_empty() {
        standings.push(match bucket.waiver(Control::AccessLog) {
            Some(reason) => Standing::Waived(reason.to_owned()),
            None => Standing::NotAsked("the layout names no log bucket".to_owned()),
        });
    }
    standings
}
