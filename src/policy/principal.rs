//! Whom a statement speaks of: `Principal` and `NotPrincipal` as written, and how they name a caller.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>

use super::caller::Caller;
use super::document::OneOrMany;

/// The value of `Principal` or `NotPrincipal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principals {
    /// A text: `*`, or one that names nobody.
    Text(String),
    /// A map, in its order.
    Map(Vec<PrincipalGroup>),
}

/// One key of the map with its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrincipalGroup {
    /// `AWS`, `Service`, `Federated`, `CanonicalUser`, or one that names nobody.
    pub key: String,
    /// The entries.
    pub entries: OneOrMany<PrincipalEntry>,
}

/// One principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrincipalEntry {
    /// As written.
    pub text: String,
    /// Whom it names.
    pub named: Named,
}

/// Whom an entry names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// `*`
    Everybody,
    /// An account: its id or its `:root` ARN.
    Account(String),
    /// A user, role or session. ARNs match exactly.
    Arn,
    /// A service, such as `logging.s3.amazonaws.com`.
    Service,
    /// An identity provider.
    Federated,
    /// A canonical user id.
    CanonicalUser,
    /// Nobody: wildcards inside an ARN, ids of deleted principals, unknown keys.
    Nobody,
}

/// How closely a statement names a caller, farthest first. It decides what else must allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// The caller's account: delegates to the account's own policies.
    Account,
    /// The role of the calling session, or the user behind a federated session.
    Role,
    /// The caller itself, or everybody.
    Direct,
}

impl PrincipalEntry {
    /// Reads an entry under `key`.
    pub(super) fn new(key: &str, text: &str) -> Self {
        let wild = text.contains(['*', '?']);
        let named = match key {
            "AWS" if text == "*" => Named::Everybody,
            _ if wild => Named::Nobody,
            "AWS" => account_of(text).map_or_else(
                || if text.starts_with("arn:") { Named::Arn } else { Named::Nobody },
                |account| Named::Account(account.to_owned()),
            ),
            "Service" => Named::Service,
            "Federated" => Named::Federated,
            "CanonicalUser" => Named::CanonicalUser,
            _ => Named::Nobody,
        };
        Self { text: text.to_owned(), named }
    }

    /// How this entry names the caller, if it does.
    fn reach(&self, caller: &Caller) -> Option<Reach> {
        match &self.named {
            Named::Everybody => Some(Reach::Direct),
            Named::Account(account) if caller.account() == Some(account) => Some(match caller {
                Caller::Root { .. } => Reach::Direct,
                _ => Reach::Account,
            }),
            Named::Arn => {
                if caller.own_arn() == Some(&self.text) {
                    Some(Reach::Direct)
                } else {
                    (caller.behind() == Some(&self.text)).then_some(Reach::Role)
                }
            }
            Named::Service => matches!(caller, Caller::Service { name } if *name == self.text).then_some(Reach::Direct),
            Named::Federated => {
                matches!(caller, Caller::Federated { provider } if *provider == self.text).then_some(Reach::Direct)
            }
            Named::CanonicalUser => {
                matches!(caller, Caller::CanonicalUser { id } if *id == self.text).then_some(Reach::Direct)
            }
            Named::Account(_) | Named::Nobody => None,
        }
    }
}

/// The account that a principal names as a whole: twelve digits, or `arn:PARTITION:iam::ID:root`.
fn account_of(text: &str) -> Option<&str> {
    let id = match super::arn_pattern::fields(text) {
        Some(["arn", _, "iam", "", account, "root"]) => account,
        _ => text,
    };
    (id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit())).then_some(id)
}

impl Principals {
    /// Every entry, whatever its key.
    pub fn entries(&self) -> impl Iterator<Item = &PrincipalEntry> {
        let groups = match self {
            Self::Text(_) => [].as_slice(),
            Self::Map(groups) => groups,
        };
        groups.iter().flat_map(|group| group.entries.items.iter())
    }

    /// True if everybody is named.
    pub fn is_everybody(&self) -> bool {
        match self {
            Self::Text(text) => text == "*",
            Self::Map(_) => self.entries().any(|entry| entry.named == Named::Everybody),
        }
    }

    /// True if nobody is named, not even somebody unknown: an empty list or map has no effect.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Map(_)) && self.entries().next().is_none()
    }

    /// The closest way in which the caller is named.
    pub(super) fn reach(&self, caller: &Caller) -> Option<Reach> {
        match self {
            Self::Text(text) => (text == "*").then_some(Reach::Direct),
            Self::Map(_) => self.entries().filter_map(|entry| entry.reach(caller)).max(),
        }
    }

    /// As `NotPrincipal` of a Deny: true if the caller is spared.
    ///
    /// That takes the caller's own ARN together with the ARNs that AWS wants beside it: the account's, and for a session
    /// the role's. None of those spares anybody by itself.
    pub(super) fn spares(&self, caller: &Caller) -> bool {
        let names = |wanted: Reach| self.entries().any(|entry| entry.reach(caller) == Some(wanted));
        if self.is_everybody() {
            return true;
        }
        let companions = match caller {
            Caller::User { .. } => names(Reach::Account),
            Caller::RoleSession { .. } | Caller::FederatedUser { .. } => names(Reach::Account) && names(Reach::Role),
            _ => true,
        };
        names(Reach::Direct) && companions
    }
}

#[cfg(test)]
mod tests {
    use super::{PrincipalEntry, PrincipalGroup, Principals, Reach};
    use crate::policy::caller::Caller;
    use crate::policy::document::OneOrMany;

    const USER: &str = "arn:aws:iam::111111111111:user/alice";
    const ROLE: &str = "arn:aws:iam::111111111111:role/ml/trainer";
    const SESSION: &str = "arn:aws:sts::111111111111:assumed-role/trainer/run-1";
    const FEDERATED: &str = "arn:aws:sts::111111111111:federated-user/bob";

    fn principals(key: &str, entries: &[&str]) -> Principals {
        let items = entries.iter().map(|text| PrincipalEntry::new(key, text)).collect();
        Principals::Map(vec![PrincipalGroup { key: key.to_owned(), entries: OneOrMany { items, listed: true } }])
    }

    fn user() -> Caller {
        Caller::user(USER).unwrap()
    }

    fn session() -> Caller {
        Caller::role_session(SESSION, ROLE).unwrap()
    }

    #[test]
    fn entries_name_callers_exactly() {
        let root = || Caller::Root { account: "111111111111".to_owned() };
        for (key, entry, caller, expected) in [
            ("AWS", "*", Caller::Anonymous, Some(Reach::Direct)),
            ("AWS", "*", user(), Some(Reach::Direct)),
            ("AWS", USER, user(), Some(Reach::Direct)),
            ("AWS", "arn:aws:iam::111111111111:user/Alice", user(), None),
            ("AWS", "arn:aws:iam::111111111111:user/*", user(), None),
            ("AWS", "111111111111", user(), Some(Reach::Account)),
            ("AWS", "arn:aws:iam::111111111111:root", session(), Some(Reach::Account)),
            ("AWS", "arn:aws:iam::111111111111:root", root(), Some(Reach::Direct)),
            ("AWS", "222222222222", user(), None),
            ("AWS", "111111111111", Caller::Anonymous, None),
            ("AWS", ROLE, session(), Some(Reach::Role)),
            ("AWS", "arn:aws:iam::111111111111:role/trainer", session(), None),
            ("AWS", SESSION, session(), Some(Reach::Direct)),
            ("AWS", "arn:aws:sts::111111111111:assumed-role/trainer/other", session(), None),
            ("AWS", USER, Caller::federated_user(FEDERATED, USER).unwrap(), Some(Reach::Role)),
            ("AWS", FEDERATED, Caller::federated_user(FEDERATED, USER).unwrap(), Some(Reach::Direct)),
            ("AWS", "AIDAEXAMPLEEXAMPLE", user(), None),
            ("Aws", "111111111111", user(), None),
            (
                "Service",
                "logging.s3.amazonaws.com",
                Caller::Service { name: "logging.s3.amazonaws.com".to_owned() },
                Some(Reach::Direct),
            ),
            ("Service", "*", Caller::Service { name: "logging.s3.amazonaws.com".to_owned() }, None),
            ("Service", USER, user(), None),
        ] {
            assert_eq!(principals(key, &[entry]).reach(&caller), expected, "{key} {entry} {caller:?}");
        }
    }

    #[test]
    fn the_closest_name_counts() {
        let both = principals("AWS", &["111111111111", ROLE]);
        assert_eq!(both.reach(&session()), Some(Reach::Role));
        assert_eq!(Principals::Text("*".to_owned()).reach(&Caller::Anonymous), Some(Reach::Direct));
        assert_eq!(Principals::Text(USER.to_owned()).reach(&user()), None);
    }

    #[test]
    fn to_be_spared_takes_the_companions() {
        let root = "arn:aws:iam::111111111111:root";
        for (entries, caller, expected) in [
            (vec![USER, root], user(), true),
            (vec![USER, "111111111111"], user(), true),
            (vec![USER], user(), false),
            (vec![root], user(), false),
            (vec![SESSION, ROLE, root], session(), true),
            (vec![ROLE, root], session(), false),
            (vec![SESSION, root], session(), false),
            (vec!["*"], session(), true),
            (vec![root], Caller::Root { account: "111111111111".to_owned() }, true),
            (vec![root], Caller::Anonymous, false),
        ] {
            assert_eq!(principals("AWS", &entries).spares(&caller), expected, "{entries:?} {caller:?}");
        }
    }
}
