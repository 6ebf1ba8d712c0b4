//! The layout: the resolved, valid description of the buckets that a team wants.
//!
//! [`parse`] turns a file's text into a [`Layout`] or into every mistake in it; [`scaffold`] compares it with what was
//! found. A `Layout` holds no variable, no placeholder and no name that AWS would refuse.

pub mod builtin;
pub mod controls;
pub mod fields;
mod lifecycle;
mod mistakes;
mod names;
mod nearest;
mod parse;
mod placeholders;
mod reader;
mod resolve;
pub mod scaffold;
mod schema;
mod section;
mod statements;
mod variables;

pub use mistakes::{LayoutError, Place as TextPlace};
pub use nearest::nearest;
pub use parse::{MAX_BYTES, ParseOptions, parse};
pub(crate) use placeholders::placeholder;
pub use schema::schema;

use crate::model::{AccessLog, AccountId, Arn, BucketName, Control, LayoutId, Prefix, Region, Tags};
use std::collections::BTreeMap;
use std::fmt;

/// Where policies are kept if a layout does not say.
pub const DEFAULT_BACKUP: &str = ".bucketwright/backups";

/// A layout whose every name and reference has been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// The id in the owner tag.
    pub id: LayoutId,
    /// The account that every write must happen in.
    pub account: Option<AccountId>,
    /// The Region that every bucket must be in.
    pub region: Option<Region>,
    /// The profile of the environment chosen with `--env`.
    pub profile: Option<String>,
    /// Where policies are kept before they are replaced, relative to the layout's own folder unless absolute.
    pub backup: String,
    /// The buckets in the file's order, then log buckets that the file only refers to.
    pub buckets: Vec<Bucket>,
    /// The datasets in the file's order.
    pub datasets: Vec<Dataset>,
    /// The grants: parsed and checked here, made into policies by the policy planner.
    pub grants: Vec<Grant>,
    /// Expectations beyond the grants.
    pub asserts: Vec<Assertion>,
}

/// One wanted bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// Its name.
    pub name: BucketName,
    /// Why the layout has it.
    pub purpose: Purpose,
    /// The name of the template that its folders come from.
    pub template: Option<String>,
    /// Its folders in layout order: project by project, then the template's order.
    pub folders: Vec<Folder>,
    /// How folders are marked.
    pub markers: MarkerStyle,
    /// Whether versioning is wanted.
    pub versioning: bool,
    /// The KMS key for default encryption; none means SSE-S3.
    pub kms_key: Option<Arn>,
    /// Whether all public access is blocked.
    pub public_access_blocked: bool,
    /// Where its access log goes.
    pub access_log: Option<AccessLog>,
    /// Buckets of this layout that log into this one, and under which prefix.
    pub logs_from: Vec<(BucketName, String)>,
    /// Days until noncurrent versions expire in the whole bucket; none means the default of 90 days.
    pub noncurrent_days: Option<u32>,
    /// The layout's own tags, without the owner tag.
    pub tags: Tags,
    /// Whether a bucket that exists without the owner tag may be taken over.
    pub adopt: bool,
    /// What the tool may write.
    pub manage: Manage,
    /// Controls that are given up, each with its reason.
    pub waive: BTreeMap<Control, String>,
}

impl Bucket {
    /// A bucket with the secure defaults of the settings and nothing in it, which is looked at and never written.
    pub fn with_defaults(name: BucketName, purpose: Purpose) -> Self {
        Self {
            name,
            purpose,
            template: None,
            folders: Vec::new(),
            markers: MarkerStyle::None,
            versioning: true,
            kms_key: None,
            public_access_blocked: true,
            access_log: None,
            logs_from: Vec::new(),
            noncurrent_days: None,
            tags: Tags::new(),
            adopt: false,
            manage: Manage::Verify,
            waive: BTreeMap::new(),
        }
    }
}

/// Why a layout has a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The file declares it.
    Declared,
    /// Only an `access_log` refers to it.
    LogTarget,
}

/// One folder of a bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Folder {
    /// The project it belongs to; none in a bucket without projects.
    pub project: Option<String>,
    /// Its path inside the project, without slashes at the ends; empty for the project's own folder.
    pub path: String,
    /// Its whole prefix in the bucket.
    pub prefix: Prefix,
    /// The most that any grant gives here.
    pub access: FolderAccess,
    /// Days until noncurrent versions expire here; the layout's own number.
    pub noncurrent_days: Option<u32>,
    /// A marker style of its own.
    pub markers: Option<MarkerStyle>,
}

/// How an empty folder is made visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkerStyle {
    /// A zero-byte object whose key is the prefix.
    Slash,
    /// A zero-byte object `.keep` in the folder.
    Keep,
    /// None: the folder exists once it holds something.
    None,
}

/// The access that a grant gives, or a folder allows at most, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FolderAccess {
    /// Read.
    Read,
    /// Read and put, no delete.
    Append,
    /// Read, put and delete.
    ReadWrite,
}

impl fmt::Display for FolderAccess {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Read => "read",
            Self::Append => "append",
            Self::ReadWrite => "read-write",
        })
    }
}

/// What the tool may write to a bucket. The rest is only checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manage {
    /// Bucket, settings, markers, datasets.
    All,
    /// Markers and datasets.
    Data,
    /// Nothing.
    Verify,
}

/// A local file or directory that belongs in a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The path as the layout gives it, relative to the layout's own folder unless absolute.
    pub source: String,
    /// The bucket it goes to.
    pub bucket: BucketName,
    /// The folder it goes to.
    pub folder: Prefix,
    /// Another name for a single file.
    pub rename: Option<String>,
    /// Globs, relative to the source, of files to leave out.
    pub exclude: Vec<String>,
    /// Whether the source may lie outside the layout's own folder.
    pub allow_outside: bool,
    /// Where the receipt is written, relative to the layout's own folder.
    pub receipt: Option<String>,
}

/// Access for somebody.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// The policy's name.
    pub policy: String,
    /// The access.
    pub access: FolderAccess,
    /// On what.
    pub on: Vec<Place>,
    /// How much a listing may show.
    pub list: ListScope,
    /// To whom.
    pub attach: Vec<AttachTarget>,
    /// Whether an existing policy of that name without our tag may be taken over.
    pub adopt: bool,
}

/// A bucket, or a folder in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The bucket.
    pub bucket: BucketName,
    /// The folder; the root for the whole bucket.
    pub prefix: Prefix,
}

/// How much a listing under a grant may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListScope {
    /// The granted folders.
    Scoped,
    /// Also the names at the top level.
    Root,
    /// Every key of the bucket.
    Bucket,
}

/// Whom a policy is attached to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttachTarget {
    /// A role by name.
    Role(String),
    /// The roles of an EKS cluster's node groups.
    NodeGroups {
        /// The cluster.
        cluster: String,
        /// Names or globs; `*` means all.
        node_groups: Vec<String>,
    },
    /// A role for a service account by the cluster's OIDC provider.
    Irsa(ServiceAccountRole),
    /// A role for a service account by EKS Pod Identity.
    PodIdentity(ServiceAccountRole),
}

/// A Kubernetes service account and the role it takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceAccountRole {
    /// The EKS cluster.
    pub cluster: String,
    /// The namespace.
    pub namespace: String,
    /// The service account.
    pub service_account: String,
    /// The role's name.
    pub role: String,
}

/// One expectation about access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// Who: a policy's or role's name.
    pub principal: String,
    /// `list`, `get`, `put`, `delete`, `multipart` or `head-bucket`.
    pub operation: String,
    /// `bucket`, `bucket/key` or `bucket/prefix*`.
    pub target: String,
    /// Whether it should be allowed.
    pub expect_allow: bool,
}

impl Bucket {
    /// Why a control is given up; none if it is wanted.
    pub fn waiver(&self, control: Control) -> Option<&str> {
        self.waive.get(&control).map(String::as_str)
    }

    /// The marker style of one of its folders.
    pub fn marker_style(&self, folder: &Folder) -> MarkerStyle {
        folder.markers.unwrap_or(self.markers)
    }
}
