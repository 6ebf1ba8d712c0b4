//! The vocabulary every floor shares: names that are valid by construction and the plain values that edges observe.
//!
//! Nothing here does I/O. A value of one of these types has passed the rules of its kind, so no later code checks again.

mod account_id;
mod arn;
mod bucket_name;
mod bucket_state;
mod bytes;
mod checksum;
mod cluster_state;
mod cluster_survey;
mod count;
mod entry;
mod etag;
mod filter;
mod iam_name;
mod iam_state;
mod iam_use;
mod identity;
mod key;
mod layout_id;
mod letters;
mod lifecycle;
mod location;
mod object_attributes;
mod owner;
mod part_file;
mod region;
mod relative_path;
mod remembered;
mod setting;
mod tag;
mod unfinished;
pub mod xml;

pub use account_id::{AccountId, AccountIdError};
pub use arn::{Arn, ArnError};
pub use bucket_name::{BucketName, BucketNameError};
pub use bucket_state::{BucketState, Existence, MarkerState, Reading};
pub use bytes::{ByteSize, ByteSizeError, HumanBytes};
pub use checksum::{Algorithm, Checksum, ChecksumError, Echo};
pub use cluster_state::{Cluster, ClusterPart, NoNodeGroup, NodeGroup, NodeRole, PodIdentityAssociation, Unread, glob};
pub use cluster_survey::{
    ClusterSurvey, FargateProfile, GroupSurvey, LaunchTemplate, MetadataOptions, Node, NodeMaker, RouteTable, Tokens,
    VpcEndpoint,
};
pub use count::HumanCount;
pub use entry::{Fingerprint, LocalFile, ObjectEntry, ObjectHead, Odd, OddKind, VersionEntry, escaped};
pub use etag::ETag;
pub use filter::{Filter, IGNORE_FILE, IgnoreFile, IgnoreFileError, Judgement, PatternError, Rule, Scope, Trail};
pub use iam_name::{IamNameError, PolicyName, RoleName};
pub use iam_state::{
    Attachments, IamQuotas, InlinePolicy, LastUse, ManagedPolicy, PolicyVersion, Role, Seen, VersionId, VersionIdError,
};
pub use iam_use::{AccessKey, KeyUse, ServiceUse, User};
pub use identity::{Endpoint, Identity};
pub use key::{KeyError, ObjectKey, Prefix};
pub use layout_id::{LayoutId, LayoutIdError};
pub use letters::{is_hidden, spell_out, steers};
pub use lifecycle::{Lifecycle, LifecycleFilter, LifecycleRule, NoncurrentExpiration, Transition};
pub use location::{Location, LocationError, S3Location};
pub use object_attributes::{
    AttributeError, HeaderText, KmsKey, MetadataName, ObjectAttributes, ObjectEncryption, StorageClass,
};
pub use owner::Owner;
pub use part_file::{is_part_file_name, part_file_name};
pub use region::{Region, RegionError};
pub use relative_path::{RelativePath, RelativePathError};
pub use remembered::{PackedETag, Remembered};
pub use setting::{AccessLog, Control, Encryption, PolicyJson, PublicAccessBlock, Setting};
pub use tag::{TagError, TagKey, TagValue, Tags};
pub use unfinished::{Intent, OpenPart, OpenUpload, Unfinished};
