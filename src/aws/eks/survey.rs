//! What EKS says of a cluster's nodes and network beyond the roles.

use super::{AT_ONCE, Eks, target};
use crate::aws::ServiceError;
use crate::aws::iam::{part_seen, seen, unless_gone};
use crate::model::{Arn, ClusterSurvey, FargateProfile, GroupSurvey, LaunchTemplate, Seen};
use aws_sdk_eks::types;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use std::collections::BTreeMap;

/// Why parts of a survey that another service tells are not there yet.
const NOT_ASKED: &str = "nobody asked";

impl Eks {
    /// The survey of a cluster, as far as EKS tells; what EC2 and IAM tell is for the caller to add.
    pub async fn survey(&self, name: &str) -> Result<Seen<ClusterSurvey>, ServiceError> {
        let target = target(name);
        let answer = self.client.describe_cluster().name(name).send().await;
        let answer = seen(answer.map_err(|error| ServiceError::new("DescribeCluster", &target, &error)))?;
        let answer = match answer {
            Seen::Here(answer) => answer,
            Seen::Absent => return Ok(Seen::Absent),
            Seen::Hidden(why) => return Ok(Seen::Hidden(why)),
        };
        let Some(cluster) = answer.cluster() else { return Ok(Seen::Absent) };
        let network = cluster.resources_vpc_config();
        let hidden = || NOT_ASKED.to_owned();
        Ok(Seen::Here(ClusterSurvey {
            status: cluster.status().map(|status| status.as_str().to_owned()),
            version: cluster.version().map(str::to_owned),
            vpc: network.and_then(types::VpcConfigResponse::vpc_id).filter(|id| !id.is_empty()).map(str::to_owned),
            subnets: network.map(|network| network.subnet_ids().to_vec()).unwrap_or_default(),
            // The cluster itself says why its node groups may not be read.
            groups: match part_seen(self.group_surveys(name).await)? {
                Seen::Here(groups) => groups,
                Seen::Absent | Seen::Hidden(_) => BTreeMap::new(),
            },
            fargate: part_seen(self.fargate_profiles(name).await)?,
            nodes: Seen::Hidden(hidden()),
            profiles: BTreeMap::new(),
            profile_roles: BTreeMap::new(),
            endpoints: Seen::Hidden(hidden()),
            route_tables: Seen::Hidden(hidden()),
        }))
    }

    async fn group_surveys(&self, cluster: &str) -> Result<BTreeMap<String, GroupSurvey>, ServiceError> {
        let pages = self.client.list_nodegroups().cluster_name(cluster).into_paginator().items().send();
        let names: Result<Vec<String>, _> = pages.collect().await;
        let names = names.map_err(|error| ServiceError::new("ListNodegroups", target(cluster), &error))?;
        let one = |name: String| async move { unless_gone(self.group_survey(cluster, name).await) };
        let found: Vec<Option<_>> = stream::iter(names).map(one).buffered(AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn group_survey(&self, cluster: &str, name: String) -> Result<(String, GroupSurvey), ServiceError> {
        let target = format!("node group {name} of {}", target(cluster));
        let answer = self.client.describe_nodegroup().cluster_name(cluster).nodegroup_name(&name).send().await;
        let answer = answer.map_err(|error| ServiceError::new("DescribeNodegroup", &target, &error))?;
        let empty = || ServiceError::unexpected("DescribeNodegroup", &target, "the answer is empty");
        let group = answer.nodegroup().ok_or_else(empty)?;
        let template = group.launch_template().and_then(|template| {
            Some(LaunchTemplate {
                id: template.id().or(template.name())?.to_owned(),
                version: template.version().unwrap_or("$Default").to_owned(),
                metadata: Seen::Hidden(NOT_ASKED.to_owned()),
            })
        });
        let survey = GroupSurvey {
            status: group.status().map(|status| status.as_str().to_owned()),
            image: group.ami_type().map(|image| image.as_str().to_owned()),
            subnets: group.subnets().to_vec(),
            template,
        };
        Ok((name, survey))
    }

    async fn fargate_profiles(&self, cluster: &str) -> Result<Vec<FargateProfile>, ServiceError> {
        let pages = self.client.list_fargate_profiles().cluster_name(cluster).into_paginator().items().send();
        let names: Result<Vec<String>, _> = pages.collect().await;
        let mut names = names.map_err(|error| ServiceError::new("ListFargateProfiles", target(cluster), &error))?;
        names.sort();
        let one = |name: String| async move { unless_gone(self.fargate_profile(cluster, name).await) };
        let found: Vec<Option<_>> = stream::iter(names).map(one).buffered(AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn fargate_profile(&self, cluster: &str, name: String) -> Result<FargateProfile, ServiceError> {
        let target = format!("Fargate profile {name} of {}", target(cluster));
        let request = self.client.describe_fargate_profile().cluster_name(cluster).fargate_profile_name(&name);
        let answer = request.send().await;
        let answer = answer.map_err(|error| ServiceError::new("DescribeFargateProfile", &target, &error))?;
        let profile = answer.fargate_profile();
        let role = profile.and_then(types::FargateProfile::pod_execution_role_arn);
        let selectors = profile.map(types::FargateProfile::selectors).unwrap_or_default();
        Ok(FargateProfile {
            role: role.and_then(|arn| arn.parse::<Arn>().ok()),
            namespaces: selectors.iter().filter_map(|one| one.namespace().map(str::to_owned)).collect(),
            name,
        })
    }
}
