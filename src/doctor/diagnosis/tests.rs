//! One thing is broken at a time, in the hands of a role that a layout's grant serves; each time the cause, the layer and
//! the change must be named, and the change must work.

use super::{Case, Diagnosis, diagnose};
use crate::doctor::fix::layout_edit::documents;
use crate::doctor::message::{Reading, read};
use crate::doctor::question::{Known, Question};
use crate::doctor::seen::{Around, Elsewhere, Held, Holder, Layers, RoleKind, SeenRole, Standing, Version};
use crate::layout::{Layout, ParseOptions, parse};
use crate::model::{Cluster, Existence, NodeGroup, PolicyJson, VersionId};
use crate::policy::entitlement::Entitlement;
use crate::policy::generate::{self, Form, Frame};
use crate::report::Severity;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const LAYOUT: &str = r#"
version = 1
layout = "ml"
[[bucket]]
name = "lake-ml"
template = "ml-project"
projects = ["credit"]
waive = { access-log = "test" }
[[grant]]
policy = "TrainAccess"
access = "read-write"
on = ["lake-ml/credit"]
attach = [{ role = "trainer" }]
"#;
const TRAINER: &str = "arn:aws:iam::111122223333:role/trainer";

fn layout(text: &str) -> Layout {
    let empty = BTreeMap::new();
    let options = ParseOptions { file_stem: "layout", environment: None, set: &empty, env_vars: &empty };
    parse(text.as_bytes(), &options).unwrap()
}

/// What the layout makes of its first grant, as IAM would have it.
fn made(layout: &Layout) -> Vec<Held> {
    let frame = Frame { partition: "aws".to_owned(), guard: None };
    let made = generate::identity(&Entitlement::of_grant(layout, &layout.grants[0]), Form::Least, &frame).unwrap();
    made.iter().map(|one| owned(&one.name, &one.document)).collect()
}

fn held(name: &str, document: &Value) -> Held {
    Held::new(name, &PolicyJson(document.to_string())).unwrap()
}

/// A managed policy of the layout.
fn owned(name: &str, document: &Value) -> Held {
    let arn = format!("arn:aws:iam::111122223333:policy/{name}").parse().unwrap();
    Held { arn: Some(arn), owner: Some("ml".to_owned()), version: Some(VersionId(1)), ..held(name, document) }
}

fn statement(effect: &str, action: &str, resource: &str) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{ "Sid": "Mine", "Effect": effect, "Action": action, "Resource": resource }] })
}

/// The case of a whole and healthy account.
fn healthy(action: &str, resource: &str) -> Case {
    let question = Question {
        principal: Some(TRAINER.to_owned()),
        action: Some(action.to_owned()),
        resource: Some(format!("arn:aws:s3:::{resource}")),
        ..Question::default()
    };
    let layout = layout(LAYOUT);
    Case {
        request: question.request(&Known::default()).unwrap(),
        operation: None,
        symptom: None,
        layers: Layers {
            identity: Standing::Held(made(&layout)),
            boundary: Standing::Unlimited,
            session: Standing::Unlimited,
            bucket: Standing::Unlimited,
            scp: Standing::Hidden("not visible".to_owned()),
            rcp: Standing::Hidden("not visible".to_owned()),
            endpoint: Standing::Unlimited,
        },
        around: Around {
            layout: Some((layout, "layout.toml".to_owned())),
            role: SeenRole::Here { kind: RoleKind::Other, made: None },
            ..Around::nothing()
        },
    }
}

const MODEL: &str = "lake-ml/credit/models/m.bin";

/// The first finding has `code` and says `words`; the first change is of `kind` and says `change`, and it works.
fn check(case: &Case, code: &str, words: &str, kind: &str, change: &str) -> Diagnosis {
    let found = diagnose(case);
    let first = &found.findings[0];
    assert!(first.code == code && first.message.contains(words), "{first:?}, expected {code}: {words}");
    assert!(!found.allowed && found.has_cause());
    let remedy = found.remedies.first().unwrap_or_else(|| panic!("no change for {first:?}"));
    let told = remedy.change.join("\n");
    assert!(remedy.kind == kind && told.contains(change), "{remedy:?}, expected {kind}: {change}");
    assert!(found.remedies.iter().all(|remedy| remedy.checked), "{:?}", found.remedies);
    assert!(first.fix.is_some(), "{first:?}");
    found
}

#[test]
fn a_healthy_account_allows() {
    for (action, resource) in
        [("s3:PutObject", MODEL), ("s3:GetObject", "lake-ml/credit/data/x.csv"), ("s3:GetBucketLocation", "lake-ml")]
    {
        let found = diagnose(&healthy(action, resource));
        assert!(found.allowed && !found.has_cause(), "{action}: {:?}", found.findings);
        assert_eq!(found.findings[0].code, "doctor-allowed-now");
        assert_eq!(found.rows.iter().filter(|row| row.state == "allows").count(), 1);
    }
}

#[test]
fn a_deny_in_a_policy_of_the_role() {
    let mut case = healthy("s3:PutObject", MODEL);
    let Standing::Held(identity) = &mut case.layers.identity else { panic!() };
    identity.push(held("inline policy Guard", &statement("Deny", "s3:*", "arn:aws:s3:::lake-ml/credit/models/*")));
    let found = check(
        &case,
        "doctor-explicit-deny",
        "statement `Mine` of inline policy Guard (identity policy) denies",
        "ask",
        "take statement `Mine` out of inline policy Guard",
    );
    assert!(found.remedies[0].weakens, "a Deny is never taken away without a word");
    assert!(
        found.rows.iter().any(|row| row.state == "denies" && row.document.as_deref() == Some("inline policy Guard"))
    );
}

#[test]
fn a_bucket_policy_that_denies() {
    let mut case = healthy("s3:PutObject", MODEL);
    let mut document = statement("Deny", "s3:PutObject", "arn:aws:s3:::lake-ml/*");
    document["Statement"][0]["Principal"] = json!("*");
    case.layers.bucket = Standing::Held(vec![held("bucket policy of lake-ml", &document)]);
    let found = check(
        &case,
        "doctor-explicit-deny",
        "(bucket policy) denies",
        "ask",
        "\"aws:PrincipalArn\": \"arn:aws:iam::111122223333:role/trainer\"",
    );
    assert!(found.remedies[0].change[0].contains("except this caller"));
    // What the client can send is no weakening.
    document["Statement"][0]["Condition"] =
        json!({ "StringNotEquals": { "s3:x-amz-server-side-encryption": "aws:kms" } });
    case.layers.bucket = Standing::Held(vec![held("bucket policy of lake-ml", &document)]);
    let found = check(
        &case,
        "doctor-explicit-deny",
        "s3:x-amz-server-side-encryption is not sent",
        "request",
        "send `x-amz-server-side-encryption: aws:kms`",
    );
    assert!(!found.remedies[0].weakens);
}

#[test]
fn a_boundary_without_the_action() {
    let mut case = healthy("s3:PutObject", MODEL);
    case.layers.boundary = Standing::Held(vec![owned("Fence", &statement("Allow", "s3:GetObject", "*"))]);
    let found = check(
        &case,
        "doctor-boundary",
        "the permissions boundary `Fence v1` does not allow s3:PutObject",
        "statement",
        "add to the permissions boundary `Fence`",
    );
    assert_eq!(found.remedies[0].opens, ["s3:PutObject on s3://lake-ml/credit/models/*"], "one folder, one action");
}

#[test]
fn the_policy_is_attached_to_another_role() {
    let mut case = healthy("s3:PutObject", MODEL);
    let policy = made(&layout(LAYOUT)).remove(0);
    case.layers.identity = Standing::Held(Vec::new());
    let holder = Holder { role: "eks-control".to_owned(), kind: Some(RoleKind::ControlPlane) };
    case.around.elsewhere = vec![Elsewhere { held: policy, holders: Some(vec![holder]) }];
    check(
        &case,
        "doctor-wrong-role",
        "role `eks-control` of the cluster's control plane, which pods never have, and `trainer` asks",
        "apply",
        "attaches the policy again",
    );
    // A layout that does not mean this role gets one more target.
    let other = LAYOUT.replace("role = \"trainer\"", "role = \"eks-control\"");
    case.around.layout = Some((layout(&other), "layout.toml".to_owned()));
    check(&case, "doctor-wrong-role", "eks-control", "layout", "add { role = \"trainer\" } to `attach`");
    // Without a layout the policy is attached by hand.
    case.around.layout = None;
    let found = check(&case, "doctor-wrong-role", "eks-control", "attach", "attach policy TrainAccess to role trainer");
    assert!(found.remedies[0].run.as_deref().unwrap().contains("policy attach"));
}

#[test]
fn who_has_a_grant_of_its_own_is_told_what_it_lacks_first() {
    let read_only = LAYOUT.replace("read-write", "read");
    let two = format!(
        "{read_only}[[grant]]\npolicy = \"Nodes\"\naccess = \"read-write\"\non = [\"lake-ml\"]\nattach = [{{ role = \"nodes\" }}]\n"
    );
    let mut case = healthy("s3:PutObject", MODEL);
    case.layers.identity = Standing::Held(made(&layout(&two)));
    case.around.layout = Some((layout(&two), "layout.toml".to_owned()));
    let holder = Holder { role: "nodes".to_owned(), kind: None };
    let whole = owned("Nodes", &statement("Allow", "s3:PutObject", "arn:aws:s3:::lake-ml/*"));
    case.around.elsewhere = vec![Elsewhere { held: whole, holders: Some(vec![holder]) }];
    let found = check(
        &case,
        "doctor-no-allow",
        "no policy of role trainer allows s3:PutObject",
        "layout",
        "grant `TrainAccess`: access = \"append\"",
    );
    let second = &found.findings[1];
    assert!(second.code == "doctor-wrong-role" && second.severity == Severity::Warning, "{second:?}");
}

#[test]
fn a_pod_that_fell_back_to_its_node() {
    let mut case = healthy("s3:PutObject", MODEL);
    let policy = made(&layout(LAYOUT)).remove(0);
    case.layers.identity = Standing::Held(Vec::new());
    case.around.role = SeenRole::Here { kind: RoleKind::Instance, made: None };
    let holder = Holder { role: "flyte-tasks".to_owned(), kind: Some(RoleKind::Irsa) };
    case.around.elsewhere = vec![Elsewhere { held: policy, holders: Some(vec![holder]) }];
    case.around.layout = None;
    check(&case, "doctor-node-role", "the pod runs with the node's credentials", "attach", "attach policy TrainAccess");
}

#[test]
fn a_policy_that_was_detached() {
    let mut case = healthy("s3:PutObject", MODEL);
    let policy = made(&layout(LAYOUT)).remove(0);
    case.layers.identity = Standing::Held(Vec::new());
    case.around.elsewhere = vec![Elsewhere { held: policy, holders: Some(Vec::new()) }];
    check(&case, "doctor-not-attached", "does not have it; no role has it", "apply", "attaches the policy again");
}

#[test]
fn a_master_key_is_never_handed_out() {
    let case = healthy("s3:PutObject", MODEL);
    for (policy, meant) in [
        (made(&layout(LAYOUT)).remove(0), true),
        (held("All", &statement("Allow", "s3:*", "*")), false),
        (held("AllObjects", &statement("Allow", "s3:PutObject", "arn:aws:s3:::*/*")), false),
        (held("Other", &statement("Allow", "s3:PutObject", "arn:aws:s3:::other/*")), false),
    ] {
        assert_eq!(policy.is_meant_for(&case.request), meant, "{}", policy.policy.name);
    }
}

#[test]
fn a_policy_that_somebody_changed() {
    let mut case = healthy("s3:PutObject", MODEL);
    let good = made(&layout(LAYOUT)).remove(0);
    let text = good.text.0.replace("credit/models", "credit/modles").replace("credit/*", "kredit/*");
    let mut bad = Held::new(&good.policy.name, &PolicyJson(text)).unwrap();
    bad.version = Some(VersionId(2));
    bad.since = "2026-10-02T10:00:00Z".parse().ok();
    bad.owner = Some("ml".to_owned());
    bad.others = vec![Version { id: VersionId(1), made: None, policy: good.policy }];
    case.layers.identity = Standing::Held(vec![bad]);
    let found = check(
        &case,
        "doctor-policy-differs",
        "TrainAccess v2, in force since 2026-10-02T10:00:00Z",
        "apply",
        "writes the policy again",
    );
    assert_eq!(found.findings[1].code, "doctor-policy-changed");
    assert!(found.findings[1].message.starts_with("v1 of TrainAccess allowed it"));
    // Without the layout the older version is what is known to have worked.
    case.around.layout = None;
    check(&case, "doctor-policy-changed", "v1 of TrainAccess allowed it", "statement", "\"Action\": \"s3:PutObject\"");
}

#[test]
fn the_layout_gives_less_than_is_asked() {
    let read_only = LAYOUT.replace("read-write", "read");
    let mut case = healthy("s3:PutObject", MODEL);
    let layout_read = layout(&read_only);
    case.layers.identity = Standing::Held(made(&layout_read));
    case.around.layout = Some((layout_read, "layout.toml".to_owned()));
    let found = check(
        &case,
        "doctor-no-allow",
        "no policy of role trainer allows s3:PutObject",
        "layout",
        "grant `TrainAccess`: access = \"append\"   # was \"read\"",
    );
    assert!(found.remedies[0].opens.iter().any(|opens| opens.contains("s3:PutObject")), "{:?}", found.remedies);
    assert!(
        !found.remedies[0].opens.iter().any(|opens| opens.contains("DeleteObject")),
        "the smallest: {:?}",
        found.remedies
    );
}

#[test]
fn a_folder_that_the_layout_caps() {
    let case = healthy("s3:DeleteObject", "lake-ml/credit/data/x.csv");
    let found = diagnose(&case);
    let remedy = &found.remedies[0];
    assert_eq!(remedy.kind, "layout");
    assert!(
        remedy.change[1].starts_with("template `ml-project`, folder `data`: access = \"read-write\""),
        "{remedy:?}"
    );
    assert!(remedy.checked);
    let denied = found.findings[0].code == "doctor-explicit-deny";
    assert_eq!(remedy.weakens, denied, "lifting a limit that is a Deny is said to weaken: {remedy:?}");
}

/// What a layout's change says must be true of the layout's text, too.
#[test]
fn the_edit_of_the_layout_works_in_the_file() {
    let edited = LAYOUT.replace("list = ", "").replace("attach =", "list = \"bucket\"\nattach =");
    let mut case = healthy("s3:ListBucket", "lake-ml");
    case.operation = Some("HeadBucket".to_owned());
    let found = check(
        &case,
        "doctor-head-bucket",
        "no prefix condition can ever let HeadBucket pass",
        "layout",
        "list = \"bucket\"   # was \"scoped\"",
    );
    assert!(found.findings[0].fix.as_deref().unwrap().contains("create_dir=False"));
    let after = layout(&edited);
    assert!(documents(&after, &after.grants[0]).is_some());
    case.layers.identity = Standing::Held(made(&after));
    assert!(diagnose(&case).allowed);
}

#[test]
fn listings_without_slash_or_prefix() {
    let list = |prefix: &str| {
        let question = Question {
            principal: Some(TRAINER.to_owned()),
            action: Some("s3:ListBucket".to_owned()),
            resource: Some("arn:aws:s3:::lake-ml".to_owned()),
            prefix: Some(prefix.to_owned()),
            ..Question::default()
        };
        Case { request: question.request(&Known::default()).unwrap(), ..healthy("s3:ListBucket", "lake-ml") }
    };
    assert!(diagnose(&list("credit/")).allowed);
    check(&list(""), "doctor-listing-prefix", "the prefix is empty", "layout", "list = \"bucket\"");
    // A policy by hand that forgot the bare name.
    let mut case = list("credit");
    let mut document = statement("Allow", "s3:ListBucket", "arn:aws:s3:::lake-ml");
    document["Statement"][0]["Condition"] = json!({ "StringLike": { "s3:prefix": ["credit/*"] } });
    case.layers.identity = Standing::Held(vec![held("inline policy Hand", &document)]);
    case.around.layout = None;
    let found = check(&case, "doctor-listing-prefix", "`credit` has no slash at its end", "statement", "\"credit/*\"");
    assert!(found.findings[0].fix.as_deref().unwrap().contains("with its slash"));
}

#[test]
fn api_names_are_no_actions() {
    let mut case = healthy("s3:ListBucket", "lake-ml");
    case.around.layout = None;
    case.layers.identity = Standing::Held(vec![held(
        "inline policy Hand",
        &statement("Allow", "s3:ListObjectsV2", "arn:aws:s3:::lake-ml"),
    )]);
    let found = diagnose(&case);
    let api = found.findings.iter().find(|finding| finding.code == "doctor-api-name").unwrap();
    assert!(api.message.contains("what it needs is s3:ListBucket"), "{}", api.message);
}

#[test]
fn a_bucket_of_another_account_needs_both_sides() {
    let question = Question {
        principal: Some(TRAINER.to_owned()),
        action: Some("s3:GetObject".to_owned()),
        resource: Some("arn:aws:s3:::lake-ml/credit/data/x".to_owned()),
        ..Question::default()
    };
    let known = Known { owner: Some("999988887777".to_owned()), ..Known::default() };
    let case = Case { request: question.request(&known).unwrap(), ..healthy("s3:GetObject", MODEL) };
    let found = check(
        &case,
        "doctor-bucket-policy",
        "across accounts both sides must",
        "statement",
        "add to the bucket policy of lake-ml",
    );
    assert!(found.remedies[0].change.join("").contains("\"Principal\""));
}

#[test]
fn places_that_are_not_there() {
    let mut case = healthy("s3:GetObject", MODEL);
    case.around.bucket.existence = Some(Existence::Absent);
    case.around.bucket.near = Some("lake-mll".to_owned());
    let found = diagnose(&case);
    assert!(
        found.has_cause() && found.findings[0].message.contains("this account has a bucket `lake-mll`"),
        "{:?}",
        found.findings
    );
    let mut case = healthy("s3:GetObject", MODEL);
    case.layers.identity = Standing::Held(Vec::new());
    case.around.role = SeenRole::Absent(Some("trainers".to_owned()));
    let found = diagnose(&case);
    assert_eq!(found.findings[0].code, "doctor-no-role");
    assert_eq!((found.findings.len(), found.remedies.len()), (1, 0), "policies of nobody are nobody's concern");
}

/// The case of a message, over a healthy account.
fn told(message: &str, action: &str, resource: &str) -> Case {
    let Reading { symptom, .. } = read(message).unwrap();
    Case { operation: symptom.operation.clone(), symptom: Some(symptom), ..healthy(action, resource) }
}

#[test]
fn what_was_not_seen_may_be_what_refused() {
    let message = "User: arn:aws:sts::111122223333:assumed-role/trainer/x is not authorized to perform: s3:PutObject on resource: \
                   \"arn:aws:s3:::lake-ml/credit/models/m.bin\" with an explicit deny in a service control policy";
    let found = diagnose(&told(message, "s3:PutObject", MODEL));
    assert!(found.allowed && found.has_cause());
    assert_eq!(found.findings[0].code, "doctor-explicit-deny");
    assert!(found.findings[0].message.contains("a service control policy denies it, as the message says"));
    // The same message about a layer that was seen and allows: it has changed since.
    let message = message.replace(
        "with an explicit deny in a service control policy",
        "because no identity-based policy allows the s3:PutObject action",
    );
    let found = diagnose(&told(&message, "s3:PutObject", MODEL));
    assert!(found.allowed && !found.has_cause(), "{:?}", found.findings);
    assert!(found.findings[0].fix.as_deref().unwrap().contains("try again"));
}

#[test]
fn a_403_for_an_object_that_is_not_there() {
    let message = "fatal error: An error occurred (403) when calling the HeadObject operation: Forbidden";
    let mut case = told(message, "s3:GetObject", "lake-ml/credit/data/missing.csv");
    case.around.bucket.has_object = Some(false);
    let found = diagnose(&case);
    assert!(found.allowed && found.has_cause());
    assert_eq!(found.findings[0].code, "doctor-missing-key", "{:?}", found.findings);
    case.around.bucket.has_object = Some(true);
    assert!(!diagnose(&case).has_cause());
}

#[test]
fn a_key_that_nobody_may_use() {
    let message = "An error occurred (AccessDenied) when calling the UploadPart operation: Access Denied";
    let mut case = told(message, "s3:PutObject", MODEL);
    case.around.bucket.kms_key = "arn:aws:kms:eu-west-1:111122223333:key/0a1b".parse().ok();
    let found = diagnose(&case);
    assert_eq!(found.findings[0].code, "doctor-kms-denied", "{:?}", found.findings);
    assert!(found.findings[0].message.contains("kms:GenerateDataKey and kms:Decrypt"));
    // Of a bare refusal everything that an upload may need is told.
    let bare = told(
        "An error occurred (AccessDenied) when calling the PutObject operation: Access Denied",
        "s3:PutObject",
        MODEL,
    );
    let codes: Vec<_> = diagnose(&bare).findings.into_iter().map(|finding| finding.message).collect();
    assert!(codes.iter().any(|message| message.starts_with("s3:PutObjectAcl is not allowed")), "{codes:?}");
}

#[test]
fn several_layers_are_mended_one_after_the_other() {
    let mut case = healthy("s3:PutObject", "elsewhere/x/y.bin");
    case.around.layout = None;
    case.layers.identity = Standing::Held(vec![owned("TrainAccess", &statement("Allow", "s3:GetObject", "*"))]);
    case.layers.boundary = Standing::Held(vec![owned("Fence", &statement("Allow", "s3:GetObject", "*"))]);
    let found = diagnose(&case);
    let kinds: Vec<_> = found.remedies.iter().map(|remedy| (remedy.target.as_str(), remedy.checked)).collect();
    assert_eq!(
        kinds,
        [("a policy of role trainer", true), ("Fence", true)],
        "what a layout owns is not changed by hand"
    );
}

#[test]
fn a_policy_that_could_not_be_read_is_no_missing_allow() {
    let mut case = healthy("s3:PutObject", MODEL);
    case.around.layout = None;
    case.layers.identity = Standing::Held(vec![held("inline policy Small", &statement("Allow", "s3:GetObject", "*"))]);
    assert_eq!(diagnose(&case).remedies.len(), 1);
    case.around.unread = vec!["`arn:aws:iam::111122223333:policy/Dark` could not be read: not authorized".to_owned()];
    let found = diagnose(&case);
    let first = &found.findings[0];
    assert!(first.code == "doctor-no-allow" && first.message.contains("not all policies of role trainer"), "{first:?}");
    assert!(found.remedies.is_empty(), "what was not seen may give it already: {:?}", found.remedies);
    assert!(found.rows.iter().any(|row| row.layer == "identity" && row.state == "hidden"), "{:?}", found.rows);
    // What is allowed by the rest may be denied by it.
    let message = "User: arn:aws:sts::111122223333:assumed-role/trainer/x is not authorized to perform: s3:PutObject on resource: \
                   \"arn:aws:s3:::lake-ml/credit/models/m.bin\" with an explicit deny in an identity-based policy";
    let mut case = told(message, "s3:PutObject", MODEL);
    case.around.unread = vec!["`Dark` could not be read".to_owned()];
    let found = diagnose(&case);
    assert!(found.allowed && found.has_cause(), "{:?}", found.findings);
    assert_eq!(found.findings[0].code, "doctor-explicit-deny");
}

#[test]
fn only_the_node_groups_that_a_grant_names_are_its_targets() {
    let attach = "attach = [{ eks_cluster = \"edu\", node_groups = \"gpu-*\" }]";
    let of_nodes = LAYOUT.replace("attach = [{ role = \"trainer\" }]", attach);
    let group = |name: &str, role: &str| NodeGroup {
        name: name.to_owned(),
        role: format!("arn:aws:iam::111122223333:role/{role}").parse().unwrap(),
    };
    let mut case = healthy("s3:PutObject", MODEL);
    case.around.layout = Some((layout(&of_nodes), "layout.toml".to_owned()));
    case.layers.identity = Standing::Held(Vec::new());
    case.around.clusters = vec![Cluster {
        name: "edu".to_owned(),
        arn: "arn:aws:eks:us-east-1:111122223333:cluster/edu".parse().unwrap(),
        control_plane_role: None,
        oidc_issuer: None,
        node_groups: vec![group("cpu-1", "trainer"), group("gpu-1", "gpus")],
        associations: Vec::new(),
        addons: Vec::new(),
        auto_mode_role: None,
        unread: Vec::new(),
    }];
    check(&case, "doctor-no-allow", "has no policy at all", "layout", "add { role = \"trainer\" } to `attach`");
    case.around.clusters[0].node_groups = vec![group("gpu-1", "trainer")];
    check(&case, "doctor-no-allow", "has no policy at all", "apply", "attaches the policy again");
}

/// The case of what a message alone asks.
fn asked_by(message: &str) -> Case {
    let Reading { symptom, .. } = read(message).unwrap();
    let request = Question::of(&symptom).request(&Known::default()).unwrap();
    Case { request, operation: symptom.operation.clone(), symptom: Some(symptom), ..healthy("s3:PutObject", MODEL) }
}

#[test]
fn a_refusal_of_kms_is_about_the_key() {
    let message = "An error occurred (AccessDenied) when calling the PutObject operation: User: \
                   arn:aws:sts::111122223333:assumed-role/trainer/x is not authorized to perform: kms:GenerateDataKey on resource: \
                   arn:aws:kms:eu-west-1:111122223333:key/0a1b because no identity-based policy allows the kms:GenerateDataKey action";
    let found = diagnose(&asked_by(message));
    assert_eq!(found.findings[0].code, "doctor-kms-denied", "{:?}", found.findings);
    let change = found.remedies[0].change.join("\n");
    assert!(change.contains("\"Resource\": \"arn:aws:kms:eu-west-1:111122223333:key/0a1b\""), "{change}");
    // The policy of a resource is here the key's, and never the bucket's.
    let mut case = asked_by(&message.replace("identity-based", "resource-based"));
    let Standing::Held(identity) = &mut case.layers.identity else { panic!() };
    identity.push(held("inline policy Keys", &statement("Allow", "kms:*", "*")));
    let found = diagnose(&case);
    let first = &found.findings[0];
    assert!(first.code == "doctor-kms-denied" && first.message.starts_with("the key's own policy"), "{first:?}");
}

#[test]
fn a_deny_for_want_of_what_nobody_told_gives_way_to_the_message() {
    let mut document = statement("Deny", "s3:*", "arn:aws:s3:::lake-ml/*");
    document["Statement"][0]["Principal"] = json!("*");
    document["Statement"][0]["Condition"] = json!({ "StringNotEquals": { "aws:SourceVpce": "vpce-1" } });
    let fenced = |mut case: Case| {
        case.layers.bucket = Standing::Held(vec![held("bucket policy of lake-ml", &document)]);
        case
    };
    // Nobody said anything: the Deny is told, and what it rests on.
    let found = diagnose(&fenced(healthy("s3:PutObject", MODEL)));
    assert!(found.findings[0].code == "doctor-explicit-deny", "{:?}", found.findings);
    assert!(found.findings[0].message.contains("`--context aws:SourceVpce=VALUE` tells"), "{:?}", found.findings);
    // The message says that no policy of the role allows it, so that is what is wrong.
    let message = "User: arn:aws:sts::111122223333:assumed-role/trainer/x is not authorized to perform: s3:DeleteObject on resource: \
                   \"arn:aws:s3:::lake-ml/other/m.bin\" because no identity-based policy allows the s3:DeleteObject action";
    let found = diagnose(&fenced(told(message, "s3:DeleteObject", "lake-ml/other/m.bin")));
    assert_eq!(found.findings[0].code, "doctor-no-allow", "{:?}", found.findings);
    assert!(found.findings.iter().any(|finding| finding.code == "doctor-not-seen"), "{:?}", found.findings);
    // A Deny that needs nothing untold stays.
    document["Statement"][0].as_object_mut().unwrap().remove("Condition");
    let mut case = told(message, "s3:DeleteObject", "lake-ml/other/m.bin");
    case.layers.bucket = Standing::Held(vec![held("bucket policy of lake-ml", &document)]);
    assert_eq!(diagnose(&case).findings[0].code, "doctor-explicit-deny");
}

/// Of a user's policies nothing is seen, so what the message says is what is known.
#[test]
fn what_the_message_names_comes_before_what_nobody_could_look_at() {
    let message = |why: &str| {
        format!(
            "User: arn:aws:iam::111122223333:user/ana is not authorized to perform: s3:PutObject on resource: \
             \"arn:aws:s3:::lake-ml/credit/models/m.bin\" {why}"
        )
    };
    for (why, code, words) in [
        (
            "with an explicit deny in a service control policy",
            "doctor-explicit-deny",
            "a service control policy denies it",
        ),
        ("because no permissions boundary allows the s3:PutObject action", "doctor-boundary", "as the message says"),
        ("because no identity-based policy allows the s3:PutObject action", "doctor-no-allow", "as the message says"),
    ] {
        let mut case = asked_by(&message(why));
        case.around.layout = None;
        case.around.role = SeenRole::Unseen;
        case.layers.identity = Standing::Hidden("only the policies of roles are read".to_owned());
        case.layers.boundary = Standing::Hidden("only the policies of roles are read".to_owned());
        let found = diagnose(&case);
        let errors: Vec<_> = found.findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
        assert!(errors.len() == 1 && errors[0].code == code && errors[0].message.contains(words), "{why}: {errors:?}");
        assert!(found.has_cause() && found.remedies.is_empty(), "{:?}", found.remedies);
    }
}
