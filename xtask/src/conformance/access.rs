//! The access matrix three times: as our evaluator computes it, as the embedded endpoint enforces it, and as MiniStack
//! does, by the same calls of boto3 under the same policies.
#![expect(clippy::disallowed_methods, reason = "the directory of roles and what was observed are files")]

use super::clients::python;
use super::endpoint::{Endpoint, Peer, embedded, embedded_as};
use super::lab::Lab;
use anyhow::{Context as _, Result, ensure};
use bucketwright::policy::operation::{Call, demands};
use bucketwright::policy::{Caller, Context, Document, Policies, Policy, Request, Value as Known, Verdict, evaluate};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

/// Folders that policies name, their neighbours, the root, and another bucket.
const PLACES: [(&str, &str); 6] = [
    ("lake", "team-a/"),
    ("lake", "team-b/"),
    ("lake", "team-ab/"),
    ("lake", ""),
    ("lake", "own/"),
    ("other", "team-a/"),
];

/// The hand-made folder policy.
const SEED: &str = r#"{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": "arn:aws:s3:::lake",
     "Condition": {"StringLike": {"s3:prefix": ["team-a/*"]}}},
    {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
     "Resource": ["arn:aws:s3:::lake/team-a/*"]}]}"#;

/// Denials, patterns of actions, exceptions.
const READER: &str = r#"{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["s3:List*", "s3:Get*"], "Resource": ["arn:aws:s3:::lake", "arn:aws:s3:::lake/*"]},
    {"Effect": "Allow", "Action": "s3:PutObject", "NotResource": "arn:aws:s3:::lake/team-?/*"},
    {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::lake/team-b/*"},
    {"Effect": "Deny", "NotAction": "s3:Get*", "Resource": "arn:aws:s3:::other/*"},
    {"Effect": "Deny", "Action": "s3:ListBucket", "Resource": "*",
     "Condition": {"StringNotLike": {"s3:prefix": ["team-*", "own/*"]}}}]}"#;

/// Everybody their own folder.
const OWN: &str = r#"{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::lake",
     "Condition": {"StringLike": {"s3:prefix": "${aws:username}/*"}}},
    {"Effect": "Allow", "Action": "s3:*Object", "Resource": "arn:aws:s3:::lake/${aws:username}/*"}]}"#;

/// A cell that MiniStack knowingly answers otherwise.
struct Apart {
    because: &'static str,
    /// By whether the policy allows it, and the principal.
    is_meant: fn(bool, &str) -> bool,
}

/// What MiniStack 1.5.33 does not enforce as AWS does.
const MINISTACK: &[Apart] = &[Apart {
    because: "it replaces no variables: `${aws:username}` matches nothing, so users do not get into their own folders",
    is_meant: |expected, principal| expected && principal == "own",
}];

/// Somebody with one policy.
struct Principal {
    name: String,
    caller: Caller,
    document: Value,
}

/// The embedded endpoint, where nothing may differ.
pub(crate) fn embedded_matrix(lab: &Lab) -> Result<()> {
    let folder = lab.path("local");
    let owner = embedded(lab, &folder)?;
    let principals = principals(lab, &["role"])?;
    let (mut endpoints, mut keys) = (Vec::new(), Vec::new());
    for principal in &principals {
        let files = [
            ("policies", principal.document.to_string()),
            ("roles", json!({"policies": [principal.name]}).to_string()),
        ];
        for (kind, text) in files {
            let folder = folder.join("directory").join(kind);
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(format!("{}.json", principal.name)), text)?;
        }
        let endpoint = embedded_as(lab, &folder, Some(&principal.name))?;
        keys.push(json!({"name": principal.name, "document": principal.document, "keys": endpoint.keys()}));
        endpoints.push(endpoint);
    }
    compare(&principals, &observe(lab, &owner, &keys)?, &[])
}

/// MiniStack with authentication on, as users and as roles that are made there.
pub(crate) fn ministack_matrix(lab: &Lab) -> Result<()> {
    let admin = Peer::Ministack.start(lab)?;
    let principals = principals(lab, &["user", "role"])?;
    let specified = |principal: &Principal| {
        let kind = if matches!(principal.caller, Caller::User { .. }) { "user" } else { "role" };
        json!({"name": principal.name, "document": principal.document, "type": kind})
    };
    let specified: Vec<Value> = principals.iter().map(specified).collect();
    compare(&principals, &observe(lab, &admin, &specified)?, MINISTACK)
}

/// One principal of each kind for each policy.
fn principals(lab: &Lab, kinds: &[&str]) -> Result<Vec<Principal>> {
    let generate = ["policy", "generate", "--bucket", "lake", "--prefix", "team-a", "--access", "read-write"];
    let least = lab.expect(lab.bucketwright().args(generate))?;
    let mut principals = Vec::new();
    for kind in kinds {
        for (name, document) in [("seed", SEED), ("least", &least), ("reader", READER), ("own", OWN)] {
            let document = serde_json::from_str(document).with_context(|| format!("`{name}` is no JSON"))?;
            let (name, caller) = match *kind {
                "user" => (name.to_owned(), Caller::user(&format!("arn:aws:iam::000000000000:user/{name}"))?),
                _ => {
                    let name = format!("{name}-role");
                    let role = format!("arn:aws:iam::000000000000:role/{name}");
                    (name, Caller::parse(&role, None)?)
                }
            };
            principals.push(Principal { name, caller, document });
        }
    }
    Ok(principals)
}

/// Makes every call as every principal: the code of each refusal by principal, operation and place.
fn observe(lab: &Lab, admin: &Endpoint, principals: &[Value]) -> Result<Vec<Value>> {
    let [spec, cells] = ["spec.json", "cells.json"].map(|name| lab.path(name));
    let places: Vec<Value> = PLACES.iter().map(|(bucket, folder)| json!([bucket, folder])).collect();
    let text = json!({"admin": admin.keys(), "principals": principals, "places": places}).to_string();
    fs::write(&spec, text)?;
    lab.expect(python(lab, "access.py").arg(&spec).arg(&cells))?;
    Ok(serde_json::from_slice(&fs::read(&cells)?)?)
}

fn compare(principals: &[Principal], cells: &[Value], apart: &[Apart]) -> Result<()> {
    let (mut same, mut known, mut wrong) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for cell in cells {
        let text = |name: &str| cell[name].as_str().unwrap_or_default();
        let principal = principals.iter().find(|principal| principal.name == text("principal"));
        let principal = principal.context("an unknown principal")?;
        let expected = may(principal, text("operation"), text("bucket"), text("folder"))?;
        let observed = match cell["refused"].as_str() {
            None => true,
            // Answers to HEAD have no body to tell the code.
            Some("AccessDenied" | "403") => false,
            Some(code) => {
                wrong.push(format!("{cell}: {code} is neither an answer nor a refusal"));
                continue;
            }
        };
        let meant = |entry: &&Apart| (entry.is_meant)(expected, &principal.name);
        if observed == expected {
            *same.entry(if expected { "allowed" } else { "denied" }).or_insert(0) += 1;
        } else if let Some(entry) = apart.iter().find(meant) {
            *known.entry(entry.because).or_insert(0) += 1;
        } else {
            wrong.push(format!("{cell}: evaluated as {}", if expected { "allowed" } else { "denied" }));
        }
    }
    println!("{} cells of {} principals: as evaluated {same:?}", cells.len(), principals.len());
    for Apart { because, .. } in apart {
        println!("  {:3} otherwise: {because}", known.get(because).copied().unwrap_or(0));
    }
    let count: usize = same.values().sum();
    ensure!(count > 0 && same.len() == 2, "nothing is compared");
    ensure!(wrong.is_empty(), "{} cells are not as evaluated:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// What our evaluator says of a call: everything that it asks for must be allowed.
fn may(principal: &Principal, operation: &str, bucket: &str, folder: &str) -> Result<bool> {
    let made = ["Put", "Delete", "Multipart", "Part", "Copy"].iter().any(|word| operation.contains(word));
    let key = format!("{folder}{}", if made && operation != "PutObjectTagging" { "new" } else { "kept" });
    let call = Call {
        operation,
        bucket,
        key: &key,
        query: if operation == "ListObjectsV2" { &[("prefix".to_owned(), folder.to_owned())] } else { &[] },
        headers: if operation == "CopyObject" {
            &[("x-amz-copy-source".to_owned(), "lake/team-a/kept".to_owned())]
        } else {
            &[]
        },
        deletes: &[(key.clone(), None)],
        ..Call::default()
    };
    let document =
        Document::parse(&principal.document.to_string()).map_err(|mistakes| anyhow::anyhow!("{}", mistakes[0]))?;
    let identity = vec![Arc::new(Policy { name: principal.name.clone(), document })];
    let policies = Policies { identity, ..Policies::default() };
    let demands = demands(&call).with_context(|| format!("nothing is known of {operation}"))?;
    for demand in demands {
        let mut context: Context = demand.context;
        for (key, value) in principal.caller.context_keys() {
            context.set(key, Known::One(value));
        }
        let request = Request::new(principal.caller.clone(), demand.action, &demand.resource)?.with_context(context);
        if evaluate(&policies, &request).verdict != Verdict::Allow {
            return Ok(false);
        }
    }
    Ok(true)
}
