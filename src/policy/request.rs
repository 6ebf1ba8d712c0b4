//! One request, cut into the pieces that policies compare: caller, action, resource, context.

use super::arn_pattern::{Fields, fields};
use super::caller::Caller;
use super::context::Context;

/// A request that policies decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who makes it.
    pub caller: Caller,
    /// The account that owns the resource; none counts as the caller's own.
    pub resource_account: Option<String>,
    /// The condition keys that it carries, and no others.
    pub context: Context,
    action: String,
    /// The action in lower case, and where its service ends.
    lower_action: (String, usize),
    resource: String,
}

/// A text that is no action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an action: it looks like `s3:GetObject`")]
pub struct ActionError(String);

impl Request {
    /// A request for one action on one resource: an ARN, or `*` for actions on none. Wildcards in it are plain characters.
    pub fn new(caller: Caller, action: &str, resource: &str) -> Result<Self, ActionError> {
        let lower = action.to_ascii_lowercase();
        match lower.find(':') {
            Some(colon) if colon > 0 && colon + 1 < lower.len() => Ok(Self {
                caller,
                resource_account: None,
                context: Context::default(),
                action: action.to_owned(),
                lower_action: (lower, colon),
                resource: resource.to_owned(),
            }),
            _ => Err(ActionError(action.to_owned())),
        }
    }

    /// The same request for a resource of `account`.
    #[must_use]
    pub fn of_account(mut self, account: impl Into<String>) -> Self {
        self.resource_account = Some(account.into());
        self
    }

    /// The same request with these condition keys.
    #[must_use]
    pub fn with_context(mut self, context: Context) -> Self {
        self.context = context;
        self
    }

    /// The action as given.
    pub fn action(&self) -> &str {
        &self.action
    }

    /// The resource as given.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The action's service and name in lower case.
    pub(super) fn action_parts(&self) -> (&str, &str) {
        let (lower, colon) = &self.lower_action;
        (&lower[..*colon], &lower[colon + 1..])
    }

    /// The resource's fields; none for `*`.
    pub(super) fn resource_fields(&self) -> Option<Fields<'_>> {
        fields(&self.resource)
    }

    /// True if caller and resource belong to different accounts.
    pub fn is_cross_account(&self) -> bool {
        match (self.caller.account(), &self.resource_account) {
            (Some(caller), Some(owner)) => caller != owner,
            _ => false,
        }
    }
}
