//! The EKS edge: clusters as far as identities in them depend on it. EKS is regional, as S3 is.

mod survey;

use super::failure::ServiceError;
use super::iam::{read, seen, unless_gone};
use crate::model::{
    Arn, Cluster, ClusterPart, NodeGroup, PodIdentityAssociation, Region, Seen, TagKey, TagValue, Tags, Unread,
};
use aws_config::SdkConfig;
use aws_sdk_eks::Client;
use aws_sdk_eks::types;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

/// How many node groups or associations are read at once.
const AT_ONCE: usize = 4;

/// The EKS service as one caller sees it.
#[derive(Debug, Clone)]
pub struct Eks {
    client: Client,
}

impl Eks {
    /// The service that `config` reaches, in `region`.
    pub fn new(config: &SdkConfig, region: &Region) -> Self {
        let config = aws_sdk_eks::config::Builder::from(config)
            .region(aws_config::Region::new(region.as_str().to_owned()))
            .build();
        Self { client: Client::from_conf(config) }
    }

    /// A cluster with its node groups, associations and add-ons. Which of those may not be read is named in it.
    pub async fn cluster(&self, name: &str) -> Result<Seen<Cluster>, ServiceError> {
        seen(self.whole_cluster(name).await)
    }

    async fn whole_cluster(&self, name: &str) -> Result<Cluster, ServiceError> {
        let target = target(name);
        let answer = self.client.describe_cluster().name(name).send().await;
        let answer = answer.map_err(|error| ServiceError::new("DescribeCluster", &target, &error))?;
        let empty = || ServiceError::unexpected("DescribeCluster", &target, "the answer is empty");
        let cluster = answer.cluster().ok_or_else(empty)?;
        let role = |text: Option<&str>| text.map(|arn| read::<Arn>("DescribeCluster", &target, Some(arn))).transpose();
        let issuer = cluster.identity().and_then(types::Identity::oidc).and_then(types::Oidc::issuer);
        let auto_mode = cluster.compute_config().filter(|compute| compute.enabled() == Some(true));
        let mut unread = Vec::new();
        let mut note = |part, why| unread.push(Unread { part, why });
        Ok(Cluster {
            name: name.to_owned(),
            arn: read("DescribeCluster", &target, cluster.arn())?,
            control_plane_role: role(cluster.role_arn())?,
            oidc_issuer: issuer.map(str::to_owned),
            node_groups: part(self.node_groups(name).await, ClusterPart::NodeGroups, &mut note)?,
            associations: part(self.associations(name).await, ClusterPart::Associations, &mut note)?,
            addons: part(self.addons(name).await, ClusterPart::Addons, &mut note)?,
            auto_mode_role: role(auto_mode.and_then(types::ComputeConfigResponse::node_role_arn))?,
            unread,
        })
    }

    /// The names of all clusters of the Region.
    pub async fn clusters(&self) -> Result<Vec<String>, ServiceError> {
        let pages = self.client.list_clusters().into_paginator().items().send();
        let listed: Result<Vec<_>, _> = pages.collect().await;
        listed.map_err(|error| ServiceError::new("ListClusters", "the account", &error))
    }

    async fn node_groups(&self, cluster: &str) -> Result<Vec<NodeGroup>, ServiceError> {
        let pages = self.client.list_nodegroups().cluster_name(cluster).into_paginator().items().send();
        let names: Result<Vec<String>, _> = pages.collect().await;
        let names = names.map_err(|error| ServiceError::new("ListNodegroups", target(cluster), &error))?;
        let one = |name: String| async move { unless_gone(self.node_group(cluster, name).await) };
        let found: Vec<Option<_>> = stream::iter(names).map(one).buffered(AT_ONCE).try_collect().await?;
        let mut groups: Vec<NodeGroup> = found.into_iter().flatten().collect();
        groups.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(groups)
    }

    async fn node_group(&self, cluster: &str, name: String) -> Result<NodeGroup, ServiceError> {
        let target = format!("node group {name} of {}", target(cluster));
        let answer = self.client.describe_nodegroup().cluster_name(cluster).nodegroup_name(&name).send().await;
        let answer = answer.map_err(|error| ServiceError::new("DescribeNodegroup", &target, &error))?;
        let role = answer.nodegroup().and_then(types::Nodegroup::node_role);
        Ok(NodeGroup { role: read("DescribeNodegroup", &target, role)?, name })
    }

    async fn associations(&self, cluster: &str) -> Result<Vec<PodIdentityAssociation>, ServiceError> {
        const OPERATION: &str = "ListPodIdentityAssociations";
        let target = target(cluster);
        let pages = self.client.list_pod_identity_associations().cluster_name(cluster).into_paginator().items().send();
        let listed: Result<Vec<_>, _> = pages.collect().await;
        let listed = listed.map_err(|error| ServiceError::new(OPERATION, &target, &error))?;
        let ids = listed.iter().map(|one| read::<String>(OPERATION, &target, one.association_id()));
        let ids: Vec<String> = ids.collect::<Result<_, _>>()?;
        let one = |id: String| async move { unless_gone(self.association(cluster, id).await) };
        let found: Vec<Option<_>> = stream::iter(ids).map(one).buffered(AT_ONCE).try_collect().await?;
        let mut associations: Vec<PodIdentityAssociation> = found.into_iter().flatten().collect();
        associations.sort_by(|one, other| {
            (&one.namespace, &one.service_account, &one.id).cmp(&(&other.namespace, &other.service_account, &other.id))
        });
        Ok(associations)
    }

    /// Listings name no role.
    async fn association(&self, cluster: &str, id: String) -> Result<PodIdentityAssociation, ServiceError> {
        const OPERATION: &str = "DescribePodIdentityAssociation";
        let target = format!("Pod Identity association {id} of {}", target(cluster));
        let request = self.client.describe_pod_identity_association().cluster_name(cluster).association_id(&id);
        let answer = request.send().await.map_err(|error| ServiceError::new(OPERATION, &target, &error))?;
        let empty = || ServiceError::unexpected(OPERATION, &target, "the answer is empty");
        let found = answer.association().ok_or_else(empty)?;
        Ok(PodIdentityAssociation {
            namespace: read(OPERATION, &target, found.namespace())?,
            service_account: read(OPERATION, &target, found.service_account())?,
            role: read(OPERATION, &target, found.role_arn())?,
            tags: found.tags().map(tags).unwrap_or_default(),
            id,
        })
    }

    async fn addons(&self, cluster: &str) -> Result<Vec<String>, ServiceError> {
        let pages = self.client.list_addons().cluster_name(cluster).into_paginator().items().send();
        let names: Result<Vec<String>, _> = pages.collect().await;
        let mut names = names.map_err(|error| ServiceError::new("ListAddons", target(cluster), &error))?;
        names.sort();
        Ok(names)
    }

    /// Hands `role` to a service account; answers with the association's id.
    pub async fn create_association(
        &self,
        cluster: &str,
        namespace: &str,
        service_account: &str,
        role: &Arn,
        tags: &Tags,
    ) -> Result<String, ServiceError> {
        const OPERATION: &str = "CreatePodIdentityAssociation";
        let target = format!("{namespace}/{service_account} of {}", target(cluster));
        let mut request = self.client.create_pod_identity_association().cluster_name(cluster).namespace(namespace);
        for (key, value) in tags {
            request = request.tags(key.as_str(), value.as_str());
        }
        let request = request.service_account(service_account).role_arn(role.as_str());
        let answer = request.send().await.map_err(|error| ServiceError::new(OPERATION, &target, &error))?;
        let id = answer.association().and_then(types::PodIdentityAssociation::association_id);
        read(OPERATION, &target, id)
    }

    /// Hands another role to a service account that has one.
    ///
    /// Source: <https://docs.aws.amazon.com/eks/latest/APIReference/API_UpdatePodIdentityAssociation.html>
    pub async fn update_association(&self, cluster: &str, id: &str, role: &Arn) -> Result<(), ServiceError> {
        const OPERATION: &str = "UpdatePodIdentityAssociation";
        let request = self.client.update_pod_identity_association().cluster_name(cluster).association_id(id);
        let named = || format!("Pod Identity association {id} of {}", target(cluster));
        let answer = request.role_arn(role.as_str()).send().await;
        answer.map(|_| ()).map_err(|error| ServiceError::new(OPERATION, named(), &error))
    }

    /// Takes the role from a service account; one that has none any more is no error.
    pub async fn delete_association(&self, cluster: &str, id: &str) -> Result<(), ServiceError> {
        let request = self.client.delete_pod_identity_association().cluster_name(cluster).association_id(id);
        let named = || format!("Pod Identity association {id} of {}", target(cluster));
        let answer = request.send().await;
        let answer = answer.map_err(|error| ServiceError::new("DeletePodIdentityAssociation", named(), &error));
        unless_gone(answer).map(|_| ())
    }
}

fn target(cluster: &str) -> String {
    format!("cluster {cluster}")
}

/// What was read of a part, or nothing and a note that it may not be read.
fn part<T>(
    answer: Result<Vec<T>, ServiceError>,
    part: ClusterPart,
    note: &mut impl FnMut(ClusterPart, String),
) -> Result<Vec<T>, ServiceError> {
    match seen(answer)? {
        Seen::Here(found) => Ok(found),
        Seen::Absent => Ok(Vec::new()),
        Seen::Hidden(why) => {
            note(part, why);
            Ok(Vec::new())
        }
    }
}

fn tags(tags: &std::collections::HashMap<String, String>) -> Tags {
    tags.iter().map(|(key, value)| (TagKey::observed(key), TagValue::observed(value))).collect()
}
