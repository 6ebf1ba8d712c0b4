//! What the verbs over an account share: what a name means there, what is shown of it, and who must agree to a write.

use super::diff;
use crate::access;
use crate::commands::{self, Closing, Context, Ending};
use crate::config::Settings;
use crate::error::CommandError;
use crate::layout::Layout;
use crate::model::{
    AccountId, Arn, ClusterPart, ManagedPolicy, PolicyJson, PolicyName, PolicyVersion, Role, RoleName, Seen, TagKey,
    Tags, VersionId,
};
use crate::policy::Json;
use crate::policy::diff::Side;
use crate::report::{
    ActionRecord, Event, Finding, ManagedPolicyRecord, Outcome, PolicyVersionRecord, RoleRecord, Severity,
    StatementRecord, Status, Summary,
};
use crate::ui::Confirmation;
use crate::world::World;
use clap::Args;
use std::str::FromStr;

/// Connects as the flags say, without a layout.
pub(super) async fn open(context: &Context) -> Result<World, CommandError> {
    let settings = Settings::resolve(&context.flags, None, None, &context.environment)?;
    with_account(commands::open(&settings, None, context).await?)
}

/// The same world, if the caller may look at its account at all.
pub(super) fn with_account(world: World) -> Result<World, CommandError> {
    match world.no_account() {
        Some(why) => Err(CommandError::new("denied", Outcome::Failed, why)),
        None => Ok(world),
    }
}

/// The same, saying who acts: for verbs that write.
pub(super) async fn open_to_write(context: &Context) -> Result<World, CommandError> {
    let world = open(context).await?;
    context.ui.event(&Event::Identity(world.identity_record()));
    Ok(world)
}

/// The world, reached only when it is needed.
#[derive(Debug, Default)]
pub(super) struct Opened(Option<World>);

impl Opened {
    pub(super) async fn get(&mut self, context: &Context) -> Result<&World, CommandError> {
        let world = match self.0.take() {
            Some(world) => world,
            None => open(context).await?,
        };
        Ok(self.0.insert(world))
    }
}

/// A managed policy as it is typed: its name, or its ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PolicyRef {
    Name(PolicyName),
    Arn(Arn),
}

impl FromStr for PolicyRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.starts_with("arn:") {
            return text.parse().map(Self::Name).map_err(|error: crate::model::IamNameError| error.to_string());
        }
        let arn: Arn = text.parse().map_err(|error: crate::model::ArnError| error.to_string())?;
        match PolicyName::of_arn(&arn) {
            Some(_) => Ok(Self::Arn(arn)),
            None => Err(format!("`{text}` is not the ARN of a managed policy")),
        }
    }
}

/// A role as it is typed: its name, or its ARN.
pub(super) fn parse_role(text: &str) -> Result<RoleRef, String> {
    let text = text.strip_prefix("role/").unwrap_or(text);
    if !text.starts_with("arn:") {
        let name = text.parse().map_err(|error: crate::model::IamNameError| error.to_string())?;
        return Ok(RoleRef { name, account: None });
    }
    let arn: Arn = text.parse().map_err(|error: crate::model::ArnError| error.to_string())?;
    let name = RoleName::of_arn(&arn).ok_or_else(|| format!("`{text}` is not the ARN of a role"))?;
    let account = arn.account().parse::<AccountId>().map_err(|error| error.to_string())?;
    Ok(RoleRef { name, account: Some(account) })
}

/// A role, and the account that its ARN named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoleRef {
    pub(super) name: RoleName,
    pub(super) account: Option<AccountId>,
}

impl PolicyRef {
    /// The policy; one that is not there, or may not be read, ends the run.
    pub(super) async fn find(&self, world: &World) -> Result<ManagedPolicy, CommandError> {
        let (seen, shown) = match self {
            Self::Name(name) => (world.account.policy_named(name).await?, name.to_string()),
            Self::Arn(arn) => {
                if arn.account() != "aws" {
                    own_account(world, arn.account())?;
                }
                (world.account.policy(arn).await?, arn.to_string())
            }
        };
        match seen {
            Seen::Here(policy) => Ok(policy),
            Seen::Absent => Err(missing(format!("there is no managed policy `{shown}` in this account")).hint(
                "policies that AWS keeps are named by their ARN, such as arn:aws:iam::aws:policy/ReadOnlyAccess",
            )),
            Seen::Hidden(why) => Err(hidden(&format!("policy `{shown}`"), &why)),
        }
    }
}

/// Refuses what names another account than the caller's.
pub(super) fn own_account(world: &World, named: &str) -> Result<(), CommandError> {
    match &world.identity.account {
        Some(account) if account.as_str() != named => {
            let message = format!("the ARN is of account `{named}`, these credentials are of `{account}`");
            Err(CommandError::new("wrong-account", Outcome::Invalid, message)
                .hint("choose the right `--profile`; nothing was written"))
        }
        _ => Ok(()),
    }
}

pub(super) fn missing(message: String) -> CommandError {
    CommandError::new("not-found", Outcome::Failed, message)
}

pub(super) fn hidden(what: &str, why: &str) -> CommandError {
    CommandError::new("denied", Outcome::Failed, format!("{what} may not be read: {why}"))
        .hint("`bucketwright policy generate --for operator` prints the rights that this takes")
}

/// `NAME@v3` or `NAME@default`: a version of a policy in the account.
#[derive(Debug)]
pub(super) struct VersionName {
    policy: PolicyRef,
    version: Option<VersionId>,
}

impl VersionName {
    /// None for texts that name no version, such as those of files.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (policy, version) = text.rsplit_once('@')?;
        let version = if version == "default" { None } else { Some(version.parse().ok()?) };
        Some(Self { policy: policy.parse().ok()?, version })
    }

    pub(super) async fn document(&self, world: &World) -> Result<PolicyJson, CommandError> {
        let policy = self.policy.find(world).await?;
        Ok(version_of(&policy, self.version.unwrap_or(policy.default_version))?.document.clone())
    }
}

/// A version of a policy; one that is not there ends the run.
pub(super) fn version_of(policy: &ManagedPolicy, id: VersionId) -> Result<&PolicyVersion, CommandError> {
    policy.versions.iter().find(|version| version.id == id).ok_or_else(|| {
        let there: Vec<String> = policy.versions.iter().map(|version| version.id.to_string()).collect();
        missing(format!("policy `{}` has no version {id}; it has {}", policy.name, there.join(", ")))
    })
}

/// The names of the policies that a layout's grants make: several for one that is too large for one document.
pub(super) fn policies_of(layout: &Layout, world: &World) -> Result<Vec<PolicyName>, CommandError> {
    let mut names = Vec::new();
    for grant in &layout.grants {
        let documents = access::documents_of(layout, grant, world.partition())?;
        names.extend(documents.into_iter().map(|(name, _)| name));
    }
    Ok(names)
}

/// Says that a layout owns the policy, and would undo what is done here.
pub(super) fn warn_of_owner(policy: &ManagedPolicy, undoes: &str, context: &Context) {
    if let Some(owner) = owner(&policy.tags) {
        let message = format!("layout `{owner}` owns it, and its next `apply` {undoes}");
        let finding = Finding::new("owned-by-layout", Severity::Warning, &policy.arn, message);
        context.ui.event(&Event::Finding(finding.with_fix("change the layout as well")));
    }
}

/// How a verb ends that writes one thing after the other: as interrupted, if the user asked for that.
pub(super) fn ending(summary: Summary, outcome: Outcome, context: &Context) -> Ending {
    let stopped = context.stop.is_asked().then(|| CommandError::stopped("what is done stays done"));
    let outcome = if stopped.is_some() { Outcome::Interrupted } else { outcome };
    Ending { summary, outcome, closing: Closing::Shown, last_word: stopped }
}

/// The side of a comparison that a document is.
pub(super) fn side_of(name: &str, document: &PolicyJson) -> Result<Side, CommandError> {
    diff::side(&[(name.to_owned(), document.0.as_str())])
}

/// What a document says, statement by statement.
fn statements(name: &str, document: &PolicyJson) -> Result<Vec<StatementRecord>, CommandError> {
    let edits = crate::policy::diff::edits(&Side::default(), &side_of(name, document)?);
    Ok(edits.into_iter().map(|edit| StatementRecord { statement: edit.statement, detail: edit.detail }).collect())
}

/// A trust policy has no resources; comparing gives it the role itself.
fn of_trust(record: StatementRecord) -> StatementRecord {
    let parts = record.detail.split("; ").filter(|part| *part != "Resource *");
    StatementRecord { detail: parts.collect::<Vec<_>>().join("; "), ..record }
}

/// The size that IAM's quotas are compared with.
pub(super) fn characters(document: &PolicyJson) -> u64 {
    Json::parse(&document.0).map_or(document.0.chars().count(), |json| json.compact().chars().count()) as u64
}

fn owner(tags: &Tags) -> Option<String> {
    tags.get(&TagKey::owner()).map(ToString::to_string)
}

/// A version as output shows it.
pub(super) fn version_record(policy: &ManagedPolicy, version: &PolicyVersion) -> PolicyVersionRecord {
    let text = || serde_json::Value::from(version.document.0.as_str());
    PolicyVersionRecord {
        policy: policy.name.to_string(),
        version: version.id.to_string(),
        in_force: version.id == policy.default_version,
        created: version.created.map(|time| time.to_string()),
        characters: characters(&version.document),
        document: serde_json::from_str(&version.document.0).unwrap_or_else(|_| text()),
    }
}

/// A policy as output shows it, with whom it is attached to.
pub(super) async fn policy_record(world: &World, policy: &ManagedPolicy) -> Result<ManagedPolicyRecord, CommandError> {
    let in_force = version_of(policy, policy.default_version)?;
    // Whom in the account AWS's own policies are attached to is seen like that of others.
    let (attachments, hidden) = match world.account.attachments(&policy.arn).await? {
        Seen::Here(attachments) => (Some(attachments), None),
        Seen::Absent => (None, None),
        Seen::Hidden(why) => (None, Some(why)),
    };
    Ok(ManagedPolicyRecord {
        name: policy.name.to_string(),
        arn: policy.arn.clone(),
        description: policy.description.clone(),
        default_version: version_record(policy, in_force),
        versions: policy.versions.iter().map(|version| version.id.to_string()).collect(),
        attachments,
        hidden,
        owner: owner(&policy.tags),
        tags: policy.tags.clone(),
        statements: statements(policy.name.as_str(), &in_force.document)?,
    })
}

/// A role as output shows it.
pub(super) fn role_record(role: &Role) -> Result<RoleRecord, CommandError> {
    let inline =
        role.inline.iter().map(|one| Ok((one.name.to_string(), statements(one.name.as_str(), &one.document)?)));
    Ok(RoleRecord {
        name: role.name.to_string(),
        arn: role.arn.clone(),
        description: role.description.clone(),
        created: role.created.map(|time| time.to_string()),
        last_used: role.last_use.as_ref().map(|used| used.at.to_string()),
        last_used_region: role.last_use.as_ref().and_then(|used| used.region.clone()),
        attached: role.attached.clone(),
        inline: inline.collect::<Result<_, CommandError>>()?,
        boundary: role.boundary.clone(),
        trust: statements(role.name.as_str(), &role.trust)?.into_iter().map(of_trust).collect(),
        owner: owner(&role.tags),
        tags: role.tags.clone(),
    })
}

/// Nothing is written before somebody said yes, unless `--yes` did.
pub(super) async fn consent(question: String, context: &Context) -> Result<(), CommandError> {
    if context.yes {
        return Ok(());
    }
    let ui = context.ui.clone();
    // Waiting for a person must not keep the program from hearing Ctrl-C.
    let answer = tokio::task::spawn_blocking(move || ui.confirm(&question)).await;
    match answer.unwrap_or(Confirmation::No) {
        Confirmation::Yes => Ok(()),
        Confirmation::No => Err(CommandError::new("declined", Outcome::Failed, "not confirmed; nothing was written")),
        Confirmation::NobodyThere => {
            Err(CommandError::usage("nobody is here to confirm, nothing was written").hint("pass `--yes`"))
        }
    }
}

/// An action on something that is no object.
pub(super) fn action(status: Status, action: &'static str, target: String, reason: String) -> ActionRecord {
    ActionRecord { status, action, target, reason, setting: None, source: None, bytes: None, proof: None, policy: None }
}

/// Whom a policy is attached to or detached from: roles by name, or those of node groups.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct TargetArgs {
    /// A role: its name or ARN; can be repeated
    #[arg(long, value_name = "ROLE", value_parser = parse_role)]
    role: Vec<RoleRef>,
    /// An EKS cluster, whose node groups' roles are meant
    #[arg(long, value_name = "NAME")]
    eks_cluster: Option<String>,
    #[command(flatten)]
    of_cluster: OfCluster,
}

/// Apart, because it names nobody by itself.
#[derive(Debug, Args)]
struct OfCluster {
    /// Only these node groups, separated by commas: names, or patterns with `*` and `?`
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "eks_cluster")]
    node_groups: Vec<String>,
}

/// A role that is meant, and by what.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) role: RoleName,
    /// `node groups a, b of cluster c`; empty for a role that was named.
    pub(super) by: String,
}

impl TargetArgs {
    /// The roles, each once.
    pub(super) async fn resolve(&self, world: &World) -> Result<Vec<Target>, CommandError> {
        let mut targets: Vec<Target> = Vec::new();
        for role in &self.role {
            if let Some(account) = &role.account {
                own_account(world, account.as_str())?;
            }
            if !targets.iter().any(|known| known.role == role.name) {
                targets.push(Target { role: role.name.clone(), by: String::new() });
            }
        }
        if let Some(name) = &self.eks_cluster {
            let cluster = match world.account.cluster(name).await? {
                Seen::Here(cluster) => cluster,
                Seen::Absent => {
                    let failed = missing(format!("there is no EKS cluster `{name}` in {}", world.region));
                    return Err(failed.hint("clusters belong to a region: `--region` chooses another"));
                }
                Seen::Hidden(why) => return Err(hidden(&format!("cluster `{name}`"), &why)),
            };
            if let Some(why) = cluster.unread(ClusterPart::NodeGroups) {
                return Err(hidden(&format!("the node groups of cluster `{name}`"), why));
            }
            let all = ["*".to_owned()];
            let named = &self.of_cluster.node_groups;
            let wanted = if named.is_empty() { &all[..] } else { named };
            let roles = cluster.node_roles(wanted).map_err(|error| missing(error.to_string()))?;
            for node in roles {
                let Some(role) = RoleName::of_arn(&node.role) else { continue };
                let groups = if node.groups.len() == 1 { "node group" } else { "node groups" };
                let by = format!("{groups} {} of cluster {name}", node.groups.join(", "));
                if !targets.iter().any(|known| known.role == role) {
                    targets.push(Target { role, by });
                }
            }
        }
        Ok(targets)
    }
}

#[cfg(test)]
mod tests {
    use super::{PolicyRef, VersionName, parse_role};

    #[test]
    fn names_and_arns() {
        for text in ["FlyteMLS3Access", "a@b", "arn:aws:iam::111122223333:policy/x/y", "arn:aws-cn:iam::aws:policy/Z"] {
            assert!(text.parse::<PolicyRef>().is_ok(), "{text}");
        }
        for text in ["", "a/b", "../x", "arn:aws:iam::111122223333:role/x", "arn:aws:s3:::x"] {
            assert!(text.parse::<PolicyRef>().is_err(), "{text}");
        }
        for text in ["node", "role/node", "arn:aws:iam::111122223333:role/a/b/node"] {
            assert_eq!(parse_role(text).unwrap().name.as_str(), "node", "{text}");
        }
        for text in ["role/a/b", "a b", "arn:aws:iam::111122223333:policy/x", "arn:aws:iam::x:role/node"] {
            assert!(parse_role(text).is_err(), "{text}");
        }
    }

    #[test]
    fn versions_are_told_from_files() {
        for text in ["P@v1", "P@default", "arn:aws:iam::111122223333:policy/P@v12", "a@b@v2"] {
            assert!(VersionName::parse(text).is_some(), "{text}");
        }
        for text in ["P", "P@1", "P@v0", "dir/P@v1", "old.json", "@v1"] {
            assert!(VersionName::parse(text).is_none(), "{text}");
        }
    }
}
