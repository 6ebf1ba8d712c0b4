//! Whether one statement applies to one request, and if not, the first thing that does not fit.

use super::arn_pattern::{ArnPattern, Fields};
use super::caller::Caller;
use super::condition::{ConditionBlock, ConditionKey};
use super::context::Value;
use super::decision::{Compared, Layer, Listed, Missed};
use super::document::{ActionPattern, Effect, Flaw, OneOrMany, Statement};
use super::principal::{Principals, Reach};
use super::request::Request;

/// What a statement is held against, worked out once for all statements.
#[derive(Debug)]
pub(super) struct Question<'here> {
    pub request: &'here Request,
    pub fields: Option<Fields<'here>>,
    /// Whether the caller has a permissions boundary.
    pub has_boundary: bool,
}

/// The first thing that does not fit, by reference: most statements miss, and nobody may want to know why.
#[derive(Debug)]
pub(super) enum Miss<'statement> {
    Flawed(Flaw),
    Action,
    Resource,
    NoPrincipal,
    ForeignPrincipal,
    Principal,
    RootKeepsPolicy,
    Condition(&'statement ConditionBlock, Option<&'statement ConditionKey>),
}

impl<'here> Question<'here> {
    pub(super) fn new(request: &'here Request, has_boundary: bool) -> Self {
        Self { request, fields: request.resource_fields(), has_boundary }
    }

    /// How closely the statement names the caller, if it applies.
    pub(super) fn ask<'statement>(
        &self,
        statement: &'statement Statement,
        layer: Layer,
    ) -> Result<Reach, Miss<'statement>> {
        if let Some(flaw) = statement.flaw() {
            return Err(Miss::Flawed(flaw));
        }
        if !self.means_action(statement) {
            return Err(Miss::Action);
        }
        if !self.means_resource(statement) {
            return Err(Miss::Resource);
        }
        let reach = self.reach(statement, layer)?;
        for block in statement.condition.iter().flatten() {
            let Some(operator) = block.operator else { return Err(Miss::Condition(block, block.keys.first())) };
            let mut keys = block.keys.iter();
            if let Some(key) = keys.find(|key| !key.holds(operator, &self.request.context)) {
                return Err(Miss::Condition(block, Some(key)));
            }
        }
        Ok(reach)
    }

    fn means_action(&self, statement: &Statement) -> bool {
        let (service, name) = self.request.action_parts();
        let listed = |list: &OneOrMany<ActionPattern>| list.items.iter().any(|action| action.matches(service, name));
        match (&statement.action, &statement.not_action) {
            (Some(actions), _) => listed(actions),
            (None, Some(actions)) => !listed(actions),
            (None, None) => false,
        }
    }

    fn means_resource(&self, statement: &Statement) -> bool {
        let matches = |arn: &ArnPattern| arn.matches_fields(self.fields.as_ref(), &self.request.context);
        match (&statement.resource, &statement.not_resource) {
            (Some(resources), _) => resources.items.iter().any(matches),
            (None, Some(resources)) => !resources.items.iter().any(matches),
            (None, None) => false,
        }
    }

    fn reach(&self, statement: &Statement, layer: Layer) -> Result<Reach, Miss<'static>> {
        let caller = &self.request.caller;
        let speaks_of_principals = matches!(layer, Layer::Resource | Layer::Endpoint | Layer::Rcp);
        match (&statement.principal, &statement.not_principal) {
            // Resource control policies are for everybody, whether they say so or not.
            (None, None) if layer == Layer::Rcp => Ok(Reach::Direct),
            (None, None) if speaks_of_principals => Err(Miss::NoPrincipal),
            (None, None) => Ok(Reach::Direct),
            _ if !speaks_of_principals => Err(Miss::ForeignPrincipal),
            (Some(principals), _) => principals.reach(caller).ok_or(Miss::Principal),
            (None, Some(others)) => {
                let spared = match statement.effect {
                    Some(Effect::Deny) => !self.has_boundary && others.spares(caller),
                    _ => others.reach(caller).is_some(),
                };
                if spared { Err(Miss::Principal) } else { Ok(Reach::Direct) }
            }
        }
        .and_then(|reach| self.root_keeps_policy(statement, layer).map_or(Ok(reach), Err))
    }

    /// The owner's root user can always read, write and delete a bucket's policy, even one that denies it.
    fn root_keeps_policy(&self, statement: &Statement, layer: Layer) -> Option<Miss<'static>> {
        let request = self.request;
        let kept = layer == Layer::Resource
            && statement.effect == Some(Effect::Deny)
            && matches!(request.caller, Caller::Root { .. })
            && !request.is_cross_account()
            && matches!(request.action_parts(), ("s3", "getbucketpolicy" | "putbucketpolicy" | "deletebucketpolicy"));
        kept.then_some(Miss::RootKeepsPolicy)
    }

    /// The same in values that outlive the documents.
    pub(super) fn describe(&self, miss: &Miss<'_>, statement: &Statement) -> Missed {
        match miss {
            Miss::Flawed(flaw) => Missed::Flawed(*flaw),
            Miss::NoPrincipal => Missed::NoPrincipal,
            Miss::ForeignPrincipal => Missed::ForeignPrincipal,
            Miss::RootKeepsPolicy => Missed::RootKeepsPolicy,
            Miss::Action => {
                Missed::Action(listed(statement.action.as_ref(), statement.not_action.as_ref(), |action| &action.text))
            }
            Miss::Resource => Missed::Resource {
                listed: listed(statement.resource.as_ref(), statement.not_resource.as_ref(), |arn| &arn.text),
                unresolved: self.unresolved_resource(statement),
            },
            Miss::Principal => {
                let named = |principals: &Principals| match principals {
                    Principals::Text(text) => vec![text.clone()],
                    Principals::Map(_) => principals.entries().map(|entry| entry.text.clone()).collect(),
                };
                let (negated, principals) = either(statement.principal.as_ref(), statement.not_principal.as_ref());
                Missed::Principal(Listed { negated, entries: principals.map(named).unwrap_or_default() })
            }
            Miss::Condition(block, key) => Missed::Condition(self.compared(block, *key)),
        }
    }

    /// The conditions of a statement that applies.
    pub(super) fn conditions(&self, statement: &Statement) -> Vec<Compared> {
        let blocks = statement.condition.iter().flatten();
        blocks.flat_map(|block| block.keys.iter().map(|key| self.compared(block, Some(key)))).collect()
    }

    fn compared(&self, block: &ConditionBlock, key: Option<&ConditionKey>) -> Compared {
        let context = &self.request.context;
        let values = || key.iter().flat_map(|key| &key.values.items);
        let mut variables = values().flat_map(|value| value.variables());
        let unresolved = variables.find(|variable| variable.resolve(context).is_none());
        Compared {
            operator: block.operator_text.clone(),
            known_operator: block.operator.is_some(),
            key: key.map(|key| key.name.clone()).unwrap_or_default(),
            wanted: values().map(|value| value.text.clone()).collect(),
            found: key.and_then(|key| key.find(context)).map(Value::as_slice).map(<[String]>::to_vec),
            unresolved: unresolved.map(|variable| variable.name.clone()),
        }
    }

    fn unresolved_resource(&self, statement: &Statement) -> Option<String> {
        let entries = statement.resource.iter().chain(&statement.not_resource).flat_map(|list| &list.items);
        let mut variables = entries.flat_map(ArnPattern::variables);
        let unresolved = variables.find(|variable| variable.resolve(&self.request.context).is_none());
        unresolved.map(|variable| variable.name.clone())
    }
}

/// The element or its `Not` form, and which it is.
fn either<'list, T>(plain: Option<&'list T>, not: Option<&'list T>) -> (bool, Option<&'list T>) {
    match plain {
        Some(list) => (false, Some(list)),
        None => (true, not),
    }
}

fn listed<T>(plain: Option<&OneOrMany<T>>, not: Option<&OneOrMany<T>>, text: impl Fn(&T) -> &String) -> Listed {
    let (negated, list) = either(plain, not);
    let entries = list.map(|list| list.items.iter().map(|item| text(item).clone()).collect());
    Listed { negated, entries: entries.unwrap_or_default() }
}
