//! Kubernetes Jobs that run this program in the cluster, as somebody there: manifests by the restricted Pod Security
//! Standard, with nothing that the program does not need.
//!
//! Source: <https://kubernetes.io/docs/concepts/security/pod-security-standards/>

use super::yaml;
use serde_json::{Value, json};

/// The user and group of a distroless image's `nonroot`.
const NOBODY: u32 = 65_532;
/// How long a finished Job stays to be looked at.
const KEPT_S: u32 = 3_600;
/// The longest that a verification may take before it is ended.
const VERIFY_LIMIT_S: u32 = 900;
/// How often each shard of a sync may be started again: it goes on where it was.
const TRIES_PER_SHARD: u32 = 3;
/// The label of nodes of managed groups.
pub const NODE_GROUP_LABEL: &str = "eks.amazonaws.com/nodegroup";
/// Where a layout is mounted.
const LAYOUT_PATH: &str = "/etc/bucketwright";
/// The container that runs this program; others of its pods were put there by the cluster.
pub const CONTAINER: &str = "bucketwright";
/// Where a PersistentVolumeClaim is mounted.
pub const DATA_PATH: &str = "/data";

/// As whom, where, and from which image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The namespace.
    pub namespace: String,
    /// The service account, whose identity the program has.
    pub service_account: String,
    /// The managed node group that the pod must run in.
    pub node_group: Option<String>,
    /// The image.
    pub image: String,
    /// The Region, where it is known; elsewhere the cluster says it.
    pub region: Option<String>,
}

/// What the program does there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// `verify --access` over a layout.
    Verify {
        /// The layout's text, as it was written.
        layout: String,
        /// What stands on the command line behind the layout.
        arguments: Vec<String>,
    },
    /// `sync`, cut into shards.
    Sync {
        /// SRC, DST and what else stands on the command line.
        arguments: Vec<String>,
        /// How many pods share the work.
        shards: u32,
        /// A claim to mount at [`DATA_PATH`], and whether it is written to.
        claim: Option<(String, bool)>,
    },
}

/// One Job with what it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The Job's name, which is the same for the same work in the same place.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The documents in the order in which they are made: a ConfigMap for a layout, and the Job.
    pub documents: Vec<Value>,
}

/// Several manifests as one YAML text.
pub fn text(manifests: &[Manifest]) -> String {
    let mut seen: Vec<&Value> = Vec::new();
    let mut text = String::new();
    for document in manifests.iter().flat_map(|manifest| &manifest.documents) {
        // Two Jobs of a namespace share their layout.
        if !seen.contains(&document) {
            seen.push(document);
            text.push_str("---\n");
            text.push_str(&yaml::document(document));
        }
    }
    text
}

/// The manifest of some work in some place.
pub fn manifest(place: &Place, work: &Work) -> Manifest {
    let verb = match work {
        Work::Verify { .. } => "verify",
        Work::Sync { .. } => "sync",
    };
    let what = format!("{place:?} {work:?}");
    let start = [verb, &place.service_account, place.node_group.as_deref().unwrap_or_default()].join("-");
    let name = format!("bucketwright-{}-{:08x}", slug(&start, 30), hash(&what));
    let labels = json!({
        "app.kubernetes.io/name": "bucketwright",
        "app.kubernetes.io/component": verb,
        "app.kubernetes.io/managed-by": "bucketwright",
    });
    let mut documents = Vec::new();
    let mut volumes = vec![json!({ "name": "tmp", "emptyDir": { "sizeLimit": "1Gi" } })];
    let mut mounts = vec![json!({ "name": "tmp", "mountPath": "/tmp" })];
    match work {
        Work::Verify { layout, .. } => {
            let config = format!("bucketwright-layout-{:08x}", hash(layout));
            documents.push(json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": { "name": config, "namespace": place.namespace, "labels": labels },
                "immutable": true,
                "data": { "layout.toml": layout },
            }));
            volumes.push(json!({ "name": "layout", "configMap": { "name": config } }));
            mounts.push(json!({ "name": "layout", "mountPath": LAYOUT_PATH, "readOnly": true }));
        }
        Work::Sync { claim: Some((claim, is_written)), .. } => {
            let from = json!({ "claimName": claim, "readOnly": !is_written });
            volumes.push(json!({ "name": "data", "persistentVolumeClaim": from }));
            mounts.push(json!({ "name": "data", "mountPath": DATA_PATH, "readOnly": !is_written }));
        }
        Work::Sync { claim: None, .. } => {}
    }
    let pod = pod(place, work, &labels, &volumes, &mounts);
    let mut spec = serde_json::Map::new();
    let mut set = |field: &str, value: Value| spec.insert(field.to_owned(), value);
    match work {
        Work::Verify { .. } => {
            set("backoffLimit", json!(0));
            set("activeDeadlineSeconds", json!(VERIFY_LIMIT_S));
        }
        Work::Sync { shards, .. } => {
            set("completionMode", json!("Indexed"));
            set("completions", json!(shards));
            set("parallelism", json!(shards));
            set("backoffLimit", json!(shards * TRIES_PER_SHARD));
        }
    }
    set("ttlSecondsAfterFinished", json!(KEPT_S));
    set("template", pod);
    documents.push(json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": name, "namespace": place.namespace, "labels": labels },
        "spec": spec,
    }));
    Manifest { name, namespace: place.namespace.clone(), documents }
}

fn arguments(work: &Work) -> Vec<String> {
    match work {
        Work::Verify { arguments, .. } => {
            let start = ["verify".to_owned(), format!("{LAYOUT_PATH}/layout.toml"), "--access".to_owned()];
            start.into_iter().chain(arguments.iter().cloned()).collect()
        }
        Work::Sync { arguments, shards, .. } => {
            let mut words = vec!["sync".to_owned()];
            words.extend(arguments.iter().cloned());
            // The pod's number comes from the variable that Kubernetes gives to each.
            words.push(format!("--shard=auto/{shards}"));
            words
        }
    }
}

/// The pod. IRSA and Pod Identity mount tokens of their own, so that of the API server stays out.
fn pod(place: &Place, work: &Work, labels: &Value, volumes: &[Value], mounts: &[Value]) -> Value {
    let mut environment = vec![
        json!({ "name": "HOME", "value": "/tmp" }),
        json!({ "name": "TMPDIR", "value": "/tmp" }),
        json!({ "name": "NO_COLOR", "value": "1" }),
    ];
    environment.extend(place.region.iter().map(|region| json!({ "name": "AWS_REGION", "value": region })));
    let (cpu, memory) = match work {
        Work::Verify { .. } => ("100m", "128Mi"),
        Work::Sync { .. } => ("500m", "512Mi"),
    };
    let mut spec = json!({
        "restartPolicy": "Never",
        "serviceAccountName": place.service_account,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": NOBODY, "runAsGroup": NOBODY, "fsGroup": NOBODY,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": [{
            "name": CONTAINER,
            "image": place.image,
            "command": ["bucketwright"],
            "args": arguments(work),
            "env": environment,
            "resources": { "requests": { "cpu": cpu, "memory": memory }, "limits": { "memory": memory } },
            "securityContext": {
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "runAsNonRoot": true,
                "capabilities": { "drop": ["ALL"] },
            },
            "volumeMounts": mounts,
        }],
        "volumes": volumes,
    });
    if let Some(group) = &place.node_group {
        spec["nodeSelector"] = json!({ NODE_GROUP_LABEL: group });
    }
    json!({ "metadata": { "labels": labels }, "spec": spec })
}

/// A text as part of a name in Kubernetes: lower-case letters, digits and hyphens.
fn slug(text: &str, most: usize) -> String {
    let mut slug = String::new();
    for letter in text.chars() {
        match letter.to_ascii_lowercase() {
            letter if letter.is_ascii_alphanumeric() => slug.push(letter),
            _ if !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    slug.chars().take(most).collect::<String>().trim_matches('-').to_owned()
}

/// FNV-1a, in half its width: names must be the same on every machine.
///
/// Source: <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>
fn hash(text: &str) -> u32 {
    let whole = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (whole >> 32) as u32 ^ u32::try_from(whole & 0xffff_ffff).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Place, Work, manifest, slug, text};
    use serde_json::json;

    fn place(node_group: Option<&str>) -> Place {
        Place {
            namespace: "ml".to_owned(),
            service_account: "default".to_owned(),
            node_group: node_group.map(str::to_owned),
            image: "registry.example/bucketwright:1".to_owned(),
            region: Some("us-east-1".to_owned()),
        }
    }

    fn verify() -> Work {
        Work::Verify { layout: "version = 1\n".to_owned(), arguments: vec!["--grant=P".to_owned()] }
    }

    fn sync(shards: u32) -> Work {
        let arguments = vec!["/data".to_owned(), "s3://b/p/".to_owned()];
        Work::Sync { arguments, shards, claim: Some(("images".to_owned(), false)) }
    }

    #[test]
    fn names_tell_places_and_work_apart_and_stay_within_the_limit() {
        let name = |group: Option<&str>, work: &Work| manifest(&place(group), work).name;
        let long = "Node_Group.with.a.very.long.name-2025072404024606990000001e";
        assert_eq!(name(Some(long), &verify()), name(Some(long), &verify()));
        let all = [name(None, &verify()), name(Some("a"), &verify()), name(Some("b"), &verify()), name(None, &sync(3))];
        for (index, one) in all.iter().enumerate() {
            assert!(one.len() <= 52 && !all[..index].contains(one), "{one}");
        }
        assert!(name(Some(long), &verify()).len() <= 52);
        assert_eq!(slug("A__b.c-", 30), "a-b-c");
    }

    #[test]
    fn a_pod_is_restricted_and_has_what_it_needs() {
        let documents = manifest(&place(Some("gpu-1")), &verify()).documents;
        let [config, job] = documents.as_slice() else { panic!("{documents:?}") };
        assert_eq!(config["data"]["layout.toml"], "version = 1\n");
        let pod = &job["spec"]["template"]["spec"];
        assert_eq!(pod["nodeSelector"], json!({ "eks.amazonaws.com/nodegroup": "gpu-1" }));
        assert_eq!(pod["volumes"][1]["configMap"]["name"], config["metadata"]["name"]);
        assert_eq!(pod["automountServiceAccountToken"], json!(false));
        let container = &pod["containers"][0];
        assert_eq!(container["args"], json!(["verify", "/etc/bucketwright/layout.toml", "--access", "--grant=P"]));
        assert_eq!(container["securityContext"]["capabilities"], json!({ "drop": ["ALL"] }));
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], json!(true));
        assert_eq!(pod["securityContext"]["seccompProfile"], json!({ "type": "RuntimeDefault" }));
    }

    #[test]
    fn shards_are_the_indexes_of_one_job() {
        let documents = manifest(&place(None), &sync(3)).documents;
        let [job] = documents.as_slice() else { panic!("{documents:?}") };
        let spec = &job["spec"];
        assert_eq!(
            (&spec["completionMode"], &spec["completions"], &spec["parallelism"]),
            (&json!("Indexed"), &json!(3), &json!(3))
        );
        let pod = &spec["template"]["spec"];
        assert_eq!(pod["containers"][0]["args"], json!(["sync", "/data", "s3://b/p/", "--shard=auto/3"]));
        assert_eq!(pod["volumes"][1]["persistentVolumeClaim"], json!({ "claimName": "images", "readOnly": true }));
    }

    #[test]
    fn jobs_of_one_namespace_share_their_layout() {
        let two = [manifest(&place(Some("a")), &verify()), manifest(&place(Some("b")), &verify())];
        let shown = text(&two);
        assert_eq!((shown.matches("kind: ConfigMap").count(), shown.matches("kind: Job").count()), (1, 2));
        assert!(shown.starts_with("---\napiVersion: v1\nkind: ConfigMap\n"), "{shown}");
    }
}
