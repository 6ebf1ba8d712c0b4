//! As whom access is tried: what the flags mean together.

use super::VerifyArgs;
use crate::access;
use crate::aws::sts::SessionLimit;
use crate::config::{AsRole, Flags, Limit};
use crate::error::CommandError;
use crate::layout::{Grant, Layout};
use crate::model::{Arn, Cluster, ClusterPart, RoleName, Seen};
use crate::policy::generate::{Generated, Kind};
use crate::policy::held::{self, Held};
use crate::policy::matrix::Principal;
use crate::report::{Finding, Severity};
use crate::world::read_session_policy;
use std::collections::BTreeMap;

/// The clusters whose node groups grants name, as far as they were seen.
pub(super) type Clusters = BTreeMap<String, Seen<Cluster>>;

/// As whom access is tried.
#[derive(Debug)]
pub(super) enum Mode {
    /// As whoever calls: round trips where everything should work.
    Caller,
    /// As others, each held against their grants.
    Others(Vec<Subject>),
    /// As whoever calls, held against grants.
    Itself(Box<Subject>),
}

/// Somebody whose access is tried by calls.
#[derive(Debug)]
pub(super) struct Subject {
    /// What they hold by the layout.
    pub(super) held: Held,
    /// The role that is taken for it; none for a session of the calling user.
    pub(super) role: Option<AsRole>,
    /// One session for each: a policy that is too long for one is tried in parts. None for whoever calls.
    pub(super) limits: Vec<SessionLimit>,
}

/// Somebody whose access is computed.
#[derive(Debug)]
pub(super) struct Simulated {
    pub(super) held: Held,
    /// Policies in the place of those that are made of the grants.
    pub(super) candidate: Option<Principal>,
}

impl Mode {
    /// What the command line asks for.
    pub(super) fn of(
        args: &VerifyArgs,
        flags: &Flags,
        layout: &Layout,
        clusters: &Clusters,
    ) -> Result<Self, CommandError> {
        if args.as_caller {
            let held = Held::of(layout, "the caller", &chosen(args, layout)?)?;
            let held = held.ok_or_else(|| CommandError::usage("the layout has no grants"))?;
            return Ok(Self::Itself(Box::new(Subject { held, role: None, limits: Vec::new() })));
        }
        match (&flags.as_role, &args.via, &flags.session_policy) {
            (Some(_), Some(_), _) => Err(CommandError::usage(
                "`--as` tries a role as it is, `--via` tries other policies over a role; choose one",
            )),
            (None, Some(_), None) => Err(CommandError::usage(
                "`--via` names the role whose session `--session-policy` limits; add that flag",
            )),
            (None, via, Some(limit)) => rehearsal(args, via.as_ref(), limit, layout),
            (Some(role), None, limit) => as_role(args, role, limit.as_ref(), layout, clusters),
            (None, None, None) if args.wait || !args.grant.is_empty() => Err(CommandError::usage(
                "`--wait` and `--grant` are about the roles of grants; add `--as`, `--as-caller`, `--session-policy` or `--simulate`",
            )),
            (None, None, None) => Ok(Self::Caller),
        }
    }

    /// The flags of whoever calls and cleans up.
    pub(super) fn callers_flags(&self, flags: &Flags) -> Flags {
        match self {
            Self::Caller | Self::Itself(_) => flags.clone(),
            Self::Others(_) => Flags { as_role: None, session_policy: None, ..flags.clone() },
        }
    }

    /// True if what is meant depends on the roles of node groups, which only their clusters tell.
    pub(super) fn depends_on_nodes(args: &VerifyArgs, flags: &Flags, layout: &Layout) -> bool {
        let is_named = !args.grant.is_empty() || args.via.is_some();
        flags.as_role.is_some() && !is_named && !access::node_clusters_of(layout).is_empty()
    }

    /// True if nothing but access is meant unless more is asked for.
    pub(super) fn is_about_access_alone(args: &VerifyArgs, flags: &Flags) -> bool {
        args.simulate
            || args.as_caller
            || args.via.is_some()
            || (flags.session_policy.is_some() && flags.as_role.is_none())
    }
}

/// Roles as they are, each held against what grants give it; those that no grant means are left out.
pub(super) fn subjects(roles: &[Arn], layout: &Layout, clusters: &Clusters) -> Result<Vec<Subject>, CommandError> {
    let mut subjects = Vec::new();
    for arn in roles {
        let Some(name) = RoleName::of_arn(arn) else { continue };
        let held = Held::of(layout, arn.as_str(), &access::grants_to(layout, &name, clusters))?;
        let role = Some(AsRole::Arn(arn.clone()));
        subjects.extend(held.map(|held| Subject { held, role, limits: vec![SessionLimit::None] }));
    }
    Ok(subjects)
}

/// What cannot be told of a role because a cluster may not be read, or is not there.
pub(super) fn unread(clusters: &Clusters, role: &AsRole) -> Vec<Finding> {
    let finding = |(name, seen): (&String, &Seen<Cluster>)| {
        let why = match seen {
            Seen::Here(cluster) => cluster.unread(ClusterPart::NodeGroups)?.to_owned(),
            Seen::Absent => "there is no such cluster in this Region".to_owned(),
            Seen::Hidden(why) => why.clone(),
        };
        let message = format!("whether nodes of it have the role `{}` cannot be told: {why}", role.as_str());
        let finding = Finding::new("account-hidden", Severity::Warning, format!("cluster/{name}"), message);
        Some(finding.with_fix("say what the role should have with `--grant POLICY`"))
    };
    clusters.iter().filter_map(finding).collect()
}

fn as_role(
    args: &VerifyArgs,
    role: &AsRole,
    limit: Option<&Limit>,
    layout: &Layout,
    clusters: &Clusters,
) -> Result<Mode, CommandError> {
    let Some(held) = held_by(args, role, layout, clusters)? else {
        if args.wait {
            return Err(nobody(role, layout));
        }
        return Ok(Mode::Caller);
    };
    let limit = match limit {
        None => SessionLimit::None,
        Some(Limit::File(file)) => SessionLimit::Document(read_session_policy(file)?.as_str().to_owned()),
        Some(Limit::Managed(arns)) => SessionLimit::Managed(arns.clone()),
        Some(Limit::Grants) => {
            return Err(CommandError::usage("with `--as`, `--session-policy` needs the file that limits the role")
                .hint("to try the grants' own policies over a role: `--session-policy --via ROLE`"));
        }
    };
    Ok(Mode::Others(vec![Subject { held, role: Some(role.clone()), limits: vec![limit] }]))
}

/// What a role holds: the grants that are named on the command line, else those that name it or a node group of its.
fn held_by(
    args: &VerifyArgs,
    role: &AsRole,
    layout: &Layout,
    clusters: &Clusters,
) -> Result<Option<Held>, CommandError> {
    if !args.grant.is_empty() {
        return Ok(Held::of(layout, role.as_str(), &chosen(args, layout)?)?);
    }
    let name: Option<RoleName> = match role {
        AsRole::Arn(arn) => RoleName::of_arn(arn),
        AsRole::Name(name) => name.strip_prefix("role/").unwrap_or(name).parse().ok(),
    };
    Ok(match name {
        Some(name) => Held::of(layout, role.as_str(), &access::grants_to(layout, &name, clusters))?,
        None => None,
    })
}

fn nobody(role: &AsRole, layout: &Layout) -> CommandError {
    let failed = CommandError::usage(format!("no grant of the layout names the role `{}`", role.as_str()));
    match layout.grants.first() {
        Some(grant) => failed.hint(format!("name what it should have, such as `--grant {}`", grant.policy)),
        None => failed,
    }
}

/// The grants that `--grant` names, else all of them.
fn chosen<'layout>(args: &VerifyArgs, layout: &'layout Layout) -> Result<Vec<&'layout Grant>, CommandError> {
    if layout.grants.is_empty() {
        return Err(CommandError::usage("the layout has no grants, so there is nothing to hold access against"));
    }
    if args.grant.is_empty() {
        return Ok(layout.grants.iter().collect());
    }
    let find = |name: &String| {
        let found = layout.grants.iter().find(|grant| grant.policy == *name);
        found.ok_or_else(|| {
            let known: Vec<&str> = layout.grants.iter().map(|grant| grant.policy.as_str()).collect();
            CommandError::usage(format!("the layout has no grant `{name}`"))
                .hint(format!("it has {}", known.join(", ")))
        })
    };
    args.grant.iter().map(find).collect()
}

/// The one grant that a policy from elsewhere is held against.
fn only<'layout>(args: &VerifyArgs, layout: &'layout Layout) -> Result<&'layout Grant, CommandError> {
    match chosen(args, layout)?.as_slice() {
        [grant] => Ok(grant),
        _ => Err(CommandError::usage(
            "the layout has several grants; name the one that this policy is for with `--grant`",
        )),
    }
}

/// Policies as those of sessions, over a role that may more or a user's own rights.
fn rehearsal(args: &VerifyArgs, via: Option<&AsRole>, limit: &Limit, layout: &Layout) -> Result<Mode, CommandError> {
    let subject = |grant: &Grant, limits: Option<Vec<SessionLimit>>| {
        let held = Held::of(layout, &grant.policy, &[grant])?;
        let held = held.ok_or_else(|| CommandError::usage("the layout has no grants"))?;
        let limits = match limits {
            Some(limits) => limits,
            None => parts(layout, &held)?,
        };
        Ok::<_, CommandError>(Subject { held, role: via.cloned(), limits })
    };
    let subjects = match limit {
        Limit::Grants => {
            chosen(args, layout)?.into_iter().map(|grant| subject(grant, None)).collect::<Result<_, _>>()?
        }
        Limit::File(file) => {
            let policy = read_session_policy(file).map_err(|error| {
                let failed = CommandError::from(error);
                let is_layout = file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml"));
                if is_layout {
                    failed.hint("write the layout before `--session-policy`, which takes a policy document")
                } else {
                    failed
                }
            })?;
            vec![subject(only(args, layout)?, Some(vec![SessionLimit::Document(policy.as_str().to_owned())]))?]
        }
        Limit::Managed(arns) => vec![subject(only(args, layout)?, Some(vec![SessionLimit::Managed(arns.clone())]))?],
    };
    Ok(Mode::Others(subjects))
}

/// What the grant gives, in as many sessions as its length asks for.
fn parts(layout: &Layout, held: &Held) -> Result<Vec<SessionLimit>, CommandError> {
    let mut limits = Vec::new();
    for granted in &held.grants {
        let documents = held::session_policies(layout, granted)?;
        limits.extend(documents.iter().map(|one| SessionLimit::Document(one.document.to_string())));
    }
    Ok(limits)
}

/// Whose access is computed.
pub(super) fn simulation(args: &VerifyArgs, flags: &Flags, layout: &Layout) -> Result<Vec<Simulated>, CommandError> {
    if args.settings || args.data || args.wait || args.via.is_some() {
        return Err(CommandError::usage(
            "`--simulate` makes no call: `--settings`, `--data`, `--wait` and `--via` have no place beside it",
        ));
    }
    let held = match &flags.as_role {
        Some(role) => vec![held_by(args, role, layout, &Clusters::new())?.ok_or_else(|| nobody(role, layout))?],
        None => chosen(args, layout)?
            .into_iter()
            .filter_map(|grant| Held::of(layout, &grant.policy, &[grant]).transpose())
            .collect::<Result<_, _>>()?,
    };
    let candidate = match &flags.session_policy {
        None | Some(Limit::Grants) => None,
        Some(Limit::Managed(_)) => {
            return Err(CommandError::usage(
                "`--simulate` makes no call, so it cannot read a managed policy; name a file",
            ));
        }
        Some(Limit::File(file)) => {
            let text = read_session_policy(file)?;
            let document = serde_json::from_str(text.as_str())
                .map_err(|error| CommandError::usage(format!("`{}`: {error}", file.display())))?;
            let name = file.display().to_string();
            Some(held::with_documents(
                layout,
                &name,
                &[Generated { name: name.clone(), kind: Kind::Identity, document }],
            ))
        }
    };
    if candidate.is_some() && held.len() > 1 {
        only(args, layout)?;
    }
    Ok(held.into_iter().map(|held| Simulated { held, candidate: candidate.clone() }).collect())
}
