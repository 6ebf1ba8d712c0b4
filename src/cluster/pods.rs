//! Pods, service accounts and nodes as the API server lists them: of each the few fields that an identity depends on.

use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// The label of nodes of managed groups, and what says the same of pools.
const GROUP_LABELS: [&str; 3] =
    [super::job::NODE_GROUP_LABEL, "karpenter.sh/nodepool", "eks.amazonaws.com/compute-type"];

/// What the API server listed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// Pods of all namespaces that were asked for.
    pub pods: Vec<Pod>,
    /// Their service accounts.
    pub accounts: Vec<ServiceAccount>,
    /// Nodes by name, each with the group or pool that it belongs to.
    pub nodes: BTreeMap<String, Option<String>>,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its service account.
    pub service_account: String,
    /// Its node, once it has one.
    pub node: Option<String>,
    /// True on the node's own network.
    pub host_network: bool,
    /// True on Fargate.
    pub is_on_fargate: bool,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// `Pending`, `Running`, `Succeeded`, `Failed`.
    pub phase: String,
    /// The container whose environment holds access keys.
    pub has_keys: Option<String>,
    /// The role of the token that EKS put in (IRSA).
    pub token_role: Option<String>,
    /// Whether EKS put in the address of the Pod Identity agent.
    pub has_agent_address: bool,
}

/// A service account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// When annotations were last written, as far as the API server keeps that.
    pub annotated_at: BTreeMap<String, Timestamp>,
}

impl Pod {
    /// True for a pod that runs or is about to.
    pub fn is_alive(&self) -> bool {
        self.phase != "Succeeded" && self.phase != "Failed"
    }
}

impl Snapshot {
    /// Adds what a list holds, or several documents of lists: pods, service accounts and nodes; other kinds are left out.
    /// True if there was anything of it.
    pub fn add(&mut self, list: &Value) -> bool {
        let kind = list["kind"].as_str().unwrap_or_default();
        let Some(items) = list["items"].as_array() else {
            return self.add_one(kind, list);
        };
        let of_list = kind.strip_suffix("List").unwrap_or_default();
        // The items of a typed list say no kind of their own.
        let kinds = items.iter().map(|item| (item["kind"].as_str().unwrap_or(of_list), item));
        let added = kinds.map(|(kind, item)| self.add_one(kind, item)).filter(|added| *added).count();
        added > 0 || items.is_empty()
    }

    fn add_one(&mut self, kind: &str, item: &Value) -> bool {
        match kind {
            "Pod" => self.pods.extend(pod(item)),
            "ServiceAccount" => self.accounts.extend(account(item)),
            "Node" => {
                if let Some(name) = text(item, "/metadata/name") {
                    let labels = &item["metadata"]["labels"];
                    let group = GROUP_LABELS.iter().find_map(|label| labels[label].as_str());
                    self.nodes.insert(name, group.map(str::to_owned));
                }
            }
            _ => return false,
        }
        true
    }

    /// The service account of a pod.
    pub fn account_of(&self, pod: &Pod) -> Option<&ServiceAccount> {
        self.accounts.iter().find(|one| one.namespace == pod.namespace && one.name == pod.service_account)
    }

    /// The group or pool of a pod's node.
    pub fn group_of(&self, pod: &Pod) -> Option<&str> {
        self.nodes.get(pod.node.as_ref()?)?.as_deref()
    }
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

fn time(value: &Value, pointer: &str) -> Option<Timestamp> {
    value.pointer(pointer)?.as_str()?.parse().ok()
}

fn list<'value>(value: &'value Value, pointer: &str) -> &'value [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn pod(item: &Value) -> Option<Pod> {
    let containers = || list(item, "/spec/containers").iter();
    // An empty value is what a chart leaves where keys would stand.
    let is_set =
        |one: &&Value| one.get("valueFrom").is_some() || one["value"].as_str().is_some_and(|text| !text.is_empty());
    let variable = |container: &Value, name: &str| -> Option<Value> {
        list(container, "/env").iter().find(|one| one["name"] == name).filter(is_set).cloned()
    };
    let any = |name: &str| containers().find_map(|container| variable(container, name));
    let with_keys = containers().find(|container| variable(container, "AWS_ACCESS_KEY_ID").is_some());
    let token = any("AWS_WEB_IDENTITY_TOKEN_FILE").and_then(|_| any("AWS_ROLE_ARN"));
    let node = text(item, "/spec/nodeName");
    Some(Pod {
        namespace: text(item, "/metadata/namespace")?,
        name: text(item, "/metadata/name")?,
        service_account: text(item, "/spec/serviceAccountName").unwrap_or_else(|| "default".to_owned()),
        host_network: item["spec"]["hostNetwork"] == true,
        is_on_fargate: item["metadata"]["labels"]["eks.amazonaws.com/fargate-profile"].is_string()
            || node.as_deref().is_some_and(|node| node.starts_with("fargate-")),
        node,
        created: time(item, "/metadata/creationTimestamp"),
        phase: text(item, "/status/phase").unwrap_or_default(),
        has_keys: with_keys.and_then(|container| text(container, "/name")),
        token_role: token.and_then(|role| role["value"].as_str().map(str::to_owned)),
        has_agent_address: any("AWS_CONTAINER_CREDENTIALS_FULL_URI").is_some(),
    })
}

fn account(item: &Value) -> Option<ServiceAccount> {
    let annotations = item["metadata"]["annotations"].as_object();
    let annotations: BTreeMap<String, String> = annotations
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    let mut annotated_at: BTreeMap<String, Timestamp> = BTreeMap::new();
    for entry in list(item, "/metadata/managedFields") {
        let Some(at) = time(entry, "/time") else { continue };
        let fields = entry["fieldsV1"]["f:metadata"]["f:annotations"].as_object();
        for name in fields.into_iter().flatten().filter_map(|(field, _)| field.strip_prefix("f:")) {
            let known = annotated_at.entry(name.to_owned()).or_insert(at);
            *known = at.max(*known);
        }
    }
    let (namespace, name) = (text(item, "/metadata/namespace")?, text(item, "/metadata/name")?);
    Some(ServiceAccount { namespace, name, annotations, annotated_at })
}
