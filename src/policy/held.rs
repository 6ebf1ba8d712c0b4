//! What one principal holds by a layout: the grants that are its own, taken together.
//!
//! A role that several grants name has all their policies at once, so it may what any of them gives.

use super::assertions;
use super::generate::{GenerateError, Generated};
use super::matrix::{Answer, Granted, Operation, Principal, Question, account, frame, key_in};
use crate::layout::{Grant, Layout};
use crate::model::{BucketName, Prefix};
use std::collections::BTreeSet;

/// Somebody with all the grants that are theirs.
#[derive(Debug, Clone)]
pub struct Held {
    /// Who, as output calls them.
    pub name: String,
    /// The grants, each with what it ought to give. Never empty.
    pub grants: Vec<Granted>,
    /// Somebody who has just the policies of these grants.
    together: Principal,
}

impl Held {
    /// What a role holds whose grants name it; none if no grant does. `shown` is what output calls it.
    pub fn of_role(layout: &Layout, role: &str, shown: &str) -> Result<Option<Self>, GenerateError> {
        Self::of(layout, shown, &assertions::attached_to(layout, role))
    }

    /// What somebody holds who has these grants; none without grants.
    pub fn of(layout: &Layout, shown: &str, grants: &[&Grant]) -> Result<Option<Self>, GenerateError> {
        let grants = grants.iter().map(|grant| Granted::of(layout, grant)).collect::<Result<Vec<_>, _>>()?;
        let Some((first, rest)) = grants.split_first() else { return Ok(None) };
        let together = rest.iter().fold(first.principal.clone(), |all, one| all.and(&one.principal));
        Ok(Some(Self { name: shown.to_owned(), grants, together }))
    }

    /// The buckets of all grants, each once, in the order in which they are named.
    pub fn buckets(&self) -> Vec<&BucketName> {
        let mut buckets: Vec<&BucketName> = Vec::new();
        for bucket in self.grants.iter().flat_map(|granted| granted.entitlement.buckets()) {
            if !buckets.contains(&bucket) {
                buckets.push(bucket);
            }
        }
        buckets
    }

    /// The folders of a bucket that get cells: those of any grant, with what lies around them.
    pub fn folders_of(&self, bucket: &BucketName) -> BTreeSet<Prefix> {
        let concerned = self.grants.iter().filter(|granted| granted.entitlement.buckets().contains(&bucket));
        concerned.flat_map(|granted| granted.folders_of(bucket)).collect()
    }

    /// Whether the grants are meant to allow this, and the statement of their policies that says so.
    pub fn expects(&self, question: &Question<'_>) -> Answer {
        let allowed = self.grants.iter().any(|granted| granted.ought(question));
        Answer { allowed, because: self.may(question).because }
    }

    /// The same about a folder.
    pub fn expects_in(&self, operation: Operation, bucket: &BucketName, folder: &Prefix) -> Answer {
        self.asked(operation, bucket, folder, &|question| self.expects(question))
    }

    /// Whether the policies that are made of the grants allow this.
    pub fn may(&self, question: &Question<'_>) -> Answer {
        self.together.may(question)
    }

    /// The question about a folder, in a bucket with its KMS key.
    pub fn asked<T>(
        &self,
        operation: Operation,
        bucket: &BucketName,
        folder: &Prefix,
        ask: &dyn Fn(&Question<'_>) -> T,
    ) -> T {
        let key = key_in(folder, operation);
        let kms_key = self.grants.iter().find_map(|granted| granted.entitlement.kms_key(bucket));
        ask(&Question::new(operation, bucket, Some(&key)).with_key(kms_key))
    }
}

/// Somebody in the layout's account who has just these documents.
pub fn with_documents(layout: &Layout, name: &str, documents: &[Generated]) -> Principal {
    Principal::with_documents(name, documents, &account(layout), &frame(layout).partition)
}

/// A grant's policies as those of sessions; see [`super::generate::of_sessions`].
pub fn session_policies(layout: &Layout, granted: &Granted) -> Result<Vec<Generated>, GenerateError> {
    super::generate::of_sessions(&granted.entitlement, &frame(layout))
}
