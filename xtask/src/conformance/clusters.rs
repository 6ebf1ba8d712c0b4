//! Clusters of other servers as `cluster show` tells them, manifests by Kubernetes' own schemas, and syncs by several pods.
#![expect(clippy::disallowed_methods, reason = "layouts and data are files")]

use super::clients::{same_files, write_files};
use super::endpoint::{Endpoint, Peer, moto};
use super::lab::{Lab, Ran};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

const BUCKET: &str = "bsingh-ml-workflows";
const CLUSTER: &str = "education-eks-vV8VCAqw";
const ACCOUNT: &str = "245966534215";
/// Node groups, the roles of their nodes, and the hop limit of their launch templates.
const GROUPS: [(&str, &str, &str); 2] = [
    ("node-group-1-2025072404024606990000001e", "node-group-1-eks-node-group-20250724035220727000000001", "1"),
    ("node-group-2-2025072404024606990000001f", "node-group-2-eks-node-group-20250724035220727200000003", "2"),
];
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

/// An account that the AWS CLI fills and ours looks at.
struct Account<'lab> {
    lab: &'lab Lab,
    endpoint: Endpoint,
}

impl Account<'_> {
    fn aws(&self, words: &[&str]) -> Result<Value> {
        let mut command = self.endpoint.give(self.lab.client("aws"));
        let text = self.lab.expect(command.args(words).args(["--output", "json"]))?;
        Ok(if text.trim().is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }

    /// One field of an answer, by its JSON pointer.
    fn field(&self, words: &[&str], pointer: &str) -> Result<String> {
        let answer = self.aws(words)?;
        let found = answer.pointer(pointer).and_then(Value::as_str);
        Ok(found.with_context(|| format!("no {pointer} in {answer}"))?.to_owned())
    }

    fn ours(&self, words: &[&str], code: i32) -> Result<Vec<Value>> {
        let mut command = self.endpoint.give(self.lab.bucketwright());
        let ran: Ran = self.lab.run(command.args(words).args(["--output", "json"]))?.exit(code)?;
        ran.stdout.lines().map(|line| serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))).collect()
    }

    fn role(&self, name: &str) -> Result<String> {
        let made = ["iam", "create-role", "--role-name", name, "--assume-role-policy-document", TRUST];
        self.field(&made, "/Role/Arn")
    }

    /// A cluster in these subnets, with a node group for each of [`GROUPS`] from a launch template of its own.
    fn cluster(&self, subnets: &str) -> Result<()> {
        let control = self.role("education-eks-control-plane")?;
        let network = format!("subnetIds={subnets}");
        let first = subnets.split(',').next().unwrap_or_default();
        let made = ["--name", CLUSTER, "--role-arn", &control, "--resources-vpc-config", &network];
        self.aws(&[&["eks", "create-cluster"][..], &made].concat())?;
        for (group, role, hop_limit) in GROUPS {
            let arn = self.role(role)?;
            self.aws(&["iam", "create-instance-profile", "--instance-profile-name", &format!("eks-{hop_limit}")])?;
            let put = ["--instance-profile-name", &format!("eks-{hop_limit}"), "--role-name", role];
            self.aws(&[&["iam", "add-role-to-instance-profile"][..], &put].concat())?;
            let metadata = json!({ "HttpPutResponseHopLimit": hop_limit.parse::<u32>()?, "HttpTokens": "required" });
            let data = json!({ "MetadataOptions": metadata }).to_string();
            let template = ["--launch-template-name", group, "--launch-template-data", &data];
            let template = [&["ec2", "create-launch-template"][..], &template].concat();
            let template = self.field(&template, "/LaunchTemplate/LaunchTemplateId")?;
            let from = format!("id={template},version=1");
            let to = ["--cluster-name", CLUSTER, "--nodegroup-name", group, "--node-role", &arn];
            let to = [&to[..], &["--subnets", first, "--launch-template", &from]].concat();
            self.aws(&[&["eks", "create-nodegroup"][..], &to].concat())?;
        }
        Ok(())
    }

    /// An instance with the tags that its maker writes.
    fn node(&self, subnet: &str, profile: &str, tag: (&str, &str), hop_limit: &str) -> Result<()> {
        let (image, metadata) = ("ami-12c6146b", format!("HttpPutResponseHopLimit={hop_limit},HttpTokens=required"));
        let owned = format!("{{Key=kubernetes.io/cluster/{CLUSTER},Value=owned}}");
        let tags = format!("ResourceType=instance,Tags=[{{Key={},Value={}}},{owned}]", tag.0, tag.1);
        let words =
            ["ec2", "run-instances", "--image-id", image, "--subnet-id", subnet, "--metadata-options", &metadata];
        let profile = format!("Name={profile}");
        self.aws(&[&words[..], &["--tag-specifications", &tags, "--iam-instance-profile", &profile]].concat())?;
        Ok(())
    }
}

fn layout(lab: &Lab, attach: &str) -> Result<()> {
    let text = format!(
        "version = 1\nlayout = \"ml-workflows\"\n[vars]\nx = \"\"\n\
         [[bucket]]\nname = \"{BUCKET}\"\nmanage = \"verify\"\ntags = {{ note = \"${{x}}\" }}\n\
         template = \"ml-project\"\nprojects = [\"credit-scoring\"]\n\
         [[grant]]\npolicy = \"FlyteMLS3Access\"\naccess = \"read-write\"\non = [\"{BUCKET}\"]\nattach = [{attach}]\n"
    );
    Ok(fs::write(lab.path("layout.toml"), text)?)
}

fn of_type<'lines>(lines: &'lines [Value], kind: &str) -> Vec<&'lines Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, wanted: &T) -> Result<()> {
    ensure!(found == wanted, "{what}: found {found:?}, wanted {wanted:?}");
    Ok(())
}

/// moto with the cluster of the manual steps: node groups with hop limits 1 and 2, a node of Karpenter, a gateway endpoint
/// in the route table of one subnet of two. `cluster show` says which pods can use the grant.
pub(crate) fn moto_cluster(lab: &Lab) -> Result<()> {
    let account = Account { lab, endpoint: moto(lab, ACCOUNT)? };
    let vpc = account.field(&["ec2", "create-vpc", "--cidr-block", "10.0.0.0/16"], "/Vpc/VpcId")?;
    let subnet = |block: &str| {
        account.field(&["ec2", "create-subnet", "--vpc-id", &vpc, "--cidr-block", block], "/Subnet/SubnetId")
    };
    let (near, far) = (subnet("10.0.1.0/24")?, subnet("10.0.2.0/24")?);
    let table = account.field(&["ec2", "create-route-table", "--vpc-id", &vpc], "/RouteTable/RouteTableId")?;
    account.aws(&["ec2", "associate-route-table", "--route-table-id", &table, "--subnet-id", &near])?;
    let endpoint = ["--vpc-id", &vpc, "--service-name", "com.amazonaws.us-east-1.s3", "--route-table-ids", &table];
    let endpoint = [&["ec2", "create-vpc-endpoint"][..], &endpoint].concat();
    let endpoint = account.field(&endpoint, "/VpcEndpoint/VpcEndpointId")?;
    account.cluster(&format!("{near},{far}"))?;
    for (group, _, hop_limit) in GROUPS {
        account.node(&near, &format!("eks-{hop_limit}"), ("eks:nodegroup-name", group), hop_limit)?;
    }
    account.role("karpenter-node")?;
    account.aws(&["iam", "create-instance-profile", "--instance-profile-name", "karpenter"])?;
    let put = ["--instance-profile-name", "karpenter", "--role-name", "karpenter-node"];
    account.aws(&[&["iam", "add-role-to-instance-profile"][..], &put].concat())?;
    account.node(&far, "karpenter", ("karpenter.sh/nodepool", "gpu"), "2")?;

    layout(lab, &format!("{{ eks_cluster = \"{CLUSTER}\", node_groups = \"*\" }}"))?;
    let lines = account.ours(&["cluster", "show", CLUSTER, "layout.toml"], 4)?;
    let groups = of_type(&lines, "node-group");
    let told: Vec<[&str; 4]> = groups
        .iter()
        .map(|group| ["kind", "name", "role_name", "pods"].map(|field| group[field].as_str().unwrap_or_default()))
        .collect();
    let [one, two] = GROUPS;
    let wanted = vec![
        ["managed", one.0, one.1, "host-network"],
        ["managed", two.0, two.1, "every"],
        ["karpenter", "gpu", "karpenter-node", "every"],
    ];
    same("nodes", &told, &wanted)?;
    same("hop limits", &groups[0]["hop_limits"], &json!([1]))?;
    same("instance profile", &groups[1]["instance_profiles"], &json!(["eks-2"]))?;
    ensure!(groups[0]["launch_template"].as_str().is_some_and(|id| id.starts_with("lt-")), "{}", groups[0]);
    let shown = &of_type(&lines, "cluster")[0];
    ensure!(shown["control_plane_role"].as_str().is_some_and(|role| role.ends_with("control-plane")), "{shown}");
    let gateway = of_type(&lines, "vpc-endpoint");
    let gateway = gateway.first().context("no endpoint is told")?;
    same("endpoint", &gateway["id"], &json!(endpoint))?;
    same("subnets", &(gateway["subnets"].clone(), gateway["missing"].clone()), &(json!([near]), json!([far])))?;
    let reach: Vec<&Value> = of_type(&lines, "reach").iter().map(|way| &way["pods"]).collect();
    same("reach", &reach, &vec![&json!("host-network"), &json!("every")])?;
    let codes: BTreeSet<&str> =
        of_type(&lines, "finding").iter().filter_map(|finding| finding["code"].as_str()).collect();
    let wanted = ["grant-reaches-no-pod", "grant-to-every-pod", "nodes-left-out", "no-way-to-s3"];
    same("findings", &codes, &BTreeSet::from(wanted))
}

/// MiniStack with authentication on, as a user who may look at EKS and IAM but not at EC2: what EC2 would tell is unknown.
pub(crate) fn denied(lab: &Lab) -> Result<()> {
    let mut account = Account { lab, endpoint: Peer::Ministack.start(lab)? };
    account.cluster("subnet-1,subnet-2")?;
    account.aws(&["iam", "create-user", "--user-name", "looker"])?;
    let policy =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["eks:*","iam:*"],"Resource":"*"}]}"#;
    let put = ["--user-name", "looker", "--policy-name", "look", "--policy-document", policy];
    account.aws(&[&["iam", "put-user-policy"][..], &put].concat())?;
    let keys = account.aws(&["iam", "create-access-key", "--user-name", "looker"])?;
    let key = |name: &str| keys["AccessKey"][name].as_str().unwrap_or_default().to_owned();
    account.endpoint = account.endpoint.with_keys(key("AccessKeyId"), key("SecretAccessKey"));
    let lines = account.ours(&["cluster", "show", CLUSTER], 0)?;
    let shown = of_type(&lines, "cluster");
    let unknown = shown[0]["unknown"].as_array().cloned().unwrap_or_default();
    let parts: BTreeSet<&str> = unknown.iter().filter_map(|one| one["part"].as_str()).collect();
    ensure!(parts.contains("nodes"), "the nodes may not be read, and it says {unknown:?}");
    for group in of_type(&lines, "node-group") {
        same("pods", &group["pods"], &json!("unknown"))?;
        ensure!(group.get("nodes").is_none(), "nodes were counted that nobody may see: {group}");
    }
    Ok(())
}

/// Jobs by Kubernetes' own schemas, and by the rules of the restricted Pod Security Standard.
pub(crate) fn manifests(lab: &Lab) -> Result<()> {
    let programs = lab.install("kubernetes", &["kubernetes-validate==1.37.0"])?;
    let irsa = format!(
        "{{ irsa = {{ cluster = \"{CLUSTER}\", namespace = \"flyte\", service_account = \"flyte\", role = \"flyte\" }} }}"
    );
    layout(lab, &format!("{{ eks_cluster = \"{CLUSTER}\", node_groups = [\"{}\", \"gpu\"] }}, {irsa}", GROUPS[0].0))?;
    let job = |words: &[&str]| lab.expect(lab.bucketwright().args(["cluster", "job"]).args(words));
    let verify = job(&["verify", "--image", "img:1", "--set", "x=a: b @ c", "--no-write"])?;
    fs::write(lab.path("verify.yaml"), verify)?;
    let account = ["--image", "img:1", "--service-account", "ml/copier", "--node-group", "gpu"];
    let places = ["sync", "/data/x", "s3://lake/x/", "--claim", "images", "--shards", "3"];
    fs::write(lab.path("sync.yaml"), job(&[&places[..], &account, &["--", "--exclude", "*.tmp"]].concat())?)?;
    let script = lab.root.join("xtask/conformance/manifests.py");
    let mut python = lab.command(&programs.join("python"));
    let said = lab.expect(python.arg(script).args(["layout.toml", "verify.yaml", "sync.yaml"]))?;
    ensure!(said.contains("4 Jobs, 2 ConfigMaps"), "{said}");
    Ok(())
}

/// Three processes with completion indexes 0 to 2 do a sync together: disjoint, complete, equal.
pub(crate) fn shards(lab: &Lab) -> Result<()> {
    let endpoint = Peer::Embedded.start(lab)?;
    let data = lab.path("data");
    write_files(&data)?;
    for number in 0..300 {
        fs::write(data.join(format!("n{number:03}")), format!("content {number}"))?;
    }
    lab.expect(endpoint.give(lab.client("aws")).args(["s3api", "create-bucket", "--bucket", BUCKET]))?;
    let target = format!("s3://{BUCKET}/data/");
    let pod = |index: usize| {
        let mut command = endpoint.give(lab.bucketwright());
        command.env("JOB_COMPLETION_INDEX", index.to_string()).env("XDG_STATE_HOME", lab.path(&format!("pod-{index}")));
        command.args(["sync", "data", &target, "--shard", "auto/3", "--output", "json"]);
        lab.run(&mut command)?.exit(0)
    };
    let ran: Vec<Ran> = std::thread::scope(|scope| {
        let pods: Vec<_> = (0..3).map(|index| scope.spawn(move || pod(index))).collect();
        pods.into_iter().map(|pod| pod.join().map_err(|_| anyhow::anyhow!("a pod panicked"))?).collect::<Result<_>>()
    })?;
    let mut sent = BTreeSet::new();
    for pod in &ran {
        let mut own = 0;
        for line in pod.stdout.lines() {
            let line: Value = serde_json::from_str(line)?;
            if line["type"] == "action" {
                let target = line["target"].as_str().unwrap_or_default().to_owned();
                ensure!(sent.insert(target.clone()), "two pods sent {target}");
                own += 1;
            }
        }
        ensure!(own > 50, "one pod did {own} files of more than 300");
    }
    let back = lab.path("back");
    fs::create_dir_all(&back)?;
    lab.expect(endpoint.give(lab.client("aws")).args(["s3", "sync", "--only-show-errors", &target, "back"]))?;
    same_files(&data, &back)
}
