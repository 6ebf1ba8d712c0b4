//! What nodes, routes and grants mean for pods, by tables.

use super::{Granting, grants, nodes::reach, view};
use crate::layout::{Layout, ParseOptions};
use crate::model::{
    Arn, Cluster, ClusterSurvey, FargateProfile, GroupSurvey, LaunchTemplate, MetadataOptions, Node, NodeGroup,
    NodeMaker, PodIdentityAssociation, PolicyJson, RouteTable, Seen, Tags, Tokens, VpcEndpoint,
};
use crate::report::{ClusterNodes, Pods, ReachRecord};
use std::collections::BTreeMap;

const BUCKET: &str = "bsingh-ml-workflows";

fn metadata(hop_limit: u32, tokens: Tokens) -> MetadataOptions {
    MetadataOptions { hop_limit: Some(hop_limit), tokens: Some(tokens), enabled: Some(true) }
}

fn role(name: &str) -> Arn {
    format!("arn:aws:iam::245966534215:role/{name}").parse().unwrap()
}

fn node(id: &str, maker: NodeMaker, metadata: MetadataOptions) -> Node {
    Node { id: id.to_owned(), maker, profile: Some("eks-1".to_owned()), subnet: None, vpc: None, metadata }
}

fn of_group(id: &str, group: &str, hop_limit: u32) -> Node {
    node(id, NodeMaker::Managed(group.to_owned()), metadata(hop_limit, Tokens::Required))
}

fn cluster() -> Cluster {
    let group = |name: &str| NodeGroup { name: name.to_owned(), role: role(&format!("{name}-role")) };
    Cluster {
        name: "lab".to_owned(),
        arn: "arn:aws:eks:us-east-1:245966534215:cluster/lab".parse().unwrap(),
        control_plane_role: Some(role("control")),
        oidc_issuer: Some("https://oidc.eks.us-east-1.amazonaws.com/id/A".to_owned()),
        node_groups: vec![group("one"), group("two")],
        associations: Vec::new(),
        addons: vec![super::AGENT.to_owned()],
        auto_mode_role: None,
        unread: Vec::new(),
    }
}

fn survey(nodes: Vec<Node>) -> ClusterSurvey {
    ClusterSurvey {
        status: Some("ACTIVE".to_owned()),
        version: Some("1.33".to_owned()),
        vpc: Some("vpc-1".to_owned()),
        subnets: vec!["subnet-1".to_owned(), "subnet-2".to_owned()],
        groups: BTreeMap::new(),
        fargate: Seen::Here(Vec::new()),
        nodes: Seen::Here(nodes),
        profiles: BTreeMap::new(),
        profile_roles: BTreeMap::new(),
        endpoints: Seen::Here(Vec::new()),
        route_tables: Seen::Here(Vec::new()),
    }
}

fn with_template(mut survey: ClusterSurvey, metadata: Seen<MetadataOptions>) -> ClusterSurvey {
    let template = LaunchTemplate { id: "lt-1".to_owned(), version: "1".to_owned(), metadata };
    let group = GroupSurvey { status: None, image: None, subnets: Vec::new(), template: Some(template) };
    survey.groups.insert("one".to_owned(), group);
    survey
}

fn layout(grants: &str) -> Layout {
    let text = format!(
        "version = 1\nlayout = \"ml\"\naccount = \"245966534215\"\n[[bucket]]\nname = \"{BUCKET}\"\ntemplate = \"ml-project\"\n\
         projects = [\"a\"]\nwaive = {{ access-log = \"test\" }}\n{grants}"
    );
    let (set, env_vars) = (BTreeMap::new(), BTreeMap::new());
    let options = ParseOptions { file_stem: "layout", environment: None, set: &set, env_vars: &env_vars };
    crate::layout::parse(text.as_bytes(), &options).unwrap()
}

fn grant(attach: &str) -> Layout {
    layout(&format!("[[grant]]\npolicy = \"P\"\naccess = \"read-write\"\non = [\"{BUCKET}\"]\nattach = [{attach}]\n"))
}

#[test]
fn pods_get_what_the_metadata_service_sends_far_enough() {
    for (enabled, hop_limit, tokens, pods) in [
        (Some(true), Some(1), Some(Tokens::Required), Pods::HostNetwork),
        (Some(true), Some(2), Some(Tokens::Required), Pods::Every),
        (None, Some(64), None, Pods::Every),
        (Some(true), Some(1), Some(Tokens::Optional), Pods::Every),
        (Some(true), None, Some(Tokens::Optional), Pods::Every),
        (Some(false), Some(2), Some(Tokens::Optional), Pods::Nobody),
        (Some(true), Some(1), None, Pods::Unknown),
        (Some(true), None, Some(Tokens::Required), Pods::Unknown),
        (None, None, None, Pods::Unknown),
    ] {
        assert_eq!(
            reach(&MetadataOptions { hop_limit, tokens, enabled }).0,
            pods,
            "{enabled:?} {hop_limit:?} {tokens:?}"
        );
    }
}

#[test]
fn what_a_template_leaves_open_is_no_reason_for_what_it_says() {
    let of = |enabled, tokens| {
        let promised = MetadataOptions { hop_limit: None, tokens, enabled };
        let group = view(&cluster(), &with_template(survey(Vec::new()), Seen::Here(promised))).nodes.remove(0);
        (group.pods, group.because)
    };
    let (pods, because) = of(Some(false), None);
    assert!(pods == Pods::Nobody && because.contains("the metadata service is off"), "{because}");
    let (pods, because) = of(None, Some(Tokens::Optional));
    assert!(pods == Pods::Every && because.contains("tokens are optional"), "{because}");
    let (pods, because) = of(None, None);
    assert!(pods == Pods::Unknown && because.contains("leaves the hop limit"), "{because}");
}

#[test]
fn a_group_that_was_not_looked_at_is_not_said_to_lack_a_template() {
    let because = |survey: &ClusterSurvey| view(&cluster(), survey).nodes.remove(0).because;
    assert!(because(&survey(Vec::new())).contains("was not read"));
    let mut looked_at = survey(Vec::new());
    let group = GroupSurvey { status: None, image: None, subnets: Vec::new(), template: None };
    looked_at.groups.insert("one".to_owned(), group);
    assert!(because(&looked_at).contains("no launch template of its own"));
}

#[test]
fn pods_of_fargate_are_told_by_wildcards_too() {
    let pod =
        "{ pod_identity = { cluster = \"lab\", namespace = \"flyte-a\", service_account = \"sa\", role = \"pods\" } }";
    for (namespace, on_fargate) in
        [("flyte-a", true), ("flyte-*", true), ("flyte-?", true), ("flyte", false), ("*-b", false)]
    {
        let association = PodIdentityAssociation {
            id: "a-1".to_owned(),
            namespace: "flyte-a".to_owned(),
            service_account: "sa".to_owned(),
            role: role("pods"),
            tags: Tags::new(),
        };
        let cluster = Cluster { associations: vec![association], ..cluster() };
        let profile = FargateProfile { name: "fp".to_owned(), role: None, namespaces: vec![namespace.to_owned()] };
        let seen = ClusterSurvey { fargate: Seen::Here(vec![profile]), ..survey(Vec::new()) };
        let way = grants(&grant(pod), &cluster, &seen, &BTreeMap::new()).ways.remove(0);
        assert_eq!(way.because.contains("Fargate"), on_fargate, "{namespace}: {}", way.because);
    }
}

#[test]
fn nodes_of_one_maker_with_different_roles_are_told_apart() {
    let alone = |id: &str, profile: &str| Node {
        profile: Some(profile.to_owned()),
        ..node(id, NodeMaker::SelfManaged(String::new()), metadata(2, Tokens::Required))
    };
    let mut seen =
        survey(vec![alone("i-1", "of-a"), alone("i-2", "of-b"), alone("i-3", "of-one"), alone("i-4", "dark")]);
    seen.profile_roles.insert("of-a".to_owned(), Seen::Here(role("a")));
    seen.profile_roles.insert("of-b".to_owned(), Seen::Here(role("b")));
    // Profiles of the groups' roles are known by these.
    seen.profiles.insert("one-role".parse().unwrap(), Seen::Here(vec!["of-one".to_owned()]));
    let found = view(&cluster(), &seen).nodes;
    let of_hand = found.iter().filter(|record| record.kind == ClusterNodes::SelfManaged);
    let roles: Vec<_> = of_hand.map(|record| (record.role_name.clone().unwrap_or_default(), record.nodes)).collect();
    let one = |name: &str| (name.to_owned(), Some(1));
    assert_eq!(roles, [one(""), one("a"), one("b"), one("one-role")]);
    let layout = grant("{ role = \"b\" }");
    let ways = grants(&layout, &cluster(), &seen, &BTreeMap::new()).ways;
    assert_eq!(ways.iter().map(|way| way.role.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_group_is_what_its_nodes_are_and_else_what_its_template_promises() {
    let first = |survey: &ClusterSurvey| view(&cluster(), survey).nodes.remove(0);
    let one = |hop_limit| survey(vec![of_group("i-1", "one", hop_limit)]);
    assert_eq!(first(&one(1)).pods, Pods::HostNetwork);
    assert_eq!(first(&one(2)).pods, Pods::Every);
    let both = first(&survey(vec![of_group("i-1", "one", 1), of_group("i-2", "one", 2)]));
    assert_eq!((both.pods, both.hop_limits, both.nodes), (Pods::Mixed, vec![1, 2], Some(2)));
    // Other hop limits with one consequence are no mixture.
    assert_eq!(first(&survey(vec![of_group("i-1", "one", 3), of_group("i-2", "one", 2)])).pods, Pods::Every);

    let promised = first(&with_template(one(1), Seen::Here(metadata(2, Tokens::Required))));
    assert_eq!(promised.pods, Pods::HostNetwork);
    assert!(promised.new_nodes.unwrap().starts_with("every pod: hop limit 2"));
    assert_eq!(first(&with_template(one(2), Seen::Here(metadata(2, Tokens::Required)))).new_nodes, None);
    let empty = first(&with_template(survey(Vec::new()), Seen::Here(metadata(2, Tokens::Required))));
    assert_eq!((empty.pods, empty.nodes), (Pods::Every, Some(0)));

    let mut blind = with_template(survey(Vec::new()), Seen::Here(metadata(2, Tokens::Required)));
    blind.nodes = Seen::Hidden("not authorized".to_owned());
    let blind = first(&blind);
    assert_eq!((blind.pods, blind.nodes), (Pods::Unknown, None), "nodes may be of an older version");
    assert!(blind.because.contains("not authorized") && blind.because.contains("hop limit 2"), "{}", blind.because);
    let hidden = first(&with_template(survey(Vec::new()), Seen::Hidden("not authorized".to_owned())));
    assert_eq!(hidden.pods, Pods::Unknown);
    assert!(hidden.because.contains("not authorized"), "{}", hidden.because);
}

#[test]
fn nodes_outside_of_managed_groups_are_named_as_such() {
    let maker = |maker| node("i-9", maker, metadata(2, Tokens::Required));
    let mut seen = survey(vec![
        maker(NodeMaker::Karpenter("gpu".to_owned())),
        maker(NodeMaker::AutoMode("general".to_owned())),
        maker(NodeMaker::SelfManaged("asg-1".to_owned())),
    ]);
    seen.profile_roles.insert("eks-1".to_owned(), Seen::Here(role("other")));
    let shown = view(&cluster(), &seen).nodes;
    let kinds: Vec<_> = shown.iter().map(|one| (one.kind, one.name.as_str(), one.role_name.as_deref())).collect();
    assert_eq!(
        kinds,
        [
            (ClusterNodes::Managed, "one", Some("one-role")),
            (ClusterNodes::Managed, "two", Some("two-role")),
            (ClusterNodes::AutoMode, "general", Some("other")),
            (ClusterNodes::Karpenter, "gpu", Some("other")),
            (ClusterNodes::SelfManaged, "asg-1", Some("other")),
        ]
    );
    let Granting { findings, .. } = granted(&grant("{ eks_cluster = \"lab\", node_groups = \"*\" }"), &seen);
    let left = findings.iter().find(|finding| finding.code == "nodes-left-out").unwrap();
    assert!(left.message.ends_with("leaves out Karpenter nodes, self-managed nodes"), "{}", left.message);
}

fn granted(layout: &Layout, survey: &ClusterSurvey) -> Granting {
    grants(layout, &cluster(), survey, &BTreeMap::new())
}

fn codes(granting: &Granting) -> Vec<&'static str> {
    granting.findings.iter().map(|finding| finding.code).collect()
}

fn ways(granting: &Granting) -> Vec<(String, Pods)> {
    granting.ways.iter().map(|way: &ReachRecord| (way.target.clone(), way.pods)).collect()
}

#[test]
fn a_grant_reaches_whom_its_nodes_let_it() {
    let seen = survey(vec![of_group("i-1", "one", 1), of_group("i-2", "two", 2)]);
    let both = granted(&grant("{ eks_cluster = \"lab\", node_groups = \"*\" }"), &seen);
    let wanted = [("node group one".to_owned(), Pods::HostNetwork), ("node group two".to_owned(), Pods::Every)];
    assert_eq!(ways(&both), wanted);
    assert_eq!(codes(&both), ["grant-reaches-no-pod", "grant-to-every-pod"]);
    let by_role = granted(&grant("{ role = \"two-role\" }"), &seen);
    assert_eq!(ways(&by_role), wanted[1..]);
    let control = granted(&grant("{ role = \"control\" }"), &seen);
    assert_eq!((codes(&control), ways(&control).len()), (vec!["control-plane-role"], 0));
    let wrong = granted(&grant("{ eks_cluster = \"lab\", node_groups = [\"three\"] }"), &seen);
    assert_eq!(codes(&wrong), ["node-group-missing"]);
    let elsewhere = granted(&grant("{ eks_cluster = \"other\", node_groups = \"*\" }"), &seen);
    assert_eq!(codes(&elsewhere), ["no-grant-here"]);
}

#[test]
fn pod_identity_needs_agent_and_association() {
    let wanted = grant(
        "{ pod_identity = { cluster = \"lab\", namespace = \"ns\", service_account = \"sa\", role = \"pods\" } }",
    );
    let check = |change: &dyn Fn(&mut Cluster), pods: Pods| {
        let mut cluster = cluster();
        cluster.associations.push(PodIdentityAssociation {
            id: "a-1".to_owned(),
            namespace: "ns".to_owned(),
            service_account: "sa".to_owned(),
            role: role("pods"),
            tags: Tags::default(),
        });
        change(&mut cluster);
        let granting = grants(&wanted, &cluster, &survey(Vec::new()), &BTreeMap::new());
        assert_eq!(ways(&granting), [("service account ns/sa".to_owned(), pods)]);
        assert_eq!(codes(&granting).contains(&"grant-reaches-no-pod"), pods == Pods::Nobody);
    };
    check(&|_| {}, Pods::ServiceAccount);
    check(&|cluster| cluster.associations.clear(), Pods::Nobody);
    check(&|cluster| cluster.associations[0].role = role("other"), Pods::Nobody);
    check(&|cluster| cluster.addons.clear(), Pods::Nobody);
    check(
        &|cluster| {
            cluster.addons.clear();
            cluster.auto_mode_role = Some(role("auto"));
        },
        Pods::ServiceAccount,
    );
}

fn gateway(route_tables: &[&str], policy: &str) -> VpcEndpoint {
    VpcEndpoint {
        id: "vpce-1".to_owned(),
        kind: "Gateway".to_owned(),
        state: "available".to_owned(),
        route_tables: route_tables.iter().map(|&id| id.to_owned()).collect(),
        policy: Some(PolicyJson(policy.to_owned())),
    }
}

fn table(id: &str, is_main: bool, subnets: &[&str], way_out: Option<&str>) -> RouteTable {
    let subnets = subnets.iter().map(|&subnet| subnet.to_owned()).collect();
    RouteTable { id: id.to_owned(), is_main, subnets, way_out: way_out.map(str::to_owned) }
}

const OPEN: &str = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}"#;

#[test]
fn route_tables_decide_which_subnets_reach_the_gateway() {
    let check = |endpoints: Vec<VpcEndpoint>, second: Option<&str>, wanted: &[&str]| {
        let mut seen = survey(Vec::new());
        let tables = vec![table("rtb-1", true, &[], Some("nat-1")), table("rtb-2", false, &["subnet-2"], second)];
        (seen.endpoints, seen.route_tables) = (Seen::Here(endpoints), Seen::Here(tables));
        let shown = view(&cluster(), &seen);
        assert_eq!(shown.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), wanted);
        let fixes: Vec<String> = shown.findings.into_iter().filter_map(|finding| finding.fix).collect();
        (shown.endpoints, fixes.concat())
    };
    let (whole, _) = check(vec![gateway(&["rtb-1", "rtb-2"], OPEN)], None, &[]);
    assert_eq!((whole[0].subnets.len(), whole[0].missing.len(), whole[0].policy), (2, 0, "everything"));
    let (half, added) = check(vec![gateway(&["rtb-1"], OPEN)], Some("nat-2"), &["no-s3-gateway"]);
    let command =
        "`aws ec2 modify-vpc-endpoint --region us-east-1 --vpc-endpoint-id vpce-1 --add-route-table-ids rtb-2`";
    assert!(added.contains(command), "{added}");
    assert_eq!(
        (&half[0].subnets[..], &half[0].missing[..]),
        (&["subnet-1".to_owned()][..], &["subnet-2".to_owned()][..])
    );
    check(vec![gateway(&["rtb-1"], OPEN)], None, &["no-way-to-s3"]);
    let (_, made) = check(Vec::new(), None, &["no-way-to-s3", "no-s3-gateway"]);
    let command = "`aws ec2 create-vpc-endpoint --region us-east-1 --vpc-id vpc-1 --service-name com.amazonaws.us-east-1.s3 \
                   --route-table-ids rtb-1 rtb-2`";
    assert_eq!(made.matches(command).count(), 2, "one command for both: {made}");
}

#[test]
fn an_endpoint_that_lets_less_through_than_a_grant_gives_is_told() {
    let wanted = grant("{ eks_cluster = \"lab\", node_groups = [\"two\"] }");
    let check = |policy: &str, refused: bool| {
        let mut seen = survey(vec![of_group("i-2", "two", 2)]);
        seen.endpoints = Seen::Here(vec![gateway(&[], policy)]);
        assert_eq!(codes(&granted(&wanted, &seen)).contains(&"endpoint-policy"), refused, "{policy}");
    };
    check(OPEN, false);
    let of_bucket = format!(
        r#"{{"Statement":[{{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::{BUCKET}","arn:aws:s3:::{BUCKET}/*"]}}]}}"#
    );
    check(&of_bucket, false);
    check(&of_bucket.replace("s3:*", "s3:Get*"), true);
    check(&of_bucket.replace(BUCKET, "other"), true);
}

#[test]
fn what_may_not_be_read_is_unknown() {
    let mut seen = survey(Vec::new());
    seen.nodes = Seen::Hidden("UnauthorizedOperation: no".to_owned());
    seen.endpoints = Seen::Hidden("UnauthorizedOperation: no".to_owned());
    let shown = view(&cluster(), &seen);
    let parts: Vec<_> = shown.cluster.unknown.iter().map(|one| one.part).collect();
    assert_eq!(parts, ["nodes", "vpc-endpoints"]);
    assert!(shown.findings.is_empty() && shown.nodes.iter().all(|group| group.pods == Pods::Unknown));
    let granting = granted(&grant("{ eks_cluster = \"lab\", node_groups = \"*\" }"), &seen);
    assert_eq!(codes(&granting), ["grant-reach-unknown"; 2]);
}
