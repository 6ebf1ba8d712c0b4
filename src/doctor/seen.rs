//! What could be seen of each layer, and what stands around the request: values that an edge fills in.

use crate::layout::Layout;
use crate::model::{
    Arn, Cluster, Existence, InlinePolicy, ManagedPolicy, PolicyJson, PublicAccessBlock, Region, TagKey, VersionId,
};
use crate::policy::{Document, Layer, Policies, Policy, Request, Verdict, evaluate};
use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;

/// A bucket that no policy speaks of by name.
const NOBODYS_BUCKET: &str = "bucketwright-nobodys-bucket";

/// One policy that has a say.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Its name and document.
    pub policy: Arc<Policy>,
    /// The document's text.
    pub text: PolicyJson,
    /// Its ARN; none for inline and bucket policies and for files.
    pub arn: Option<Arn>,
    /// The layout whose owner tag it carries.
    pub owner: Option<String>,
    /// The version in force.
    pub version: Option<VersionId>,
    /// When that version was made.
    pub since: Option<Timestamp>,
    /// The other versions that are kept, the newest first.
    pub others: Vec<Version>,
}

/// Another version of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// Which.
    pub id: VersionId,
    /// When it was made.
    pub made: Option<Timestamp>,
    /// What it says.
    pub policy: Arc<Policy>,
}

/// What is known of one layer.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// These policies, perhaps none that allows anything.
    Held(Vec<Held>),
    /// There is no such policy, so the layer limits nothing.
    Unlimited,
    /// It may be there and was not seen; why.
    Hidden(String),
}

/// Every layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Layers {
    /// Of the role, attached and inline.
    pub identity: Standing,
    /// The permissions boundary.
    pub boundary: Standing,
    /// What was passed when the session was made.
    pub session: Standing,
    /// The bucket policy.
    pub bucket: Standing,
    /// Service control policies, all of one level.
    pub scp: Standing,
    /// Resource control policies, all of one level.
    pub rcp: Standing,
    /// The VPC endpoint's policy.
    pub endpoint: Standing,
}

/// The bucket, as far as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeenBucket {
    /// Whether it is there; none if nobody looked.
    pub existence: Option<Existence>,
    /// Where it is.
    pub region: Option<Region>,
    /// The Region that requests are signed for here.
    pub signed_for: Option<Region>,
    /// A bucket of the caller's with a name that is nearly the same.
    pub near: Option<String>,
    /// Its Block Public Access.
    pub public_access: Option<PublicAccessBlock>,
    /// The KMS key of its default encryption.
    pub kms_key: Option<Arn>,
    /// Whether its access control lists are switched off.
    pub owner_enforced: Option<bool>,
    /// Whether the object is there; none if nobody looked.
    pub has_object: Option<bool>,
}

/// The role that asks, as far as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeenRole {
    /// It is there.
    Here {
        /// Who may take it.
        kind: RoleKind,
        /// When it was made.
        made: Option<Timestamp>,
    },
    /// Nobody has a role of this name; one whose name is nearly the same.
    Absent(Option<String>),
    /// It was not seen: not asked for, not readable, or no role at all.
    Unseen,
}

/// Who takes a role, by its trust policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleKind {
    /// The control plane of an EKS cluster: no pod ever has it.
    ControlPlane,
    /// EC2 instances: nodes.
    Instance,
    /// Service accounts by the cluster's OIDC provider.
    Irsa,
    /// Service accounts by EKS Pod Identity.
    PodIdentity,
    /// Somebody else.
    Other,
}

/// A role that has a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its name.
    pub role: String,
    /// Who takes it, where its trust policy could be read.
    pub kind: Option<RoleKind>,
}

/// A policy of the account that the caller does not have.
#[derive(Debug, Clone, PartialEq)]
pub struct Elsewhere {
    /// The policy.
    pub held: Held,
    /// The roles that have it; none if that was not readable.
    pub holders: Option<Vec<Holder>>,
}

/// What stands around the request.
#[derive(Debug, Clone, PartialEq)]
pub struct Around {
    /// The layout, and the file's name.
    pub layout: Option<(Layout, String)>,
    /// The role that asks.
    pub role: SeenRole,
    /// Policies that the role has and that could not be read, each with why: any of them may allow or deny.
    pub unread: Vec<String>,
    /// The bucket.
    pub bucket: SeenBucket,
    /// Policies that would allow it and that the caller does not have.
    pub elsewhere: Vec<Elsewhere>,
    /// The clusters that the layout names.
    pub clusters: Vec<Cluster>,
}

impl Around {
    /// Nothing at all.
    pub const fn nothing() -> Self {
        Self {
            layout: None,
            role: SeenRole::Unseen,
            unread: Vec::new(),
            bucket: SeenBucket {
                existence: None,
                region: None,
                signed_for: None,
                near: None,
                public_access: None,
                kms_key: None,
                owner_enforced: None,
                has_object: None,
            },
            elsewhere: Vec::new(),
            clusters: Vec::new(),
        }
    }
}

impl Held {
    /// A policy by its name and text; the error says what cannot be read in it.
    pub fn new(name: &str, text: &PolicyJson) -> Result<Self, String> {
        Ok(Self {
            policy: parsed(name, text)?,
            text: text.clone(),
            arn: None,
            owner: None,
            version: None,
            since: None,
            others: Vec::new(),
        })
    }

    /// A managed policy with all its versions.
    pub fn managed(found: &ManagedPolicy) -> Result<Self, String> {
        let current = found.in_force().ok_or_else(|| format!("`{}` has no version in force", found.name))?;
        let name = found.name.as_str();
        let other = |version: &&crate::model::PolicyVersion| version.id != found.default_version;
        let others = found.versions.iter().filter(other).filter_map(|version| {
            let policy = parsed(name, &version.document).ok()?;
            Some(Version { id: version.id, made: version.created, policy })
        });
        Ok(Self {
            arn: Some(found.arn.clone()),
            owner: found.tags.get(&TagKey::owner()).map(|id| id.as_str().to_owned()),
            version: Some(current.id),
            since: current.created,
            others: others.collect(),
            ..Self::new(name, &current.document)?
        })
    }

    /// An inline policy.
    pub fn inline(found: &InlinePolicy) -> Result<Self, String> {
        Self::new(&format!("inline policy {}", found.name), &found.document)
    }

    /// True if the policy is meant for what is asked: one that allows the same on any bucket is somebody's master key, and
    /// handing it out is no small change.
    pub fn is_meant_for(&self, request: &Request) -> bool {
        let policies = Policies { identity: vec![Arc::clone(&self.policy)], ..Policies::default() };
        let allows = |request: &Request| evaluate(&policies, request).verdict == Verdict::Allow;
        let bucket = super::words::bucket_of(request.resource());
        let elsewhere = request.resource().replacen(bucket, NOBODYS_BUCKET, 1);
        let asked = Request::new(request.caller.clone(), request.action(), &elsewhere);
        let asked = asked.map(|asked| asked.with_context(request.context.clone()));
        allows(request) && !bucket.is_empty() && asked.is_ok_and(|asked| !allows(&asked))
    }

    /// `FlyteMLS3Access v3`
    pub fn name(&self) -> String {
        let version = self.version.map(|version| format!(" {version}")).unwrap_or_default();
        format!("{}{version}", self.policy.name)
    }
}

fn parsed(name: &str, text: &PolicyJson) -> Result<Arc<Policy>, String> {
    let document = Document::parse(&text.0)
        .map_err(|mistakes| mistakes.first().map_or_else(|| "no document".to_owned(), ToString::to_string))?;
    Ok(Arc::new(Policy { name: name.to_owned(), document }))
}

impl Standing {
    /// The policies that were seen.
    pub fn held(&self) -> &[Held] {
        match self {
            Self::Held(held) => held,
            Self::Unlimited | Self::Hidden(_) => &[],
        }
    }

    fn seen(&self) -> Option<Vec<Arc<Policy>>> {
        match self {
            Self::Held(held) => Some(held.iter().map(|one| Arc::clone(&one.policy)).collect()),
            Self::Unlimited | Self::Hidden(_) => None,
        }
    }
}

impl Layers {
    /// Layers of which nothing is known but why.
    pub fn hidden(why: &str) -> Self {
        let hidden = || Standing::Hidden(why.to_owned());
        Self {
            identity: hidden(),
            boundary: hidden(),
            session: hidden(),
            bucket: hidden(),
            scp: hidden(),
            rcp: hidden(),
            endpoint: hidden(),
        }
    }

    /// A layer and what is known of it, in the order in which people look at them.
    pub fn all(&self) -> [(Layer, &Standing); 7] {
        [
            (Layer::Identity, &self.identity),
            (Layer::Boundary, &self.boundary),
            (Layer::Session, &self.session),
            (Layer::Resource, &self.bucket),
            (Layer::Scp, &self.scp),
            (Layer::Rcp, &self.rcp),
            (Layer::Endpoint, &self.endpoint),
        ]
    }

    /// What is known of a layer; a root user has no policies, so its layer is that of identities.
    pub fn standing(&self, layer: Layer) -> &Standing {
        self.all().into_iter().find(|(one, _)| *one == layer).map_or(&self.identity, |(_, standing)| standing)
    }

    /// The same for changes.
    pub fn standing_mut(&mut self, layer: Layer) -> &mut Standing {
        match layer {
            Layer::Identity | Layer::Root => &mut self.identity,
            Layer::Boundary => &mut self.boundary,
            Layer::Session => &mut self.session,
            Layer::Resource => &mut self.bucket,
            Layer::Scp => &mut self.scp,
            Layer::Rcp => &mut self.rcp,
            Layer::Endpoint => &mut self.endpoint,
        }
    }

    /// What decides, as far as it was seen: a layer that was not seen limits nothing and gives nothing.
    pub fn policies(&self) -> Policies {
        let level = |standing: &Standing| standing.seen().map(|policies| vec![policies]);
        Policies {
            identity: self.identity.seen().unwrap_or_default(),
            resource: self.bucket.seen().and_then(|policies| policies.into_iter().next()),
            boundary: self.boundary.seen().and_then(|policies| policies.into_iter().next()),
            session: self.session.seen(),
            scp: level(&self.scp),
            rcp: level(&self.rcp),
            endpoint: self.endpoint.seen().and_then(|policies| policies.into_iter().next()),
        }
    }

    /// The policy of a layer by its name.
    pub fn find(&self, layer: Layer, name: &str) -> Option<&Held> {
        self.standing(layer).held().iter().find(|held| held.policy.name == name)
    }
}

impl RoleKind {
    /// Who takes a role that has this trust policy.
    pub fn of(trust: &PolicyJson) -> Self {
        let document: Value = serde_json::from_str(&trust.0).unwrap_or_default();
        let statements = match &document["Statement"] {
            Value::Array(statements) => statements.clone(),
            one => vec![one.clone()],
        };
        let mut kind = Self::Other;
        for statement in statements {
            let principal = &statement["Principal"];
            let names = |key: &str| one_or_many(&principal[key]);
            for service in names("Service") {
                match service.as_str() {
                    "eks.amazonaws.com" => return Self::ControlPlane,
                    "pods.eks.amazonaws.com" => return Self::PodIdentity,
                    service if service.starts_with("ec2.amazonaws.com") => kind = Self::Instance,
                    _ => {}
                }
            }
            if names("Federated").iter().any(|provider| provider.contains("oidc-provider/oidc.eks.")) {
                return Self::Irsa;
            }
        }
        kind
    }
}

fn one_or_many(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::String(one) => vec![one.clone()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{PolicyJson, RoleKind};

    #[test]
    fn a_trust_policy_tells_who_takes_the_role() {
        let check = |principal: &str, kind: RoleKind| {
            let text =
                format!(r#"{{"Statement":[{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"}}]}}"#);
            assert_eq!(RoleKind::of(&PolicyJson(text)), kind, "{principal}");
        };
        check(r#"{"Service":"ec2.amazonaws.com"}"#, RoleKind::Instance);
        check(r#"{"Service":["ec2.amazonaws.com","eks.amazonaws.com"]}"#, RoleKind::ControlPlane);
        check(r#"{"Service":"pods.eks.amazonaws.com"}"#, RoleKind::PodIdentity);
        check(r#"{"Federated":"arn:aws:iam::1:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/A"}"#, RoleKind::Irsa);
        check(r#"{"AWS":"*"}"#, RoleKind::Other);
        assert_eq!(RoleKind::of(&PolicyJson("not JSON".to_owned())), RoleKind::Other);
    }
}
