//! As whom each pod asks AWS: the first of what its SDK looks at, which are keys, a token, an agent, and its node.
//!
//! The order is that of AWS's SDKs. What EKS gives to a service account is put into pods when they are made, so a pod that
//! is older than that goes on without.
//! Source: <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>

use super::pods::{Pod, ServiceAccount, Snapshot};
use crate::model::{Arn, Cluster, RoleName};
use crate::report::{Finding, IdentitySource, NodeGroupRecord, PodIdentityRecord, Pods, Severity};

/// The annotation of a service account that takes a role by a token.
const ROLE_ANNOTATION: &str = "eks.amazonaws.com/role-arn";

/// What is known of the cluster beside its pods; nothing where EKS was not asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Around<'seen> {
    /// The cluster.
    pub cluster: Option<&'seen Cluster>,
    /// Its nodes, by who makes them.
    pub nodes: &'seen [NodeGroupRecord],
}

/// Every pod's identity, in the order of namespaces and names, and what a person should see.
pub fn identities(snapshot: &Snapshot, around: Around<'_>) -> (Vec<PodIdentityRecord>, Vec<Finding>) {
    let mut records = Vec::new();
    let mut findings = Vec::new();
    for pod in snapshot.pods.iter().filter(|pod| pod.is_alive()) {
        let account = snapshot.account_of(pod);
        let seen = Seen { pod, account, snapshot, around };
        records.push(seen.record());
        findings.extend(seen.finding());
    }
    records.sort_by(|one, other| (&one.namespace, &one.pod).cmp(&(&other.namespace, &other.pod)));
    findings.sort_by(|one, other| one.target.cmp(&other.target));
    (records, findings)
}

/// One pod's identity, also of one that has ended, and what is wrong with it. `asked_as` is who made a request that was
/// refused, where a log tells: an ARN.
pub fn identity(
    pod: &Pod,
    snapshot: &Snapshot,
    around: Around<'_>,
    asked_as: Option<&str>,
) -> (PodIdentityRecord, Vec<Finding>) {
    let seen = Seen { pod, account: snapshot.account_of(pod), snapshot, around };
    let record = seen.record();
    let mut findings: Vec<Finding> = seen.finding().into_iter().collect();
    if findings.is_empty() {
        findings.extend(astray(&record, asked_as).or_else(|| nobody(&record)));
    }
    (record, findings)
}

/// A pod that asks as somebody else than it should.
fn astray(record: &PodIdentityRecord, asked_as: Option<&str>) -> Option<Finding> {
    let (asked, has) = (role_name(asked_as?)?, role_name(record.role.as_deref()?)?);
    if asked == has {
        return None;
    }
    let message = format!("the request was made as role {asked}, and its identity is role {has}: {}", record.because);
    let fix = match record.source {
        IdentitySource::Irsa | IdentitySource::PodIdentity => {
            "its SDK is too old for that identity, or the program brings credentials of its own (a profile, a file): \
             update the SDK, and take them out"
        }
        _ => {
            "the program brings credentials of its own, or takes another role: look for a profile and for AssumeRole in it"
        }
    };
    let target = format!("{}/{}", record.namespace, record.pod);
    Some(Finding::new("pod-asks-as-another", Severity::Error, target, message).with_fix(fix))
}

/// A pod that has no identity at all.
fn nobody(record: &PodIdentityRecord) -> Option<Finding> {
    if record.source != IdentitySource::Nobody {
        return None;
    }
    let target = format!("{}/{}", record.namespace, record.pod);
    let message = format!("it has no identity to ask AWS with: {}", record.because);
    let fix = format!(
        "give service account {} a role, by an annotation (IRSA) or an association (Pod Identity), and make the pod anew",
        record.service_account
    );
    Some(Finding::new("pod-without-identity", Severity::Error, target, message).with_fix(fix))
}

/// The role of an ARN, or of a session of it.
fn role_name(arn: &str) -> Option<&str> {
    let resource = arn.splitn(6, ':').nth(5)?;
    match resource.split_once('/')? {
        ("role", path) => path.rsplit('/').next(),
        ("assumed-role", session) => session.split('/').next(),
        _ => None,
    }
}

/// One pod and all that says something of it.
struct Seen<'seen> {
    pod: &'seen Pod,
    account: Option<&'seen ServiceAccount>,
    snapshot: &'seen Snapshot,
    around: Around<'seen>,
}

impl<'seen> Seen<'seen> {
    /// The role that the service account is annotated with.
    fn annotated(&self) -> Option<&'seen str> {
        self.account?.annotations.get(ROLE_ANNOTATION).map(String::as_str).filter(|role| !role.is_empty())
    }

    /// The role that the service account is associated with.
    fn associated(&self) -> Option<&'seen Arn> {
        let associations = self.around.cluster.map_or(&[][..], |cluster| &cluster.associations);
        let is_its = |one: &&crate::model::PodIdentityAssociation| {
            one.namespace == self.pod.namespace && one.service_account == self.pod.service_account
        };
        associations.iter().find(is_its).map(|one| &one.role)
    }

    fn group(&self) -> Option<&'seen str> {
        self.snapshot.group_of(self.pod)
    }

    /// The nodes among which the pod's node is.
    fn nodes(&self) -> Option<&'seen NodeGroupRecord> {
        let group = self.group()?;
        self.around.nodes.iter().find(|nodes| nodes.name == group)
    }

    fn record(&self) -> PodIdentityRecord {
        let (source, role, because) = self.source();
        PodIdentityRecord {
            namespace: self.pod.namespace.clone(),
            pod: self.pod.name.clone(),
            service_account: self.pod.service_account.clone(),
            source,
            role,
            node: self.pod.node.clone(),
            node_group: self.group().map(str::to_owned),
            because,
        }
    }

    fn source(&self) -> (IdentitySource, Option<String>, String) {
        let pod = self.pod;
        if let Some(container) = &pod.has_keys {
            return (IdentitySource::Keys, None, format!("AWS_ACCESS_KEY_ID is in the environment of {container}"));
        }
        if let Some(role) = &pod.token_role {
            return (IdentitySource::Irsa, Some(role.clone()), "a token of its service account (IRSA)".to_owned());
        }
        if pod.has_agent_address {
            let role = self.associated().map(ToString::to_string);
            let because = match &role {
                Some(_) => "the Pod Identity agent of its node",
                None if self.around.cluster.is_some() => "the Pod Identity agent, but its association is gone",
                None => "the Pod Identity agent of its node; the cluster was not asked for the role",
            };
            return (IdentitySource::PodIdentity, role, because.to_owned());
        }
        self.of_node()
    }

    /// What the node gives to a pod without an identity of its own.
    fn of_node(&self) -> (IdentitySource, Option<String>, String) {
        if self.pod.is_on_fargate {
            return (IdentitySource::Nobody, None, "on Fargate there is no node to get credentials from".to_owned());
        }
        let Some(nodes) = self.nodes() else {
            let because = match self.group() {
                Some(group) => format!("its node's, in node group {group}, if the hop limit lets it"),
                None => "its node's, if the hop limit lets it".to_owned(),
            };
            return (IdentitySource::Unknown, None, because);
        };
        let role = nodes.role.as_ref().map(ToString::to_string);
        let through = |because: &str| format!("{} {}: {because}", nodes.kind.words(), nodes.name);
        match nodes.pods {
            Pods::Every => (IdentitySource::NodeRole, role, through(&nodes.because)),
            Pods::HostNetwork if self.pod.host_network => {
                (IdentitySource::NodeRole, role, through("it is on the host network"))
            }
            Pods::HostNetwork | Pods::Nobody | Pods::ServiceAccount => {
                (IdentitySource::Nobody, None, nodes.because.clone())
            }
            Pods::Mixed | Pods::Unknown => {
                (IdentitySource::Unknown, role, format!("its node's or none, in {}", through(&nodes.because)))
            }
        }
    }

    /// What is wrong with the pod's identity.
    fn finding(&self) -> Option<Finding> {
        let pod = self.pod;
        let target = format!("{}/{}", pod.namespace, pod.name);
        let restart = "make the pod anew: its owner does with `kubectl rollout restart`, or delete the pod";
        let stale = |message: String| {
            Some(Finding::new("pod-older-than-its-role", Severity::Warning, &target, message).with_fix(restart))
        };
        if let Some(container) = &pod.has_keys {
            let message =
                format!("container {container} has access keys in its environment, which go before every role");
            let fix = "take them out, and give the service account a role";
            return Some(Finding::new("pod-has-keys", Severity::SecurityWarning, target, message).with_fix(fix));
        }
        match (self.annotated(), &pod.token_role) {
            (Some(wanted), None) => {
                return stale(format!(
                    "service account {} is annotated with role {}{}, and the pod is without: it {}",
                    pod.service_account,
                    short(wanted),
                    self.since(),
                    self.made()
                ));
            }
            (Some(wanted), Some(has)) if wanted != has => {
                return stale(format!(
                    "it has role {}, and its service account is annotated with {}",
                    short(has),
                    short(wanted)
                ));
            }
            (None, Some(has)) if self.account.is_some() => {
                return stale(format!("it has role {}, and its service account is not annotated any more", short(has)));
            }
            _ => {}
        }
        match self.associated() {
            Some(role) if pod.token_role.is_none() && !pod.has_agent_address && !pod.is_on_fargate => stale(format!(
                "service account {} is associated with role {}, and the pod is without: it {}",
                pod.service_account,
                short(role.as_str()),
                self.made()
            )),
            Some(role) if pod.token_role.is_some() => {
                let message = format!(
                    "its service account is associated with role {}, and annotated too: the token (IRSA) goes first",
                    short(role.as_str())
                );
                Some(Finding::new("two-roles", Severity::Warning, target, message).with_fix("keep one of both"))
            }
            _ => None,
        }
    }

    /// `, since ...` where the annotation's time is told.
    fn since(&self) -> String {
        let changed = self.account.and_then(|account| account.annotated_at.get(ROLE_ANNOTATION));
        changed.map(|time| format!(" since {time}")).unwrap_or_default()
    }

    fn made(&self) -> String {
        match self.pod.created {
            Some(time) => format!("was made {time}"),
            None => "is older".to_owned(),
        }
    }
}

/// A role's name, where the text is an ARN.
fn short(role: &str) -> String {
    let name = role.parse::<Arn>().ok().and_then(|arn| RoleName::of_arn(&arn));
    name.map_or_else(|| role.to_owned(), String::from)
}

#[cfg(test)]
mod tests {
    use super::{Around, identities, identity, role_name};
    use crate::cluster::pods::Snapshot;
    use crate::model::{Cluster, PodIdentityAssociation, Tags};
    use crate::report::{ClusterNodes, IdentitySource, NodeGroupRecord, Pods};
    use serde_json::{Value, json};

    const ROLE: &str = "arn:aws:iam::245966534215:role/ml/trainer";
    const OLD: &str = "2026-11-01T08:00:00Z";
    const NEW: &str = "2026-11-20T08:00:00Z";

    fn variable(name: &str, value: &str) -> Value {
        json!({ "name": name, "value": value })
    }

    fn by_token() -> Vec<Value> {
        vec![variable("AWS_ROLE_ARN", ROLE), variable("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token")]
    }

    fn by_agent() -> Vec<Value> {
        vec![variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials")]
    }

    fn pod(environment: &[Value]) -> Value {
        json!({
            "kind": "Pod",
            "metadata": { "namespace": "ml", "name": "p", "creationTimestamp": OLD },
            "spec": { "serviceAccountName": "sa", "nodeName": "ip-1", "containers": [{ "name": "main", "env": environment }] },
            "status": { "phase": "Running" },
        })
    }

    fn account(role: Option<&str>) -> Value {
        let mut account = json!({ "kind": "ServiceAccount", "metadata": { "namespace": "ml", "name": "sa" } });
        if let Some(role) = role {
            account["metadata"]["annotations"] = json!({ "eks.amazonaws.com/role-arn": role });
            let field = json!({ "f:metadata": { "f:annotations": { ".": {}, "f:eks.amazonaws.com/role-arn": {} } } });
            account["metadata"]["managedFields"] = json!([{ "time": NEW, "fieldsV1": field }]);
        }
        account
    }

    fn node() -> Value {
        json!({ "kind": "Node", "metadata": { "name": "ip-1", "labels": { "eks.amazonaws.com/nodegroup": "gpu" } } })
    }

    fn cluster(role: Option<&str>) -> Cluster {
        let association = |role: &str| PodIdentityAssociation {
            id: "a".to_owned(),
            namespace: "ml".to_owned(),
            service_account: "sa".to_owned(),
            role: role.parse().unwrap(),
            tags: Tags::default(),
        };
        Cluster {
            name: "lab".to_owned(),
            arn: "arn:aws:eks:us-east-1:245966534215:cluster/lab".parse().unwrap(),
            control_plane_role: None,
            oidc_issuer: None,
            node_groups: Vec::new(),
            associations: role.map(association).into_iter().collect(),
            addons: Vec::new(),
            auto_mode_role: None,
            unread: Vec::new(),
        }
    }

    fn gpu(pods: Pods) -> NodeGroupRecord {
        NodeGroupRecord {
            cluster: "lab".to_owned(),
            name: "gpu".to_owned(),
            kind: ClusterNodes::Managed,
            status: None,
            image: None,
            role: "arn:aws:iam::245966534215:role/gpu-node".parse().ok(),
            role_name: Some("gpu-node".to_owned()),
            instance_profiles: None,
            launch_template: None,
            launch_template_version: None,
            nodes: Some(1),
            hop_limits: Vec::new(),
            tokens: Vec::new(),
            namespaces: Vec::new(),
            pods,
            because: "the hop limit".to_owned(),
            new_nodes: None,
        }
    }

    /// The source, the role's name and the code of the finding of one pod.
    fn told(items: &[Value], cluster: Option<&Cluster>, nodes: &[NodeGroupRecord]) -> (IdentitySource, String, String) {
        let mut snapshot = Snapshot::default();
        assert!(snapshot.add(&json!({ "kind": "List", "items": items })));
        let (records, findings) = identities(&snapshot, Around { cluster, nodes });
        let [record] = records.as_slice() else { panic!("{records:?}") };
        let role = record.role.as_deref().unwrap_or("-").rsplit('/').next().unwrap_or_default().to_owned();
        (record.source, role, findings.first().map_or("-", |finding| finding.code).to_owned())
    }

    #[test]
    fn the_first_source_that_a_pod_has_is_its_identity() {
        let keys = [vec![variable("AWS_ACCESS_KEY_ID", "AKIA")], by_token(), by_agent()].concat();
        let both = [by_token(), by_agent()].concat();
        let (here, every) = (cluster(Some(ROLE)), [gpu(Pods::Every)]);
        let check = |environment: &[Value], role: Option<&str>, wanted: (IdentitySource, &str, &str)| {
            let found = told(&[pod(environment), account(role), node()], Some(&here), &every);
            assert_eq!((found.0, found.1.as_str(), found.2.as_str()), wanted, "{environment:?}");
        };
        check(&keys, Some(ROLE), (IdentitySource::Keys, "-", "pod-has-keys"));
        check(&both, Some(ROLE), (IdentitySource::Irsa, "trainer", "two-roles"));
        check(&by_agent(), None, (IdentitySource::PodIdentity, "trainer", "-"));
        check(
            &[variable("AWS_ACCESS_KEY_ID", "")],
            None,
            (IdentitySource::NodeRole, "gpu-node", "pod-older-than-its-role"),
        );
    }

    #[test]
    fn pods_older_than_what_their_account_was_given_are_told() {
        let other = "arn:aws:iam::245966534215:role/other";
        for (environment, role, wanted) in [
            (by_token(), Some(ROLE), "-"),
            (Vec::new(), Some(ROLE), "pod-older-than-its-role"),
            (by_token(), Some(other), "pod-older-than-its-role"),
            (by_token(), None, "pod-older-than-its-role"),
            (Vec::new(), None, "-"),
        ] {
            let found = told(&[pod(&environment), account(role), node()], None, &[]);
            assert_eq!(found.2, wanted, "{environment:?} {role:?}");
        }
        let mut snapshot = Snapshot::default();
        snapshot.add(&json!({ "kind": "List", "items": [pod(&[]), account(Some(ROLE))] }));
        let (_, findings) = identities(&snapshot, Around::default());
        assert!(findings[0].message.contains(&format!("since {NEW}")), "{}", findings[0].message);
        assert!(findings[0].message.contains(&format!("was made {OLD}")), "{}", findings[0].message);
    }

    #[test]
    fn a_pod_without_its_own_has_what_its_node_lets_it_have() {
        let here = cluster(None);
        let check = |pod: Value, pods: Pods, source: IdentitySource, role: &str| {
            let found = told(&[pod, account(None), node()], Some(&here), &[gpu(pods)]);
            assert_eq!((found.0, found.1.as_str()), (source, role), "{pods:?}");
        };
        let host = || {
            let mut pod = pod(&[]);
            pod["spec"]["hostNetwork"] = json!(true);
            pod
        };
        let fargate = || {
            let mut pod = pod(&[]);
            pod["spec"]["nodeName"] = json!("fargate-ip-10-0-0-1");
            pod
        };
        check(pod(&[]), Pods::Every, IdentitySource::NodeRole, "gpu-node");
        check(pod(&[]), Pods::HostNetwork, IdentitySource::Nobody, "-");
        check(host(), Pods::HostNetwork, IdentitySource::NodeRole, "gpu-node");
        check(pod(&[]), Pods::Unknown, IdentitySource::Unknown, "gpu-node");
        check(fargate(), Pods::Every, IdentitySource::Nobody, "-");
        assert_eq!(told(&[pod(&[])], None, &[]).0, IdentitySource::Unknown);
    }

    #[test]
    fn finished_pods_and_other_kinds_are_left_out() {
        let mut done = pod(&[]);
        done["status"]["phase"] = json!("Succeeded");
        let mut snapshot = Snapshot::default();
        assert!(snapshot.add(&json!({ "kind": "PodList", "items": [done] })));
        assert!(!snapshot.add(&json!({ "kind": "Deployment", "metadata": {} })));
        assert_eq!(identities(&snapshot, Around::default()), (Vec::new(), Vec::new()));
    }

    #[test]
    fn a_pod_that_asks_as_another_is_told() {
        let pod = |environment: Value| {
            let mut snapshot = Snapshot::default();
            snapshot.add(&json!({
                "kind": "Pod",
                "metadata": { "namespace": "ml", "name": "p" },
                "spec": { "serviceAccountName": "a", "containers": [{ "name": "main", "env": environment }] },
                "status": { "phase": "Failed" },
            }));
            snapshot
        };
        let codes = |snapshot: &Snapshot, asked: Option<&str>| {
            let (_, findings) = identity(&snapshot.pods[0], snapshot, Around::default(), asked);
            findings.iter().map(|finding| finding.code).collect::<Vec<_>>()
        };
        let irsa = pod(json!([variable("AWS_ROLE_ARN", ROLE), variable("AWS_WEB_IDENTITY_TOKEN_FILE", "/t")]));
        let session = |role: &str| format!("arn:aws:sts::245966534215:assumed-role/{role}/s");
        assert_eq!(codes(&irsa, Some(&session("node-role"))), ["pod-asks-as-another"]);
        assert_eq!(codes(&irsa, Some(&session("trainer"))), [""; 0]);
        assert_eq!(codes(&irsa, None), [""; 0]);
        let keys = pod(json!([variable("AWS_ACCESS_KEY_ID", "AKIA")]));
        assert_eq!(codes(&keys, Some(&session("node-role"))), ["pod-has-keys"]);
        assert_eq!(role_name(ROLE), Some("trainer"));
        assert_eq!(role_name("arn:aws:iam::245966534215:user/u"), None);
    }
}
