//! The values of Flyte's Helm charts that name a layout's buckets and roles.
//!
//! Source: <https://github.com/flyteorg/flyte/blob/v1.16.8/charts/flyte-binary/values.yaml>

use super::yaml;
use crate::layout::{AttachTarget, Grant, Layout, ServiceAccountRole};
use crate::model::BucketName;
use crate::policy::generate::flyte::FlyteBuckets;
use serde_json::{Map, Value, json};

/// Which chart the values are for: `flyte-binary` of either major version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlyteVersion {
    /// Tasks run in a namespace for each project and domain.
    One,
    /// Tasks run in namespace `flyte`.
    Two,
}

/// The layout cannot be that of a Flyte installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the layout declares no bucket that Flyte could keep its data in")]
pub struct NoFlyte;

/// The template of flyte-binary 1 that makes the service account of each namespace in which tasks run.
const TASK_ACCOUNT: &str = "\
apiVersion: v1
kind: ServiceAccount
metadata:
  name: default
  namespace: '{{ namespace }}'
  annotations:
    eks.amazonaws.com/role-arn: '{{ defaultIamRole }}'
";

/// The domains that Flyte has unless told otherwise.
const DOMAINS: [&str; 3] = ["development", "staging", "production"];

/// The values as YAML, and remarks on what they leave to the reader.
pub fn flyte_values(layout: &Layout, version: FlyteVersion) -> Result<(String, Vec<String>), NoFlyte> {
    let declared = layout.buckets.iter().filter(|bucket| bucket.logs_from.is_empty()).map(|bucket| bucket.name.clone());
    let buckets = FlyteBuckets::sort(&declared.collect::<Vec<_>>()).ok_or(NoFlyte)?;
    let backend = identity(layout, &buckets.metadata, None);
    let tasks = identity(layout, &buckets.user_data, Some(&buckets.metadata));
    let mut remarks = Vec::new();
    if layout.region.is_none() {
        remarks.push("the layout names no Region: fill in `region`".to_owned());
    }
    let parts = [
        ("the backend gets what its node has", &backend, &buckets.metadata),
        ("the tasks get what their node has", &tasks, &buckets.user_data),
    ];
    for (without, identity, bucket) in parts {
        match identity {
            Some(Identity::Irsa(to)) if layout.account.is_none() => {
                remarks.push(format!("the layout names no account: fill in that of role `{}`", to.role));
            }
            Some(Identity::Association(to)) => remarks.push(format!(
                "{}/{} gets role `{}` by Pod Identity, which needs no values",
                to.namespace, to.service_account, to.role
            )),
            Some(Identity::Irsa(_)) => {}
            None => remarks.push(format!(
                "no grant on `{bucket}` names a service account, so {without}; attach it by `irsa` or `pod_identity`"
            )),
        }
    }
    let values = match version {
        FlyteVersion::One => one(layout, &buckets, backend.as_ref(), tasks.as_ref()),
        FlyteVersion::Two => two(layout, &buckets, backend.as_ref()),
    };
    Ok((yaml::document(&values), remarks))
}

/// How a part of Flyte gets its role.
enum Identity<'layout> {
    Irsa(&'layout ServiceAccountRole),
    Association(&'layout ServiceAccountRole),
}

/// The service account of the first grant on a bucket, and not on another, that names one.
fn identity<'layout>(layout: &'layout Layout, on: &BucketName, not: Option<&BucketName>) -> Option<Identity<'layout>> {
    let names = |grant: &Grant, bucket: &BucketName| grant.on.iter().any(|place| place.bucket == *bucket);
    let of = |grant: &&'layout Grant| names(grant, on) && !not.is_some_and(|not| not != on && names(grant, not));
    layout.grants.iter().filter(of).flat_map(|grant| &grant.attach).find_map(|target| match target {
        AttachTarget::Irsa(to) => Some(Identity::Irsa(to)),
        AttachTarget::PodIdentity(to) => Some(Identity::Association(to)),
        AttachTarget::Role(_) | AttachTarget::NodeGroups { .. } => None,
    })
}

fn arn(layout: &Layout, role: &str) -> String {
    let partition = layout.region.as_ref().map_or("aws", crate::model::Region::partition);
    let account = layout.account.as_ref().map_or_else(|| "ACCOUNT".to_owned(), ToString::to_string);
    format!("arn:{partition}:iam::{account}:role/{role}")
}

/// The annotation of a service account that takes its role by a token.
fn annotations(layout: &Layout, identity: Option<&Identity<'_>>) -> Option<Value> {
    match identity? {
        Identity::Irsa(to) => Some(json!({ "eks.amazonaws.com/role-arn": arn(layout, &to.role) })),
        Identity::Association(_) => None,
    }
}

fn service_account(layout: &Layout, identity: Option<&Identity<'_>>) -> Value {
    let mut account = Map::from_iter([("create".to_owned(), json!(true))]);
    if let Some(Identity::Irsa(to) | Identity::Association(to)) = identity {
        account.insert("name".to_owned(), json!(to.service_account));
    }
    if let Some(annotations) = annotations(layout, identity) {
        account.insert("annotations".to_owned(), annotations);
    }
    Value::Object(account)
}

fn storage(layout: &Layout, buckets: &FlyteBuckets) -> Value {
    let region = layout.region.as_ref().map_or("REGION", |region| region.as_str());
    json!({
        "metadataContainer": buckets.metadata.as_str(),
        "userDataContainer": buckets.user_data.as_str(),
        "provider": "s3",
        "providerConfig": { "s3": { "region": region, "authType": "iam" } },
    })
}

fn one(layout: &Layout, buckets: &FlyteBuckets, backend: Option<&Identity<'_>>, tasks: Option<&Identity<'_>>) -> Value {
    let mut configuration = Map::from_iter([("storage".to_owned(), storage(layout, buckets))]);
    let mut values = Map::new();
    let task_role = annotations(layout, tasks).map(|annotations| annotations["eks.amazonaws.com/role-arn"].clone());
    if let Some(role) = &task_role {
        let of_domain = |domain: &str| json!({ domain: [{ "defaultIamRole": { "value": role } }] });
        let domains: Vec<Value> = DOMAINS.iter().map(|domain| of_domain(domain)).collect();
        configuration.insert("inline".to_owned(), json!({ "cluster_resources": { "customData": domains } }));
    }
    values.insert("configuration".to_owned(), Value::Object(configuration));
    if task_role.is_some() {
        let inline = json!({ "inline": { "002_serviceaccount.yaml": TASK_ACCOUNT } });
        values.insert("clusterResourceTemplates".to_owned(), inline);
    }
    values.insert("serviceAccount".to_owned(), service_account(layout, backend));
    Value::Object(values)
}

/// Source: <https://github.com/flyteorg/flyte/blob/6fadb90/charts/flyte-binary/values.yaml>
fn two(layout: &Layout, buckets: &FlyteBuckets, backend: Option<&Identity<'_>>) -> Value {
    json!({
        "configuration": { "storage": storage(layout, buckets) },
        "flyte-core-components": {
            "runs": { "storagePrefix": format!("s3://{}", buckets.user_data) },
            "dataproxy": { "upload": { "storagePrefix": "uploads" } },
            "actions": { "kubernetes": { "namespace": "flyte" } },
        },
        "serviceAccount": service_account(layout, backend),
    })
}

#[cfg(test)]
mod tests {
    use super::{FlyteVersion, flyte_values};
    use crate::layout::{Layout, ParseOptions};
    use std::collections::BTreeMap;

    fn layout(text: &str) -> Layout {
        let (set, env_vars) = (BTreeMap::new(), BTreeMap::new());
        let options = ParseOptions { file_stem: "l", environment: None, set: &set, env_vars: &env_vars };
        crate::layout::parse(format!("version = 1\n{text}").as_bytes(), &options).unwrap()
    }

    const BUCKETS: &str = "account = \"245966534215\"\nregion = \"eu-west-1\"\n\
        [[bucket]]\nname = \"ml-metadata\"\naccess_log = { bucket = \"ml-logs\" }\n\
        [[bucket]]\nname = \"ml-userdata\"\naccess_log = { bucket = \"ml-logs\" }\n";

    fn grant(name: &str, on: &str, attach: &str) -> String {
        format!("[[grant]]\npolicy = \"{name}\"\naccess = \"read-write\"\non = [{on}]\nattach = [{attach}]\n")
    }

    fn to(kind: &str, namespace: &str, account: &str, role: &str) -> String {
        format!(
            "{{ {kind} = {{ cluster = \"c\", namespace = \"{namespace}\", service_account = \"{account}\", role = \"{role}\" }} }}"
        )
    }

    #[test]
    fn values_name_buckets_region_and_the_roles_of_both_parts() {
        let backend = grant("B", "\"ml-metadata\", \"ml-userdata\"", &to("irsa", "flyte", "flyte-binary", "backend"));
        let tasks = grant("T", "\"ml-userdata\"", &to("irsa", "flytesnacks-development", "default", "tasks"));
        let layout = layout(&format!("{BUCKETS}{backend}{tasks}"));
        let (one, remarks) = flyte_values(&layout, FlyteVersion::One).unwrap();
        for line in [
            "    metadataContainer: ml-metadata\n    userDataContainer: ml-userdata\n",
            "        region: eu-west-1\n        authType: iam\n",
            "value: \"arn:aws:iam::245966534215:role/tasks\"",
            "serviceAccount:\n  create: true\n  name: flyte-binary\n  annotations:\n    \
             eks.amazonaws.com/role-arn: \"arn:aws:iam::245966534215:role/backend\"\n",
        ] {
            assert!(one.contains(line), "{line}\n{one}");
        }
        assert!(one.contains("002_serviceaccount.yaml\": |") && one.contains("'{{ defaultIamRole }}'"), "{one}");
        assert_eq!(remarks, Vec::<String>::new());
        let (two, _) = flyte_values(&layout, FlyteVersion::Two).unwrap();
        assert!(two.contains("storagePrefix: \"s3://ml-userdata\"") && !two.contains("cluster_resources"), "{two}");
    }

    #[test]
    fn what_the_layout_leaves_open_is_said() {
        let by_pod = grant("B", "\"ml-metadata\"", &to("pod_identity", "flyte", "flyte", "backend"));
        let (values, remarks) = flyte_values(&layout(&format!("{BUCKETS}{by_pod}")), FlyteVersion::One).unwrap();
        assert!(!values.contains("role-arn") && values.contains("name: flyte\n"), "{values}");
        assert_eq!(remarks.len(), 2, "{remarks:?}");
        assert!(remarks[0].contains("by Pod Identity") && remarks[1].contains("the tasks get what their node has"));
    }
}
