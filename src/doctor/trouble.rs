//! The kinds of refusals, how each is recognised in a text, and what it means when nothing else is known.
//!
//! A 403 has many parents: policies, credentials, clocks, keys, Regions. Which one it is decides where to look, so that is
//! settled before any policy is read.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>

/// What kind of refusal a text speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A policy, or the lack of one.
    Denied,
    /// A 403 without a word more, as HEAD requests get.
    Forbidden,
    /// KMS refuses the key.
    KmsDenied,
    /// The key is disabled, deleted or elsewhere.
    KmsUnusable,
    /// The role may not be taken.
    TrustRefused,
    /// IAM does not know the cluster's OIDC provider.
    NoOidcProvider,
    /// The annotation is no role's ARN.
    BadRoleArn,
    /// The credentials are past their time.
    Expired,
    /// A presigned URL is past its time.
    LinkExpired,
    /// The session token is wrong.
    BadToken,
    /// The access key is unknown.
    UnknownKey,
    /// The secret is wrong.
    BadSignature,
    /// The clock is off.
    ClockSkew,
    /// No credentials were found.
    NoCredentials,
    /// The bucket is in another Region.
    WrongRegion,
    /// Nobody has such a bucket.
    NoBucket,
    /// The bucket has no such object.
    NoKey,
    /// Somebody else has a bucket of that name.
    BucketTaken,
    /// Block Public Access refuses.
    PublicBlocked,
    /// The bucket has its access control lists switched off.
    AclsDisabled,
    /// The bucket takes no customer-provided keys.
    SseCBlocked,
    /// AWS has shut the bucket.
    ShutByAws,
    /// The object is in an archive.
    Archived,
    /// The machine's own file system refuses.
    LocalFile,
}

/// One kind with all that is fixed about it.
struct Kind {
    trouble: Trouble,
    /// The finding's code.
    code: &'static str,
    /// How much it tells, compared with others in the same log.
    telling: u8,
    /// What a text has, in lower case.
    phrases: &'static [&'static str],
}

/// Most particular first: a text is of the first kind of which it has a phrase.
#[rustfmt::skip]
const KINDS: &[Kind] = &[
    kind(Trouble::TrustRefused, "doctor-trust-refused", 80, &[
        "not authorized to perform: sts:assumerole", "not authorized to perform sts:assumerole",
        "not authorized to perform: sts:tagsession", "is not authorized to assume",
    ]),
    kind(Trouble::NoOidcProvider, "doctor-no-oidc-provider", 80, &["no openidconnect provider found", "invalididentitytoken"]),
    kind(Trouble::BadRoleArn, "doctor-bad-role-arn", 80, &["request arn is invalid"]),
    kind(Trouble::KmsDenied, "doctor-kms-denied", 75, &[
        "not authorized to perform: kms:", "the ciphertext refers to a customer master key", "access to kms is not allowed",
        "kms.accessdeniedexception",
    ]),
    kind(Trouble::KmsUnusable, "doctor-kms-unusable", 75, &[
        "kms.disabledexception", "kms.notfoundexception", "kms.kmsinvalidstateexception", "kms.invalidkeyusageexception",
        "kmskeydisabled",
    ]),
    kind(Trouble::LinkExpired, "doctor-link-expired", 60, &["<message>request has expired", "(accessdenied): request has expired"]),
    kind(Trouble::Expired, "doctor-expired-credentials", 70, &[
        "expiredtoken", "provided token has expired", "token included in the request is expired", "token has expired and refresh",
        "sso session associated with this profile has expired", "sso session has expired", "tokenrefreshrequired",
    ]),
    kind(Trouble::BadToken, "doctor-bad-token", 70, &[
        "invalidtoken", "provided token is malformed", "token included in the request is invalid", "invalidclienttokenid",
        "unrecognizedclientexception",
    ]),
    kind(Trouble::UnknownKey, "doctor-unknown-key", 70, &[
        "invalidaccesskeyid", "access key id you provided does not exist",
    ]),
    kind(Trouble::BadSignature, "doctor-bad-signature", 70, &[
        "signaturedoesnotmatch", "request signature we calculated does not match",
    ]),
    kind(Trouble::ClockSkew, "doctor-clock-skew", 70, &[
        "requesttimetooskewed", "difference between the request time and the current time is too large",
        "signature not yet current", "signature expired:",
    ]),
    kind(Trouble::NoCredentials, "doctor-no-credentials", 70, &[
        "unable to locate credentials", "nocredentialserror", "nocredentialproviders", "no valid credential sources",
        "unable to load credentials", "unable to load aws credentials", "failed to refresh cached credentials",
        "no ec2 imds role found", "could not load credentials", "credential provider was not enabled",
        "missing credentials in config", "non-empty access key (akid)", "failed to load credentials",
        "credentialsnotloaded", "error when retrieving credentials from", "error performing put http://169.254.169.254",
        "error sending request for url (http://169.254.169.254",
    ]),
    kind(Trouble::WrongRegion, "doctor-wrong-region", 65, &[
        "permanentredirect", "authorization header is malformed; the region", "authorizationheadermalformed",
        "illegallocationconstraint", "must be addressed using the specified endpoint", "movedpermanently",
        // Other services answer so, too.
        "operation: moved permanently", "moved permanently (service: ", "error code: 301 moved permanently",
        "looks like the configured region is", "bucketregionerror", "incorrect region", "bucket is in this region",
        "incorrectly configured region",
    ]),
    kind(Trouble::NoBucket, "doctor-no-bucket", 60, &["nosuchbucket", "specified bucket does not exist"]),
    kind(Trouble::BucketTaken, "doctor-bucket-taken", 60, &["bucketalreadyexists", "requested bucket name is not available"]),
    kind(Trouble::PublicBlocked, "doctor-public-blocked", 60, &[
        "blockpublicpolicy", "blockpublicacls", "block public access", "public policies are blocked", "restrictpublicbuckets",
        "public access is blocked",
    ]),
    kind(Trouble::AclsDisabled, "doctor-acls-disabled", 60, &[
        "accesscontrollistnotsupported", "bucket does not allow acls",
    ]),
    kind(Trouble::SseCBlocked, "doctor-sse-c-blocked", 60, &[
        "sse-c is blocked", "blocked encryption type", "blockedencryptiontype", "blocks sse-c", "customer-provided keys (sse-c) is blocked",
    ]),
    kind(Trouble::ShutByAws, "doctor-shut-by-aws", 60, &["allaccessdisabled", "all access to this object has been disabled"]),
    kind(Trouble::Archived, "doctor-archived", 60, &["invalidobjectstate", "not valid for the object's storage class"]),
    kind(Trouble::LocalFile, "doctor-local-file", 45, &[
        "[errno 13] permission denied", "oserror: [errno 13]", "permission denied (os error 13)",
        "java.nio.file.accessdeniedexception: /",
    ]),
    kind(Trouble::Denied, "doctor-denied", 50, &[
        "accessdenied", "access denied", "access_denied", "is not authorized to perform",
        "lacked the necessary privileges",
        // OpenDAL and object_store; gRPC has a code of that name.
        "permissiondenied (", "permissiondenied {", "permissiondeniederror",
    ]),
    kind(Trouble::NoKey, "doctor-no-key", 25, &["nosuchkey", "specified key does not exist"]),
    kind(Trouble::Forbidden, "doctor-forbidden", 40, &[
        "(403)", "403 forbidden", "statuscode: 403", "status code: 403", "status code 403", "status: 403", "http 403",
        "permissionerror: forbidden", "api error forbidden", "403): forbidden",
    ]),
];

/// Refusals that have nothing to do with AWS and look alike.
const FOREIGN: &[&str] = &["access denied for user", "pam_unix(", "sudo: ", "invalidtokenerror"];

const fn kind(trouble: Trouble, code: &'static str, telling: u8, phrases: &'static [&'static str]) -> Kind {
    Kind { trouble, code, telling, phrases }
}

impl Trouble {
    /// The kind of refusal that a line of text, in lower case, speaks of.
    pub(super) fn of(line: &str) -> Option<Self> {
        if FOREIGN.iter().any(|phrase| line.contains(phrase)) {
            return None;
        }
        let found = KINDS.iter().find(|kind| kind.phrases.iter().any(|phrase| line.contains(phrase)));
        found.map(|kind| kind.trouble)
    }

    fn kind(self) -> Option<&'static Kind> {
        KINDS.iter().find(|kind| kind.trouble == self)
    }

    /// The code of its finding.
    pub fn code(self) -> &'static str {
        self.kind().map_or("doctor-denied", |kind| kind.code)
    }

    /// How much it tells, compared with others in the same log.
    pub(super) fn telling(self) -> u8 {
        self.kind().map_or(0, |kind| kind.telling)
    }

    /// True if policies decide it, so that looking at them helps.
    pub const fn is_about_policies(self) -> bool {
        matches!(self, Self::Denied | Self::Forbidden | Self::KmsDenied)
    }

    /// True if looking at the bucket helps.
    pub const fn is_about_bucket(self) -> bool {
        matches!(self, Self::WrongRegion | Self::NoBucket | Self::NoKey | Self::PublicBlocked | Self::AclsDisabled)
            || self.is_about_policies()
    }
}

#[cfg(test)]
mod tests {
    use super::{KINDS, Trouble};
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_has_a_code_of_its_own_and_phrases_in_lower_case() {
        let codes: BTreeSet<&str> = KINDS.iter().map(|kind| kind.code).collect();
        assert_eq!(codes.len(), KINDS.len());
        for kind in KINDS {
            assert_eq!(kind.trouble.code(), kind.code);
            for phrase in kind.phrases {
                assert_eq!(*phrase, phrase.to_lowercase(), "{phrase}");
            }
        }
    }

    #[test]
    fn refusals_of_other_programs_are_not_awss() {
        for line in [
            "error 1045: access denied for user 'root'@'localhost'",
            "sshd[1]: pam_unix(sshd:auth): access denied",
            "rpc error: code = PermissionDenied desc = workflow is not yours",
            "jwt.exceptions.InvalidTokenError: Not enough segments",
            "HTTP/1.1 301 Moved Permanently",
            "all access to this dataset is logged",
            "everything is fine",
        ] {
            assert_eq!(Trouble::of(&line.to_lowercase()), None, "{line}");
        }
        let spam = "upload failed: ./m.bin to s3://lake/spam_detection/m.bin An error occurred (AccessDenied)";
        assert_eq!(Trouble::of(&spam.to_lowercase()), Some(Trouble::Denied));
    }
}
