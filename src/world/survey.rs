//! A cluster looked at from all sides: EKS tells of its groups, EC2 of its nodes and network, IAM of instance profiles.

use super::account::blocking;
use super::{Account, AccountError};
use crate::aws::ec2::Ec2;
use crate::aws::iam::Iam;
use crate::model::{Arn, Cluster, ClusterSurvey, RoleName, Seen};
use std::collections::BTreeSet;

impl Account {
    /// The nodes and the network of a cluster. What may not be read is told in its place.
    pub async fn survey(&self, cluster: &Cluster) -> Result<Seen<ClusterSurvey>, AccountError> {
        match self {
            Self::Remote { iam, eks, ec2 } => {
                let mut survey = match eks.survey(&cluster.name).await? {
                    Seen::Here(survey) => survey,
                    other => return Ok(other),
                };
                look_at_network(&mut survey, cluster, ec2).await?;
                look_at_profiles(&mut survey, cluster, iam).await?;
                Ok(Seen::Here(survey))
            }
            Self::Local(local) => {
                let name = cluster.name.clone();
                blocking(local, move |local| local.survey(&name)).await.map(Seen::Here)
            }
        }
    }
}

async fn look_at_network(survey: &mut ClusterSurvey, cluster: &Cluster, ec2: &Ec2) -> Result<(), AccountError> {
    survey.nodes = ec2.nodes(&cluster.name).await?;
    for group in survey.groups.values_mut() {
        if let Some(template) = &mut group.template {
            template.metadata = ec2.template_metadata(&template.id, &template.version).await?;
        }
    }
    if survey.vpc.is_none() {
        survey.vpc = survey.nodes.here().and_then(|nodes| nodes.iter().find_map(|node| node.vpc.clone()));
    }
    match &survey.vpc {
        Some(vpc) => {
            survey.endpoints = ec2.s3_endpoints(vpc).await?;
            survey.route_tables = ec2.route_tables(vpc).await?;
        }
        None => (survey.endpoints, survey.route_tables) = (Seen::Absent, Seen::Absent),
    }
    Ok(())
}

async fn look_at_profiles(survey: &mut ClusterSurvey, cluster: &Cluster, iam: &Iam) -> Result<(), AccountError> {
    let roles = cluster.node_groups.iter().map(|group| &group.role).chain(&cluster.auto_mode_role);
    let roles: BTreeSet<&Arn> = roles.collect();
    for role in roles.into_iter().filter_map(RoleName::of_arn) {
        let profiles = iam.profiles_of(&role).await?;
        survey.profiles.insert(role, profiles);
    }
    let nodes = survey.nodes.here().into_iter().flatten();
    let of_groups: BTreeSet<&String> = survey.profiles.values().filter_map(Seen::here).flatten().collect();
    let others = nodes.filter_map(|node| node.profile.clone()).filter(|profile| !of_groups.contains(profile));
    let others: BTreeSet<String> = others.collect();
    for profile in others {
        let role = iam.role_in_profile(&profile).await?;
        survey.profile_roles.insert(profile, role);
    }
    Ok(())
}
