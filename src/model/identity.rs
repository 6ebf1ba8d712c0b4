//! Who calls, and which endpoint answers: what the planners must know of the world beyond the buckets.

use super::AccountId;
use serde::{Deserialize, Serialize};

/// The caller as `sts:GetCallerIdentity` names it. Both parts are absent where the endpoint speaks only S3.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Identity {
    /// The account that the credentials belong to.
    pub account: Option<AccountId>,
    /// The caller's ARN.
    pub arn: Option<String>,
}

/// The kind of endpoint behind the client, as far as plans depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    /// AWS itself.
    Aws,
    /// The embedded endpoint, in process or through `serve`: loopback counts as secure transport.
    Embedded,
    /// Another S3 server over HTTPS.
    OtherHttps,
    /// Another S3 server over plain HTTP, where a TLS-only policy would lock everyone out.
    OtherHttp,
}

impl Endpoint {
    /// True where a statement that denies insecure transport leaves the tool's own requests through.
    pub const fn passes_secure_transport(self) -> bool {
        !matches!(self, Self::OtherHttp)
    }
}
