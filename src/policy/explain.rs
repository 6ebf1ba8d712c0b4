//! Decisions in words: for a person who has an AccessDenied in front of them, and as AWS itself would say it.

use super::caller::Caller;
use super::decision::{Because, Compared, Decision, Layer, Listed, Missed, Outcome, Verdict};
use super::document::{Effect, Flaw};
use super::principal::Reach;
use super::request::Request;
use crate::report::{DecisionRecord, ReasonRecord};
use std::fmt;

/// How many entries of a list are named before the rest is counted.
const NAMED_ENTRIES: usize = 3;
/// How many near misses are shown.
const SHOWN_MISSES: usize = 3;

/// A decision with its trace as output shows it.
pub fn record(id: &str, decision: &Decision, request: &Request, expected: Option<Verdict>) -> DecisionRecord {
    let lead = ReasonRecord {
        layer: decision.layer.word(),
        document: None,
        statement: None,
        sid: None,
        effect: None,
        applied: None,
        failed: None,
        decisive: true,
        message: summary(decision, request),
    };
    let nearest = nearest(decision, request);
    let reasons = decision.because.iter().enumerate().map(|(index, because)| ReasonRecord {
        layer: because.layer.word(),
        document: Some(because.policy.clone()),
        statement: Some(because.statement),
        sid: because.sid.clone(),
        effect: because.effect.map(Effect::word),
        applied: Some(matches!(because.outcome, Outcome::Applied { .. })),
        failed: because.outcome.failed(),
        decisive: decides(because, decision, request) || nearest.contains(&index),
        message: because.to_string(),
    });
    DecisionRecord {
        id: id.to_owned(),
        decision: decision.verdict.word(),
        expected: expected.map(Verdict::word),
        layer: decision.layer.word(),
        message: headline(decision, request),
        because: std::iter::once(lead).chain(reasons).collect(),
        fix: fix(decision, request, nearest.first().map(|index| &decision.because[*index])),
        alone: false,
    }
}

/// `user alice may not s3:GetObject on arn:aws:s3:::lake/k`
fn headline(decision: &Decision, request: &Request) -> String {
    let may = if decision.verdict == Verdict::Allow { "may" } else { "may not" };
    format!("{} {may} {} on {}", request.caller, request.action(), request.resource())
}

/// Why, in one sentence.
fn summary(decision: &Decision, request: &Request) -> String {
    let layer = decision.layer;
    let across = if request.is_cross_account() { ", and across accounts both sides must allow" } else { "" };
    match (decision.verdict, layer) {
        (Verdict::ExplicitDeny, _) => format!("{} denies it, and nothing overrides a Deny", layer.one()),
        (Verdict::Allow, Layer::Root) => "the root user may do everything inside its account".to_owned(),
        (Verdict::Allow, _) => format!("{} allows it, and nothing denies it", layer.one()),
        (Verdict::ImplicitDeny, Layer::Scp | Layer::Rcp) => {
            format!("a level of the {layer}s has no statement that allows it, and every level must")
        }
        (Verdict::ImplicitDeny, Layer::Session) if bare_federation(decision, request) => {
            "a federated user's session without a session policy has only what names the session itself".to_owned()
        }
        (Verdict::ImplicitDeny, Layer::Boundary | Layer::Session | Layer::Endpoint) => {
            format!("the {layer} does not allow it, and without that nothing else counts")
        }
        (Verdict::ImplicitDeny, _) => format!("no {layer} allows it{across}"),
    }
}

fn bare_federation(decision: &Decision, request: &Request) -> bool {
    let federated = matches!(request.caller, Caller::FederatedUser { .. });
    federated && !decision.because.iter().any(|because| because.layer == Layer::Session)
}

/// True for the statements that a verdict rests on.
fn decides(because: &Because, decision: &Decision, request: &Request) -> bool {
    let Outcome::Applied { reach, .. } = because.outcome else { return false };
    match decision.verdict {
        Verdict::ExplicitDeny => because.effect == Some(Effect::Deny),
        Verdict::Allow => because.effect == Some(Effect::Allow),
        // What allows only the account explains why it was not enough.
        Verdict::ImplicitDeny => {
            reach == Reach::Account && because.layer == Layer::Resource && !request.is_cross_account()
        }
    }
}

/// The Allows of the deciding layer that came closest: their places in the trace, closest first.
fn nearest(decision: &Decision, request: &Request) -> Vec<usize> {
    if decision.verdict != Verdict::ImplicitDeny {
        return Vec::new();
    }
    let asked = |layer: Layer| {
        let either = decision.layer == Layer::Identity && layer == Layer::Resource && !request.is_cross_account();
        layer == decision.layer || either
    };
    let rank = |because: &Because| match &because.outcome {
        Outcome::Missed(missed) if because.effect == Some(Effect::Allow) && asked(because.layer) => missed.nearness(),
        _ => 0,
    };
    let mut ranked: Vec<(usize, usize)> =
        decision.because.iter().map(rank).enumerate().filter(|(_, rank)| *rank > 0).collect();
    ranked.sort_by_key(|(index, rank)| (std::cmp::Reverse(*rank), *index));
    let best = ranked.first().map_or(0, |(_, rank)| *rank);
    ranked.into_iter().filter(|(_, rank)| *rank == best).map(|(index, _)| index).take(SHOWN_MISSES).collect()
}

/// The smallest change that would help; none where the request is allowed.
fn fix(decision: &Decision, request: &Request, nearest: Option<&Because>) -> Option<String> {
    let (action, resource) = (request.action(), request.resource());
    match decision.verdict {
        Verdict::Allow => None,
        Verdict::ExplicitDeny => {
            let applied = |because: &&Because| {
                because.effect == Some(Effect::Deny) && matches!(because.outcome, Outcome::Applied { .. })
            };
            let because = decision.because.iter().find(applied)?;
            let Outcome::Applied { conditions, .. } = &because.outcome else { return None };
            Some(match conditions.first() {
                Some(first) => format!("send another {}, or change that statement; no Allow overrides it", first.key),
                None => "change that statement; no Allow overrides it".to_owned(),
            })
        }
        Verdict::ImplicitDeny => Some(match nearest.map(|because| (because, &because.outcome)) {
            Some((because, Outcome::Missed(Missed::Condition(compared)))) => match &compared.found {
                None => format!(
                    "send {} with the request, or change the condition of {}",
                    compared.key,
                    because.statement_name()
                ),
                Some(_) => {
                    format!("send another {}, or change the condition of {}", compared.key, because.statement_name())
                }
            },
            Some((because, Outcome::Missed(Missed::Resource { listed: Listed { negated: false, .. }, .. }))) => {
                format!("add {resource} to the resources of {}", because.statement_name())
            }
            _ => format!("add a statement that allows {action} on {resource} to {}", decision.layer.one()),
        }),
    }
}

/// AWS's own words for a refusal.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/troubleshoot-403-errors.html>
pub fn access_denied_message(decision: &Decision, request: &Request) -> String {
    let (action, name) = (request.action(), decision.layer.aws_name());
    let why = match decision.verdict {
        Verdict::ExplicitDeny => {
            let article = if name.starts_with('i') { "an" } else { "a" };
            format!("with an explicit deny in {article} {name}")
        }
        _ => format!("because no {name} allows the {action} action"),
    };
    let user = request.caller.arn();
    format!("User: {user} is not authorized to perform: {action} on resource: \"{}\" {why}", request.resource())
}

impl Caller {
    /// The ARN by which messages name the caller; `anonymous` for nobody.
    pub fn arn(&self) -> String {
        match self {
            Self::Root { account } => format!("arn:aws:iam::{account}:root"),
            Self::User { arn, .. } => arn.clone(),
            Self::RoleSession { session, .. } | Self::FederatedUser { session, .. } => session.clone(),
            Self::Federated { provider } => provider.clone(),
            Self::Service { name } => name.clone(),
            Self::CanonicalUser { id } => id.clone(),
            Self::Anonymous => "anonymous".to_owned(),
        }
    }
}

/// `user alice`, `role trainer (session run-1)`.
impl fmt::Display for Caller {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = |arn: &str| arn.rsplit('/').next().unwrap_or_default().to_owned();
        match self {
            Self::Root { account } => write!(out, "the root user of {account}"),
            Self::User { arn, .. } => write!(out, "user {}", last(arn)),
            Self::RoleSession { session, role, .. } if session.ends_with("/*") => write!(out, "role {}", last(role)),
            Self::RoleSession { session, role, .. } => write!(out, "role {} (session {})", last(role), last(session)),
            Self::FederatedUser { session, .. } => write!(out, "federated user {}", last(session)),
            Self::Federated { provider } => write!(out, "whoever {provider} vouches for"),
            Self::Service { name } => write!(out, "the service {name}"),
            Self::CanonicalUser { id } => write!(out, "canonical user {id}"),
            Self::Anonymous => out.write_str("an anonymous caller"),
        }
    }
}

impl Layer {
    /// The layer in a sentence: one of several policies, or the only one.
    fn one(self) -> String {
        match self {
            Self::Scp | Self::Rcp => format!("a {self}"),
            Self::Identity => format!("an {self}"),
            Self::Resource | Self::Boundary | Self::Session | Self::Endpoint | Self::Root => format!("the {self}"),
        }
    }
}

impl Effect {
    /// The word in files, in lower case.
    const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl Outcome {
    /// The first thing that did not fit, as a word for programs.
    fn failed(&self) -> Option<&'static str> {
        let Self::Missed(missed) = self else { return None };
        Some(match missed {
            Missed::Flawed(_) | Missed::NoPrincipal | Missed::ForeignPrincipal => "form",
            Missed::Action(_) => "action",
            Missed::Resource { .. } => "resource",
            Missed::Principal(_) | Missed::RootKeepsPolicy => "principal",
            Missed::Condition(_) => "condition",
        })
    }
}

impl Missed {
    /// How much of the statement fitted; zero if not even the action did.
    const fn nearness(&self) -> usize {
        match self {
            Self::Flawed(_) | Self::Action(_) | Self::RootKeepsPolicy => 0,
            Self::Resource { .. } => 1,
            Self::NoPrincipal | Self::ForeignPrincipal | Self::Principal(_) => 2,
            Self::Condition(_) => 3,
        }
    }
}

impl Because {
    /// `statement 2 (ReadFolder) of policy.json`
    fn statement_name(&self) -> String {
        let sid = self.sid.as_ref().filter(|sid| !sid.is_empty()).map(|sid| format!(" ({sid})")).unwrap_or_default();
        format!("statement {}{sid} of {}", self.statement + 1, self.policy)
    }
}

/// `statement 2 (ReadFolder) of policy.json allows it only on ...`
impl fmt::Display for Because {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ", self.statement_name())?;
        let (does, only) = match self.effect {
            Some(Effect::Deny) => ("denies", "denies it only"),
            _ => ("allows", "allows it only"),
        };
        match &self.outcome {
            Outcome::Applied { reach, conditions } => {
                match (self.effect, self.layer, reach) {
                    (Some(Effect::Allow), Layer::Resource, Reach::Account) => out.write_str(
                        "allows the caller's account, which only delegates: an identity policy must allow it, too",
                    )?,
                    (Some(Effect::Allow), Layer::Resource, Reach::Role) => {
                        out.write_str("allows it to the role or user behind the session")?;
                    }
                    _ => write!(out, "{does} it")?,
                }
                let mut lead = ", as ";
                for compared in conditions {
                    write!(out, "{lead}{compared}")?;
                    lead = " and ";
                }
                Ok(())
            }
            Outcome::Missed(missed) => missed.say(does, only, out),
        }
    }
}

impl Missed {
    /// The rest of a sentence that began with the statement, in the words for its effect.
    fn say(&self, does: &str, only: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flawed(flaw) => write!(out, "has no effect: {flaw}"),
            Self::NoPrincipal => out.write_str("has no effect: it names no principal"),
            Self::ForeignPrincipal => out.write_str("has no effect: only policies of a resource may name a principal"),
            Self::RootKeepsPolicy => out.write_str("denies it, but the root user can always reach the bucket policy"),
            Self::Action(listed) if listed.negated => write!(out, "leaves this action out: NotAction {listed}"),
            Self::Action(listed) => write!(out, "{does} only {listed}"),
            Self::Resource { listed, .. } if listed.negated => {
                write!(out, "leaves this resource out: NotResource {listed}")
            }
            Self::Resource { unresolved: Some(variable), listed } => {
                write!(out, "{only} on {listed}, and `${{{variable}}}` has no value here")
            }
            Self::Resource { listed, .. } => write!(out, "{only} on {listed}"),
            Self::Principal(listed) if listed.negated => write!(out, "leaves the caller out: NotPrincipal {listed}"),
            Self::Principal(listed) => write!(out, "speaks only of {listed}"),
            Self::Condition(compared) => write!(out, "{does} it only if its condition holds, but {compared}"),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NoEffect => "`Effect` must be `Allow` or `Deny`",
            Self::NoAction => "it lists no action",
            Self::NoResource => "it lists no resource",
            Self::NoPrincipal => "it lists no principal",
            Self::BothForms => "an element and its `Not` form exclude each other",
            Self::BadElement => "it has an element that IAM refuses",
        })
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&list(&self.entries))
    }
}

/// `a, b, c and 7 more`; an empty list says so.
fn list(entries: &[String]) -> String {
    let shown = entries[..entries.len().min(NAMED_ENTRIES)].join(", ");
    match entries.len() {
        0 => "nothing".to_owned(),
        1..=NAMED_ENTRIES => shown,
        more => format!("{shown} and {} more", more - NAMED_ENTRIES),
    }
}

/// `s3:prefix is "x" (StringLike "team-a/*")`
impl fmt::Display for Compared {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |values: &[String]| list(&values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>());
        if !self.known_operator {
            return write!(out, "IAM knows no operator {}", self.operator);
        }
        match self.found.as_deref() {
            None => write!(out, "{} is not sent", self.key)?,
            Some([]) => write!(out, "{} is an empty set", self.key)?,
            Some(values) => write!(out, "{} is {}", self.key, quoted(values))?,
        }
        write!(out, " ({} {})", self.operator, quoted(&self.wanted))?;
        match &self.unresolved {
            Some(variable) => write!(out, ", where `${{{variable}}}` has no value here"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::access_denied_message;
    use crate::policy::{Caller, Decision, Layer, Request, Verdict};

    #[test]
    fn refusals_read_as_awss_own() {
        let caller = Caller::user("arn:aws:iam::111111111111:user/alice").unwrap();
        let request = Request::new(caller, "s3:ListBucket", "arn:aws:s3:::lake").unwrap();
        let lead = "User: arn:aws:iam::111111111111:user/alice is not authorized to perform: s3:ListBucket on resource: \
                    \"arn:aws:s3:::lake\"";
        for (verdict, layer, why) in [
            (Verdict::ExplicitDeny, Layer::Resource, "with an explicit deny in a resource-based policy"),
            (Verdict::ExplicitDeny, Layer::Identity, "with an explicit deny in an identity-based policy"),
            (Verdict::ExplicitDeny, Layer::Endpoint, "with an explicit deny in a VPC endpoint policy"),
            (Verdict::ImplicitDeny, Layer::Boundary, "because no permissions boundary allows the s3:ListBucket action"),
            (Verdict::ImplicitDeny, Layer::Scp, "because no service control policy allows the s3:ListBucket action"),
        ] {
            let decision = Decision { verdict, layer, because: Vec::new() };
            assert_eq!(access_denied_message(&decision, &request), format!("{lead} {why}"));
        }
    }
}
