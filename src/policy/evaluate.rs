//! The decision: every layer is asked, then the answers are put together as AWS documents it.
//!
//! There is one way through the statements. Without a trace it stops where nothing can change the answer any more, with
//! one it goes on and writes down what it sees; what is decided comes from the same answers.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use super::applies::Question;
use super::caller::Caller;
use super::decision::{Because, Decision, Layer, Outcome, Verdict};
use super::document::{Document, Effect, Statement};
use super::principal::Reach;
use super::request::Request;
use std::sync::Arc;

/// A document with the name by which people know it.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// A policy's name, a file, or a place in a file of cases.
    pub name: String,
    /// The document.
    pub document: Document,
}

/// Every policy that has a say. What is none plays no part; what is there and allows nothing limits to nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policies {
    /// Of the user, its groups, or the role.
    pub identity: Vec<Arc<Policy>>,
    /// The bucket policy.
    pub resource: Option<Arc<Policy>>,
    /// The permissions boundary.
    pub boundary: Option<Arc<Policy>>,
    /// What was passed when the session was made: an Allow in any of them counts.
    pub session: Option<Vec<Arc<Policy>>>,
    /// Service control policies of the caller's account, by level from the organization's root down.
    pub scp: Option<Vec<Vec<Arc<Policy>>>>,
    /// Resource control policies of the resource's account, by level.
    pub rcp: Option<Vec<Vec<Arc<Policy>>>>,
    /// The policy of the VPC endpoint that the request came through.
    pub endpoint: Option<Arc<Policy>>,
}

/// Decides a request. Allocates nothing unless variables or base64 are compared.
pub fn evaluate(policies: &Policies, request: &Request) -> Decision {
    Evaluation::new(policies, request, None).decide()
}

/// Decides a request, and says what every statement had to do with it.
pub fn evaluate_with_trace(policies: &Policies, request: &Request) -> Decision {
    Evaluation::new(policies, request, Some(Vec::new())).decide()
}

/// One decision in the making.
struct Evaluation<'here> {
    policies: &'here Policies,
    question: Question<'here>,
    trace: Option<Vec<Because>>,
    denied: Option<Layer>,
}

/// What the layers answer, where no Deny matched. Layers that play no part allow.
struct Answers {
    scp: bool,
    rcp: bool,
    endpoint: bool,
    resource: Option<Reach>,
    identity: bool,
    boundary: bool,
    session: bool,
}

impl<'here> Evaluation<'here> {
    fn new(policies: &'here Policies, request: &'here Request, trace: Option<Vec<Because>>) -> Self {
        let has_boundary = policies.boundary.is_some() && has_identity(&request.caller);
        Self { policies, question: Question::new(request, has_boundary), trace, denied: None }
    }

    fn decide(mut self) -> Decision {
        let answers = self.ask_all();
        let (verdict, layer) = match self.denied {
            Some(layer) => (Verdict::ExplicitDeny, layer),
            None => answers.judge(self.question.request),
        };
        Decision { verdict, layer, because: self.trace.unwrap_or_default() }
    }

    /// Asks every layer that has a say about this caller. After a Deny the answers do not matter any more.
    fn ask_all(&mut self) -> Answers {
        let request = self.question.request;
        let caller = &request.caller;
        let policies = self.policies;
        let (has_account, linked) = (caller.account().is_some(), caller.is_service_linked_role());
        let identified = has_identity(caller);
        let session = policies.session.as_deref().filter(|_| has_account);
        // A federated user's session without a session policy has only what names the session itself.
        let bare_federation = session.is_none() && matches!(caller, Caller::FederatedUser { .. });
        Answers {
            scp: self.levels(Layer::Scp, policies.scp.as_deref().filter(|_| has_account && !linked)),
            rcp: self.levels(Layer::Rcp, policies.rcp.as_deref().filter(|_| !linked)),
            resource: self.documents(Layer::Resource, None, policies.resource.as_slice()),
            identity: identified && self.documents(Layer::Identity, None, &policies.identity).is_some(),
            boundary: self
                .limit(Layer::Boundary, policies.boundary.as_ref().filter(|_| identified).map(std::slice::from_ref)),
            session: self.limit(Layer::Session, session) && !bare_federation,
            endpoint: self.limit(Layer::Endpoint, policies.endpoint.as_ref().map(std::slice::from_ref)),
        }
    }

    /// True if every level has a document that allows, or if there are no levels.
    fn levels(&mut self, layer: Layer, levels: Option<&[Vec<Arc<Policy>>]>) -> bool {
        let mut every = true;
        for (level, documents) in levels.unwrap_or_default().iter().enumerate() {
            every &= self.documents(layer, Some(level), documents).is_some();
        }
        every
    }

    /// True if one of the documents allows, or if there are none at all.
    fn limit(&mut self, layer: Layer, documents: Option<&[Arc<Policy>]>) -> bool {
        documents.is_none_or(|documents| self.documents(layer, None, documents).is_some())
    }

    /// The closest Allow in some documents of one layer. Notes a Deny.
    fn documents(&mut self, layer: Layer, level: Option<usize>, documents: &[Arc<Policy>]) -> Option<Reach> {
        let mut allowed = None;
        for policy in documents {
            for (index, statement) in policy.document.statements().iter().enumerate() {
                let settled = self.denied.is_some()
                    || (allowed == Some(Reach::Direct) && statement.effect == Some(Effect::Allow));
                if settled && self.trace.is_none() {
                    continue;
                }
                let answer = self.question.ask(statement, layer);
                match (&answer, statement.effect) {
                    (Ok(reach), Some(Effect::Allow)) => allowed = allowed.max(Some(*reach)),
                    (Ok(_), Some(Effect::Deny)) => self.denied = self.denied.or(Some(layer)),
                    _ => {}
                }
                if let Some(trace) = &mut self.trace {
                    let outcome = match answer {
                        Ok(reach) => Outcome::Applied { reach, conditions: self.question.conditions(statement) },
                        Err(miss) => Outcome::Missed(self.question.describe(&miss, statement)),
                    };
                    trace.push(because(layer, level, &policy.name, index, statement, outcome));
                }
            }
        }
        allowed
    }
}

fn because(
    layer: Layer,
    level: Option<usize>,
    policy: &str,
    index: usize,
    statement: &Statement,
    outcome: Outcome,
) -> Because {
    Because {
        layer,
        level,
        policy: policy.to_owned(),
        statement: index,
        sid: statement.sid.clone(),
        effect: statement.effect,
        outcome,
    }
}

/// True for callers that identity policies and boundaries are attached to.
const fn has_identity(caller: &Caller) -> bool {
    matches!(caller, Caller::User { .. } | Caller::RoleSession { .. } | Caller::FederatedUser { .. })
}

impl Answers {
    /// The verdict where no Deny matched.
    fn judge(&self, request: &Request) -> (Verdict, Layer) {
        let caller = &request.caller;
        // What limits everybody, grants or not.
        for (allows, layer) in [(self.rcp, Layer::Rcp), (self.scp, Layer::Scp), (self.endpoint, Layer::Endpoint)] {
            if !allows {
                return (Verdict::ImplicitDeny, layer);
            }
        }
        if caller.account().is_none() {
            let verdict = if self.resource.is_some() { Verdict::Allow } else { Verdict::ImplicitDeny };
            return (verdict, Layer::Resource);
        }
        let cross_account = request.is_cross_account();
        let granted = match self.resource {
            // Whoever is named in person, and everybody, needs nothing else.
            Some(Reach::Direct) if !cross_account => return (Verdict::Allow, Layer::Resource),
            _ if matches!(caller, Caller::Root { .. }) => Layer::Root,
            _ if self.identity => Layer::Identity,
            Some(Reach::Role) if !cross_account => Layer::Resource,
            _ => return (Verdict::ImplicitDeny, Layer::Identity),
        };
        for (allows, layer) in [(self.boundary, Layer::Boundary), (self.session, Layer::Session)] {
            if !allows {
                return (Verdict::ImplicitDeny, layer);
            }
        }
        match (cross_account, self.resource) {
            (false, _) => (Verdict::Allow, granted),
            (true, Some(_)) => (Verdict::Allow, Layer::Resource),
            (true, None) => (Verdict::ImplicitDeny, Layer::Resource),
        }
    }
}

#[cfg(test)]
mod tests;
