//! How the layers work together, row by row of AWS's documentation, and what must hold for every document.

use super::{Policies, evaluate, evaluate_with_trace};
use crate::policy::cases;
use crate::policy::{Layer, Request, Verdict};
use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};

const OWN: &str = "111111111111";
const FOREIGN: &str = "222222222222";
const USER: &str = "arn:aws:iam::111111111111:user/alice";
const ROLE: &str = "arn:aws:iam::111111111111:role/ml/trainer";
const SESSION: &str = "arn:aws:sts::111111111111:assumed-role/trainer/run-1";
const FEDERATED: &str = "arn:aws:sts::111111111111:federated-user/bob";
const ROOT: &str = "arn:aws:iam::111111111111:root";

fn principal(who: &str) -> Value {
    match who {
        "user" => json!({ "type": "iam-user", "arn": USER }),
        "session" => json!({ "type": "assumed-role", "arn": SESSION, "role": ROLE }),
        "federated" => json!({ "type": "federated-user", "arn": FEDERATED, "user": USER }),
        "root" => json!({ "type": "root" }),
        "linked" => json!({
            "type": "assumed-role",
            "arn": "arn:aws:sts::111111111111:assumed-role/AWSServiceRoleForX/x",
            "role": "arn:aws:iam::111111111111:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX",
        }),
        "anonymous" => json!({ "type": "anonymous" }),
        service => json!({ "type": "service", "arn": service }),
    }
}

/// Somebody's request for one object in a bucket of `owner`.
fn ask(who: &str, owner: &str, action: &str, policies: &Value) -> (Policies, Request) {
    let account = if who == "anonymous" || who.contains('.') { Value::Null } else { json!(OWN) };
    let case = json!([{
        "id": "x", "principal": principal(who), "accounts": { "principal": account, "resource": owner },
        "request": { "action": action, "resource": "arn:aws:s3:::lake/k", "context": { "aws:username": "alice" } },
        "policies": policies,
    }]);
    let case = cases::parse(&case.to_string()).unwrap().remove(0);
    (case.policies, case.request)
}

fn statement(effect: &str, action: &str) -> Value {
    json!({ "Effect": effect, "Action": action, "Resource": "*" })
}

fn document(statements: &[Value]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn all() -> Value {
    document(&[statement("Allow", "*")])
}

/// A document that allows nothing of interest.
fn silent() -> Value {
    document(&[statement("Allow", "ec2:*")])
}

fn deny() -> Value {
    document(&[statement("Allow", "*"), statement("Deny", "s3:*")])
}

/// A bucket policy for whom `element` names.
fn bucket(effect: &str, element: &str, principal: &Value) -> Value {
    let mut statement = statement(effect, "s3:*");
    statement[element] = principal.clone();
    document(&[statement])
}

fn opens_to(principal: &str) -> Value {
    let principal = match principal {
        "*" => json!("*"),
        service if service.ends_with(".amazonaws.com") => json!({ "Service": service }),
        arn => json!({ "AWS": arn }),
    };
    bucket("Allow", "Principal", &principal)
}

#[derive(Debug, PartialEq)]
struct Answer(Verdict, Layer);

const fn allow(layer: Layer) -> Answer {
    Answer(Verdict::Allow, layer)
}

const fn explicit(layer: Layer) -> Answer {
    Answer(Verdict::ExplicitDeny, layer)
}

const fn implicit(layer: Layer) -> Answer {
    Answer(Verdict::ImplicitDeny, layer)
}

fn check_action(who: &str, owner: &str, action: &str, layers: &Value, expected: &Answer) {
    let (policies, request) = ask(who, owner, action, layers);
    let decision = evaluate(&policies, &request);
    assert_eq!(Answer(decision.verdict, decision.layer), *expected, "{who} of {owner} {action}: {layers}");
    let traced = evaluate_with_trace(&policies, &request);
    assert_eq!(Answer(traced.verdict, traced.layer), *expected, "with a trace");
}

fn check(who: &str, owner: &str, layers: &Value, expected: &Answer) {
    check_action(who, owner, "s3:GetObject", layers, expected);
}

#[test]
fn one_account_without_bucket_policy() {
    for (layers, expected) in [
        (json!({}), implicit(Layer::Identity)),
        (json!({ "identity": [all()] }), allow(Layer::Identity)),
        (json!({ "identity": [silent(), all()] }), allow(Layer::Identity)),
        (json!({ "identity": [all(), deny()] }), explicit(Layer::Identity)),
        (json!({ "identity": [all()], "boundary": all() }), allow(Layer::Identity)),
        (json!({ "identity": [all()], "boundary": silent() }), implicit(Layer::Boundary)),
        (json!({ "identity": [all()], "boundary": document(&[]) }), implicit(Layer::Boundary)),
        (json!({ "identity": [], "boundary": all() }), implicit(Layer::Identity)),
        (json!({ "identity": [all()], "boundary": deny() }), explicit(Layer::Boundary)),
        (json!({ "identity": [all()], "session": all() }), allow(Layer::Identity)),
        (json!({ "identity": [all()], "session": silent() }), implicit(Layer::Session)),
        (json!({ "identity": [silent()], "session": all() }), implicit(Layer::Identity)),
        (json!({ "identity": [all()], "session": deny() }), explicit(Layer::Session)),
        (json!({ "identity": [all()], "endpoint": opens_to("*") }), allow(Layer::Identity)),
        (json!({ "identity": [all()], "endpoint": opens_to(FOREIGN) }), implicit(Layer::Endpoint)),
        (
            json!({ "identity": [all()], "endpoint": bucket("Deny", "Principal", &json!("*")) }),
            explicit(Layer::Endpoint),
        ),
        (json!({ "identity": [], "endpoint": opens_to("*") }), implicit(Layer::Identity)),
    ] {
        check("session", OWN, &layers, &expected);
    }
}

#[test]
fn every_level_of_the_organization_must_allow() {
    for (levels, expected) in [
        (json!([[all()], [all()]]), allow(Layer::Identity)),
        (json!([[all()], [silent(), all()]]), allow(Layer::Identity)),
        (json!([[all()], [silent()]]), implicit(Layer::Scp)),
        (json!([[silent()], [all()]]), implicit(Layer::Scp)),
        (json!([[all()], []]), implicit(Layer::Scp)),
        (json!([[all()], [all(), deny()]]), explicit(Layer::Scp)),
    ] {
        check("user", OWN, &json!({ "identity": [all()], "scp": levels }), &expected);
        check(
            "user",
            OWN,
            &json!({ "resource": opens_to(USER), "scp": levels }),
            &match expected {
                Answer(Verdict::Allow, _) => allow(Layer::Resource),
                other => other,
            },
        );
    }
    let closed = json!({ "identity": [all()], "resource": opens_to("*"), "scp": [[deny()]] });
    check("root", OWN, &closed, &explicit(Layer::Scp));
    check("linked", OWN, &closed, &allow(Layer::Resource));
    check("anonymous", OWN, &closed, &allow(Layer::Resource));
}

#[test]
fn resource_control_policies_only_limit() {
    let rcp = |effect: &str| {
        let mut one = statement(effect, "s3:*");
        one["Principal"] = json!("*");
        document(&[one])
    };
    for (levels, expected) in [
        (json!([[rcp("Allow")]]), allow(Layer::Identity)),
        (json!([[all()]]), allow(Layer::Identity)),
        (json!([[rcp("Allow")], [silent()]]), implicit(Layer::Rcp)),
        (json!([[rcp("Allow"), rcp("Deny")]]), explicit(Layer::Rcp)),
    ] {
        check("user", OWN, &json!({ "identity": [all()], "rcp": levels }), &expected);
    }
    let closed = json!({ "resource": opens_to("*"), "rcp": [[rcp("Allow"), rcp("Deny")]] });
    for who in ["anonymous", "root", "logging.s3.amazonaws.com"] {
        check(who, OWN, &closed, &explicit(Layer::Rcp));
    }
    check("user", OWN, &json!({ "rcp": [[rcp("Allow")]] }), &implicit(Layer::Identity));
}

/// Whom a bucket policy of the same account names decides what else must allow.
#[test]
fn what_a_bucket_policy_bypasses() {
    let resource = allow(Layer::Resource);
    for (who, named, alone, limited) in [
        ("user", USER, &resource, &resource),
        ("session", SESSION, &resource, &resource),
        ("session", ROLE, &resource, &implicit(Layer::Boundary)),
        ("session", "*", &resource, &resource),
        ("user", "*", &resource, &resource),
        ("session", OWN, &implicit(Layer::Identity), &implicit(Layer::Identity)),
        ("session", ROOT, &implicit(Layer::Identity), &implicit(Layer::Identity)),
        ("federated", FEDERATED, &resource, &resource),
        ("federated", USER, &implicit(Layer::Session), &implicit(Layer::Boundary)),
        ("federated", "*", &resource, &resource),
    ] {
        check(who, OWN, &json!({ "resource": opens_to(named) }), alone);
        let around = json!({ "resource": opens_to(named), "boundary": silent(), "session": silent() });
        check(who, OWN, &around, limited);
        for layer in ["boundary", "session"] {
            let mut denied = json!({ "resource": opens_to(named), "identity": [all()] });
            denied[layer] = deny();
            let expected = if layer == "boundary" { Layer::Boundary } else { Layer::Session };
            check(who, OWN, &denied, &explicit(expected));
        }
    }
    let both = json!({ "resource": opens_to(ROLE), "session": silent() });
    check("session", OWN, &both, &implicit(Layer::Session));
    let passed = json!({ "resource": opens_to(USER), "session": all() });
    check("federated", OWN, &passed, &allow(Layer::Resource));
    check("federated", OWN, &json!({ "identity": [all()] }), &implicit(Layer::Session));
    check("federated", OWN, &json!({ "identity": [all()], "session": all() }), &allow(Layer::Identity));
    check("user", OWN, &json!({ "identity": [all()], "resource": opens_to(OWN) }), &allow(Layer::Identity));
}

#[test]
fn across_accounts_both_sides_must_allow() {
    let identity = implicit(Layer::Identity);
    for (who, named) in
        [("user", USER), ("session", ROLE), ("session", SESSION), ("user", OWN), ("user", ROOT), ("user", "*")]
    {
        let opened = opens_to(named);
        check(who, FOREIGN, &json!({ "resource": opened }), &identity);
        check(who, FOREIGN, &json!({ "identity": [all()], "resource": opened }), &allow(Layer::Resource));
        for (layer, kind) in [("boundary", Layer::Boundary), ("session", Layer::Session)] {
            let mut limited = json!({ "identity": [all()], "resource": opened });
            limited[layer] = silent();
            check(who, FOREIGN, &limited, &implicit(kind));
        }
        let closed = json!({ "identity": [all()], "resource": opened, "scp": [[silent()]] });
        check(who, FOREIGN, &closed, &implicit(Layer::Scp));
    }
    check("user", FOREIGN, &json!({ "identity": [all()] }), &implicit(Layer::Resource));
    check("user", FOREIGN, &json!({ "identity": [all()], "resource": opens_to(FOREIGN) }), &implicit(Layer::Resource));
    check("root", FOREIGN, &json!({}), &implicit(Layer::Resource));
    check("root", FOREIGN, &json!({ "resource": opens_to(OWN) }), &allow(Layer::Resource));
}

#[test]
fn the_root_user_has_its_account() {
    let closed = bucket("Deny", "Principal", &json!("*"));
    check("root", OWN, &json!({}), &allow(Layer::Root));
    check("root", OWN, &json!({ "identity": [deny()], "boundary": silent() }), &allow(Layer::Root));
    check("root", OWN, &json!({ "resource": closed }), &explicit(Layer::Resource));
    check(
        "root",
        OWN,
        &json!({ "resource": bucket("Deny", "Principal", &json!({ "AWS": OWN })) }),
        &explicit(Layer::Resource),
    );
    for action in ["s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"] {
        check_action("root", OWN, action, &json!({ "resource": closed }), &allow(Layer::Root));
        check_action("root", FOREIGN, action, &json!({ "resource": closed }), &explicit(Layer::Resource));
        check_action("user", OWN, action, &json!({ "resource": closed }), &explicit(Layer::Resource));
        check_action("root", OWN, action, &json!({ "resource": closed, "scp": [[deny()]] }), &explicit(Layer::Scp));
    }
}

#[test]
fn anonymous_callers_and_services_have_only_the_bucket_policy() {
    const LOGGING: &str = "logging.s3.amazonaws.com";
    let none = implicit(Layer::Resource);
    for (who, layers, expected) in [
        ("anonymous", json!({ "identity": [all()] }), &none),
        ("anonymous", json!({ "resource": opens_to("*") }), &allow(Layer::Resource)),
        ("anonymous", json!({ "resource": opens_to(OWN) }), &none),
        ("anonymous", json!({ "resource": bucket("Deny", "Principal", &json!("*")) }), &explicit(Layer::Resource)),
        (LOGGING, json!({ "resource": opens_to(LOGGING) }), &allow(Layer::Resource)),
        (LOGGING, json!({ "resource": opens_to("delivery.logs.amazonaws.com") }), &none),
        (LOGGING, json!({ "identity": [all()] }), &none),
        ("user", json!({ "resource": opens_to(LOGGING) }), &implicit(Layer::Identity)),
    ] {
        check(who, OWN, &layers, expected);
    }
}

/// A boundary limits by what it allows and by what it denies; its denials reach as far as any other.
#[test]
fn a_boundary_that_denies() {
    let partly = || document(&[statement("Allow", "*"), statement("Deny", "s3:GetObject")]);
    let only_denies = || document(&[statement("Deny", "s3:GetObject")]);
    let never = || {
        let mut denied = statement("Deny", "s3:*");
        denied["Condition"] = json!({ "StringEquals": { "aws:username": "bob" } });
        document(&[statement("Allow", "*"), denied])
    };
    let denied = explicit(Layer::Boundary);
    let (identity, resource) = (allow(Layer::Identity), allow(Layer::Resource));
    for (who, owner, action, layers, expected) in [
        ("user", OWN, "s3:GetObject", json!({ "identity": [all()], "boundary": partly() }), &denied),
        ("user", OWN, "s3:PutObject", json!({ "identity": [all()], "boundary": partly() }), &identity),
        // A Deny without an Allow beside it: what it does not deny, it does not allow either.
        (
            "user",
            OWN,
            "s3:PutObject",
            json!({ "identity": [all()], "boundary": only_denies() }),
            &implicit(Layer::Boundary),
        ),
        // With nothing to limit, the denial is told all the same.
        ("user", OWN, "s3:GetObject", json!({ "boundary": partly() }), &denied),
        ("user", OWN, "s3:GetObject", json!({ "identity": [all()], "boundary": never() }), &identity),
        // What a bucket policy grants in person passes a boundary that is silent, and none that denies.
        ("user", OWN, "s3:GetObject", json!({ "resource": opens_to(USER), "boundary": partly() }), &denied),
        ("user", OWN, "s3:PutObject", json!({ "resource": opens_to(USER), "boundary": only_denies() }), &resource),
        ("session", OWN, "s3:GetObject", json!({ "resource": opens_to("*"), "boundary": partly() }), &denied),
        ("session", OWN, "s3:PutObject", json!({ "resource": opens_to(ROLE), "boundary": partly() }), &resource),
        (
            "session",
            OWN,
            "s3:PutObject",
            json!({ "resource": opens_to(ROLE), "boundary": only_denies() }),
            &implicit(Layer::Boundary),
        ),
        (
            "user",
            FOREIGN,
            "s3:GetObject",
            json!({ "identity": [all()], "resource": opens_to(USER), "boundary": partly() }),
            &denied,
        ),
        (
            "user",
            FOREIGN,
            "s3:PutObject",
            json!({ "identity": [all()], "resource": opens_to(USER), "boundary": partly() }),
            &resource,
        ),
        // Root users, services and strangers have no boundary.
        ("root", OWN, "s3:GetObject", json!({ "boundary": partly() }), &allow(Layer::Root)),
        ("anonymous", OWN, "s3:GetObject", json!({ "resource": opens_to("*"), "boundary": partly() }), &resource),
    ] {
        check_action(who, owner, action, &layers, expected);
    }
}

/// Identity, boundary and session policy must all allow; a Deny in any of them decides, whatever the others say.
#[test]
fn identity_boundary_and_session_together() {
    let says = |allows: bool| if allows { all() } else { silent() };
    for [identity, boundary, session] in (0..8).map(|code| [code & 1 > 0, code & 2 > 0, code & 4 > 0]) {
        let layers = json!({ "identity": [says(identity)], "boundary": says(boundary), "session": says(session) });
        let expected = match (identity, boundary, session) {
            (false, ..) => implicit(Layer::Identity),
            (_, false, _) => implicit(Layer::Boundary),
            (.., false) => implicit(Layer::Session),
            _ => allow(Layer::Identity),
        };
        check("session", OWN, &layers, &expected);
        for (layer, kind) in [("identity", Layer::Identity), ("boundary", Layer::Boundary), ("session", Layer::Session)]
        {
            let mut denied = layers.clone();
            denied[layer] = if layer == "identity" { json!([deny()]) } else { deny() };
            check("session", OWN, &denied, &explicit(kind));
        }
        // The role as principal needs both limits, the session itself and everybody neither.
        for (named, limited) in [(ROLE, true), (SESSION, false), ("*", false)] {
            let mut opened = layers.clone();
            opened["resource"] = opens_to(named);
            let by_identity = if identity { allow(Layer::Identity) } else { allow(Layer::Resource) };
            let expected = match (boundary, session) {
                _ if !limited => allow(Layer::Resource),
                (false, _) => implicit(Layer::Boundary),
                (_, false) => implicit(Layer::Session),
                _ => by_identity,
            };
            check("session", OWN, &opened, &expected);
        }
        // Across accounts both limits hold whomever the bucket policy names.
        for named in [ROLE, SESSION, OWN, "*"] {
            let mut opened = layers.clone();
            opened["resource"] = opens_to(named);
            let expected = if identity && boundary && session {
                allow(Layer::Resource)
            } else {
                implicit(match (identity, boundary) {
                    (false, _) => Layer::Identity,
                    (_, false) => Layer::Boundary,
                    _ => Layer::Session,
                })
            };
            check("session", FOREIGN, &opened, &expected);
        }
    }
}

/// A bucket policy for everybody grants to sessions directly: a session policy limits it by a Deny alone, and in another
/// account by its silence as well. A condition on the role's ARN changes nothing about that; the account does.
#[test]
fn a_bucket_policy_for_everybody_and_a_session_policy() {
    let with_arn = |principal: &str, arn: &str| {
        let mut policy = opens_to(principal);
        policy["Statement"][0]["Condition"] = json!({ "ArnEquals": { "aws:PrincipalArn": arn } });
        policy
    };
    let resource = allow(Layer::Resource);
    for (owner, policy, session, expected) in [
        (OWN, opens_to("*"), silent(), &resource),
        (OWN, opens_to("*"), document(&[]), &resource),
        (OWN, opens_to("*"), all(), &resource),
        (OWN, opens_to("*"), deny(), &explicit(Layer::Session)),
        (OWN, with_arn("*", ROLE), silent(), &resource),
        (OWN, with_arn("*", USER), silent(), &implicit(Layer::Identity)),
        // The session's ARN is no PrincipalArn.
        (OWN, with_arn("*", SESSION), all(), &implicit(Layer::Identity)),
        (OWN, with_arn(OWN, ROLE), all(), &implicit(Layer::Identity)),
        (FOREIGN, opens_to("*"), silent(), &implicit(Layer::Identity)),
    ] {
        let layers = json!({ "resource": policy, "session": session });
        let (policies, request) = ask("session", owner, "s3:GetObject", &layers);
        let context = request.context.clone().with("aws:PrincipalArn", ROLE);
        let decision = evaluate(&policies, &request.with_context(context));
        assert_eq!(Answer(decision.verdict, decision.layer), *expected, "{owner} {layers}");
    }
    let foreign = |session: Value| json!({ "identity": [all()], "resource": opens_to("*"), "session": session });
    check("session", FOREIGN, &foreign(silent()), &implicit(Layer::Session));
    check("session", FOREIGN, &foreign(deny()), &explicit(Layer::Session));
    check("session", FOREIGN, &foreign(all()), &resource);
}

/// Who is spared by `NotPrincipal` under Deny, and who is let in by it under Allow.
#[test]
fn not_principal_beyond_one_account() {
    const LOGGING: &str = "logging.s3.amazonaws.com";
    let all_but = |effect: &str, principal: Value| bucket(effect, "NotPrincipal", &principal);
    let aws = |list: &[&str]| json!({ "AWS": list });
    let denied = explicit(Layer::Resource);
    for (who, owner, policy, expected) in [
        // Whose account is not listed is denied, and so is whoever has none.
        ("user", OWN, all_but("Deny", aws(&[USER, FOREIGN])), &denied),
        ("user", OWN, all_but("Deny", aws(&[FOREIGN])), &denied),
        ("anonymous", OWN, all_but("Deny", aws(&[USER, ROOT])), &denied),
        (LOGGING, OWN, all_but("Deny", aws(&[USER, ROOT])), &denied),
        ("root", OWN, all_but("Deny", aws(&[USER])), &denied),
        ("root", OWN, all_but("Deny", aws(&[ROOT])), &allow(Layer::Root)),
        // Several keys are one list.
        ("user", OWN, all_but("Deny", json!({ "AWS": [USER, ROOT], "Service": LOGGING })), &allow(Layer::Identity)),
        ("federated", OWN, all_but("Deny", aws(&[FEDERATED, ROOT])), &denied),
        ("federated", OWN, all_but("Deny", aws(&[FEDERATED, USER, ROOT])), &implicit(Layer::Session)),
        // To be spared is not to be allowed.
        (LOGGING, OWN, all_but("Deny", json!({ "Service": LOGGING })), &implicit(Layer::Resource)),
        ("user", FOREIGN, all_but("Deny", aws(&[USER, ROOT])), &implicit(Layer::Resource)),
        // Under Allow it opens to all the world but the list.
        ("user", FOREIGN, all_but("Allow", aws(&[FOREIGN])), &allow(Layer::Resource)),
        ("user", FOREIGN, all_but("Allow", aws(&[OWN])), &implicit(Layer::Resource)),
        ("session", OWN, all_but("Allow", aws(&[ROLE])), &allow(Layer::Identity)),
        (LOGGING, OWN, all_but("Allow", aws(&[USER])), &allow(Layer::Resource)),
        (LOGGING, OWN, all_but("Allow", json!({ "Service": LOGGING })), &implicit(Layer::Resource)),
    ] {
        check(who, owner, &json!({ "identity": [all()], "resource": policy }), expected);
    }
    // A session policy changes nothing about who is spared; a boundary does.
    let spared = all_but("Deny", aws(&[SESSION, ROLE, ROOT]));
    let limited = |layer: &str| {
        let mut layers = json!({ "identity": [all()], "resource": spared });
        layers[layer] = all();
        layers
    };
    check("session", OWN, &limited("session"), &allow(Layer::Identity));
    check("session", OWN, &limited("boundary"), &denied);
}

#[test]
fn not_principal_denies_all_but_the_whole_list() {
    let spared = |who: &str, list: &[&str], boundary: bool| {
        let mut layers =
            json!({ "identity": [all()], "resource": bucket("Deny", "NotPrincipal", &json!({ "AWS": list })) });
        if boundary {
            layers["boundary"] = all();
        }
        let (policies, request) = ask(who, OWN, "s3:GetObject", &layers);
        evaluate(&policies, &request).verdict == Verdict::Allow
    };
    assert!(spared("user", &[USER, ROOT], false));
    assert!(!spared("user", &[ROOT], false), "the account spares nobody");
    assert!(!spared("user", &[USER], false), "the account belongs beside the user");
    assert!(!spared("user", &[USER, ROOT], true), "a boundary is denied regardless");
    assert!(spared("session", &[SESSION, ROLE, ROOT], false));
    assert!(!spared("session", &[ROLE, ROOT], false));
    assert!(!spared("session", &[USER, ROOT], false));
    let holes = json!({ "resource": bucket("Allow", "NotPrincipal", &json!({ "AWS": USER })) });
    check("anonymous", OWN, &holes, &allow(Layer::Resource));
    check("user", OWN, &holes, &implicit(Layer::Identity));
}

#[test]
fn statements_that_iam_would_refuse_have_no_effect() {
    let with = |name: &str, value: Value| {
        let mut one = statement("Allow", "*");
        one[name] = value;
        document(&[one])
    };
    for odd in [
        with("Effect", json!("allow")),
        with("Action", json!([])),
        with("Action", json!("GetObject")),
        with("NotAction", json!("ec2:*")),
        with("Resource", json!([])),
        with("Resource", json!("arn:aws:s3:lake/k")),
        with("Principal", json!("*")),
        with("Comment", json!("x")),
        with("Condition", json!({ "StringLook": { "aws:username": "*" } })),
        with("Condition", json!({ "StringEquals": { "aws:username": [] } })),
        json!({ "Version": "2012-10-17" }),
    ] {
        check("user", OWN, &json!({ "identity": [odd] }), &implicit(Layer::Identity));
    }
    check("user", OWN, &json!({ "identity": [with("Condition", json!({}))] }), &allow(Layer::Identity));
    check("user", OWN, &json!({ "resource": all() }), &implicit(Layer::Identity));
    let wild = opens_to("arn:aws:iam::111111111111:user/*");
    check("user", OWN, &json!({ "resource": wild }), &implicit(Layer::Identity));
}

#[test]
fn statement_forms() {
    let one = |elements: Value| {
        let mut statement = json!({ "Effect": "Deny", "Action": "s3:*", "Resource": "*" });
        for (name, value) in elements.as_object().unwrap() {
            statement[name] = value.clone();
            if let Some(plain) = name.strip_prefix("Not") {
                statement.as_object_mut().unwrap().shift_remove(plain);
            }
        }
        let (policies, request) =
            ask("user", OWN, "s3:GetObject", &json!({ "identity": [all(), document(&[statement])] }));
        evaluate(&policies, &request).verdict == Verdict::ExplicitDeny
    };
    for (elements, denies) in [
        (json!({ "NotAction": "s3:PutObject" }), true),
        (json!({ "NotAction": ["s3:PutObject", "S3:GET*"] }), false),
        (json!({ "NotAction": [] }), false),
        (json!({ "NotResource": "arn:aws:s3:::lake/*" }), false),
        (json!({ "NotResource": "arn:aws:s3:::other/*" }), true),
        (json!({ "NotResource": "arn:aws:s3:::lake/${aws:userid}*" }), true),
        (json!({ "NotResource": "lake/*" }), true),
        (json!({ "Action": "s3:Get?bject" }), true),
        (json!({ "Action": "*:GetObject" }), true),
        (json!({ "Action": "s3*" }), false),
    ] {
        assert_eq!(one(elements.clone()), denies, "{elements}");
    }
}

#[test]
fn traces_tell_the_first_thing_that_failed() {
    let folder = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "s3:PutObject", "Resource": "*" },
        { "Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::lake/${aws:userid}/*" },
        { "Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": { "StringEquals": { "aws:username": "bob" } } },
        { "Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": { "Bool": { "aws:SecureTransport": "false" } } },
    ]});
    let (policies, request) = ask("user", OWN, "s3:GetObject", &json!({ "identity": [folder] }));
    let said: Vec<String> = evaluate_with_trace(&policies, &request).because.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "statement 1 of identity[0] allows only s3:PutObject",
            "statement 2 of identity[0] allows it only on arn:aws:s3:::lake/${aws:userid}/*, and `${aws:userid}` has no value here",
            "statement 3 of identity[0] allows it only if its condition holds, but aws:username is \"alice\" (StringEquals \"bob\")",
            "statement 4 of identity[0] denies it only if its condition holds, but aws:SecureTransport is not sent (Bool \"false\")",
        ]
    );
}

/// Small documents over a small world, so that most of them have something to do with the request.
fn any_statement() -> impl Strategy<Value = Value> {
    let effect = prop_oneof![2 => Just("Allow"), 1 => Just("Deny")];
    let action = prop_oneof![Just("*"), Just("s3:Get*"), Just("S3:getobject"), Just("s3:Put*"), Just("ec2:*")];
    let resource = prop_oneof![
        Just("*"),
        Just("arn:aws:s3:::lake/*"),
        Just("arn:aws:s3:::lake"),
        Just("arn:aws:s3:::lake/${aws:username}*"),
        Just("arn:*:s3:::l?ke/k"),
    ];
    let principal = prop_oneof![
        Just(json!("*")),
        Just(json!({ "AWS": USER })),
        Just(json!({ "AWS": [SESSION, ROLE] })),
        Just(json!({ "AWS": OWN })),
        Just(json!({ "AWS": [USER, ROOT] })),
        Just(json!({ "Service": "logging.s3.amazonaws.com" })),
    ];
    let condition = prop_oneof![
        3 => Just(json!({})),
        1 => Just(json!({ "StringEquals": { "aws:username": "alice" } })),
        1 => Just(json!({ "StringNotLike": { "aws:username": ["a*", "${aws:userid}"] } })),
        1 => Just(json!({ "Null": { "s3:prefix": true } })),
        1 => Just(json!({ "ForAllValues:StringEquals": { "aws:TagKeys": ["x"] } })),
    ];
    (effect, action, resource, principal, condition, any::<[bool; 3]>()).prop_map(
        |(effect, action, resource, principal, condition, not)| {
            let name = |plain: &str, not: bool| if not { format!("Not{plain}") } else { plain.to_owned() };
            json!({
                "Effect": effect, name("Action", not[0]): action, name("Resource", not[1]): resource,
                name("Principal", not[2]): principal, "Condition": condition,
            })
        },
    )
}

fn any_document(with_principal: bool) -> impl Strategy<Value = Value> {
    prop::collection::vec(any_statement(), 0..4).prop_map(move |mut statements| {
        if !with_principal {
            for statement in &mut statements {
                let fields = statement.as_object_mut().unwrap();
                fields.retain(|name, _| !name.ends_with("Principal"));
            }
        }
        document(&statements)
    })
}

fn any_layers() -> impl Strategy<Value = Value> {
    let maybe = |with_principal| prop::option::of(any_document(with_principal));
    let levels = prop::option::of(prop::collection::vec(prop::collection::vec(any_document(false), 1..3), 1..3));
    (prop::collection::vec(any_document(false), 0..3), maybe(true), maybe(false), maybe(false), maybe(true), levels)
        .prop_map(|(identity, resource, boundary, session, endpoint, scp)| {
            json!({
                "identity": identity, "resource": resource, "boundary": boundary, "session": session,
                "endpoint": endpoint, "scp": scp,
            })
        })
}

fn any_who() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("user"),
        Just("session"),
        Just("federated"),
        Just("root"),
        Just("anonymous"),
        Just("logging.s3.amazonaws.com")
    ]
}

fn any_owner() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => Just(OWN), 1 => Just(FOREIGN)]
}

fn verdict(who: &str, owner: &str, layers: &Value) -> Verdict {
    let (policies, request) = ask(who, owner, "s3:GetObject", layers);
    evaluate(&policies, &request).verdict
}

/// The documents of all layers that are there.
fn documents(layers: &mut Value) -> Vec<&mut Value> {
    fn collect<'a>(value: &'a mut Value, found: &mut Vec<&'a mut Value>) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| collect(item, found)),
            Value::Object(_) => found.push(value),
            _ => {}
        }
    }
    let mut found = Vec::new();
    layers.as_object_mut().unwrap().values_mut().for_each(|layer| collect(layer, &mut found));
    found
}

proptest! {
    #[test]
    fn the_fast_way_and_the_traced_way_decide_alike(layers in any_layers(), who in any_who(), owner in any_owner()) {
        let (policies, request) = ask(who, owner, "s3:GetObject", &layers);
        let (fast, traced) = (evaluate(&policies, &request), evaluate_with_trace(&policies, &request));
        prop_assert_eq!((fast.verdict, fast.layer), (traced.verdict, traced.layer));
        prop_assert!(fast.because.is_empty());
    }

    #[test]
    fn a_deny_that_matches_wins(layers in any_layers(), who in any_who(), owner in any_owner()) {
        let mut layers = layers;
        layers["resource"] = bucket("Deny", "Principal", &json!("*"));
        prop_assert_eq!(verdict(who, owner, &layers), Verdict::ExplicitDeny);
    }

    #[test]
    fn one_more_deny_never_allows(
        layers in any_layers(), who in any_who(), owner in any_owner(), extra in any_statement(), at in any::<prop::sample::Index>(),
    ) {
        let before = verdict(who, owner, &layers);
        let mut layers = layers;
        let mut places = documents(&mut layers);
        if !places.is_empty() {
            let mut extra = extra;
            extra["Effect"] = json!("Deny");
            let chosen = at.index(places.len());
            places[chosen]["Statement"].as_array_mut().unwrap().push(extra);
        }
        prop_assert!(before == Verdict::Allow || verdict(who, owner, &layers) != Verdict::Allow);
    }

    #[test]
    fn the_order_of_statements_means_nothing(layers in any_layers(), who in any_who(), owner in any_owner()) {
        let mut turned = layers.clone();
        for document in documents(&mut turned) {
            document["Statement"].as_array_mut().unwrap().reverse();
        }
        if let Some(identity) = turned["identity"].as_array_mut() {
            identity.reverse();
        }
        prop_assert_eq!(verdict(who, owner, &turned), verdict(who, owner, &layers));
    }
}
