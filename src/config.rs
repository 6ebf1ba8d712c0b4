//! What was typed and what the environment says, resolved to what is meant: one precedence, in one place.

use crate::model::{Arn, ArnError, Region};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Where `--local` keeps its data unless told otherwise.
pub const DEFAULT_LOCAL_DIR: &str = ".bucketwright/local";

/// The connection-related words of the command line, as typed.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--profile`
    pub profile: Option<String>,
    /// `--region`
    pub region: Option<Region>,
    /// `--endpoint-url`
    pub endpoint_url: Option<String>,
    /// `--local[=DIR]`
    pub local: Option<PathBuf>,
    /// `--as`
    pub as_role: Option<AsRole>,
    /// `--session-policy`
    pub session_policy: Option<Limit>,
    /// `--ca-bundle`
    pub ca_bundle: Option<PathBuf>,
    /// `--stall-timeout`
    pub silence: Option<Duration>,
}

/// Whom `--as` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AsRole {
    /// A role by its ARN.
    Arn(Arn),
    /// A principal of the embedded endpoint's directory by its name.
    Name(String),
}

impl FromStr for AsRole {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("arn:") { text.parse().map(Self::Arn) } else { Ok(Self::Name(text.to_owned())) }
    }
}

impl AsRole {
    /// The text that was typed.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Arn(arn) => arn.as_str(),
            Self::Name(name) => name,
        }
    }
}

/// What `--session-policy` names: the policies that limit a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// The flag alone: what the layout's grants give.
    Grants,
    /// The document in a file.
    File(PathBuf),
    /// Managed policies of the account.
    Managed(Vec<Arn>),
}

impl FromStr for Limit {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("arn:") {
            // Names of policies may hold commas, so only one before an ARN separates.
            Some(arns) => arns
                .split(",arn:")
                .map(|rest| format!("arn:{rest}").parse())
                .collect::<Result<_, _>>()
                .map(Self::Managed),
            None if text.is_empty() => Ok(Self::Grants),
            None => Ok(Self::File(text.into())),
        }
    }
}

/// Whom to act as at the embedded endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acting {
    /// The principal of its directory.
    pub who: AsRole,
    /// The file of the policy that limits the session.
    pub session_policy: Option<PathBuf>,
}

/// Flags that do not say as whom to act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActingError {
    /// A role's name where only its ARN says which role is meant.
    #[error("`--as {0}` names a role of the embedded endpoint; for AWS give the role's ARN, or add `--local`")]
    NoArn(String),
    /// A session policy for the owner, who has no session.
    #[error("`--session-policy` limits the session of a role; name the role with `--as`")]
    NoRole,
    /// A session policy for a role of AWS.
    #[error("`--session-policy` is for roles of the embedded endpoint; add `--local`, or drop it")]
    NotLocal,
    /// A session policy that is no file, for a verb that has nothing else to take.
    #[error("`--session-policy` without a file, or with a managed policy, is for `verify`; name a policy document")]
    NoFile,
}

impl Flags {
    /// Whom to act as at the embedded endpoint; its owner if nobody is named.
    pub fn acting(&self) -> Result<Option<Acting>, ActingError> {
        match (&self.as_role, &self.session_policy) {
            (None, Some(_)) => Err(ActingError::NoRole),
            (None, None) => Ok(None),
            (Some(who), None) => Ok(Some(Acting { who: who.clone(), session_policy: None })),
            (Some(who), Some(Limit::File(file))) => {
                Ok(Some(Acting { who: who.clone(), session_policy: Some(file.clone()) }))
            }
            (Some(_), Some(Limit::Grants | Limit::Managed(_))) => Err(ActingError::NoFile),
        }
    }
}

/// Where requests go, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The embedded endpoint over a folder.
    Local {
        /// The folder.
        dir: PathBuf,
        /// Whom to act as; the owner unless somebody is named.
        acting: Option<Acting>,
    },
    /// AWS or another S3 server.
    Remote {
        /// The profile, if one was named.
        profile: Option<String>,
        /// The endpoint, if it is not AWS.
        endpoint_url: Option<String>,
        /// The role to take before anything else.
        as_role: Option<Arn>,
        /// Certificates to trust beside the system's.
        ca_bundle: Option<PathBuf>,
        /// How long nothing may move on a line before it is given up, if that was said.
        silence: Option<Duration>,
    },
}

/// The resolved connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where requests go.
    pub target: Target,
    /// The Region, if one was named.
    pub region: Option<Region>,
}

impl Settings {
    /// Flags win over the layout's environment, which wins over the process environment; `--local` wins over endpoints
    /// in the environment.
    pub fn resolve(
        flags: &Flags,
        layout_profile: Option<&str>,
        layout_region: Option<&Region>,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, ActingError> {
        let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
        let target = match &flags.local {
            Some(dir) => Target::Local { dir: dir.clone(), acting: flags.acting()? },
            None if flags.session_policy.is_some() => return Err(ActingError::NotLocal),
            None => Target::Remote {
                profile: flags.profile.clone().or_else(|| layout_profile.map(str::to_owned)),
                endpoint_url: flags
                    .endpoint_url
                    .clone()
                    .or_else(|| variable("AWS_ENDPOINT_URL_S3"))
                    .or_else(|| variable("AWS_ENDPOINT_URL")),
                as_role: match &flags.as_role {
                    None => None,
                    Some(AsRole::Arn(arn)) => Some(arn.clone()),
                    Some(AsRole::Name(name)) => return Err(ActingError::NoArn(name.clone())),
                },
                ca_bundle: flags.ca_bundle.clone().or_else(|| variable("AWS_CA_BUNDLE").map(PathBuf::from)),
                silence: flags.silence,
            },
        };
        Ok(Self { target, region: flags.region.clone().or_else(|| layout_region.cloned()) })
    }
}

/// Where the program keeps what it must remember from run to run: the user's folder for state, where there is one.
///
/// Source: <https://specifications.freedesktop.org/basedir-spec/latest/>, which has relative paths ignored.
pub fn state_folder(environment: &BTreeMap<String, String>) -> Option<PathBuf> {
    own_folder(environment, "XDG_STATE_HOME", ".local/state")
}

/// Where the program keeps what it can do without: the user's folder for caches, where there is one.
pub fn cache_folder(environment: &BTreeMap<String, String>) -> Option<PathBuf> {
    own_folder(environment, "XDG_CACHE_HOME", ".cache")
}

/// Where what exceeds memory goes while the program runs.
pub fn temporary_folder(environment: &BTreeMap<String, String>) -> PathBuf {
    environment.get("TMPDIR").filter(|folder| !folder.is_empty()).map_or_else(|| "/tmp".into(), PathBuf::from)
}

fn own_folder(environment: &BTreeMap<String, String>, variable: &str, below_home: &str) -> Option<PathBuf> {
    let folder = |name: &str| environment.get(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let base = folder(variable).or_else(|| Some(folder("HOME")?.join(below_home)))?;
    Some(base.join("bucketwright"))
}

#[cfg(test)]
mod tests {
    use super::{Acting, ActingError, AsRole, Flags, Limit, Settings, Target, state_folder};
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    #[test]
    fn state_has_a_folder_where_the_user_has_one() {
        for (variables, folder) in [
            (&[("XDG_STATE_HOME", "/state"), ("HOME", "/home/me")][..], Some("/state/bucketwright")),
            (&[("XDG_STATE_HOME", ""), ("HOME", "/home/me")], Some("/home/me/.local/state/bucketwright")),
            (&[("XDG_STATE_HOME", "relative"), ("HOME", "")], None),
            (&[], None),
        ] {
            let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(state_folder(&environment).as_deref(), folder.map(Path::new));
        }
    }

    fn environment() -> BTreeMap<String, String> {
        BTreeMap::from([("AWS_ENDPOINT_URL".to_owned(), "http://127.0.0.1:1".to_owned())])
    }

    #[test]
    fn local_wins_over_the_environment() {
        let flags = Flags { local: Some(PathBuf::from("dir")), ..Flags::default() };
        let settings = Settings::resolve(&flags, Some("adfs"), None, &environment()).unwrap();
        assert_eq!(settings.target, Target::Local { dir: PathBuf::from("dir"), acting: None });
    }

    #[test]
    fn flags_win_over_layout_and_environment() {
        let flags = Flags {
            profile: Some("typed".to_owned()),
            endpoint_url: Some("https://s3.example".to_owned()),
            ..Flags::default()
        };
        let region = "eu-west-1".parse().unwrap();
        let settings = Settings::resolve(&flags, Some("adfs"), Some(&region), &environment()).unwrap();
        let Target::Remote { profile, endpoint_url, .. } = settings.target else { panic!("remote") };
        assert_eq!((profile.as_deref(), endpoint_url.as_deref()), (Some("typed"), Some("https://s3.example")));
        assert_eq!(settings.region, Some(region));
        let Target::Remote { profile, endpoint_url, .. } =
            Settings::resolve(&Flags::default(), Some("adfs"), None, &environment()).unwrap().target
        else {
            panic!("remote")
        };
        assert_eq!((profile.as_deref(), endpoint_url.as_deref()), (Some("adfs"), Some("http://127.0.0.1:1")));
    }

    #[test]
    fn a_roles_name_needs_the_embedded_endpoint() {
        let name: AsRole = "trainer".parse().unwrap();
        let flags = Flags { as_role: Some(name.clone()), ..Flags::default() };
        assert!(Settings::resolve(&flags, None, None, &environment()).is_err());
        let flags = Flags { local: Some(PathBuf::from("dir")), ..flags };
        let settings = Settings::resolve(&flags, None, None, &environment()).unwrap();
        assert_eq!(
            settings.target,
            Target::Local { dir: PathBuf::from("dir"), acting: Some(Acting { who: name, session_policy: None }) }
        );
        assert!("arn:nothing".parse::<AsRole>().is_err());
    }

    #[test]
    fn a_session_policy_needs_a_role_of_the_embedded_endpoint() {
        let (local, role) = (Some(PathBuf::from("dir")), Some("trainer".parse::<AsRole>().unwrap()));
        let resolve = |local: &Option<PathBuf>, as_role: &Option<AsRole>| {
            let (local, as_role) = (local.clone(), as_role.clone());
            let session_policy = Some(Limit::File(PathBuf::from("p.json")));
            let flags = Flags { local, as_role, session_policy, ..Flags::default() };
            Settings::resolve(&flags, None, None, &environment()).map(|settings| settings.target)
        };
        assert_eq!(resolve(&local, &None), Err(ActingError::NoRole));
        assert_eq!(resolve(&None, &role), Err(ActingError::NotLocal));
        let Ok(Target::Local { acting: Some(acting), .. }) = resolve(&local, &role) else { panic!("local") };
        assert_eq!(acting.session_policy, Some(PathBuf::from("p.json")));
    }

    #[test]
    fn a_session_policy_is_a_file_managed_policies_or_what_grants_give() {
        let arn = |name: &str| format!("arn:aws:iam::111122223333:policy/{name}");
        let managed = |names: &[&str]| Limit::Managed(names.iter().map(|name| arn(name).parse().unwrap()).collect());
        for (text, limit) in [
            (String::new(), Limit::Grants),
            ("dir/p.json".to_owned(), Limit::File("dir/p.json".into())),
            (arn("a,b"), managed(&["a,b"])),
            (format!("{},{}", arn("a-1"), arn("a-2")), managed(&["a-1", "a-2"])),
        ] {
            assert_eq!(text.parse::<Limit>().unwrap(), limit, "{text}");
        }
        assert!("arn:nothing".parse::<Limit>().is_err());
        let flags = |session_policy| Flags {
            local: Some(PathBuf::from("dir")),
            as_role: Some("trainer".parse().unwrap()),
            session_policy: Some(session_policy),
            ..Flags::default()
        };
        assert_eq!(flags(Limit::Grants).acting(), Err(ActingError::NoFile));
        assert_eq!(flags(managed(&["a"])).acting(), Err(ActingError::NoFile));
    }
}
