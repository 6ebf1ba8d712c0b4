//! Roles and Pod Identity associations written by the rules of IAM and EKS.

use super::account::LocalAccount;
use super::clusters::{self, Association};
use super::edit::{add_tags, edit_object, no_role, now};
use super::policy_writes::{INLINE_CHARACTERS, characters, check_path, checked};
use super::record::replace;
use super::sheet::sound_trust;
use super::{DirectoryError, Kind, Rule};
use crate::model::{Arn, IamQuotas, PolicyJson, PolicyName, RoleName, Tags};
use serde_json::{Map, Value, json};

fn refused(rule: Rule, message: impl Into<String>) -> DirectoryError {
    DirectoryError::refused(rule, message)
}

/// The document of a trust policy, if IAM takes it.
fn checked_trust(role: &RoleName, trust: &PolicyJson) -> Result<Value, DirectoryError> {
    let malformed = |message: String| {
        let message = format!("the trust policy of role `{role}` is none that IAM takes: {message}");
        refused(Rule::MalformedPolicyDocument, message)
    };
    sound_trust(&trust.0).map_err(malformed)?;
    let (has, most) = (characters(role.as_str(), trust)?, IamQuotas::USUAL.trust_characters);
    if has as u64 > most {
        let message = format!("the trust policy of role `{role}` has {has} characters, and at most {most} are taken");
        return Err(refused(Rule::LimitExceeded, message));
    }
    serde_json::from_str(&trust.0).map_err(|error| malformed(error.to_string()))
}

impl LocalAccount {
    /// Makes a role that those may take whom `trust` names.
    pub fn create_role(
        &self,
        name: &RoleName,
        path: &str,
        description: &str,
        trust: &PolicyJson,
        tags: &Tags,
    ) -> Result<Arn, DirectoryError> {
        check_path(path)?;
        let trust = checked_trust(name, trust)?;
        let _turn = self.directory.turn()?;
        let mut fields = Map::new();
        fields.insert("path".to_owned(), json!(path));
        if !description.is_empty() {
            fields.insert("description".to_owned(), json!(description));
        }
        fields.insert("created".to_owned(), json!(now()));
        fields.insert("trust".to_owned(), trust);
        fields.insert("policies".to_owned(), json!([]));
        edit_object(&mut fields, "tags", |known| add_tags(known, tags));
        self.new_role(name, &fields)?;
        self.arn("role", path, name.as_str())
    }

    fn new_role(&self, name: &RoleName, fields: &Map<String, Value>) -> Result<(), DirectoryError> {
        if let Some(known) = self.directory.spelled(Kind::Role.folder(), name.as_str())? {
            return Err(refused(Rule::EntityAlreadyExists, format!("there is a role `{known}` already")));
        }
        replace(&self.directory.folder.join(Kind::Role.folder()).join(format!("{name}.json")), fields)
    }

    /// Makes an empty role if there is none: the roles that a layout or a cluster names are there, as they are on AWS.
    pub fn ensure_role(&self, name: &RoleName) -> Result<(), DirectoryError> {
        if self.has_role(name.as_str())? {
            return Ok(());
        }
        let _turn = self.directory.turn()?;
        let mut fields = Map::new();
        fields.insert("created".to_owned(), json!(now()));
        fields.insert("policies".to_owned(), json!([]));
        match self.new_role(name, &fields) {
            // Somebody else was first, which is as good.
            Err(DirectoryError::Refused { rule: Rule::EntityAlreadyExists, .. }) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Replaces who may take a role.
    pub fn put_trust(&self, role: &RoleName, trust: &PolicyJson) -> Result<(), DirectoryError> {
        let trust = checked_trust(role, trust)?;
        let _turn = self.directory.turn()?;
        self.directory.edit_role(role, |fields| {
            fields.insert("trust".to_owned(), trust);
            Ok(())
        })
    }

    /// Puts an inline policy, replacing the one of that name.
    pub fn put_inline(&self, role: &RoleName, name: &PolicyName, document: &PolicyJson) -> Result<(), DirectoryError> {
        let most = INLINE_CHARACTERS;
        let document = checked(name.as_str(), document, most as u64)?;
        let _turn = self.directory.turn()?;
        self.directory.edit_role(role, |fields| {
            let sum = edit_object(fields, "inline", |inline| {
                inline.retain(|known, _| known == name.as_str() || !known.eq_ignore_ascii_case(name.as_str()));
                inline.insert(name.to_string(), document);
                let size = |(known, text): (&String, &Value)| characters(known, &PolicyJson(text.to_string()));
                inline.iter().map(size).sum::<Result<usize, _>>()
            })?;
            if sum > most {
                let message = format!("the inline policies of role `{role}` would have {sum} characters of {most}");
                return Err(refused(Rule::LimitExceeded, message));
            }
            Ok(())
        })
    }

    /// Bounds a role by a managed policy.
    pub fn put_boundary(&self, role: &RoleName, policy: &Arn) -> Result<(), DirectoryError> {
        let _turn = self.directory.turn()?;
        let missing = || refused(Rule::NoSuchEntity, format!("there is no policy `{policy}`"));
        let name = self.named(policy)?.ok_or_else(missing)?;
        self.directory.edit_role(role, |fields| {
            fields.insert("boundary".to_owned(), json!(name));
            Ok(())
        })
    }

    /// Hands `role` to a service account; answers with the association's id.
    pub fn create_association(
        &self,
        cluster: &str,
        namespace: &str,
        service_account: &str,
        role: &Arn,
        tags: &Tags,
    ) -> Result<String, DirectoryError> {
        clusters::check_name(cluster)?;
        let _turn = self.directory.turn()?;
        self.must_have(role)?;
        let mut known = self.directory.associations(cluster)?;
        let is_it = |one: &Association| one.namespace == namespace && one.service_account == service_account;
        if known.iter().any(is_it) {
            let message = format!("`{namespace}/{service_account}` has a Pod Identity association already");
            return Err(refused(Rule::EntityAlreadyExists, message));
        }
        let numbers = known.iter().filter_map(|one| one.id.strip_prefix("a-")?.parse::<u32>().ok());
        let id = format!("a-{:06}", numbers.max().unwrap_or_default() + 1);
        known.push(Association {
            id: id.clone(),
            namespace: namespace.to_owned(),
            service_account: service_account.to_owned(),
            role: role.clone(),
            tags: tags.clone(),
        });
        self.directory.keep_associations(cluster, &known)?;
        Ok(id)
    }

    /// An error unless `role` is one of this account.
    fn must_have(&self, role: &Arn) -> Result<(), DirectoryError> {
        let name = RoleName::of_arn(role).filter(|_| role.account() == self.account.as_str());
        let name = name.ok_or_else(|| refused(Rule::InvalidInput, format!("`{role}` is no role of this account")))?;
        if self.has_role(name.as_str())? { Ok(()) } else { Err(no_role(&name)) }
    }

    /// Hands another role to a service account that has one.
    pub fn update_association(&self, cluster: &str, id: &str, role: &Arn) -> Result<(), DirectoryError> {
        clusters::check_name(cluster)?;
        let _turn = self.directory.turn()?;
        self.must_have(role)?;
        let mut known = self.directory.associations(cluster)?;
        let missing = || refused(Rule::NoSuchEntity, format!("cluster `{cluster}` has no association `{id}`"));
        role.clone_into(&mut known.iter_mut().find(|one| one.id == id).ok_or_else(missing)?.role);
        self.directory.keep_associations(cluster, &known)
    }

    /// Takes the role from a service account; one that has none any more is no error.
    pub fn delete_association(&self, cluster: &str, id: &str) -> Result<(), DirectoryError> {
        clusters::check_name(cluster)?;
        let _turn = self.directory.turn()?;
        let mut known = self.directory.associations(cluster)?;
        let before = known.len();
        known.retain(|one| one.id != id);
        if known.len() == before { Ok(()) } else { self.directory.keep_associations(cluster, &known) }
    }
}
