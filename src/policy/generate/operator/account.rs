//! The rights in the account that a layout's grants take: one table of what this tool calls of IAM and EKS, and on what.
//!
//! What each action may be limited to:
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html> and
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelastickubernetesservice.html>

use super::super::Frame;
use super::super::statement::{Test, statement};
use crate::layout::{AttachTarget, Grant, Layout};
use crate::model::AccountId;
use serde_json::{Value, json};

/// Rights that go together.
#[derive(Debug)]
pub struct Rights {
    /// The actions, as policies write them.
    pub actions: &'static [&'static str],
    /// The name of their statement.
    sid: &'static str,
    /// What they are for.
    need: Need,
    /// On what.
    on: On,
}

/// What makes rights needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Any grant.
    Grants,
    /// A grant to node groups, or to service accounts of a cluster.
    Clusters,
    /// A grant to service accounts, whose roles this tool makes.
    ServiceAccounts,
    /// A grant to service accounts by the cluster's OIDC provider.
    Irsa,
    /// A grant to service accounts by EKS Pod Identity.
    PodIdentity,
    /// Verbs that a person calls for something else than the layout, such as `policy restore`, `policy audit` and
    /// `cluster show`, whose pages name what they take.
    ByHand,
}

/// What rights are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    /// The account: these calls name nothing.
    Account,
    /// Any policy.
    Policies,
    /// The policies of the grants, and the parts that they are split into.
    OwnPolicies,
    /// Any role.
    Roles,
    /// Any role, and only for the policies of the grants.
    RolesForOwnPolicies,
    /// The roles that are made for service accounts.
    ServiceRoles,
    /// Those of EKS Pod Identity, and only to hand them over.
    PassedRoles,
    /// The clusters.
    Clusters,
    /// Their node groups.
    NodeGroups,
    /// Their Pod Identity associations.
    Associations,
    /// The clusters of EKS Pod Identity.
    PodClusters,
    /// Their associations.
    PodAssociations,
}

/// What this tool calls of IAM and EKS, each action once. A call that is not here is a mistake, which a test finds.
pub const TABLE: &[Rights] = &[
    rights(
        "ReadAccount",
        Need::Grants,
        On::Account,
        &["iam:GetAccountAuthorizationDetails", "iam:ListPolicies", "iam:ListRoles", "iam:GetAccountSummary"],
    ),
    rights("ReadAccount", Need::Irsa, On::Account, &["iam:ListOpenIDConnectProviders"]),
    rights("ReadAccount", Need::Clusters, On::Account, &["eks:ListClusters"]),
    rights(
        "ReadPolicies",
        Need::Grants,
        On::Policies,
        &[
            "iam:GetPolicy",
            "iam:GetPolicyVersion",
            "iam:ListPolicyVersions",
            "iam:ListPolicyTags",
            "iam:ListEntitiesForPolicy",
        ],
    ),
    rights(
        "WritePolicies",
        Need::Grants,
        On::OwnPolicies,
        &[
            "iam:CreatePolicy",
            "iam:CreatePolicyVersion",
            "iam:SetDefaultPolicyVersion",
            "iam:DeletePolicyVersion",
            "iam:TagPolicy",
        ],
    ),
    rights(
        "ReadRoles",
        Need::Grants,
        On::Roles,
        &["iam:GetRole", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:GetRolePolicy"],
    ),
    rights("AttachPolicies", Need::Grants, On::RolesForOwnPolicies, &["iam:AttachRolePolicy", "iam:DetachRolePolicy"]),
    rights(
        "WriteRoles",
        Need::ServiceAccounts,
        On::ServiceRoles,
        &["iam:CreateRole", "iam:TagRole", "iam:UpdateAssumeRolePolicy"],
    ),
    rights("PassRoles", Need::PodIdentity, On::PassedRoles, &["iam:PassRole"]),
    rights(
        "ReadClusters",
        Need::Clusters,
        On::Clusters,
        &["eks:DescribeCluster", "eks:ListNodegroups", "eks:ListAddons", "eks:ListPodIdentityAssociations"],
    ),
    rights("ReadNodeGroups", Need::Clusters, On::NodeGroups, &["eks:DescribeNodegroup"]),
    rights("ReadAssociations", Need::Clusters, On::Associations, &["eks:DescribePodIdentityAssociation"]),
    rights("MakeAssociations", Need::PodIdentity, On::PodClusters, &["eks:CreatePodIdentityAssociation"]),
    rights(
        "WriteAssociations",
        Need::PodIdentity,
        On::PodAssociations,
        &["eks:UpdatePodIdentityAssociation", "eks:DeletePodIdentityAssociation", "eks:TagResource"],
    ),
    rights("RestoreRoles", Need::ByHand, On::Roles, &["iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"]),
    rights("DeletePolicies", Need::ByHand, On::OwnPolicies, &["iam:DeletePolicy"]),
    rights(
        "ReadUses",
        Need::ByHand,
        On::Account,
        &[
            "iam:ListUsers",
            "iam:ListAccessKeys",
            "iam:GetAccessKeyLastUsed",
            "iam:GenerateServiceLastAccessedDetails",
            "iam:GetServiceLastAccessedDetails",
        ],
    ),
    rights("ReadProfiles", Need::ByHand, On::Account, &["iam:ListInstanceProfilesForRole", "iam:GetInstanceProfile"]),
    rights("ReadFargate", Need::ByHand, On::Account, &["eks:ListFargateProfiles", "eks:DescribeFargateProfile"]),
];

const fn rights(sid: &'static str, need: Need, on: On, actions: &'static [&'static str]) -> Rights {
    Rights { actions, sid, need, on }
}

/// What a layout's grants name.
#[derive(Debug, Default)]
struct Named<'layout> {
    policies: Vec<&'layout str>,
    clusters: Vec<&'layout str>,
    pod_clusters: Vec<&'layout str>,
    irsa_roles: Vec<&'layout str>,
    pod_roles: Vec<&'layout str>,
}

fn add<'text>(texts: &mut Vec<&'text str>, text: &'text str) {
    if !texts.contains(&text) {
        texts.push(text);
    }
}

impl<'layout> Named<'layout> {
    fn of(grants: &'layout [Grant]) -> Self {
        let mut named = Self::default();
        for grant in grants {
            add(&mut named.policies, &grant.policy);
            for target in &grant.attach {
                match target {
                    AttachTarget::Role(_) => {}
                    AttachTarget::NodeGroups { cluster, .. } => add(&mut named.clusters, cluster),
                    AttachTarget::Irsa(to) => {
                        add(&mut named.clusters, &to.cluster);
                        add(&mut named.irsa_roles, &to.role);
                    }
                    AttachTarget::PodIdentity(to) => {
                        add(&mut named.clusters, &to.cluster);
                        add(&mut named.pod_clusters, &to.cluster);
                        add(&mut named.pod_roles, &to.role);
                    }
                }
            }
        }
        named
    }

    fn needs(&self, need: Need) -> bool {
        match need {
            Need::Grants => !self.policies.is_empty(),
            Need::Clusters => !self.clusters.is_empty(),
            Need::ServiceAccounts => !self.irsa_roles.is_empty() || !self.pod_roles.is_empty(),
            Need::Irsa => !self.irsa_roles.is_empty(),
            Need::PodIdentity => !self.pod_roles.is_empty(),
            Need::ByHand => false,
        }
    }
}

/// Where ARNs are: a part that is not known is any.
struct Place {
    partition: String,
    region: String,
    account: String,
}

impl Place {
    fn iam(&self, resource: &str) -> String {
        format!("arn:{}:iam::{}:{resource}", self.partition, self.account)
    }

    fn eks(&self, resource: &str) -> String {
        format!("arn:{}:eks:{}:{}:{resource}", self.partition, self.region, self.account)
    }

    fn own_policies(&self, named: &Named<'_>) -> Vec<String> {
        named
            .policies
            .iter()
            .flat_map(|name| [format!("policy/{name}"), format!("policy/{name}-*")])
            .map(|one| self.iam(&one))
            .collect()
    }

    fn resources(&self, on: On, named: &Named<'_>) -> Vec<String> {
        let roles = |names: &[&str]| names.iter().map(|name| self.iam(&format!("role/{name}"))).collect::<Vec<_>>();
        let below = |clusters: &[&str], kind: &str, rest: &str| -> Vec<String> {
            clusters.iter().map(|name| self.eks(&format!("{kind}/{name}{rest}"))).collect()
        };
        match on {
            On::Account => vec!["*".to_owned()],
            On::Policies => vec![self.iam("policy/*")],
            On::OwnPolicies => self.own_policies(named),
            On::Roles | On::RolesForOwnPolicies => vec![self.iam("role/*")],
            On::ServiceRoles => {
                let mut all = named.irsa_roles.clone();
                named.pod_roles.iter().for_each(|role| add(&mut all, role));
                roles(&all)
            }
            On::PassedRoles => roles(&named.pod_roles),
            On::Clusters => below(&named.clusters, "cluster", ""),
            On::NodeGroups => below(&named.clusters, "nodegroup", "/*/*"),
            On::Associations => below(&named.clusters, "podidentityassociation", "/*"),
            On::PodClusters => below(&named.pod_clusters, "cluster", ""),
            On::PodAssociations => below(&named.pod_clusters, "podidentityassociation", "/*"),
        }
    }

    fn tests(&self, on: On, named: &Named<'_>) -> Vec<Test<'static>> {
        match on {
            On::RolesForOwnPolicies => vec![("ArnLike", "iam:PolicyARN", json!(self.own_policies(named)))],
            On::PassedRoles => vec![("StringEquals", "iam:PassedToService", json!("pods.eks.amazonaws.com"))],
            _ => Vec::new(),
        }
    }
}

/// The statements that a layout's grants take; none for a layout without grants.
pub(super) fn statements(layout: &Layout, frame: &Frame, account: Option<&AccountId>) -> Vec<Value> {
    let named = Named::of(&layout.grants);
    let any = || "*".to_owned();
    let place = Place {
        partition: frame.partition.clone(),
        region: layout.region.as_ref().map_or_else(any, ToString::to_string),
        account: account.map_or_else(any, ToString::to_string),
    };
    let mut groups: Vec<(&Rights, Vec<&str>)> = Vec::new();
    for row in TABLE.iter().filter(|row| named.needs(row.need)) {
        match groups.iter_mut().find(|(first, _)| first.sid == row.sid) {
            Some((_, actions)) => actions.extend(row.actions),
            None => groups.push((row, row.actions.to_vec())),
        }
    }
    let made = |(row, actions): (&Rights, Vec<&str>)| {
        let resources = place.resources(row.on, &named);
        statement(row.sid, "Allow", &actions, &resources, &place.tests(row.on, &named))
    };
    groups.into_iter().map(made).collect()
}
