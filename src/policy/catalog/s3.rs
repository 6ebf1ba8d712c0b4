//! The S3 action table: which resources an action takes and which condition keys it carries.
//!
//! The data is `src/policy/data/s3-actions.json`, taken from AWS's Service Authorization Reference, 2026-09 edition.
//! Source: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>

use super::action_set::{ActionSet, MOST_ACTIONS};
use super::{KeyLookup, KeyType, TypeName};
use crate::policy::document::ActionPattern;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// The table.
#[expect(clippy::expect_used, reason = "the table is part of the program, and a test reads it")]
pub(crate) static S3: LazyLock<Table> = LazyLock::new(|| {
    let file: File = serde_json::from_str(include_str!("../data/s3-actions.json")).expect("the S3 action table");
    Table::from(file)
});

/// The file as it is written.
#[derive(Debug, Deserialize)]
struct File {
    key_types: BTreeMap<TypeName, Vec<String>>,
    common_keys: Vec<String>,
    actions: BTreeMap<String, FileAction>,
}

#[derive(Debug, Deserialize)]
struct FileAction {
    resources: Vec<ResourceType>,
    keys: Vec<String>,
    #[serde(default)]
    lacks: Vec<String>,
}

/// What an S3 ARN can stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ResourceType {
    AccessGrant,
    AccessGrantsInstance,
    AccessGrantsLocation,
    AccessPoint,
    AccessPointObject,
    Bucket,
    Job,
    MultiRegionAccessPoint,
    MultiRegionAccessPointRequestArn,
    Object,
    ObjectLambdaAccessPoint,
    StorageLensConfiguration,
    StorageLensGroup,
}

/// One S3 action.
#[derive(Debug)]
pub(crate) struct S3Action {
    /// As AWS spells it: `s3:GetObject`.
    pub(crate) name: String,
    /// Behind the service, in lower case: `getobject`.
    lower: String,
    /// What it acts on; nothing if it only takes `*`.
    pub(crate) resources: Vec<ResourceType>,
    /// Its condition keys in lower case, families without their last part.
    keys: BTreeSet<String>,
}

impl S3Action {
    /// True for actions that read, write or share objects.
    pub(crate) fn is_on_objects(&self) -> bool {
        self.resources.contains(&ResourceType::Object)
    }

    /// True for actions on a bucket itself.
    pub(crate) fn is_on_buckets(&self) -> bool {
        self.resources.contains(&ResourceType::Bucket)
    }

    /// True if a request for it can carry the key.
    pub(crate) fn carries(&self, key: &str) -> bool {
        self.keys.contains(&plain(key))
    }
}

/// S3's actions and keys.
#[derive(Debug)]
pub(crate) struct Table {
    /// Sorted by name in lower case.
    actions: Vec<S3Action>,
    /// Keys in lower case, families without their last part.
    keys: BTreeMap<String, Key>,
}

#[derive(Debug)]
struct Key {
    /// As AWS spells it; a family ends with its slash.
    name: String,
    kind: KeyType,
}

/// A key's name as the table is searched: lower case, a family without what follows its slash.
fn plain(name: &str) -> String {
    let base = name.split_once('/').map_or(name, |(base, _)| base);
    base.to_ascii_lowercase()
}

impl From<File> for Table {
    fn from(file: File) -> Self {
        let action = |(name, action): (String, FileAction)| {
            let common = file.common_keys.iter().filter(|key| !action.lacks.contains(key));
            let keys = action.keys.iter().chain(common).map(|key| plain(key)).collect();
            let lower = name.trim_start_matches("s3:").to_ascii_lowercase();
            S3Action { name, lower, resources: action.resources, keys }
        };
        let mut actions: Vec<S3Action> = file.actions.into_iter().map(action).collect();
        actions.sort_by(|left, right| left.lower.cmp(&right.lower));
        let key = |kind: TypeName, name: &String| {
            let shown = name.split_once('/').map_or(name.clone(), |(base, _)| format!("{base}/"));
            (plain(name), Key { name: shown, kind: kind.into() })
        };
        let keys = file.key_types.iter().flat_map(|(kind, names)| names.iter().map(move |name| key(*kind, name)));
        Self { actions, keys: keys.collect() }
    }
}

impl Table {
    /// Every action, sorted by name.
    pub(crate) fn actions(&self) -> &[S3Action] {
        &self.actions[..self.actions.len().min(MOST_ACTIONS)]
    }

    /// An action's place in the table, whatever the case of its name.
    pub(super) fn index(&self, name: &str) -> Option<usize> {
        let lower = name.to_ascii_lowercase();
        let wanted = lower.strip_prefix("s3:")?;
        self.actions.binary_search_by(|action| action.lower.as_str().cmp(wanted)).ok()
    }

    /// An action by its name, whatever its case.
    pub(crate) fn action(&self, name: &str) -> Option<&S3Action> {
        self.index(name).map(|index| &self.actions[index])
    }

    /// The actions that a pattern means.
    pub(crate) fn matching(&self, pattern: &ActionPattern) -> ActionSet {
        if !pattern.text.contains(['*', '?']) {
            let mut set = ActionSet::default();
            self.index(&pattern.text).into_iter().for_each(|index| set.insert(index));
            return set;
        }
        ActionSet::of(|action| pattern.matches("s3", &action.lower))
    }

    /// An `s3:` key by its name, whatever its case.
    pub(crate) fn key(&self, name: &str) -> KeyLookup<'_> {
        let Some(key) = self.keys.get(&plain(name)) else { return KeyLookup::Unknown };
        let rest = name.split_once('/').map(|(_, rest)| rest);
        match (key.name.ends_with('/'), rest) {
            (true, None | Some("")) => KeyLookup::WithoutTagKey(&key.name),
            (false, Some(_)) => KeyLookup::Unknown,
            _ => KeyLookup::Known(&key.name, key.kind),
        }
    }

    /// The keys' names, families ending with a slash.
    pub(crate) fn key_names(&self) -> impl Iterator<Item = &str> {
        self.keys.values().map(|key| key.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_ACTIONS, ResourceType, S3};
    use crate::policy::catalog::{ActionSet, KeyLookup, KeyType, ValueType};
    use crate::policy::document::ActionPattern;

    #[test]
    fn the_table_is_whole() {
        assert_eq!(S3.actions().len(), 180);
        assert!(S3.actions.len() <= MOST_ACTIONS, "ActionSet must grow");
        let get = S3.action("S3:getobject").unwrap();
        assert_eq!(
            (get.name.as_str(), &get.resources[..]),
            ("s3:GetObject", &[ResourceType::AccessPointObject, ResourceType::Object][..])
        );
        assert!(get.carries("s3:ExistingObjectTag/team") && get.carries("S3:tlsversion") && !get.carries("s3:prefix"));
        assert!(!S3.action("s3:InitiateReplication").unwrap().carries("s3:x-amz-content-sha256"));
        assert!(S3.action("s3:ListAllMyBuckets").unwrap().resources.is_empty());
        assert!(S3.action("s3:ListObjectsV2").is_none());
    }

    #[test]
    fn keys_are_found_with_their_types() {
        let one = |values| KeyType { values, multivalued: false };
        for (name, expected) in [
            ("s3:Prefix", KeyLookup::Known("s3:prefix", one(ValueType::String))),
            ("s3:max-keys", KeyLookup::Known("s3:max-keys", one(ValueType::Numeric))),
            ("s3:ExistingObjectTag/team", KeyLookup::Known("s3:ExistingObjectTag/", one(ValueType::String))),
            ("s3:ExistingObjectTag", KeyLookup::WithoutTagKey("s3:ExistingObjectTag/")),
            ("s3:ExistingObjectTag/", KeyLookup::WithoutTagKey("s3:ExistingObjectTag/")),
            ("s3:prefix/x", KeyLookup::Unknown),
            ("s3:prefixx", KeyLookup::Unknown),
        ] {
            assert_eq!(S3.key(name), expected, "{name}");
        }
        let KeyLookup::Known(_, tags) = S3.key("s3:RequestObjectTagKeys") else { panic!() };
        assert!(tags.multivalued);
    }

    #[test]
    fn patterns_mean_their_actions() {
        let count = |text: &str| S3.matching(&ActionPattern::new(text)).iter().count();
        assert_eq!((count("*"), count("s3:*"), count("S3:Get?bject"), count("ec2:*")), (180, 180, 1, 0));
        assert_eq!((count("s3:getobject"), count("GetObject"), count("s3-object-lambda:*")), (1, 0, 0));
        assert_eq!(S3.matching(&ActionPattern::new("?3:*")), ActionSet::all());
    }
}
