//! What was decided, at which layer, and what every statement had to do with it.

use super::document::{Effect, Flaw};
use super::principal::Reach;
use std::fmt;

/// The answer to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// The layer that it comes from: the first that denies, the one that grants, or the first that lacks an Allow.
    pub layer: Layer,
    /// What every statement of every layer had to do with it, in the order of the layers; empty unless a trace was
    /// asked for.
    pub because: Vec<Because>,
}

/// The verdict on one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Allowed.
    Allow,
    /// A Deny matched; nothing overrides it.
    ExplicitDeny,
    /// No Deny matched, and the Allows do not suffice.
    ImplicitDeny,
}

impl Verdict {
    /// The word in files and output: `allow`, `explicit-deny` or `implicit-deny`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::ExplicitDeny => "explicit-deny",
            Self::ImplicitDeny => "implicit-deny",
        }
    }

    /// The verdict of a word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Allow, Self::ExplicitDeny, Self::ImplicitDeny].into_iter().find(|verdict| verdict.word() == word)
    }
}

/// A kind of policy, by its part in a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// Service control policies of the principal's account.
    Scp,
    /// Resource control policies of the bucket's account.
    Rcp,
    /// The bucket policy.
    Resource,
    /// Policies of the user, its groups, or the role.
    Identity,
    /// The permissions boundary.
    Boundary,
    /// Policies passed when the session was made.
    Session,
    /// The policy of the VPC endpoint that the request came through.
    Endpoint,
    /// No policy: an account's root user may do everything inside its account.
    Root,
}

impl Layer {
    /// The word in files and output.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Scp => "scp",
            Self::Rcp => "rcp",
            Self::Resource => "resource",
            Self::Identity => "identity",
            Self::Boundary => "boundary",
            Self::Session => "session",
            Self::Endpoint => "endpoint",
            Self::Root => "root",
        }
    }

    /// What AWS calls this kind of policy in its messages.
    ///
    /// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>
    pub const fn aws_name(self) -> &'static str {
        match self {
            Self::Scp => "service control policy",
            Self::Rcp => "resource control policy",
            Self::Resource => "resource-based policy",
            Self::Identity | Self::Root => "identity-based policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
            Self::Endpoint => "VPC endpoint policy",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Scp => "service control policy",
            Self::Rcp => "resource control policy",
            Self::Resource => "bucket policy",
            Self::Identity => "identity policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
            Self::Endpoint => "VPC endpoint policy",
            Self::Root => "root user",
        })
    }
}

/// What one statement had to do with a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Because {
    /// Its layer.
    pub layer: Layer,
    /// The level, from the root of the organization down, for SCPs and RCPs.
    pub level: Option<usize>,
    /// The name of its document.
    pub policy: String,
    /// Its place in the document, from zero.
    pub statement: usize,
    /// Its Sid.
    pub sid: Option<String>,
    /// Its effect, if it has one.
    pub effect: Option<Effect>,
    /// Whether it applied.
    pub outcome: Outcome,
}

/// Whether a statement applied to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It applied, and its conditions held.
    Applied {
        /// How closely it names the caller; only bucket policies differ here.
        reach: Reach,
        /// The conditions that held.
        conditions: Vec<Compared>,
    },
    /// It did not, because of this; what comes later was not looked at.
    Missed(Missed),
}

/// The first thing in a statement that did not fit the request. Action, resource, principal and conditions are looked at
/// in this order, so the later one fails, the closer the statement is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missed {
    /// IAM would refuse such a statement.
    Flawed(Flaw),
    /// The action is not meant.
    Action(Listed),
    /// The resource is not meant.
    Resource {
        /// What is.
        listed: Listed,
        /// A variable in it that has no value here.
        unresolved: Option<String>,
    },
    /// A bucket policy's statement that speaks of nobody.
    NoPrincipal,
    /// An identity policy's statement with a principal, which IAM refuses.
    ForeignPrincipal,
    /// The caller is not meant.
    Principal(Listed),
    /// The root user keeps the power to read, write and delete its buckets' policies.
    RootKeepsPolicy,
    /// A condition does not hold.
    Condition(Compared),
}

/// The entries of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// True for the `Not` form: the request is among the entries.
    pub negated: bool,
    /// The entries as written.
    pub entries: Vec<String>,
}

/// One condition and what the request has for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The operator as written.
    pub operator: String,
    /// False for an operator that IAM does not know.
    pub known_operator: bool,
    /// The key as written.
    pub key: String,
    /// The values that the policy lists.
    pub wanted: Vec<String>,
    /// The values that the request has; none if it does not carry the key.
    pub found: Option<Vec<String>>,
    /// A variable among the wanted values that has no value here.
    pub unresolved: Option<String>,
}
