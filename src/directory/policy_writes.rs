//! Managed policies written by IAM's rules, so that what works here works there.

use super::account::LocalAccount;
use super::edit::{add_tags, edit_object, no_role, now};
use super::record::{Record, RecordedVersion};
use super::sheet::{is_path, sound};
use super::{DirectoryError, Kind, Rule};
use crate::model::{Arn, IamQuotas, PolicyJson, PolicyName, RoleName, Tags, VersionId};
use crate::policy::{Document, Json};
use serde_json::{Value, json};

const QUOTAS: IamQuotas = IamQuotas::USUAL;
/// What all inline policies of a role may hold together, in characters without white space.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
pub(super) const INLINE_CHARACTERS: usize = 10_240;

fn refused(rule: Rule, message: impl Into<String>) -> DirectoryError {
    DirectoryError::refused(rule, message)
}

fn malformed(name: &str, message: &str) -> DirectoryError {
    refused(Rule::MalformedPolicyDocument, format!("the document of `{name}` is none that IAM takes: {message}"))
}

/// The size that IAM counts.
pub(super) fn characters(name: &str, document: &PolicyJson) -> Result<usize, DirectoryError> {
    let listed = |found: Vec<crate::policy::DocumentMistake>| {
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        malformed(name, &texts.join("; "))
    };
    Ok(Json::parse(&document.0).map_err(listed)?.compact().chars().count())
}

/// The document of an identity policy, if IAM takes it.
pub(super) fn checked(name: &str, document: &PolicyJson, most: u64) -> Result<Value, DirectoryError> {
    let listed = |found: Vec<crate::policy::DocumentMistake>| {
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        malformed(name, &texts.join("; "))
    };
    let parsed = Document::parse(&document.0).map_err(listed)?;
    sound(name, parsed).map_err(|message| malformed(name, &message))?;
    let has = characters(name, document)?;
    if has as u64 > most {
        let message = format!("`{name}` has {has} characters without white space, and at most {most} are taken");
        return Err(refused(Rule::LimitExceeded, message));
    }
    serde_json::from_str(&document.0).map_err(|error| malformed(name, &error.to_string()))
}

pub(super) fn check_path(path: &str) -> Result<(), DirectoryError> {
    let no_path = || refused(Rule::InvalidInput, format!("`{path}` is no path: it starts and ends with `/`"));
    if is_path(path) { Ok(()) } else { Err(no_path()) }
}

fn no_policy(arn: &Arn) -> DirectoryError {
    refused(Rule::NoSuchEntity, format!("there is no policy `{arn}`"))
}

impl LocalAccount {
    /// Makes a policy whose only version is `document`.
    pub fn create_policy(
        &self,
        name: &PolicyName,
        path: &str,
        description: &str,
        document: &PolicyJson,
        tags: &Tags,
    ) -> Result<Arn, DirectoryError> {
        check_path(path)?;
        let document = checked(name.as_str(), document, QUOTAS.policy_characters)?;
        let _turn = self.directory.turn()?;
        if let Some(known) = self.directory.spelled("policies", name.as_str())? {
            return Err(refused(Rule::EntityAlreadyExists, format!("there is a policy `{known}` already")));
        }
        let described = (!description.is_empty()).then(|| description.to_owned());
        let first = Record::first(document, path.to_owned(), Some(now()));
        let record = Record { description: described, tags: tags.clone(), ..first };
        self.directory.keep(name.as_str(), &record)?;
        self.arn("policy", path, name.as_str())
    }

    /// Changes what is kept of a policy, when it is our turn.
    fn change<T>(
        &self,
        arn: &Arn,
        change: impl FnOnce(&str, &mut Record) -> Result<T, DirectoryError>,
    ) -> Result<T, DirectoryError> {
        let _turn = self.directory.turn()?;
        let name = self.named(arn)?.ok_or_else(|| no_policy(arn))?;
        let mut record = self.directory.record(&name)?.ok_or_else(|| no_policy(arn))?;
        let answer = change(&name, &mut record)?;
        self.directory.keep(&name, &record)?;
        Ok(answer)
    }

    /// Adds a version and puts it in force.
    pub fn create_version(&self, arn: &Arn, document: &PolicyJson) -> Result<VersionId, DirectoryError> {
        self.change(arn, |name, record| {
            let document = checked(name, document, QUOTAS.policy_characters)?;
            if record.versions.len() as u64 >= QUOTAS.versions_per_policy {
                let most = QUOTAS.versions_per_policy;
                let message = format!("policy `{name}` has {most} versions, and no more are taken: delete one");
                return Err(refused(Rule::LimitExceeded, message));
            }
            let id = VersionId(record.last.0 + 1);
            record.versions.insert(id, RecordedVersion { created: Some(now()), document });
            (record.last, record.default) = (id, id);
            Ok(id)
        })
    }

    /// Puts a version in force, for everybody whom the policy is attached to.
    pub fn set_default(&self, arn: &Arn, version: VersionId) -> Result<(), DirectoryError> {
        self.change(arn, |name, record| {
            if !record.versions.contains_key(&version) {
                return Err(refused(Rule::NoSuchEntity, format!("policy `{name}` has no version {version}")));
            }
            record.default = version;
            Ok(())
        })
    }

    /// Removes a version that is not in force; one that is gone is no error.
    pub fn delete_version(&self, arn: &Arn, version: VersionId) -> Result<(), DirectoryError> {
        self.change(arn, |name, record| {
            if record.default == version {
                let message = format!("version {version} of policy `{name}` is in force, and cannot be deleted");
                return Err(refused(Rule::DeleteConflict, message));
            }
            record.versions.remove(&version);
            Ok(())
        })
    }

    /// Adds tags, or gives those of the same key another value.
    pub fn tag_policy(&self, arn: &Arn, tags: &Tags) -> Result<(), DirectoryError> {
        self.change(arn, |_, record| {
            for (key, tag) in tags {
                record.tags.retain(|other, _| !other.as_str().eq_ignore_ascii_case(key.as_str()));
                record.tags.insert(key.clone(), tag.clone());
            }
            Ok(())
        })
    }

    /// Removes a policy that is attached to nobody and has one version; one that is gone is no error.
    pub fn delete_policy(&self, arn: &Arn) -> Result<(), DirectoryError> {
        let _turn = self.directory.turn()?;
        let Some(name) = self.named(arn)? else { return Ok(()) };
        let used = self.used_by(&name)?;
        if !used.roles.is_empty() || !used.users.is_empty() || !used.boundary_of.is_empty() {
            return Err(refused(Rule::DeleteConflict, format!("policy `{name}` is still attached: detach it first")));
        }
        if self.directory.record(&name)?.is_some_and(|record| record.versions.len() > 1) {
            let message = format!("policy `{name}` has versions that are not in force: delete them first");
            return Err(refused(Rule::DeleteConflict, message));
        }
        self.directory.forget(&name)
    }

    /// Attaches a policy to a role; one that is attached already stays so.
    pub fn attach(&self, role: &RoleName, policy: &Arn) -> Result<(), DirectoryError> {
        let _turn = self.directory.turn()?;
        let name = self.named(policy)?.ok_or_else(|| no_policy(policy))?;
        self.directory.edit_role(role, |fields| {
            let listed = fields.entry("policies").or_insert_with(|| json!([]));
            let Value::Array(listed) = listed else { return Err(no_role(role)) };
            if listed.iter().any(|one| one.as_str() == Some(&name)) {
                return Ok(());
            }
            let most = QUOTAS.attached_policies_per_role;
            if listed.len() as u64 >= most {
                let message = format!("role `{role}` has {most} policies, and no more are taken: detach one");
                return Err(refused(Rule::LimitExceeded, message));
            }
            listed.push(json!(name));
            Ok(())
        })
    }

    /// Detaches a policy from a role; one that is not attached is no error.
    pub fn detach(&self, role: &RoleName, policy: &Arn) -> Result<(), DirectoryError> {
        let _turn = self.directory.turn()?;
        let Some(name) = self.named(policy)? else { return Ok(()) };
        if self.directory.spelled(Kind::Role.folder(), role.as_str())?.is_none() {
            return Ok(());
        }
        self.directory.edit_role(role, |fields| {
            if let Some(Value::Array(listed)) = fields.get_mut("policies") {
                listed.retain(|one| one.as_str() != Some(&name));
            }
            Ok(())
        })
    }

    /// Adds tags to a role, or gives those of the same key another value.
    pub fn tag_role(&self, role: &RoleName, tags: &Tags) -> Result<(), DirectoryError> {
        let _turn = self.directory.turn()?;
        self.directory.edit_role(role, |fields| {
            edit_object(fields, "tags", |known| add_tags(known, tags));
            Ok(())
        })
    }
}
