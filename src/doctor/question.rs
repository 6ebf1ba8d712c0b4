//! The request that was refused, as policies see it: put together from a message, from what was typed, or from both.

use super::message::Symptom;
use super::words::{bucket_of, key_of};
use crate::model::Arn;
use crate::policy::operation::{Call, demands};
use crate::policy::{Caller, Context, Request, operation};

/// What is asked about. What was typed wins over what a message says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Question {
    /// Who: an ARN, an account, or `anonymous`.
    pub principal: Option<String>,
    /// The action, or an API name.
    pub action: Option<String>,
    /// The API call, where it is known.
    pub operation: Option<String>,
    /// The resource: an ARN.
    pub resource: Option<String>,
    /// The prefix of a listing; none if it is not known or not sent.
    pub prefix: Option<String>,
}

/// Why there is no request to decide.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// Parts that nobody told.
    #[error("{} not known", .0.join(", "))]
    Missing(Vec<&'static str>),
    /// A text that is no caller or no action.
    #[error("{0}")]
    Form(String),
}

/// What is known beyond the question itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// The role's own ARN, path included.
    pub role: Option<String>,
    /// The account that owns the bucket; none counts as the caller's.
    pub owner: Option<String>,
    /// Condition keys that were given.
    pub context: Context,
}

impl Question {
    /// The question that a message asks.
    pub fn of(symptom: &Symptom) -> Self {
        Self {
            principal: symptom.principal.clone(),
            action: symptom.action.clone(),
            operation: symptom.operation.clone(),
            resource: symptom.resource.clone(),
            prefix: symptom.prefix.clone(),
        }
    }

    /// The same question, in which `typed` replaces what it has.
    #[must_use]
    pub fn with(self, typed: Self) -> Self {
        // Another action is not about the call that the message names.
        let operation = if typed.action.is_some() { typed.operation } else { typed.operation.or(self.operation) };
        Self {
            principal: typed.principal.or(self.principal),
            action: typed.action.or(self.action),
            operation,
            prefix: if typed.resource.is_some() { typed.prefix } else { self.prefix },
            resource: typed.resource.or(self.resource),
        }
    }

    /// The same question where ARNs are of this partition: a place that was named without one says nothing of it.
    #[must_use]
    pub fn in_partition(self, partition: &str) -> Self {
        let place = self.resource.as_deref().and_then(|resource| resource.strip_prefix("arn:aws:s3:::"));
        let resource = place.map(|place| format!("arn:{partition}:s3:::{place}"));
        Self { resource: resource.or(self.resource), ..self }
    }

    /// The same question, which is about `key` if it is one about the KMS key of a bucket that nobody named.
    #[must_use]
    pub fn of_key(self, key: Option<&Arn>) -> Self {
        let resource = key.filter(|_| self.lacks_key()).map(ToString::to_string);
        Self { resource: resource.or(self.resource), ..self }
    }

    /// True if it is about a KMS key, and only the object is known: no policy speaks of using a key on an object.
    fn lacks_key(&self) -> bool {
        let is_about_key = self.action.as_deref().is_some_and(|action| action.to_ascii_lowercase().starts_with("kms:"));
        is_about_key && self.resource.as_deref().is_some_and(|resource| !resource.contains(":kms:"))
    }

    /// The bucket that it is about.
    pub fn bucket(&self) -> Option<&str> {
        self.resource.as_deref().map(bucket_of).filter(|bucket| !bucket.is_empty())
    }

    /// The key that it is about.
    pub fn key(&self) -> Option<&str> {
        self.resource.as_deref().and_then(key_of)
    }

    /// An API name where an action should be, with the action that was meant.
    pub fn hint(&self) -> Option<String> {
        let action = self.action.as_ref()?;
        operation::hint(action).or_else(|| operation::hint(&format!("s3:{action}")))
    }

    /// The request, if enough is known.
    pub fn request(&self, known: &Known) -> Result<Request, QuestionError> {
        let (Some(principal), Some(resource)) = (&self.principal, &self.resource) else {
            return Err(QuestionError::Missing(self.missing()));
        };
        if self.lacks_key() {
            return Err(QuestionError::Missing(vec!["which key (`--resource`)"]));
        }
        let (action, resource, own) = self.demand(resource).ok_or_else(|| QuestionError::Missing(self.missing()))?;
        let caller =
            Caller::parse(principal, known.role.as_deref()).map_err(|error| QuestionError::Form(error.to_string()))?;
        let mut context = Context::default().with("aws:SecureTransport", "true");
        for (name, value) in caller.context_keys() {
            context = context.with(name, value);
        }
        let owner = known.owner.clone().or_else(|| caller.account().map(str::to_owned));
        if let Some(owner) = &owner {
            context = context.with("aws:ResourceAccount", owner).with("s3:ResourceAccount", owner);
        }
        for (name, value) in own.iter().chain(known.context.iter()) {
            context.set(name, value.clone());
        }
        let request =
            Request::new(caller, &action, &resource).map_err(|error| QuestionError::Form(error.to_string()))?;
        let request = request.with_context(context);
        Ok(match owner {
            Some(owner) => request.of_account(owner),
            None => request,
        })
    }

    /// What is asked for: the action, its resource, and the condition keys of the call.
    fn demand(&self, resource: &str) -> Option<(String, String, Context)> {
        let typed =
            self.action.clone().map(|action| if action.contains(':') { action } else { format!("s3:{action}") });
        // An API name means what the call asks for first.
        let call = match typed.as_deref().and_then(operation::hint) {
            Some(_) => typed.as_deref().and_then(|action| action.strip_prefix("s3:")).map(str::to_owned),
            None => self.operation.clone(),
        };
        let named = call.as_deref().and_then(|call| self.demand_of(call, resource));
        match (typed.filter(|action| operation::hint(action).is_none()), named) {
            (Some(action), Some((named, _, context))) if named.eq_ignore_ascii_case(&action) => {
                Some((action, self.target(resource), context))
            }
            (Some(action), _) => {
                let context = self.listing(&action);
                Some((action, self.target(resource), context))
            }
            (None, Some(named)) => Some(named),
            (None, None) => None,
        }
    }

    fn demand_of(&self, call: &str, resource: &str) -> Option<(String, String, Context)> {
        let (bucket, key) = (bucket_of(resource), key_of(resource).unwrap_or_default());
        let query: Vec<(String, String)> = match call.starts_with("ListObject") {
            true => self.prefix.iter().map(|prefix| ("prefix".to_owned(), prefix.clone())).collect(),
            false => Vec::new(),
        };
        let call = Call { operation: call, bucket, key, query: &query, ..Call::default() };
        let demand = demands(&call)?.into_iter().next()?;
        let partition = resource.split(':').nth(1).unwrap_or("aws");
        let resource = demand.resource.replacen("arn:aws:", &format!("arn:{partition}:"), 1);
        Some((demand.action.to_owned(), resource, demand.context))
    }

    /// The resource; listings are asked of the bucket, whatever the prefix.
    fn target(&self, resource: &str) -> String {
        let on_bucket = self.action.as_deref().and_then(operation::aim) == Some(operation::Aim::Bucket);
        match resource.find(":s3:::") {
            Some(at) if on_bucket => format!("{}:s3:::{}", &resource[..at], bucket_of(resource)),
            _ => resource.to_owned(),
        }
    }

    fn listing(&self, action: &str) -> Context {
        let is_listing =
            action.eq_ignore_ascii_case("s3:ListBucket") || action.eq_ignore_ascii_case("s3:ListBucketVersions");
        match self.prefix.as_ref().filter(|_| is_listing) {
            Some(prefix) => Context::default().with("s3:prefix", prefix),
            None => Context::default(),
        }
    }

    fn missing(&self) -> Vec<&'static str> {
        let parts = [
            (self.principal.is_none(), "who asked (`--principal`)"),
            (self.action.is_none() && self.operation.is_none(), "for which action (`--action`)"),
            (self.resource.is_none(), "on what (`--resource`)"),
        ];
        let missing: Vec<&'static str> =
            parts.into_iter().filter(|(missing, _)| *missing).map(|(_, name)| name).collect();
        if missing.is_empty() { vec!["what that call asks for (`--action`)"] } else { missing }
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, Question};

    /// `action on resource prefix=..`
    fn asked(action: Option<&str>, operation: Option<&str>, resource: &str, prefix: Option<&str>) -> String {
        let own = str::to_owned;
        let question = Question {
            principal: Some(own("arn:aws:iam::111122223333:role/trainer")),
            action: action.map(own),
            operation: operation.map(own),
            resource: Some(own(resource)),
            prefix: prefix.map(own),
        };
        match question.request(&Known::default()) {
            Ok(request) => {
                let prefix = request.context.value("s3:prefix").map(|value| format!(" prefix={:?}", value.as_slice()));
                format!("{} on {}{}", request.action(), request.resource(), prefix.unwrap_or_default())
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn calls_and_api_names_become_actions() {
        let object = "arn:aws:s3:::lake/a/b";
        for (action, operation, resource, prefix, expected) in [
            (Some("s3:PutObject"), None, object, None, "s3:PutObject on arn:aws:s3:::lake/a/b"),
            (Some("PutObject"), None, object, None, "s3:PutObject on arn:aws:s3:::lake/a/b"),
            (Some("s3:HeadObject"), None, object, None, "s3:GetObject on arn:aws:s3:::lake/a/b"),
            (Some("HeadBucket"), None, "arn:aws:s3:::lake", None, "s3:ListBucket on arn:aws:s3:::lake"),
            (None, Some("UploadPart"), object, None, "s3:PutObject on arn:aws:s3:::lake/a/b"),
            (
                None,
                Some("ListObjectsV2"),
                "arn:aws:s3:::lake",
                Some("a/"),
                "s3:ListBucket on arn:aws:s3:::lake prefix=[\"a/\"]",
            ),
            (Some("s3:ListBucket"), None, object, Some("a/"), "s3:ListBucket on arn:aws:s3:::lake prefix=[\"a/\"]"),
            (Some("s3:ListBucket"), Some("GetObject"), object, None, "s3:ListBucket on arn:aws:s3:::lake"),
            (None, None, object, None, "for which action (`--action`) not known"),
            (Some("kms:Decrypt"), None, object, None, "which key (`--resource`) not known"),
            (
                Some("kms:Decrypt"),
                Some("GetObject"),
                "arn:aws:kms:eu-west-1:111122223333:key/0a",
                None,
                "kms:Decrypt on arn:aws:kms:eu-west-1:111122223333:key/0a",
            ),
        ] {
            assert_eq!(asked(action, operation, resource, prefix), expected);
        }
    }
}
