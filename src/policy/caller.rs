//! Who makes a request. A session is not its role: policies may name either, so both ARNs are carried.

use super::arn_pattern::fields;

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// An account's root user.
    Root {
        /// The account id.
        account: String,
    },
    /// An IAM user.
    User {
        /// Its ARN.
        arn: String,
        /// Its account.
        account: String,
    },
    /// A session of a role.
    RoleSession {
        /// `arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION`
        session: String,
        /// The role's ARN, path included, which the session's does not tell.
        role: String,
        /// The role's account.
        account: String,
    },
    /// A session that a user made with GetFederationToken.
    FederatedUser {
        /// `arn:aws:sts::ACCOUNT:federated-user/NAME`
        session: String,
        /// The user's ARN.
        user: String,
        /// The user's account.
        account: String,
    },
    /// Somebody whom an identity provider vouches for, before there is a session: what trust policies speak of.
    Federated {
        /// The provider's ARN or name.
        provider: String,
    },
    /// An AWS service in its own name.
    Service {
        /// Such as `logging.s3.amazonaws.com`.
        name: String,
    },
    /// Somebody known by a canonical id alone.
    CanonicalUser {
        /// The id.
        id: String,
    },
    /// Nobody signed the request.
    Anonymous,
}

/// A text that names no caller of the kind it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{arn}` is not the ARN of {expected}")]
pub struct CallerError {
    arn: String,
    expected: &'static str,
}

impl CallerError {
    fn new(arn: &str, expected: &'static str) -> Self {
        Self { arn: arn.to_owned(), expected }
    }
}

/// The account of an ARN of `service` whose resource starts with `start`.
fn account_in(arn: &str, service: &str, start: &str, expected: &'static str) -> Result<String, CallerError> {
    match fields(arn) {
        Some(["arn", _, found, "", account, resource])
            if found == service && resource.strip_prefix(start).is_some_and(|name| !name.is_empty()) =>
        {
            Ok(account.to_owned())
        }
        _ => Err(CallerError::new(arn, expected)),
    }
}

impl Caller {
    /// A user by its ARN.
    pub fn user(arn: &str) -> Result<Self, CallerError> {
        let account = account_in(arn, "iam", "user/", "a user")?;
        Ok(Self::User { arn: arn.to_owned(), account })
    }

    /// A role's session by both ARNs.
    pub fn role_session(session: &str, role: &str) -> Result<Self, CallerError> {
        account_in(session, "sts", "assumed-role/", "a role's session")?;
        let account = account_in(role, "iam", "role/", "a role")?;
        Ok(Self::RoleSession { session: session.to_owned(), role: role.to_owned(), account })
    }

    /// A federated user's session by its ARN and that of the user who made it, empty if unknown.
    pub fn federated_user(session: &str, user: &str) -> Result<Self, CallerError> {
        let account = account_in(session, "sts", "federated-user/", "a federated user's session")?;
        if !user.is_empty() {
            account_in(user, "iam", "user/", "a user")?;
        }
        Ok(Self::FederatedUser { session: session.to_owned(), user: user.to_owned(), account })
    }

    /// Any caller by the one text that people have at hand: an ARN, an account id for its root user, a service's name,
    /// or `anonymous`.
    ///
    /// A role stands for any of its sessions. `behind` is the role or user behind a session; without it a role is taken
    /// to have no path.
    pub fn parse(text: &str, behind: Option<&str>) -> Result<Self, CallerError> {
        const EXPECTED: &str = "a user, role, session or account";
        match fields(text) {
            Some(["arn", partition, "iam", "", account, resource]) => match resource.split_once('/') {
                _ if resource == "root" => Ok(Self::Root { account: account.to_owned() }),
                Some(("user", _)) => Self::user(text),
                Some(("role", path)) => {
                    let name = path.rsplit('/').next().unwrap_or(path);
                    Self::role_session(&format!("arn:{partition}:sts::{account}:assumed-role/{name}/*"), text)
                }
                _ => Err(CallerError::new(text, EXPECTED)),
            },
            Some(["arn", partition, "sts", "", account, resource]) => match resource.split('/').collect::<Vec<_>>()[..]
            {
                ["assumed-role", name, _] => {
                    let role = format!("arn:{partition}:iam::{account}:role/{name}");
                    Self::role_session(text, behind.unwrap_or(&role))
                }
                ["federated-user", _] => Self::federated_user(text, behind.unwrap_or_default()),
                _ => Err(CallerError::new(text, EXPECTED)),
            },
            _ if text == "anonymous" => Ok(Self::Anonymous),
            _ if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(Self::Root { account: text.to_owned() })
            }
            _ if text.ends_with(".amazonaws.com") => Ok(Self::Service { name: text.to_owned() }),
            _ => Err(CallerError::new(text, EXPECTED)),
        }
    }

    /// The same caller, of this account whatever its ARN says.
    #[must_use]
    pub(super) fn of_account(mut self, id: &str) -> Self {
        if let Self::Root { account }
        | Self::User { account, .. }
        | Self::RoleSession { account, .. }
        | Self::FederatedUser { account, .. } = &mut self
        {
            id.clone_into(account);
        }
        self
    }

    /// The condition keys that follow from the caller alone. Ids are not known here, so `aws:userid` is not among them.
    ///
    /// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>
    pub fn context_keys(&self) -> Vec<(&'static str, String)> {
        let kind = match self {
            Self::Root { .. } => "Account",
            Self::User { .. } => "User",
            Self::RoleSession { .. } => "AssumedRole",
            Self::FederatedUser { .. } => "FederatedUser",
            Self::Anonymous | Self::CanonicalUser { .. } => "Anonymous",
            Self::Federated { .. } | Self::Service { .. } => return Vec::new(),
        };
        let mut keys = vec![("aws:PrincipalType", kind.to_owned())];
        if let Some(account) = self.account() {
            let arn = if let Self::RoleSession { role, .. } = self { role.clone() } else { self.arn() };
            keys.extend([("aws:PrincipalAccount", account.to_owned()), ("aws:PrincipalArn", arn)]);
        }
        if let Self::User { arn, .. } = self {
            keys.push(("aws:username", arn.rsplit('/').next().unwrap_or_default().to_owned()));
        }
        keys
    }

    /// The caller's account; none for those who have none.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Root { account }
            | Self::User { account, .. }
            | Self::RoleSession { account, .. }
            | Self::FederatedUser { account, .. } => Some(account),
            Self::Federated { .. } | Self::Service { .. } | Self::CanonicalUser { .. } | Self::Anonymous => None,
        }
    }

    /// True for roles that AWS services made for themselves, which SCPs and RCPs leave alone.
    ///
    /// Source: <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html>
    pub(super) fn is_service_linked_role(&self) -> bool {
        matches!(self, Self::RoleSession { role, .. } if role.contains(":role/aws-service-role/"))
    }

    /// The ARN that makes the request: a session's, not its role's.
    pub(super) fn own_arn(&self) -> Option<&String> {
        match self {
            Self::User { arn, .. } => Some(arn),
            Self::RoleSession { session, .. } | Self::FederatedUser { session, .. } => Some(session),
            _ => None,
        }
    }

    /// The ARN behind a session: its role's or its user's.
    pub(super) fn behind(&self) -> Option<&String> {
        match self {
            Self::RoleSession { role, .. } => Some(role),
            Self::FederatedUser { user, .. } => Some(user),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Caller;

    #[test]
    fn one_text_names_any_caller() {
        for (text, shown, arn) in [
            ("arn:aws:iam::111111111111:user/ml/alice", "user alice", "arn:aws:iam::111111111111:user/ml/alice"),
            (
                "arn:aws:sts::111111111111:assumed-role/trainer/run-1",
                "role trainer (session run-1)",
                "arn:aws:sts::111111111111:assumed-role/trainer/run-1",
            ),
            (
                "arn:aws:iam::111111111111:role/ml/trainer",
                "role trainer",
                "arn:aws:sts::111111111111:assumed-role/trainer/*",
            ),
            (
                "arn:aws:sts::111111111111:federated-user/bob",
                "federated user bob",
                "arn:aws:sts::111111111111:federated-user/bob",
            ),
            ("arn:aws:iam::111111111111:root", "the root user of 111111111111", "arn:aws:iam::111111111111:root"),
            ("111111111111", "the root user of 111111111111", "arn:aws:iam::111111111111:root"),
            ("logging.s3.amazonaws.com", "the service logging.s3.amazonaws.com", "logging.s3.amazonaws.com"),
            ("anonymous", "an anonymous caller", "anonymous"),
        ] {
            let caller = Caller::parse(text, None).unwrap();
            assert_eq!((caller.to_string().as_str(), caller.arn().as_str()), (shown, arn), "{text}");
        }
        for bad in
            ["", "alice", "arn:aws:iam::111111111111:group/g", "arn:aws:sts::1:assumed-role/x", "arn:aws:s3:::lake"]
        {
            assert!(Caller::parse(bad, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_role_behind_a_session_may_have_a_path() {
        let session = "arn:aws:sts::111111111111:assumed-role/trainer/run-1";
        let role = |behind| match Caller::parse(session, behind).unwrap() {
            Caller::RoleSession { role, .. } => role,
            other => panic!("{other:?}"),
        };
        assert_eq!(role(None), "arn:aws:iam::111111111111:role/trainer");
        assert_eq!(
            role(Some("arn:aws:iam::111111111111:role/ml/trainer")),
            "arn:aws:iam::111111111111:role/ml/trainer"
        );
        assert!(Caller::parse(session, Some("trainer")).is_err());
    }

    #[test]
    fn keys_that_follow_from_the_caller() {
        let keys = |text| {
            let keys = Caller::parse(text, None).unwrap().context_keys();
            keys.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            keys("arn:aws:iam::111111111111:user/ml/alice"),
            "aws:PrincipalType=User aws:PrincipalAccount=111111111111 \
             aws:PrincipalArn=arn:aws:iam::111111111111:user/ml/alice aws:username=alice"
        );
        assert_eq!(
            keys("arn:aws:sts::111111111111:assumed-role/trainer/run-1"),
            "aws:PrincipalType=AssumedRole aws:PrincipalAccount=111111111111 \
             aws:PrincipalArn=arn:aws:iam::111111111111:role/trainer"
        );
        assert_eq!(keys("anonymous"), "aws:PrincipalType=Anonymous");
    }
}
