//! Grants held against accounts in all states: what is planned, what is refused, and what is left alone.

use super::{AccountPlan, AccountState, plan};
use crate::layout::{Layout, ParseOptions, parse};
use crate::model::{
    Arn, Attachments, Cluster, IamQuotas, ManagedPolicy, NodeGroup, PodIdentityAssociation, PolicyJson, PolicyVersion,
    Role, RoleName, Seen, TagKey, TagValue, Tags, VersionId,
};
use crate::report::Severity;
use std::collections::{BTreeMap, BTreeSet};

const ACCOUNT: &str = "245966534215";
const ISSUER: &str = "oidc.eks.us-east-1.amazonaws.com/id/ABC";

/// A layout `mine` with a bucket and these grants.
fn layout(grants: &str) -> Layout {
    let text = format!(
        "version = 1\nlayout = \"mine\"\n[[bucket]]\nname = \"lake-one\"\nprojects = [\"p\"]\ntemplate = \"ml-project\"\n\
         tags = {{ team = \"ml\" }}\n{grants}"
    );
    let none = BTreeMap::new();
    let options = ParseOptions { file_stem: "mine", environment: None, set: &none, env_vars: &none };
    parse(text.as_bytes(), &options).unwrap()
}

/// The grant `reader` with these attach targets, and more keys.
fn reader(attach: &str) -> Layout {
    layout(&grant("reader", attach))
}

/// A grant of this name with these attach targets, and more keys.
fn grant(name: &str, attach: &str) -> String {
    format!("[[grant]]\npolicy = \"{name}\"\naccess = \"read\"\non = [\"lake-one\"]\n{attach}\n")
}

fn arn(resource: &str) -> Arn {
    format!("arn:aws:iam::{ACCOUNT}:{resource}").parse().unwrap()
}

fn owner(layout: &str) -> Tags {
    Tags::from([(TagKey::owner(), layout.parse().unwrap())])
}

/// What a policy of ours has for tags.
fn whole_tags() -> Tags {
    let mut tags = owner("mine");
    tags.insert("team".parse().unwrap(), TagValue::observed("ml"));
    tags
}

fn policy(name: &str, documents: &[&PolicyJson], tags: Tags) -> ManagedPolicy {
    let numbered = documents.iter().enumerate().rev();
    let version = |(index, document): (usize, &&PolicyJson)| PolicyVersion {
        id: VersionId(index as u32 + 1),
        created: None,
        document: (*document).clone(),
    };
    ManagedPolicy {
        arn: arn(&format!("policy/{name}")),
        name: name.parse().unwrap(),
        id: None,
        description: None,
        default_version: VersionId(documents.len() as u32),
        versions: numbered.map(version).collect(),
        attachments: 1,
        boundary_uses: 0,
        tags,
        created: None,
        updated: None,
    }
}

fn role(name: &str, attached: &[&str], tags: Tags) -> Role {
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Theirs","Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
    Role {
        arn: arn(&format!("role/{name}")),
        name: name.rsplit('/').next().unwrap().parse().unwrap(),
        description: None,
        trust: PolicyJson(trust.to_owned()),
        attached: attached.iter().map(|name| arn(&format!("policy/{name}"))).collect(),
        inline: Vec::new(),
        boundary: None,
        tags,
        created: None,
        last_use: None,
    }
}

fn cluster() -> Cluster {
    let group = |name: &str, role: &str| NodeGroup { name: name.to_owned(), role: arn(&format!("role/{role}")) };
    Cluster {
        name: "edu".to_owned(),
        arn: format!("arn:aws:eks:us-east-1:{ACCOUNT}:cluster/edu").parse().unwrap(),
        control_plane_role: None,
        oidc_issuer: Some(format!("https://{ISSUER}")),
        node_groups: vec![group("node-group-1", "nodes-a"), group("node-group-2", "nodes-b"), group("gpu", "nodes-b")],
        associations: Vec::new(),
        addons: vec!["eks-pod-identity-agent".to_owned()],
        auto_mode_role: None,
        unread: Vec::new(),
    }
}

/// An account without any policy, with the cluster and its roles.
fn account() -> AccountState {
    let mut state = AccountState {
        account: ACCOUNT.parse().unwrap(),
        partition: "aws".to_owned(),
        is_directory: false,
        policies: BTreeMap::new(),
        former: Seen::Here(Vec::new()),
        attachments: BTreeMap::new(),
        roles: BTreeMap::new(),
        role_names: vec!["trainer".to_owned()],
        clusters: BTreeMap::from([("edu".to_owned(), Seen::Here(cluster()))]),
        cluster_names: vec!["edu".to_owned()],
        oidc_providers: Seen::Here(BTreeSet::from([arn(&format!("oidc-provider/{ISSUER}"))])),
        quotas: Seen::Here(IamQuotas::USUAL),
    };
    for name in ["nodes-a", "nodes-b"] {
        state.with_role(role(name, &[], Tags::new()));
    }
    state
}

impl AccountState {
    fn with_role(&mut self, role: Role) {
        self.roles.insert(role.name.clone(), Seen::Here(role));
    }

    fn with_policy(&mut self, policy: ManagedPolicy, roles: &[&str]) {
        let attachments = Attachments { roles: names(roles), ..Attachments::default() };
        self.attachments.insert(policy.arn.clone(), Seen::Here(attachments));
        self.policies.insert(policy.name.clone(), Seen::Here(policy));
    }
}

fn names(roles: &[&str]) -> Vec<RoleName> {
    roles.iter().map(|role| role.parse().unwrap()).collect()
}

/// The document that the grant `reader` makes.
fn wanted(layout: &Layout) -> PolicyJson {
    super::documents_of(layout, &layout.grants[0], "aws").unwrap().remove(0).1
}

/// Some other document.
fn stale() -> PolicyJson {
    let statement = r#"{"Effect":"Allow","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::lake-one/p/data/*"}"#;
    PolicyJson(format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#))
}

/// Actions as `kind object`, one a line.
fn told(plan: &AccountPlan) -> Vec<String> {
    plan.actions.iter().map(|action| format!("{} {}", action.kind(), action.object())).collect()
}

fn codes(plan: &AccountPlan, severity: Severity) -> Vec<&'static str> {
    plan.findings.iter().filter(|finding| finding.severity == severity).map(|finding| finding.code).collect()
}

#[track_caller]
fn check(layout: &Layout, state: &AccountState, actions: &[&str], errors: &[&str]) -> AccountPlan {
    let plan = plan(layout, state);
    assert_eq!(told(&plan), actions, "{:#?}", plan.findings);
    assert_eq!(codes(&plan, Severity::Error), errors, "{:#?}", plan.findings);
    plan
}

const ALL_NODES: &str = r#"attach = [{ eks_cluster = "edu" }]"#;

#[test]
fn a_policy_is_made_once_and_attached_to_each_role_once() {
    let plan = check(
        &reader(ALL_NODES),
        &account(),
        &["create-policy reader", "attach-policy reader to nodes-a", "attach-policy reader to nodes-b"],
        &[],
    );
    let record = plan.actions[1].record(crate::report::Status::Planned);
    assert_eq!(record.target, "role/nodes-a");
    assert_eq!(record.policy.as_deref(), Some("arn:aws:iam::245966534215:policy/reader"));
}

#[test]
fn node_groups_are_names_and_globs() {
    for (groups, roles) in [
        (r#""node-group-1""#, vec!["nodes-a"]),
        (r#""node-group-*""#, vec!["nodes-a", "nodes-b"]),
        (r#"["gpu", "node-group-2"]"#, vec!["nodes-b"]),
        (r#""node-group-?""#, vec!["nodes-a", "nodes-b"]),
    ] {
        let layout = reader(&format!(r#"attach = [{{ eks_cluster = "edu", node_groups = {groups} }}]"#));
        let mut actions = vec!["create-policy reader".to_owned()];
        actions.extend(roles.iter().map(|role| format!("attach-policy reader to {role}")));
        assert_eq!(told(&plan(&layout, &account())), actions, "{groups}");
    }
}

#[test]
fn what_is_as_wanted_is_counted_and_left() {
    let layout = reader(ALL_NODES);
    let mut state = account();
    for name in ["nodes-a", "nodes-b"] {
        state.with_role(role(name, &["reader"], Tags::new()));
    }
    // The same document in another spelling.
    let spelled = PolicyJson(
        serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(&wanted(&layout).0).unwrap()).unwrap(),
    );
    state.with_policy(policy("reader", &[&spelled], whole_tags()), &["nodes-a", "nodes-b"]);
    let plan = check(&layout, &state, &[], &[]);
    assert_eq!((plan.unchanged, plan.findings.len()), (3, 0));
}

#[test]
fn another_document_is_a_new_version_and_says_what_turns() {
    let layout = reader("");
    let mut state = account();
    state.with_policy(policy("reader", &[&stale()], whole_tags()), &[]);
    let plan = check(&layout, &state, &["create-policy-version reader"], &[]);
    let reason = plan.actions[0].reason.to_string();
    assert!(reason.starts_with("replaces v1: opens ") && reason.contains("closes delete"), "{reason}");
}

#[test]
fn the_oldest_version_that_is_not_in_force_goes() {
    let layout = reader("");
    let old = stale();
    let mut state = account();
    let mut full = policy("reader", &[&old; 5], whole_tags());
    full.default_version = VersionId(1);
    state.with_policy(full, &[]);
    let plan = check(&layout, &state, &["create-policy-version reader"], &[]);
    let crate::plan::AccountStep::CreatePolicyVersion { prunes, .. } = &plan.actions[0].step else { panic!() };
    assert_eq!(*prunes, Some(VersionId(2)));
    assert!(plan.actions[0].reason.to_string().contains("v2 is backed up and removed"));
}

#[test]
fn what_is_not_ours_is_refused_or_adopted() {
    let plain = reader("");
    let adopting = reader("adopt = true");
    let mut state = account();
    state.with_policy(policy("reader", &[&stale()], Tags::new()), &["somebody"]);
    check(&plain, &state, &[], &["not-ours"]);
    let adopted = ["tag-policy reader", "create-policy-version reader", "detach-policy reader from somebody"];
    let plan = check(&adopting, &state, &adopted, &[]);
    let impact: Vec<&str> = plan.findings.iter().map(|finding| finding.message.as_str()).collect();
    assert!(impact.iter().any(|message| message.contains("attached to `somebody`")), "{impact:?}");
    assert!(impact.iter().any(|message| message.contains("closes delete")), "{impact:?}");
    state.with_policy(policy("reader", &[&stale()], owner("theirs")), &[]);
    check(&plain, &state, &[], &["other-layout"]);
    check(&adopting, &state, &[], &["other-layout"]);
}

#[test]
fn missing_tags_of_ours_are_added() {
    let layout = reader("");
    let mut state = account();
    state.with_policy(policy("reader", &[&wanted(&layout)], owner("mine")), &[]);
    let plan = check(&layout, &state, &["tag-policy reader"], &[]);
    assert_eq!(plan.actions[0].reason.to_string(), "its tags lack team=ml");
}

#[test]
fn names_that_nothing_answers_to_are_errors_with_the_near_ones() {
    for (attach, code, near) in [
        (r#"{ eks_cluster = "eduu" }"#, "cluster-missing", "did you mean `edu`?"),
        (
            r#"{ eks_cluster = "edu", node_groups = "node-grop-1" }"#,
            "node-group-missing",
            "did you mean `node-group-1`?",
        ),
        (r#"{ role = "trainr" }"#, "role-missing", "did you mean `trainer`?"),
    ] {
        let mut state = account();
        state.clusters.insert("eduu".to_owned(), Seen::Absent);
        state.roles.insert("trainr".parse().unwrap(), Seen::Absent);
        let plan = plan(&reader(&format!("attach = [{attach}]")), &state);
        let found = plan.findings.iter().find(|finding| finding.severity == Severity::Error).unwrap();
        assert_eq!(found.code, code);
        assert!(found.message.contains(near), "{}", found.message);
    }
}

#[test]
fn roles_of_services_are_left_alone() {
    let mut state = account();
    state.with_role(role("aws-service-role/x.amazonaws.com/linked", &[], Tags::new()));
    let plan = plan(&reader(r#"attach = [{ role = "linked" }]"#), &state);
    assert_eq!(codes(&plan, Severity::Error), ["service-linked-role"]);
}

#[test]
fn what_may_not_be_read_stops_its_grant_alone() {
    let to = |role: &str| format!("attach = [{{ role = \"{role}\" }}]");
    let layout = layout(&format!("{}{}", grant("reader", &to("nodes-a")), grant("other", &to("dark"))));
    let hidden = || "not authorized".to_owned();
    let mut state = account();
    state.roles.insert("dark".parse().unwrap(), Seen::Hidden(hidden()));
    let rest = ["create-policy reader", "attach-policy reader to nodes-a", "apply-grant other"];
    let plan = check(&layout, &state, &rest, &[]);
    assert_eq!(codes(&plan, Severity::Warning), ["account-hidden"]);
    assert!(plan.findings[0].fix.as_deref().unwrap().contains("iam:GetRole"));
    // Nothing is revoked because of what was not seen.
    state.with_policy(policy("other", &[&stale()], whole_tags()), &["dark", "nodes-b"]);
    check(&layout, &state, &rest, &[]);
    state.former = Seen::Hidden(hidden());
    let plan = check(&layout, &state, &rest, &[]);
    assert_eq!(codes(&plan, Severity::Warning), ["account-hidden", "account-hidden"]);
}

#[test]
fn nobody_loses_what_a_grant_that_is_left_alone_may_give_instead() {
    let former = policy("gone", &[&stale()], owner("mine"));
    let mut state = account();
    let attachments = Attachments { roles: names(&["nodes-a", "nodes-b"]), ..Attachments::default() };
    state.attachments.insert(former.arn.clone(), Seen::Here(attachments));
    state.former = Seen::Here(vec![former]);
    let lost = ["detach-policy gone from nodes-a", "detach-policy gone from nodes-b"];
    // Whose nodes are meant cannot be told.
    let mut dark = state.clone();
    dark.clusters.insert("edu".to_owned(), Seen::Hidden("not authorized".to_owned()));
    let plan = check(&reader(ALL_NODES), &dark, &["apply-grant reader"], &[]);
    assert_eq!(codes(&plan, Severity::Warning), ["account-hidden", "not-revoked", "not-revoked"]);
    let unread = vec![crate::model::Unread { part: crate::model::ClusterPart::NodeGroups, why: "no".to_owned() }];
    dark.clusters.insert("edu".to_owned(), Seen::Here(Cluster { node_groups: Vec::new(), unread, ..cluster() }));
    check(&reader(ALL_NODES), &dark, &["apply-grant reader"], &[]);
    // Only one of the roles is named by the grant that is left alone.
    let mut dark = state.clone();
    dark.policies.insert("reader".parse().unwrap(), Seen::Hidden("not authorized".to_owned()));
    let layout_a = reader(r#"attach = [{ role = "nodes-a" }]"#);
    let plan = check(&layout_a, &dark, &[lost[1], "apply-grant reader"], &[]);
    assert!(codes(&plan, Severity::Warning).contains(&"not-revoked"), "{:#?}", plan.findings);
    // A role that went from one grant to another which is left alone.
    let two = layout(&format!("{}{}", grant("reader", ""), grant("other", r#"attach = [{ role = "nodes-a" }]"#)));
    let mut moved = account();
    moved.with_policy(policy("reader", &[&wanted(&two)], whole_tags()), &["nodes-a"]);
    moved.policies.insert("other".parse().unwrap(), Seen::Hidden("not authorized".to_owned()));
    check(&two, &moved, &["apply-grant other"], &[]);
}

#[test]
fn a_cluster_that_may_not_be_read_takes_nothing_from_a_trust_policy() {
    let pods = PODS.replace("\"edu\"", "\"dark\"");
    let both = layout(&format!("{}{}", grant("reader", &pods), grant("other", IRSA)));
    let mut state = account();
    let plan = plan(&both, &state);
    let mut pods = role("pods", &[], owner("mine"));
    pods.trust = PolicyJson(
        r#"{"Version":"2012-10-17","Statement":[{"Sid":"BucketwrightPodIdentity","Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}"#
            .to_owned(),
    );
    assert_eq!(codes(&plan, Severity::Error), ["cluster-missing"]);
    state.with_role(pods);
    state.clusters.insert("dark".to_owned(), Seen::Hidden("not authorized".to_owned()));
    let plan = check(
        &both,
        &state,
        &["create-policy other", "put-trust pods", "attach-policy other to pods", "apply-grant reader"],
        &[],
    );
    let sids: Vec<_> = trust(&plan)["Statement"].as_array().unwrap().iter().map(|one| one["Sid"].clone()).collect();
    assert_eq!(sids, ["BucketwrightServiceAccounts", "BucketwrightPodIdentity"]);
}

#[test]
fn what_left_the_layout_is_revoked_after_all_else() {
    let layout = reader(r#"attach = [{ role = "nodes-a" }]"#);
    let mut state = account();
    state.with_policy(policy("reader", &[&wanted(&layout)], whole_tags()), &["nodes-b"]);
    let former = policy("gone", &[&stale()], owner("mine"));
    let attachments =
        Attachments { roles: names(&["nodes-a"]), users: vec!["ann".to_owned()], ..Attachments::default() };
    state.attachments.insert(former.arn.clone(), Seen::Here(attachments));
    state.former = Seen::Here(vec![former]);
    let plan = check(
        &layout,
        &state,
        &["attach-policy reader to nodes-a", "detach-policy reader from nodes-b", "detach-policy gone from nodes-a"],
        &[],
    );
    assert_eq!(plan.actions[2].reason.to_string(), "revoked: no grant names this policy any more");
    assert_eq!(codes(&plan, Severity::Warning), ["attached-elsewhere"]);
}

const IRSA: &str =
    r#"attach = [{ irsa = { cluster = "edu", namespace = "flyte", service_account = "sa", role = "pods" } }]"#;
const PODS: &str =
    r#"attach = [{ pod_identity = { cluster = "edu", namespace = "flyte", service_account = "sa", role = "pods" } }]"#;

/// The trust policy that the plan writes.
fn trust(plan: &AccountPlan) -> serde_json::Value {
    let text = plan.actions.iter().find_map(|action| match &action.step {
        crate::plan::AccountStep::CreateRole { trust, .. } | crate::plan::AccountStep::PutTrust { trust, .. } => {
            Some(&trust.0)
        }
        _ => None,
    });
    serde_json::from_str(text.unwrap()).unwrap()
}

#[test]
fn a_role_for_a_service_account_is_made_and_its_annotation_told() {
    let made = ["create-policy reader", "create-role pods", "attach-policy reader to pods"];
    let plan = check(&reader(IRSA), &account(), &made, &[]);
    let statement = &trust(&plan)["Statement"][0];
    assert_eq!(statement["Sid"], "BucketwrightServiceAccounts");
    assert_eq!(statement["Condition"]["StringEquals"][format!("{ISSUER}:sub")], "system:serviceaccount:flyte:sa");
    let hint = plan.findings.iter().find(|finding| finding.code == "annotation-needed").unwrap();
    assert!(hint.message.contains("`eks.amazonaws.com/role-arn: arn:aws:iam::245966534215:role/pods`"));
}

#[test]
fn statements_of_others_stay_in_a_trust_policy() {
    let mut state = account();
    state.with_role(role("pods", &["reader"], owner("mine")));
    let layout = reader(IRSA);
    state.with_policy(policy("reader", &[&wanted(&layout)], whole_tags()), &["pods"]);
    let plan = check(&layout, &state, &["put-trust pods"], &[]);
    let sids: Vec<_> = trust(&plan)["Statement"].as_array().unwrap().iter().map(|one| one["Sid"].clone()).collect();
    assert_eq!(sids, ["Theirs", "BucketwrightServiceAccounts"]);
    // A second look finds all as wanted.
    let mut after = role("pods", &["reader"], owner("mine"));
    after.trust = PolicyJson(trust(&plan).to_string());
    state.with_role(after);
    check(&layout, &state, &[], &[]);
}

#[test]
fn the_trust_of_somebody_elses_role_needs_adoption() {
    let mut state = account();
    state.with_role(role("pods", &[], Tags::new()));
    let plan = plan(&reader(IRSA), &state);
    assert_eq!(codes(&plan, Severity::Error), ["not-ours"]);
    let made = ["create-policy reader", "tag-role pods", "put-trust pods", "attach-policy reader to pods"];
    let plan = check(&reader(&format!("{IRSA}\nadopt = true")), &state, &made, &[]);
    assert!(codes(&plan, Severity::Warning).contains(&"change-impact"), "{:#?}", plan.findings);
    // One that lets the service account in already may stay as it is.
    let mut open = role("pods", &[], Tags::new());
    open.trust = PolicyJson(trust(&plan).to_string());
    state.with_role(open);
    check(&reader(IRSA), &state, &["create-policy reader", "attach-policy reader to pods"], &[]);
}

#[test]
fn an_issuer_needs_its_provider() {
    let mut state = account();
    state.oidc_providers = Seen::Here(BTreeSet::new());
    assert_eq!(codes(&plan(&reader(IRSA), &state), Severity::Error), ["no-oidc-provider"]);
    let bare = Cluster { oidc_issuer: None, ..cluster() };
    state.clusters.insert("edu".to_owned(), Seen::Here(bare));
    assert_eq!(codes(&plan(&reader(IRSA), &state), Severity::Error), ["no-oidc-issuer"]);
}

#[test]
fn pod_identity_is_a_role_and_an_association() {
    let made = [
        "create-policy reader",
        "create-role pods",
        "create-association pods to flyte/sa in edu",
        "attach-policy reader to pods",
    ];
    let plan = check(&reader(PODS), &account(), &made, &[]);
    assert_eq!(trust(&plan)["Statement"][0]["Principal"]["Service"], "pods.eks.amazonaws.com");
    let mut state = account();
    state.clusters.insert("edu".to_owned(), Seen::Here(Cluster { addons: Vec::new(), ..cluster() }));
    let plan = check(&reader(PODS), &state, &made, &[]);
    assert!(codes(&plan, Severity::Warning).contains(&"no-pod-identity-agent"));
}

fn association(role: &str, tags: Tags) -> PodIdentityAssociation {
    PodIdentityAssociation {
        id: "a-1".to_owned(),
        namespace: "flyte".to_owned(),
        service_account: "sa".to_owned(),
        role: arn(&format!("role/{role}")),
        tags,
    }
}

#[test]
fn associations_change_only_if_they_are_ours() {
    let mut state = account();
    let mut with = |role: &str, tags: Tags| {
        let associations = vec![association(role, tags)];
        state.clusters.insert("edu".to_owned(), Seen::Here(Cluster { associations, ..cluster() }));
        state.clone()
    };
    let rest = ["create-policy reader", "create-role pods", "attach-policy reader to pods"];
    check(&reader(PODS), &with("pods", Tags::new()), &rest, &[]);
    assert_eq!(codes(&plan(&reader(PODS), &with("else", Tags::new())), Severity::Error), ["association-taken"]);
    let replaced = [
        "create-policy reader",
        "create-role pods",
        "attach-policy reader to pods",
        // Not before the new role has what it should have.
        "update-association pods instead of else to flyte/sa in edu",
    ];
    check(&reader(PODS), &with("else", owner("mine")), &replaced, &[]);
    // What no grant names any more goes at the end.
    let left =
        ["create-policy reader", "attach-policy reader to nodes-a", "delete-association pods from flyte/sa in edu"];
    check(&reader(r#"attach = [{ role = "nodes-a" }]"#), &with("pods", owner("mine")), &left, &[]);
    check(&reader(r#"attach = [{ role = "nodes-a" }]"#), &with("pods", Tags::new()), &left[..2], &[]);
}

#[test]
fn limits_are_held_before_anything_is_written() {
    let full: Vec<String> = (0..10).map(|number| format!("p{number}")).collect();
    let full: Vec<&str> = full.iter().map(String::as_str).collect();
    let mut state = account();
    state.with_role(role("nodes-a", &full, Tags::new()));
    let layout = reader(r#"attach = [{ role = "nodes-a" }]"#);
    assert_eq!(codes(&plan(&layout, &state), Severity::Error), ["quota-exceeded"]);
    state.quotas = Seen::Hidden("not authorized".to_owned());
    let unsure = plan(&layout, &state);
    assert_eq!((codes(&unsure, Severity::Error).len(), codes(&unsure, Severity::Warning).len()), (0, 1));
    state = account();
    state.quotas = Seen::Here(IamQuotas { policies_left: 0, trust_characters: 100, roles_left: 0, ..IamQuotas::USUAL });
    assert_eq!(codes(&plan(&reader(IRSA), &state), Severity::Error), ["quota-exceeded"; 3]);
}

#[test]
fn the_directory_gets_the_roles_that_a_layout_names() {
    let mut state = account();
    state.is_directory = true;
    state.oidc_providers = Seen::Absent;
    let made = ["create-policy reader", "create-role trainer", "attach-policy reader to trainer"];
    check(&reader(r#"attach = [{ role = "trainer" }]"#), &state, &made, &[]);
    check(&reader(IRSA), &state, &["create-policy reader", "create-role pods", "attach-policy reader to pods"], &[]);
}

#[test]
fn two_grants_share_a_role_and_its_trust() {
    let to = |account: &str| {
        format!(
            "attach = [{{ irsa = {{ cluster = \"edu\", namespace = \"ns\", service_account = \"{account}\", role = \"pods\" }} }}]"
        )
    };
    let layout = layout(&format!("{}{}", grant("one", &to("a")), grant("two", &to("b"))));
    let made = [
        "create-policy one",
        "create-policy two",
        "create-role pods",
        "attach-policy one to pods",
        "attach-policy two to pods",
    ];
    let plan = check(&layout, &account(), &made, &[]);
    let subjects = &trust(&plan)["Statement"][0]["Condition"]["StringEquals"][format!("{ISSUER}:sub")];
    assert_eq!(*subjects, serde_json::json!(["system:serviceaccount:ns:a", "system:serviceaccount:ns:b"]));
}

#[test]
fn what_turns_can_be_asked_as_the_role() {
    let check = |layout: &Layout, state: &AccountState, found: &Role, wanted: &[(&str, bool)]| {
        let plan = plan(layout, state);
        let turned = plan.turned.iter().find(|turned| turned.role == found.name).unwrap();
        let asked = turned.questions(found);
        let told: Vec<(&str, bool)> = asked.iter().map(|turn| (turn.operation.word(), turn.allowed)).collect();
        assert_eq!(told, wanted, "{asked:?}");
        assert!(asked.iter().all(|turn| turn.bucket.as_str() == "lake-one"));
    };
    let to_trainer = reader("attach = [{ role = \"trainer\" }]");
    let plain = role("trainer", &["reader"], Tags::new());
    let bounded = Role { boundary: Some(arn("policy/fence")), ..plain.clone() };
    let inline = |document| crate::model::InlinePolicy { name: "own".parse().unwrap(), document };
    let with_own = Role { inline: vec![inline(stale())], ..plain.clone() };
    let mut state = account();
    state.with_role(role("trainer", &[], Tags::new()));
    check(&to_trainer, &state, &plain, &[("list", true)]);
    check(&to_trainer, &state, &bounded, &[]);
    check(&to_trainer, &state, &with_own, &[("list", true)]);
    // A new version that reads, in the place of one that only deletes: what closes can only be told by deleting.
    state.with_role(plain.clone());
    state.with_policy(policy("reader", &[&stale()], whole_tags()), &["trainer"]);
    check(&to_trainer, &state, &plain, &[("list", true)]);
    // The grant leaves the layout, and its role with it.
    let mut state = account();
    let former = policy("reader", &[&wanted(&to_trainer)], whole_tags());
    state.with_policy(former.clone(), &["trainer"]);
    state.policies.clear();
    state.former = Seen::Here(vec![former]);
    let bare = role("trainer", &[], Tags::new());
    check(&layout(""), &state, &bare, &[("list", false)]);
    check(&layout(""), &state, &Role { attached: vec![arn("policy/theirs")], ..bare.clone() }, &[]);
    check(&layout(""), &state, &Role { boundary: Some(arn("policy/fence")), ..bare }, &[("list", false)]);
}
