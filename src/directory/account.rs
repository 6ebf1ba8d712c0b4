//! The directory read as IAM tells it: the same values, whatever they come from.

use super::sheet::Sheet;
use super::{Directory, DirectoryError, Kind, PrincipalName, Rule};
use crate::model::{
    AccountId, Arn, Attachments, IamQuotas, InlinePolicy, ManagedPolicy, PolicyJson, PolicyName, PolicyVersion, Region,
    Role, RoleName, Seen, TagKey, TagValue,
};
use serde_json::json;
use std::sync::Arc;

/// The account that the embedded endpoint answers for, with the directory that it keeps.
#[derive(Debug, Clone)]
pub struct LocalAccount {
    pub(super) directory: Arc<Directory>,
    pub(super) account: AccountId,
    pub(super) region: Region,
}

impl Directory {
    /// What the file of a role or user says.
    pub(super) fn sheet(&self, kind: Kind, name: &str) -> Result<Option<Arc<Sheet>>, DirectoryError> {
        let path = self.folder.join(kind.folder()).join(format!("{name}.json"));
        self.sheets.read(&path, Sheet::parse)
    }
}

impl LocalAccount {
    /// The account of `directory`, in the Region of its endpoint.
    pub const fn new(directory: Arc<Directory>, account: AccountId, region: Region) -> Self {
        Self { directory, account, region }
    }

    /// An ARN of this account. Names and paths of the directory hold nothing that an ARN does not take.
    pub(super) fn arn(&self, word: &str, path: &str, name: &str) -> Result<Arn, DirectoryError> {
        let text = format!("arn:aws:iam::{}:{word}{path}{name}", self.account);
        text.parse().map_err(|_| DirectoryError::refused(Rule::InvalidInput, format!("`{text}` is no ARN")))
    }

    /// The name, as it is spelled here, of the policy that an ARN means.
    pub(super) fn named(&self, arn: &Arn) -> Result<Option<String>, DirectoryError> {
        let Some(name) = PolicyName::of_arn(arn).filter(|_| arn.account() == self.account.as_str()) else {
            return Ok(None);
        };
        let Some(name) = self.directory.spelled("policies", name.as_str())? else { return Ok(None) };
        let record = self.directory.record(&name)?;
        let own = record.map(|record| self.arn("policy", &record.path, &name)).transpose()?;
        Ok((own.as_ref() == Some(arn)).then_some(name))
    }

    /// A role with its policies.
    pub fn role(&self, name: &RoleName) -> Result<Seen<Role>, DirectoryError> {
        let Some(name) = self.directory.spelled(Kind::Role.folder(), name.as_str())? else { return Ok(Seen::Absent) };
        let Some(sheet) = self.directory.sheet(Kind::Role, &name)? else { return Ok(Seen::Absent) };
        let Ok(spelled) = name.parse::<RoleName>() else { return Ok(Seen::Absent) };
        let inline = sheet.inline.iter().filter_map(|inline| {
            let name = inline.policy.name.parse().ok()?;
            Some(InlinePolicy { name, document: inline.text.clone() })
        });
        Ok(Seen::Here(Role {
            arn: self.arn("role", &sheet.path, &name)?,
            name: spelled,
            description: sheet.description.clone(),
            trust: sheet.trust.clone().unwrap_or_else(|| self.trust_of_account()),
            attached: sheet.policies.iter().map(|(_, policy)| self.policy_arn(policy)).collect::<Result<_, _>>()?,
            inline: inline.collect(),
            boundary: sheet.boundary.as_ref().map(|(_, policy)| self.policy_arn(policy)).transpose()?,
            tags: sheet.tags.iter().map(|(key, tag)| (TagKey::observed(key), TagValue::observed(tag))).collect(),
            created: sheet.created,
            last_use: None,
        }))
    }

    /// Who may take a role whose file does not say: whoever may act for the account.
    fn trust_of_account(&self) -> PolicyJson {
        let principal = format!("arn:aws:iam::{}:root", self.account);
        let statement = json!({ "Effect": "Allow", "Principal": { "AWS": principal }, "Action": "sts:AssumeRole" });
        PolicyJson(json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string())
    }

    fn policy_arn(&self, name: &str) -> Result<Arn, DirectoryError> {
        let record = self.directory.record(name)?;
        let path = record.map_or_else(|| "/".to_owned(), |record| record.path);
        self.arn("policy", &path, name)
    }

    /// The ARNs of all roles.
    pub fn roles(&self) -> Result<Vec<Arn>, DirectoryError> {
        let mut arns = Vec::new();
        for name in self.directory.names(Kind::Role)? {
            if let Some(sheet) = self.directory.sheet(Kind::Role, name.as_str())? {
                arns.push(self.arn("role", &sheet.path, name.as_str())?);
            }
        }
        Ok(arns)
    }

    /// A managed policy with its versions.
    pub fn policy(&self, arn: &Arn) -> Result<Seen<ManagedPolicy>, DirectoryError> {
        match self.named(arn)? {
            Some(name) => self.managed(&name),
            None => Ok(Seen::Absent),
        }
    }

    /// The policy of that name, whatever its path.
    pub fn policy_named(&self, name: &PolicyName) -> Result<Seen<ManagedPolicy>, DirectoryError> {
        match self.directory.spelled("policies", name.as_str())? {
            Some(name) => self.managed(&name),
            None => Ok(Seen::Absent),
        }
    }

    /// All policies, by name.
    pub fn policies(&self) -> Result<Vec<ManagedPolicy>, DirectoryError> {
        let mut policies = Vec::new();
        for name in self.directory.files("policies")? {
            if let Seen::Here(policy) = self.managed(&name)? {
                policies.push(policy);
            }
        }
        Ok(policies)
    }

    fn managed(&self, name: &str) -> Result<Seen<ManagedPolicy>, DirectoryError> {
        let Ok(spelled) = name.parse::<PolicyName>() else { return Ok(Seen::Absent) };
        let Some(record) = self.directory.record(name)? else { return Ok(Seen::Absent) };
        let used = self.used_by(name)?;
        let versions = record.versions.iter().rev();
        let versions =
            versions.map(|(id, one)| PolicyVersion { id: *id, created: one.created, document: one.text() }).collect();
        Ok(Seen::Here(ManagedPolicy {
            arn: self.arn("policy", &record.path, name)?,
            name: spelled,
            id: None,
            description: record.description,
            default_version: record.default,
            versions,
            attachments: (used.roles.len() + used.users.len()) as u64,
            boundary_uses: used.boundary_of.len() as u64,
            tags: record.tags,
            created: record.created,
            updated: record.versions.values().filter_map(|version| version.created).max(),
        }))
    }

    /// Whom a policy is attached to, and whom it bounds.
    pub fn attachments(&self, arn: &Arn) -> Result<Seen<Attachments>, DirectoryError> {
        match self.named(arn)? {
            Some(name) => self.used_by(&name).map(Seen::Here),
            None => Ok(Seen::Absent),
        }
    }

    pub(super) fn used_by(&self, policy: &str) -> Result<Attachments, DirectoryError> {
        let mut found = Attachments::default();
        for kind in [Kind::Role, Kind::User] {
            for name in self.directory.names(kind)? {
                let Some(sheet) = self.directory.sheet(kind, name.as_str())? else { continue };
                if sheet.policies.iter().any(|(_, attached)| attached == policy) {
                    match kind {
                        Kind::Role => found.roles.extend(name.as_str().parse::<RoleName>().ok()),
                        Kind::User => found.users.push(name.as_str().to_owned()),
                    }
                }
                if sheet.boundary.as_ref().is_some_and(|(_, boundary)| boundary == policy) {
                    found.boundary_of.push(name.as_str().to_owned());
                }
            }
        }
        Ok(found)
    }

    /// The limits, which are AWS's usual ones.
    pub fn quotas(&self) -> Result<Seen<IamQuotas>, DirectoryError> {
        let left = |most: u64, used: usize| most.saturating_sub(used as u64);
        Ok(Seen::Here(IamQuotas {
            policies_left: left(IamQuotas::USUAL.policies_left, self.directory.files("policies")?.len()),
            roles_left: left(IamQuotas::USUAL.roles_left, self.directory.names(Kind::Role)?.len()),
            ..IamQuotas::USUAL
        }))
    }

    /// True if there is such a role.
    pub(super) fn has_role(&self, name: &str) -> Result<bool, DirectoryError> {
        Ok(PrincipalName::new(Kind::Role, name).is_some()
            && self.directory.spelled(Kind::Role.folder(), name)?.is_some())
    }
}
