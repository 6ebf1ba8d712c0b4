//! What a message tells all by itself: the cause, and what to do, before anything is looked at.

use super::message::{Denial, SaidBy, Symptom};
use super::trouble::Trouble;
use super::words::{self, call_words, place_words, who_words};
use crate::policy::Layer;
use crate::report::{Finding, Severity};

/// The finding of a message: its cause and what to do about it.
pub fn explain(symptom: &Symptom) -> Finding {
    let (cause, fix) = match symptom.trouble {
        Trouble::Denied | Trouble::Forbidden => policies(symptom),
        Trouble::KmsDenied | Trouble::KmsUnusable => kms(symptom),
        Trouble::TrustRefused | Trouble::NoOidcProvider | Trouble::BadRoleArn => trust(symptom),
        Trouble::WrongRegion | Trouble::NoBucket | Trouble::BucketTaken => bucket(symptom),
        Trouble::NoKey | Trouble::Archived | Trouble::ShutByAws | Trouble::LocalFile => object(symptom),
        Trouble::PublicBlocked | Trouble::AclsDisabled | Trouble::SseCBlocked => setting(symptom),
        _ => credentials(symptom),
    };
    Finding::new(code(symptom), Severity::Error, target(symptom), cause).with_fix(fix)
}

/// What else the caller's name tells.
pub fn asides(symptom: &Symptom) -> Vec<Finding> {
    let Some(principal) = symptom.principal.as_deref() else { return Vec::new() };
    let mut asides = Vec::new();
    if let Some(role) = words::instance_role(principal) {
        let message = format!(
            "the caller is an EC2 instance: in a pod these are the node's credentials, role `{role}`. If the pod should have a role of \
             its own (IRSA or Pod Identity), it did not get it"
        );
        asides.push(Finding::new("doctor-node-role", Severity::Warning, principal, message).with_fix(
            "check the annotation `eks.amazonaws.com/role-arn` of the pod's service account, or the Pod Identity \
                 association, and restart pods that are older than it",
        ));
    }
    if principal == "anonymous" {
        let message = "the request was not signed, so no policy of a role counts";
        asides.push(
            Finding::new("doctor-unsigned", Severity::Warning, target(symptom), message)
                .with_fix("give the client credentials, and drop `--no-sign-request` or `anon=True`"),
        );
    }
    asides
}

/// The code of the cause, by the kind of policy where one is named.
pub(super) fn code(symptom: &Symptom) -> &'static str {
    if symptom.trouble != Trouble::Denied {
        return symptom.trouble.code();
    }
    match (symptom.denial, symptom.said_by) {
        (Some(Denial::Explicit), _) => "doctor-explicit-deny",
        (Some(Denial::Implicit), Some(SaidBy::Layer(layer))) => no_allow_code(layer),
        (_, Some(SaidBy::Trust)) => "doctor-trust-refused",
        _ => Trouble::Denied.code(),
    }
}

/// The code of a layer that lacks an Allow.
pub(super) const fn no_allow_code(layer: Layer) -> &'static str {
    match layer {
        Layer::Identity | Layer::Root => "doctor-no-allow",
        Layer::Resource => "doctor-bucket-policy",
        Layer::Boundary => "doctor-boundary",
        Layer::Session => "doctor-session-policy",
        Layer::Scp | Layer::Rcp => "doctor-organization",
        Layer::Endpoint => "doctor-endpoint-policy",
    }
}

/// What a finding is about: the object, the bucket, or the caller.
pub(super) fn target(symptom: &Symptom) -> String {
    let place = symptom.resource.as_deref().map(place_words);
    place.or_else(|| symptom.principal.clone()).unwrap_or_else(|| "S3".to_owned())
}

fn policies(symptom: &Symptom) -> (String, String) {
    let (who, what) = (who_words(symptom.principal.as_deref()), call_words(symptom));
    let layer = match symptom.said_by {
        Some(SaidBy::Layer(layer)) => layer,
        _ => return unnamed(symptom, &who, &what),
    };
    match symptom.denial {
        Some(Denial::Explicit) => explicit(symptom, layer, &who, &what),
        _ => lacking(symptom, layer, &who, &what),
    }
}

fn explicit(symptom: &Symptom, layer: Layer, who: &str, what: &str) -> (String, String) {
    let named = symptom.policy.as_ref().map(|arn| format!(", `{arn}`")).unwrap_or_default();
    let cause = format!(
        "{who} may not {what}: a statement in {}{named} denies it, and no Allow overrides that",
        words::one(layer)
    );
    let fix = match layer {
        Layer::Resource => {
            "find the Deny in the bucket's policy; whoever owns the bucket must except this caller, or it asks another way"
        }
        Layer::Scp | Layer::Rcp => {
            "only the organization's administrators can see and change that policy: give them this message"
        }
        Layer::Endpoint => "find the Deny in the policy of the VPC endpoint for S3 that the request goes through",
        Layer::Boundary => "find the Deny in the permissions boundary; it belongs to those who delegated this role",
        Layer::Session => "find the Deny in the policy that was passed when the session was made",
        Layer::Identity | Layer::Root => "find the Deny in the policies of the role or user, inline ones included",
    };
    (cause, fix.to_owned())
}

fn lacking(symptom: &Symptom, layer: Layer, who: &str, what: &str) -> (String, String) {
    let action = symptom.action.as_deref().unwrap_or("the action");
    let place = symptom.resource.as_deref().unwrap_or("the resource");
    let cause = match layer {
        Layer::Resource => {
            format!("{who} may not {what}: the bucket's policy does not allow it, and across accounts both sides must")
        }
        Layer::Scp | Layer::Rcp => format!("{who} may not {what}: a {layer} of the organization leaves it out"),
        Layer::Identity | Layer::Root => format!("{who} may not {what}: no policy of the role or user allows it"),
        _ => format!("{who} may not {what}: the {layer} does not allow it, whatever other policies allow"),
    };
    let fix = match layer {
        Layer::Identity | Layer::Root => format!(
            "attach the policy that allows {action} to this very role, or add a statement for `{place}`; check first that this is the \
             role that was meant"
        ),
        Layer::Resource => {
            format!("have the bucket's owner allow {action} on `{place}` to this caller in the bucket's policy")
        }
        Layer::Boundary => format!("have {action} on `{place}` added to the permissions boundary by its owner"),
        Layer::Session => format!("make the session with a session policy that allows {action}, or without one"),
        Layer::Scp | Layer::Rcp => {
            "only the organization's administrators can see and change that policy: give them this message".to_owned()
        }
        Layer::Endpoint => format!("add {action} on `{place}` to the policy of the VPC endpoint for S3"),
    };
    (cause, fix)
}

/// A refusal that names no kind of policy.
fn unnamed(symptom: &Symptom, who: &str, what: &str) -> (String, String) {
    let silent = match symptom.trouble {
        Trouble::Forbidden => "HEAD requests get a 403 without a word of explanation",
        _ => "the message does not name the kind of policy, which S3 does only within an account or organization",
    };
    let (trap, fix) = match symptom.operation.as_deref() {
        Some("HeadBucket") => (
            "; under a policy that lets a caller list some folders only, HeadBucket is always refused, because it sends no prefix",
            "let the client skip the check for the bucket (pyarrow: `create_dir=False`; rclone: `--s3-no-check-bucket`), or allow \
             s3:ListBucket without a condition (`list = \"bucket\"` in the grant)",
        ),
        Some("HeadObject" | "GetObject") => (
            "; S3 answers 403 also for an object that is not there, if the caller may not list the folder",
            "check that the object exists and that its name is right; then s3:GetObject on it, and kms:Decrypt if the bucket is encrypted \
             with a KMS key",
        ),
        Some("UploadPart" | "CompleteMultipartUpload" | "CreateMultipartUpload") => (
            "; large files go up in parts, which under a KMS key needs kms:Decrypt besides kms:GenerateDataKey",
            "check s3:PutObject on the object, and both rights on the bucket's KMS key",
        ),
        Some("ListObjects" | "ListObjectsV2") => (
            "; a folder policy allows only listings whose prefix it names: not an empty one, and not the folder's name without its slash",
            "list the folder with its slash, or check s3:ListBucket on the bucket and its condition on s3:prefix",
        ),
        Some("ListBuckets") => (
            "; listing all buckets of the account is a right of its own, which no bucket's policy gives",
            "name the bucket instead of asking for all; some old clients (s3fs before 0.3.1) ask without need",
        ),
        Some("PutObject" | "CopyObject") => (
            "; an upload that sends an ACL or tags needs s3:PutObjectAcl or s3:PutObjectTagging as well, and under a KMS key \
             kms:GenerateDataKey",
            "drop `--acl` and tags from the upload, and check s3:PutObject on the object and the rights on the bucket's KMS key",
        ),
        Some("PutBucketPolicy") => (
            "; a policy that opens the bucket to everybody is refused like this while Block Public Access is on",
            "name whom the policy is for instead of `*`, and check s3:PutBucketPolicy",
        ),
        Some("CreateBucket") => (
            "; some clients try to make the bucket when they may not look whether it is there",
            "make sure that the bucket exists, then switch the check off (rclone: `--s3-no-check-bucket`)",
        ),
        _ => (
            "",
            "ask `aws sts get-caller-identity` there who the caller is, and run `doctor --principal ARN --action ACTION --resource ARN`",
        ),
    };
    (format!("{who} may not {what}: {silent}{trap}"), fix.to_owned())
}

fn kms(symptom: &Symptom) -> (String, String) {
    if symptom.trouble == Trouble::KmsUnusable {
        return (
            "the KMS key of the object or bucket is disabled, about to be deleted, or not in this Region".to_owned(),
            "have the key's owner enable it, or cancel its deletion; name keys by their ARN, because an alias means a key of the caller's \
             own account"
                .to_owned(),
        );
    }
    let who = who_words(symptom.principal.as_deref());
    let action = symptom.action.as_deref().unwrap_or("kms:Decrypt");
    let side = match symptom.said_by {
        Some(SaidBy::Layer(Layer::Identity)) => "no policy of the role or user allows it",
        Some(SaidBy::Layer(Layer::Resource)) => "the key's own policy does not allow it",
        _ => "the key's policy and the caller's policies must both let it",
    };
    let key = symptom.resource.as_deref().filter(|arn| arn.contains(":kms:")).unwrap_or("the bucket's key");
    (
        format!("S3 lets the request pass and KMS refuses: {who} may not {action} on {key}; {side}"),
        "allow kms:Decrypt and, for uploads, kms:GenerateDataKey on the key's ARN, in the caller's policy and in the key's; uploads in parts \
         need both"
            .to_owned(),
    )
}

fn trust(symptom: &Symptom) -> (String, String) {
    let role = symptom.resource.as_deref().map_or_else(|| "the role".to_owned(), |arn| format!("`{arn}`"));
    let web = symptom.action.as_deref().is_some_and(|action| action.ends_with("WebIdentity"))
        || symptom.operation.as_deref() == Some("AssumeRoleWithWebIdentity");
    match symptom.trouble {
        Trouble::NoOidcProvider => (
            "IAM has no OIDC provider for the cluster's issuer, so no service account can take a role".to_owned(),
            "create the IAM OIDC provider of this cluster in this account, or use EKS Pod Identity".to_owned(),
        ),
        Trouble::BadRoleArn => (
            "the annotation `eks.amazonaws.com/role-arn` is no whole ARN of a role".to_owned(),
            "write `arn:aws:iam::ACCOUNT:role/NAME` into the annotation of the service account, and restart the pod".to_owned(),
        ),
        _ if symptom.operation.as_deref() == Some("AssumeRoleForPodIdentity") => (
            "EKS may not take the pod's role: the role's trust policy does not let Pod Identity in".to_owned(),
            "let the service `pods.eks.amazonaws.com` do sts:AssumeRole and sts:TagSession in the role's trust policy; `bucketwright policy \
             generate` writes it"
                .to_owned(),
        ),
        _ if web => (
            format!("{role} does not trust this service account: its trust policy names another issuer, namespace or service account"),
            "compare `sub` (system:serviceaccount:NAMESPACE:NAME), `aud` (sts.amazonaws.com) and the issuer in the role's trust policy \
             with the pod's; `bucketwright policy generate` writes the right one"
                .to_owned(),
        ),
        _ => (
            format!(
                "{} may not take {role}: the role's trust policy must name the caller, and across accounts the caller's policy must allow \
                 sts:AssumeRole",
                who_words(symptom.principal.as_deref())
            ),
            "add the caller to the role's trust policy; a node's role trusts ec2.amazonaws.com only, so run the check in the cluster instead"
                .to_owned(),
        ),
    }
}

fn bucket(symptom: &Symptom) -> (String, String) {
    let place = symptom
        .resource
        .as_deref()
        .map_or_else(|| "the bucket".to_owned(), |arn| format!("`{}`", words::bucket_of(arn)));
    match (symptom.trouble, &symptom.region) {
        (Trouble::WrongRegion, Some(region)) => (
            format!("{place} is in {region}, and the request went to another Region"),
            format!("set the client's Region to {region}: `--region {region}` or AWS_REGION={region}"),
        ),
        (Trouble::WrongRegion, None) => (
            format!("{place} is in another Region than the request was sent to"),
            "set the client's Region to the bucket's; the header `x-amz-bucket-region` of any answer tells it".to_owned(),
        ),
        (Trouble::BucketTaken, _) => (
            format!("the name of {place} is taken by another account; names are shared by all"),
            "choose another name, for example with the account id in it, or an account regional one (`NAME-ACCOUNT-REGION-an`)".to_owned(),
        ),
        _ => (
            format!("{place} does not exist: its name is wrong, or it was never made or is gone"),
            "check the name letter by letter, and the account and endpoint that the client uses".to_owned(),
        ),
    }
}

fn object(symptom: &Symptom) -> (String, String) {
    let place = target(symptom);
    match symptom.trouble {
        Trouble::NoKey => (
            format!("{place}: there is no such object; the caller is let in"),
            "check the key letter by letter: case, slashes, and a folder's marker".to_owned(),
        ),
        Trouble::Archived => (
            format!("{place} lies in an archive and cannot be read before it is restored"),
            "restore it (`aws s3api restore-object`), or copy it to a class that can be read at once".to_owned(),
        ),
        Trouble::ShutByAws => (
            format!("{place}: AWS has shut off all access to it, or the path names no bucket that can be reached"),
            "check the bucket's name in the path; if it is right, ask AWS support or look at the account's billing"
                .to_owned(),
        ),
        _ => (
            "the file system of the machine or container refuses to write the file; S3 has nothing to do with it"
                .to_owned(),
            "make the folder writable for the user that the process runs as, or write elsewhere".to_owned(),
        ),
    }
}

fn setting(symptom: &Symptom) -> (String, String) {
    match symptom.trouble {
        Trouble::PublicBlocked => (
            "Block Public Access refuses: the policy or ACL would open the bucket to everybody".to_owned(),
            "name whom it is for instead of `*`; leave the block on".to_owned(),
        ),
        Trouble::AclsDisabled => (
            "the bucket has its access control lists switched off (ownership `BucketOwnerEnforced`), and the request sends one".to_owned(),
            "drop the ACL from the request: `--acl`, `ExtraArgs={'ACL': ..}`, `s3_additional_kwargs`; policies give access instead".to_owned(),
        ),
        _ => (
            "the bucket takes no objects under customer-provided keys (SSE-C)".to_owned(),
            "upload without `--sse-c`: the bucket encrypts by itself, or name a KMS key".to_owned(),
        ),
    }
}

fn credentials(symptom: &Symptom) -> (String, String) {
    let (cause, fix) = match symptom.trouble {
        Trouble::Expired => (
            "the session's credentials are past their time; policies have nothing to do with it",
            "sign in again (`aws sso login`), or restart the process: one that copied credentials into its environment never renews them",
        ),
        Trouble::BadRequest => (
            "HEAD requests get a 400 without a word of explanation; mostly the credentials are past their time, or the request was signed for \
             another Region",
            "ask `aws sts get-caller-identity` with the same credentials, and set the client's Region to the bucket's",
        ),
        Trouble::LinkExpired => (
            "the presigned URL is past its time, or past that of the credentials that signed it",
            "make a new URL; one that a role signs ends with the role's session, whatever its own time says",
        ),
        Trouble::BadToken => (
            "the session token does not belong to these keys, is cut off, or is of another partition or endpoint",
            "set all three of AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN from one source, or unset them all",
        ),
        Trouble::UnknownKey => (
            "nobody has this access key: it was deleted, is some seconds old, or belongs to another endpoint",
            "check the profile and the endpoint; a temporary key (`ASIA...`) is unknown without its session token",
        ),
        Trouble::BadSignature => (
            "the secret key does not fit the access key, or something changed the request on its way",
            "set the secret again (a `+` or `/` is lost easily), and check proxies that rewrite headers",
        ),
        Trouble::ClockSkew => (
            "the clock of the machine is more than 15 minutes off, and requests are signed with the time",
            "set the clock; containers and virtual machines take it from their host",
        ),
        _ => (
            "no credentials were found; in a pod: no IRSA, no Pod Identity, and the node's metadata service is out of reach",
            "in a pod: check the service account's annotation or association and restart the pod; a hop limit of 1 keeps pods from the \
             node's credentials. Elsewhere: name a profile or set AWS_ACCESS_KEY_ID",
        ),
    };
    (cause.to_owned(), fix.to_owned())
}
