//! Our linter against parliament from PyPI: what it says about a document, we say as well, or the table below tells why not.
#![expect(clippy::disallowed_methods, reason = "documents and issues are files")]

use super::lab::Lab;
use crate::lint_cases::{self, LintCase};
use anyhow::{Context as _, Result, bail, ensure};
use bucketwright::layout::{self, ParseOptions, builtin};
use bucketwright::policy::entitlement::Entitlement;
use bucketwright::policy::generate::{self, Form, Frame, bucket_policy};
use bucketwright::policy::lint::{self, PolicyType, Subject};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

const PACKAGE: &str = "parliament==1.6.4";

/// An issue of parliament and the codes by which we say the same.
const CODES: &[(&str, &[&str])] = &[
    ("DUPLICATE_SID", &["UNIQUE_SIDS_REQUIRED", "UNIQUE_SIDS_RECOMMENDED"]),
    (
        "EXCEPTION",
        &[
            "VARIABLE_UNSUPPORTED_IN_ELEMENT",
            "BW_ADMIN_WILDCARD",
            "INVALID_ACTION",
            "DATA_TYPE_MISMATCH",
            "INVALID_CONDITION_KEY_FORMAT",
        ],
    ),
    (
        "INVALID_ARN",
        &[
            "INVALID_ARN_PREFIX",
            "MISSING_ARN_FIELD",
            "INVALID_PARTITION",
            "INVALID_SERVICE",
            "INVALID_ARN_REGION",
            "INVALID_ARN_ACCOUNT",
            "VARIABLE_UNSUPPORTED_IN_ELEMENT",
        ],
    ),
    ("INVALID_SID", &["UNSUPPORTED_SID"]),
    ("INVALID_VERSION", &["INVALID_VERSION"]),
    (
        "MALFORMED",
        &[
            "MISSING_STATEMENT",
            "MISSING_EFFECT",
            "MISSING_ACTION",
            "MISSING_RESOURCE",
            "INVALID_EFFECT",
            "INVALID_POLICY_ELEMENT",
            "UNSUPPORTED_ELEMENT_COMBINATION",
            "DATA_TYPE_MISMATCH",
        ],
    ),
    (
        "MISMATCHED_TYPE",
        &[
            "INVALID_DATE_VALUE",
            "INVALID_VARIABLE_FOR_OPERATOR",
            "TYPE_MISMATCH",
            "TYPE_MISMATCH_BOOLEAN",
            "TYPE_MISMATCH_DATE",
            "TYPE_MISMATCH_IP_RANGE",
            "TYPE_MISMATCH_NUMBER",
            "TYPE_MISMATCH_STRING",
        ],
    ),
    ("MISMATCHED_TYPE_BUT_USABLE", &["TYPE_MISMATCH"]),
    ("MISMATCHED_TYPE_OPERATION_TO_NULL", &["TYPE_MISMATCH_BOOLEAN"]),
    ("NO_VERSION", &["MISSING_VERSION"]),
    ("OLD_VERSION", &["BW_OLD_VERSION", "VARIABLE_UNSUPPORTED_IN_VERSION"]),
    (
        "RESOURCE_MISMATCH",
        &[
            "INVALID_SERVICE",
            "INVALID_ARN_SERVICE_CASE",
            "MISSING_ARN_FIELD",
            "WILDCARD_IN_SERVICE_NAME",
            "UNSUPPORTED_ACTION_IN_POLICY",
            "EMPTY_ARRAY_RESOURCE",
            "MISSING_BRACE_IN_VARIABLE",
            "MISSING_QUOTE_IN_VARIABLE",
            "UNSUPPORTED_SPACE_IN_VARIABLE",
            "BW_RESOURCE_TYPE_MISMATCH",
            "ARN_REGION_NOT_ALLOWED",
            "ARN_ACCOUNT_NOT_ALLOWED",
            "INVALID_ARN_RESOURCE",
        ],
    ),
    ("RESOURCE_STAR", &["BW_ADMIN_WILDCARD", "BW_S3_FULL_ACCESS", "BW_ALLOW_NOT_ACTION"]),
    ("UNKNOWN_ACTION", &["INVALID_ACTION", "BW_API_NAME_AS_ACTION"]),
    (
        "UNKNOWN_CONDITION_FOR_ACTION",
        &[
            "INVALID_SERVICE",
            "UNSUPPORTED_GLOBAL_CONDITION_KEY",
            "DEPRECATED_GLOBAL_CONDITION_KEY",
            "UNSUPPORTED_ACTION_FOR_CONDITION_KEY",
            "INVALID_SERVICE_CONDITION_KEY",
            "INVALID_GLOBAL_CONDITION_KEY",
            "INVALID_CONDITION_KEY_FORMAT",
        ],
    ),
    ("UNKNOWN_FEDERATION_SOURCE", &["INVALID_PRINCIPAL_FORMAT"]),
    ("UNKNOWN_OPERATOR", &["INVALID_CONDITION_OPERATOR"]),
    ("UNKNOWN_PREFIX", &["INVALID_SERVICE_IN_ACTION", "WILDCARD_IN_SERVICE_NAME"]),
    (
        "UNKNOWN_PRINCIPAL",
        &[
            "BW_PRINCIPAL_ARN_INVALID",
            "INVALID_PRINCIPAL_KEY",
            "INVALID_PRINCIPAL_FORMAT",
            "UNSUPPORTED_WILDCARD_IN_PRINCIPAL",
            "INVALID_ROLE_REFERENCE",
            "INVALID_USER_REFERENCE",
        ],
    ),
];

/// What parliament says and we do not, knowingly.
struct Apart {
    issue: &'static str,
    because: &'static str,
    is_meant: fn(&LintCase, &str) -> bool,
}

const APART: &[Apart] = &[
    Apart {
        issue: "EXCEPTION",
        because: "JSON numbers and lists of one boolean are sound; it raises on them",
        is_meant: |_, detail| detail.contains("TypeError"),
    },
    Apart {
        issue: "INVALID_ARN",
        because: "the partition may have a wildcard, and AWS's own policies have the account `aws`",
        is_meant: |case, _| holds(case, "arn:aws*:") || holds(case, "arn:aws:iam::aws:"),
    },
    Apart {
        issue: "INVALID_SID",
        because: "S3 takes any text as the Sid of a bucket policy",
        is_meant: |case, _| case.kind == "bucket",
    },
    Apart {
        issue: "MALFORMED",
        because: "trust policies have no `Resource`",
        is_meant: |case, detail| case.kind == "trust" && detail.contains("neither Resource nor NotResource"),
    },
    Apart {
        issue: "MISMATCHED_TYPE",
        because: "dates are written in all forms of the W3C profile, and `aws:EpochTime` compares as a number, too",
        is_meant: |_, detail| detail.contains("value of type Date"),
    },
    Apart {
        issue: "MISMATCHED_TYPE",
        because: "booleans ignore case, and ranges of addresses may be IPv6",
        is_meant: |case, _| holds(case, "\"True\"") || holds(case, "2001:db8::/32"),
    },
    Apart {
        issue: "MISMATCHED_TYPE_BUT_USABLE",
        because: "an ARN under a string operator is usable, as it says itself",
        is_meant: |_, _| true,
    },
    Apart {
        issue: "RESOURCE_MISMATCH",
        because: "objects and listings go through access points as well",
        is_meant: |case, _| holds(case, ":accesspoint/"),
    },
    Apart {
        issue: "RESOURCE_MISMATCH",
        because: "an action that a wildcard only happens to cover need not suit the resource",
        is_meant: |case, _| {
            holds(case, "*\",\"Resource") || holds(case, "*\"],\"Resource") || holds(case, "GetObject*\"")
        },
    },
    Apart {
        issue: "RESOURCE_MISMATCH",
        because: "keys may hold colons, and variables blanks and default values",
        is_meant: |case, _| holds(case, "lake/a:b") || holds(case, "${aws:"),
    },
    Apart {
        issue: "RESOURCE_MISMATCH",
        because: "AWS's own examples allow `s3:ListAllMyBuckets` on `arn:aws:s3:::*`",
        is_meant: |case, detail| detail.contains("\"s3:ListAllMyBuckets\"") && holds(case, "arn:aws:s3:::*\""),
    },
    Apart {
        issue: "RESOURCE_POLICY_PRIVILEGE_ESCALATION",
        because: "whoever sets up buckets writes their policies",
        is_meant: |case, _| case.name == "operator",
    },
    Apart {
        issue: "RESOURCE_STAR",
        because: "`*` as resource is named where it opens all of S3 or more, or crosses a bucket, not wherever it stands",
        is_meant: |_, _| true,
    },
    Apart {
        issue: "UNKNOWN_CONDITION_FOR_ACTION",
        because: "its tables lack keys that AWS has added",
        is_meant: |_, detail| ["aws:ViaAWSService", "s3:BucketTag/"].iter().any(|key| detail.contains(key)),
    },
    Apart {
        issue: "UNKNOWN_CONDITION_FOR_ACTION",
        because: "an action that a wildcard only happens to cover need not carry the key",
        is_meant: |case, _| holds(case, "\"s3:*\"") || holds(case, "\"s3:Put*\""),
    },
    Apart {
        issue: "UNKNOWN_CONDITION_FOR_ACTION",
        because: "with `IfExists` a key that the action never carries does no harm",
        is_meant: |case, detail| {
            let key = detail.split(' ').nth(2).unwrap_or_default();
            holds(case, &format!("IfExists\":{{\"{key}\""))
        },
    },
    Apart {
        issue: "UNKNOWN_CONDITION_FOR_ACTION",
        because: "keys of identity providers belong to sessions, and those of other services than S3 are not known here",
        is_meant: |_, detail| {
            ["saml:", "oidc.eks.", "ec2:"].iter().any(|key| detail.contains(&format!("condition {key}")))
        },
    },
    Apart {
        issue: "UNKNOWN_FEDERATION_SOURCE",
        because: "roles trust the OIDC providers of clusters and of others",
        is_meant: |_, detail| detail.contains(":oidc-provider/"),
    },
    Apart {
        issue: "UNKNOWN_PRINCIPAL",
        because: "a bucket policy may name a role's session",
        is_meant: |_, detail| detail.contains(":assumed-role/"),
    },
];

/// True if the document's text holds this.
fn holds(case: &LintCase, text: &str) -> bool {
    case.document.to_string().contains(text)
}

/// What parliament said about one document.
#[derive(Debug)]
struct Issue {
    name: String,
    detail: String,
}

/// Every document of the linter's cases and every generated one, seen by both.
pub(crate) fn compared(lab: &Lab) -> Result<()> {
    let documents = documents(lab)?;
    let issues = ask(lab, &documents)?;
    let (mut same, mut apart, mut lost) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for (document, issues) in documents.iter().zip(&issues) {
        let ours = found(document)?;
        for Issue { name, detail } in issues {
            let codes = CODES.iter().find(|(issue, _)| issue == name).map_or(&[][..], |(_, codes)| codes);
            let known = APART.iter().find(|entry| entry.issue == name && (entry.is_meant)(document, detail));
            if codes.iter().any(|code| ours.contains(*code)) {
                *same.entry(name.clone()).or_insert(0) += 1;
            } else if let Some(entry) = known {
                *apart.entry(entry.because).or_insert(0) += 1;
            } else {
                lost.push(format!(
                    "{}, {}: {name} {detail}; ours: {ours:?}\n  {}",
                    document.kind, document.name, document.document
                ));
            }
        }
    }
    let (agreed, total): (usize, usize) = (same.values().sum(), issues.iter().map(Vec::len).sum());
    println!("{} documents, {total} issues: {agreed} are ours as well {same:?}", documents.len());
    for entry in APART {
        match apart.get(entry.because) {
            Some(count) => println!("  {count:4} {}: {}", entry.issue, entry.because),
            None => println!("     - {}: no document of this run shows that {}", entry.issue, entry.because),
        }
    }
    ensure!(lost.is_empty(), "{} issues that we do not see:\n{}", lost.len(), lost.join("\n"));
    Ok(())
}

/// Of the types that parliament knows: it has no notion of organizations.
fn documents(lab: &Lab) -> Result<Vec<LintCase>> {
    let mut documents = lint_cases::read(&lab.root)?;
    documents.extend(generated_cases(lab)?);
    documents.extend(starters()?);
    documents.retain(|case| !matches!(case.kind.as_str(), "scp" | "rcp"));
    Ok(documents)
}

/// The documents that the generator's cases expect.
fn generated_cases(lab: &Lab) -> Result<Vec<LintCase>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(lab.root.join("tests/cases/policy/generate"))? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let case: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
        let kind = ["bucket", "trust"].into_iter().find(|kind| name.starts_with(kind)).unwrap_or("identity");
        let documents = match &case["documents"] {
            Value::Null => continue,
            one if one.get("Statement").is_some() => vec![one.clone()],
            many => many.as_object().into_iter().flatten().map(|(_, document)| document.clone()).collect(),
        };
        let of = |document| LintCase { name: name.clone(), kind: kind.to_owned(), bucket: None, document };
        found.extend(documents.into_iter().map(of));
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

/// What the starters' grants and buckets get.
fn starters() -> Result<Vec<LintCase>> {
    let (none, mut found) = (BTreeMap::new(), Vec::new());
    for starter in builtin::all() {
        let text = builtin::render(starter, &none)?.replace("your-", "our-");
        let options = ParseOptions { file_stem: starter.name, environment: None, set: &none, env_vars: &none };
        let layout = layout::parse(text.as_bytes(), &options);
        let Ok(layout) = layout.map_err(|mistakes| println!("{}: {}", starter.name, mistakes[0])) else {
            bail!("no layout")
        };
        let frame = Frame { partition: "aws".to_owned(), guard: None };
        let mut add = |kind: &str, document| {
            found.push(LintCase { name: starter.name.to_owned(), kind: kind.to_owned(), bucket: None, document });
        };
        bucket_policy::of_layout(&layout).into_iter().for_each(|one| add("bucket", one.document));
        for grant in &layout.grants {
            let documents = generate::identity(&Entitlement::of_grant(&layout, grant), Form::Least, &frame)?;
            documents.into_iter().for_each(|one| add("identity", one.document));
        }
    }
    Ok(found)
}

fn ask(lab: &Lab, documents: &[LintCase]) -> Result<Vec<Vec<Issue>>> {
    let programs = lab.install("parliament", &[PACKAGE])?;
    let [from, to] = ["documents.json", "issues.json"].map(|name| lab.path(name));
    let texts: Vec<&Value> = documents.iter().map(|case| &case.document).collect();
    fs::write(&from, serde_json::to_vec(&texts)?)?;
    let mut python = lab.command(&programs.join("python"));
    lab.expect(python.arg(lab.root.join("xtask/conformance/lint_issues.py")).arg(&from).arg(&to))?;
    let issues: Vec<Vec<BTreeMap<String, String>>> = serde_json::from_slice(&fs::read(&to)?)?;
    ensure!(issues.len() == documents.len(), "{} answers to {} documents", issues.len(), documents.len());
    let issue = |mut one: BTreeMap<String, String>| {
        let mut take = |name| one.remove(name).unwrap_or_default();
        Issue { name: take("issue"), detail: take("detail") }
    };
    Ok(issues.into_iter().map(|all| all.into_iter().map(issue).collect()).collect())
}

/// The codes that we have for a document.
fn found(case: &LintCase) -> Result<BTreeSet<&'static str>> {
    let kind = match case.kind.as_str() {
        "bucket" => PolicyType::Bucket,
        "boundary" => PolicyType::Boundary,
        "session" => PolicyType::Session,
        "trust" => PolicyType::Trust,
        _ => PolicyType::Identity,
    };
    let bucket = case.bucket.as_ref().map(|name| name.parse()).transpose().context("no bucket's name")?;
    let subject = Subject { target: &case.name, kind, bucket: bucket.as_ref() };
    Ok(lint::lint(case.document.to_string().as_bytes(), &subject).into_iter().map(|finding| finding.code).collect())
}
