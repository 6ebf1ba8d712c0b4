//! Policies of the account that are about the bucket: as grants where a grant would make the same document, in words
//! otherwise.

use super::draft::{ACCESSES, Note};
use crate::access::documents_of;
use crate::document::Document;
use crate::layout::{AttachTarget, Grant, Layout, ListScope, Place};
use crate::model::{Attachments, BucketName, Cluster, ManagedPolicy, Owner, PolicyJson, Prefix, RoleName, Seen, glob};
use crate::policy::entitlement::Entitlement;
use crate::policy::generate::{self, Form, Frame};
use serde_json::Value;
use std::collections::BTreeSet;

/// A customer managed policy, and whom it is attached to.
#[derive(Debug, Clone)]
pub struct FoundPolicy {
    /// The policy.
    pub policy: ManagedPolicy,
    /// Whom it is attached to.
    pub attachments: Seen<Attachments>,
}

/// False for a policy that says nothing about a bucket, so that nobody need be asked whom it is attached to.
pub fn may_concern(policy: &ManagedPolicy, bucket: &BucketName) -> bool {
    let text = policy.in_force().map_or("", |version| version.document.0.as_str());
    let Ok(document) = serde_json::from_str::<Value>(text) else { return false };
    let names_it = |resource: &str| match resource.rsplit_once(":::") {
        Some((_, name)) => glob(name.split('/').next().unwrap_or_default().as_bytes(), bucket.as_str().as_bytes()),
        None => resource.contains('*'),
    };
    statements(&document).iter().any(|one| texts(&one["Resource"]).any(names_it))
}

/// The statements of a document, of which there may be one alone.
fn statements(document: &Value) -> &[Value] {
    match document.get("Statement") {
        Some(Value::Array(statements)) => statements,
        Some(single) => std::slice::from_ref(single),
        None => &[],
    }
}

/// What the account's policies come to.
#[derive(Debug, Clone, Default)]
pub(super) struct Granted {
    pub(super) grants: Vec<Grant>,
    pub(super) notes: Vec<Note>,
    /// Policies with the layout's own tag that no grant says: adopting the layout would take them from everybody.
    pub(super) left_over: Vec<String>,
}

/// What the policies about `bucket` mean in a layout without grants.
pub(super) fn granted(
    layout: &Layout,
    bucket: &BucketName,
    policies: &[FoundPolicy],
    cluster: Option<&Cluster>,
    partition: &str,
) -> Granted {
    let mut granted = Granted::default();
    let reader = Reader { layout, bucket, cluster, partition };
    for found in policies {
        match reader.read(found) {
            Meaning::Grant(grant) => granted.grants.push(grant),
            Meaning::Note(note) => {
                if reader.is_ours(&found.policy) {
                    granted.left_over.push(found.policy.name.to_string());
                }
                granted.notes.push(note);
            }
            Meaning::Nothing => {}
        }
    }
    granted
}

enum Meaning {
    /// A grant makes this very document.
    Grant(Grant),
    /// It is about the bucket, and no grant makes it.
    Note(Note),
    /// It is about something else.
    Nothing,
}

struct Reader<'run> {
    layout: &'run Layout,
    bucket: &'run BucketName,
    cluster: Option<&'run Cluster>,
    partition: &'run str,
}

impl Reader<'_> {
    fn is_ours(&self, policy: &ManagedPolicy) -> bool {
        Owner::of(&policy.tags, &self.layout.id) == Owner::Ours
    }

    fn read(&self, found: &FoundPolicy) -> Meaning {
        let policy = &found.policy;
        let Some(version) = policy.in_force() else { return Meaning::Nothing };
        let Some(reach) = self.reach(&version.document) else { return Meaning::Nothing };
        let held = self.held(found);
        let note = |why: &str, grant: Option<Grant>| {
            let ours = match self.is_ours(policy) {
                true => {
                    " It carries this layout's tag: without a grant here `apply` takes it from everybody who has it."
                }
                false => "",
            };
            let text = format!("Policy {} ({}), {held}: {why}{ours}", policy.name, policy.default_version);
            Meaning::Note(Note { text, grant })
        };
        let left_as_it_is = match self.is_ours(policy) {
            true => "no grant makes this document.",
            false => "no grant makes this document, so it is left as it is.",
        };
        if let Owner::Other(owner) = Owner::of(&policy.tags, &self.layout.id) {
            return note(&format!("it belongs to layout `{owner}`, and is left to it."), None);
        }
        match reach {
            Reach::Everything => note("it reaches this bucket along with others, and no grant says that.", None),
            Reach::Prefixes(prefixes) => match self.equal(found, &version.document, &prefixes, Form::Least) {
                Some(grant) if found.attachments.here().is_some() => Meaning::Grant(grant),
                // A grant that names nobody would take the policy from everybody who has it.
                Some(grant) => note(
                    "this grant makes it. Name the roles that have it in `attach` before it is taken over, or `apply` \
                     takes the policy from them:",
                    Some(grant),
                ),
                None => match self.equal(found, &version.document, &prefixes, Form::Seed) {
                    Some(grant) => note(
                        "an older form of what this grant gives. Taken over, it would get a new version; `plan` shows \
                         what that changes:",
                        Some(grant),
                    ),
                    None => note(left_as_it_is, None),
                },
            },
        }
    }

    /// What a document says about the bucket; none if nothing.
    fn reach(&self, document: &PolicyJson) -> Option<Reach> {
        let document: Value = serde_json::from_str(&document.0).ok()?;
        let own = self.bucket.arn(self.partition);
        let (mut prefixes, mut is_about, mut is_wide) = (Vec::new(), false, false);
        for statement in statements(&document).iter().filter(|one| one["Effect"] == "Allow" && is_of_s3(one)) {
            for resource in texts(&statement["Resource"]) {
                match resource.strip_prefix(own.as_str()) {
                    Some("") => is_about = true,
                    Some(rest) if rest.starts_with('/') => {
                        is_about = true;
                        let prefix = prefix_of(&rest[1..]);
                        prefixes.extend(prefix.filter(|prefix| !prefixes.contains(prefix)));
                    }
                    _ => {
                        let front = resource.split('/').next().unwrap_or_default();
                        is_wide |= front.contains(['*', '?']) && glob(front.as_bytes(), own.as_bytes());
                    }
                }
            }
        }
        match (is_about, is_wide) {
            (_, true) => Some(Reach::Everything),
            (true, false) => Some(Reach::Prefixes(prefixes)),
            (false, false) => None,
        }
    }

    /// The grant whose policy is this document.
    fn equal(&self, found: &FoundPolicy, document: &PolicyJson, prefixes: &[Prefix], form: Form) -> Option<Grant> {
        let wanted = Document::parse(document).ok()?;
        let place = |prefix: &Prefix| Place { bucket: self.bucket.clone(), prefix: prefix.clone() };
        let is_inside = |prefix: &Prefix| {
            prefixes.iter().any(|other| other != prefix && prefix.as_str().starts_with(other.as_str()))
        };
        let outer: Vec<Place> = prefixes.iter().filter(|prefix| !is_inside(prefix)).map(place).collect();
        let all: Vec<Place> = prefixes.iter().map(place).collect();
        for on in [outer, all].into_iter().filter(|on| !on.is_empty()) {
            for access in ACCESSES {
                for list in [ListScope::Scoped, ListScope::Root, ListScope::Bucket] {
                    let policy = found.policy.name.to_string();
                    let adopt = !self.is_ours(&found.policy);
                    let grant = Grant { policy, access, on: on.clone(), list, attach: Vec::new(), adopt };
                    if self.makes(&grant, &wanted, form) {
                        return Some(Grant { attach: self.targets(found), ..grant });
                    }
                }
            }
        }
        None
    }

    fn makes(&self, grant: &Grant, wanted: &Document, form: Form) -> bool {
        let made = match form {
            Form::Least => documents_of(self.layout, grant, self.partition).map(|documents| {
                documents.into_iter().map(|(name, text)| (name.to_string(), text)).collect::<Vec<_>>()
            }),
            Form::Seed => {
                let frame = Frame { partition: self.partition.to_owned(), guard: None };
                let made = generate::identity(&Entitlement::of_grant(self.layout, grant), Form::Seed, &frame);
                made.map(|all| all.into_iter().map(|one| (one.name, PolicyJson(one.document.to_string()))).collect())
            }
        };
        match made.as_deref() {
            Ok([(name, text)]) if *name == grant.policy => {
                Document::parse(text).is_ok_and(|made| made.means_the_same_as(wanted))
            }
            _ => false,
        }
    }

    /// Whom a grant names to have the policy stay where it is.
    fn targets(&self, found: &FoundPolicy) -> Vec<AttachTarget> {
        let Some(attachments) = found.attachments.here() else { return Vec::new() };
        let mut roles: BTreeSet<RoleName> = attachments.roles.iter().cloned().collect();
        let mut targets = Vec::new();
        if let Some(cluster) = self.cluster {
            let groups =
                cluster.node_groups.iter().filter_map(|group| Some((&group.name, RoleName::of_arn(&group.role)?)));
            let groups: Vec<(&String, RoleName)> = groups.collect();
            let auto = cluster.auto_mode_role.as_ref().and_then(RoleName::of_arn);
            let with: Vec<String> =
                groups.iter().filter(|(_, role)| roles.contains(role)).map(|(name, _)| (*name).clone()).collect();
            let is_whole = with.len() == groups.len() && auto.as_ref().is_none_or(|role| roles.contains(role));
            let is_known = cluster.unread(crate::model::ClusterPart::NodeGroups).is_none();
            if !with.is_empty() && is_known {
                let node_groups = if is_whole { vec!["*".to_owned()] } else { with };
                targets.push(AttachTarget::NodeGroups { cluster: cluster.name.clone(), node_groups });
                let auto = auto.filter(|_| is_whole);
                roles.retain(|role| auto.as_ref() != Some(role) && groups.iter().all(|(_, of_group)| of_group != role));
            }
        }
        targets.extend(roles.into_iter().map(|role| AttachTarget::Role(role.to_string())));
        targets
    }

    /// `attached to role a, role b`
    fn held(&self, found: &FoundPolicy) -> String {
        match &found.attachments {
            Seen::Here(attachments) => {
                let names = crate::report::attachment_names(attachments);
                match names.is_empty() {
                    true => "attached to nobody".to_owned(),
                    false => format!("attached to {}", names.join(", ")),
                }
            }
            Seen::Hidden(_) | Seen::Absent => "attached to whom may not be seen".to_owned(),
        }
    }
}

/// What a document speaks of.
enum Reach {
    /// Objects below these prefixes of the bucket.
    Prefixes(Vec<Prefix>),
    /// More than one bucket, by a wildcard.
    Everything,
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let (one, many) = match value {
        Value::Array(values) => (None, values.as_slice()),
        single => (single.as_str(), [].as_slice()),
    };
    one.into_iter().chain(many.iter().filter_map(Value::as_str))
}

/// True for a statement with an action of S3, or with all actions of all services.
fn is_of_s3(statement: &Value) -> bool {
    let s3 = |action: &str| action == "*" || action.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("s3:"));
    texts(&statement["Action"]).any(s3) || statement.get("NotAction").is_some()
}

/// The folder that a pattern of keys means: `team-a/*` as this program writes it. None for any other pattern.
fn prefix_of(pattern: &str) -> Option<Prefix> {
    let text = pattern.strip_suffix('*')?;
    let mut plain = text.to_owned();
    for letter in ["*", "?", "$"] {
        plain = plain.replace(&format!("${{{letter}}}"), letter);
    }
    let is_literal = !text.replace("${*}", "").replace("${?}", "").contains(['*', '?']);
    plain.parse().ok().filter(|_| is_literal)
}

#[cfg(test)]
mod tests {
    use super::{may_concern, prefix_of};
    use crate::model::{ManagedPolicy, PolicyJson, PolicyVersion, Tags, VersionId};

    #[test]
    fn policies_about_a_bucket_by_name_or_by_pattern() {
        for (resource, concerns) in [
            ("arn:aws:s3:::lake", true),
            ("arn:aws:s3:::lake/x/*", true),
            ("arn:aws:s3:::la*", true),
            ("arn:aws:s3:::l?ke/*", true),
            ("arn:aws:s3:::*/*", true),
            ("arn:aws:s3*", true),
            ("*", true),
            ("arn:aws:s3:::lake-2/*", false),
            ("arn:aws:s3:::lak/*", false),
            ("arn:aws:iam::111122223333:role/lake", false),
        ] {
            let statement = format!(r#"{{"Effect":"Allow","Action":"s3:*","Resource":["{resource}"]}}"#);
            for text in [format!(r#"{{"Statement":{statement}}}"#), format!(r#"{{"Statement":[{statement}]}}"#)] {
                let version = PolicyVersion { id: VersionId(1), created: None, document: PolicyJson(text) };
                let policy = ManagedPolicy {
                    arn: "arn:aws:iam::111122223333:policy/P".parse().unwrap(),
                    name: "P".parse().unwrap(),
                    id: None,
                    description: None,
                    default_version: VersionId(1),
                    versions: vec![version],
                    attachments: 0,
                    boundary_uses: 0,
                    tags: Tags::new(),
                    created: None,
                    updated: None,
                };
                assert_eq!(may_concern(&policy, &"lake".parse().unwrap()), concerns, "{resource}");
            }
        }
    }

    #[test]
    fn patterns_of_keys() {
        for (pattern, prefix) in [
            ("*", Some("")),
            ("team-a/*", Some("team-a/")),
            ("a${*}b/*", Some("a*b/")),
            ("a$/*", Some("a$/")),
            ("team-a/", None),
            ("team-*/*", None),
            ("team*", None),
        ] {
            assert_eq!(prefix_of(pattern).as_ref().map(|prefix| prefix.as_str()), prefix, "{pattern}");
        }
    }
}
