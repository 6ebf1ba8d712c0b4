//! Whether a request may be carried out: what it asks for, held against every policy that has a say.
//!
//! There is one way to a yes, [`Pass::authorize`]. A pass is made for every request before its operation is looked at,
//! and travels with it to the operations that learn only from the body what is asked for.

use super::auth::Doorkeeper;
use super::fault::Outcome;
use super::index::{Snapshot, address};
use super::record::UploadRecord;
use super::service::Service;
use super::settings::Kind;
use super::versions::{bucket_record, current, find, parse_version_id};
use crate::policy::operation::{Call, Demand, demands, percent_decoded};
use crate::policy::{Caller, Context, Document, Layer, Policies, Policy, Request, Verdict, evaluate};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use s3s::dto::{CopySource, PublicAccessBlockConfiguration};
use s3s::{S3Error, S3Result, s3_error};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The operations that go on with an upload, and are judged by what began it.
const OF_AN_UPLOAD: [&str; 3] = ["UploadPart", "UploadPartCopy", "CompleteMultipartUpload"];

/// Who asks, with everything that holds for the whole request.
#[derive(Debug, Clone)]
pub(super) struct Pass {
    pub(super) door: Doorkeeper,
    pub(super) caller: Caller,
    /// Policies of the caller; the bucket's join when the bucket is known.
    pub(super) policies: Policies,
    /// The condition keys that every demand of the request carries.
    pub(super) context: Context,
    /// Where a listing would show whether the object that is asked for exists.
    pub(super) listed: String,
}

/// What a bucket says to everybody who comes.
#[derive(Debug, Clone, Default)]
pub(super) struct Guard {
    policy: Option<Arc<Policy>>,
    /// The policy is public, and the bucket lets nobody in who is of no account.
    restricted: bool,
    /// There is a policy, and it cannot be read.
    unreadable: bool,
}

/// Bucket policies as they were parsed last, by bucket.
#[derive(Debug, Default)]
pub(super) struct Parsed(Mutex<BTreeMap<String, (String, Arc<Policy>)>>);

impl Parsed {
    fn read(&self, bucket: &str, text: String) -> Option<Arc<Policy>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, policy)) = known.get(bucket).filter(|(before, _)| *before == text) {
            return Some(Arc::clone(policy));
        }
        let policy = Arc::new(Policy { name: bucket.to_owned(), document: Document::parse(&text).ok()? });
        known.insert(bucket.to_owned(), (text, Arc::clone(&policy)));
        Some(policy)
    }
}

/// Where HeadBucket tells the Region.
const REGION_HEADER: HeaderName = HeaderName::from_static("x-amz-bucket-region");

/// An operation as it arrived.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'here> {
    pub(super) operation: &'here str,
    pub(super) bucket: &'here str,
    pub(super) key: &'here str,
    pub(super) uri: &'here Uri,
    pub(super) headers: &'here HeaderMap,
}

/// Name and value, decoded.
type Pairs = Vec<(String, String)>;

fn access_denied(message: &str) -> S3Error {
    s3_error!(AccessDenied, "{message}")
}

/// The refusal that tells nothing.
pub(super) fn bare_denial() -> S3Error {
    access_denied("Access Denied")
}

/// The bucket of an S3 ARN; none for `*`.
fn bucket_of(resource: &str) -> Option<&str> {
    resource.strip_prefix("arn:aws:s3:::").map(|path| path.split('/').next().unwrap_or(path))
}

/// The pairs of a query, decoded as the operations decode them.
pub(super) fn query_pairs(uri: &Uri) -> Pairs {
    let decode = |text: &str| percent_decoded(&text.replace('+', " "));
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// Headers, with the source of a copy as the operation will read it.
fn header_pairs(headers: &HeaderMap) -> Pairs {
    let pair = |(name, value): (&HeaderName, &HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let source = (name == "x-amz-copy-source").then(|| CopySource::parse(&value).ok()).flatten();
        (name.as_str().to_owned(), source.map_or(value, |source| source.format_to_string()))
    };
    headers.iter().map(pair).collect()
}

/// Refuses what stands twice: policies and operations might each look at another one.
fn refuse_doubles(query: &Pairs, headers: &HeaderMap) -> S3Result<()> {
    let mut names: Vec<&str> = query.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let twice = names.windows(2).any(|pair| pair[0] == pair[1]);
    let header =
        headers.keys().any(|name| name.as_str().starts_with("x-amz-") && headers.get_all(name).iter().count() > 1);
    if twice || header {
        return Err(s3_error!(InvalidArgument, "A query parameter or header is given twice"));
    }
    Ok(())
}

impl Pass {
    /// Admits an operation, or refuses it in AWS's words. DeleteObjects is admitted here and asks again for every key.
    pub(super) fn admit(&mut self, asked: &Asked<'_>) -> S3Result<()> {
        asked.bucket.clone_into(&mut self.listed);
        if self.is_free(asked.bucket)? && !asked.headers.contains_key("x-amz-copy-source") {
            return Ok(());
        }
        let query = query_pairs(asked.uri);
        refuse_doubles(&query, asked.headers)?;
        let mut headers = header_pairs(asked.headers);
        let source = headers.iter().find(|(name, _)| name == "x-amz-copy-source").map(|(_, source)| source.clone());
        let source = source.and_then(|source| CopySource::parse(&source).ok());
        let version = query.iter().find(|(name, _)| name == "versionId").map(|(_, version)| version.as_str());
        let service = &self.door.service;
        let existing_tags = service.tags_of(asked.bucket, asked.key, version)?;
        let mut source_tags = Pairs::new();
        if let Some(CopySource::Bucket { bucket, key, version_id }) = &source {
            bucket.as_ref().clone_into(&mut self.listed);
            source_tags = service.tags_of(bucket, key, version_id.as_deref())?;
        }
        if OF_AN_UPLOAD.contains(&asked.operation) {
            service.add_upload_headers(asked, &query, &mut headers)?;
        }
        let call = Call {
            operation: asked.operation,
            bucket: asked.bucket,
            key: asked.key,
            query: &query,
            headers: &headers,
            deletes: &[],
            existing_tags: &existing_tags,
            source_tags: &source_tags,
        };
        let Some(demands) = demands(&call) else { return self.admit_unknown(asked.operation) };
        if demands.is_empty() && self.caller == Caller::Anonymous && self.guard(asked.bucket)?.policy.is_none() {
            return Err(bare_denial());
        }
        demands.iter().try_for_each(|demand| self.authorize(demand)).map_err(|denial| self.told(denial, asked))
    }

    /// The owner is told that there is no such operation here; nobody else gets that far.
    fn admit_unknown(&self, operation: &str) -> S3Result<()> {
        match &self.caller {
            Caller::Root { .. } => Ok(()),
            Caller::Anonymous => Err(bare_denial()),
            _ => Err(access_denied(&format!("{operation} is not known here, so no policy can allow it"))),
        }
    }

    /// True if nothing can be refused: the owner, at a bucket without a policy.
    fn is_free(&self, bucket: &str) -> S3Result<bool> {
        if !matches!(self.caller, Caller::Root { .. }) {
            return Ok(false);
        }
        let guard = self.guard(bucket)?;
        Ok(guard.policy.is_none() && !guard.unreadable)
    }

    fn guard(&self, bucket: &str) -> S3Result<Guard> {
        if bucket.is_empty() { Ok(Guard::default()) } else { self.door.guard(bucket) }
    }

    /// Decides one demand.
    pub(super) fn authorize(&self, demand: &Demand) -> S3Result<()> {
        let guard = bucket_of(&demand.resource).map(|bucket| self.guard(bucket)).transpose()?.unwrap_or_default();
        self.decide(demand, &guard)
    }

    /// Decides what DeleteObjects asks for one key, with the headers of the request.
    pub(super) fn authorize_delete(
        &self,
        bucket: &str,
        headers: &HeaderMap,
        object: (String, Option<String>),
    ) -> S3Result<()> {
        if self.is_free(bucket)? {
            return Ok(());
        }
        let (headers, deletes) = (header_pairs(headers), [object]);
        let call = Call { operation: "DeleteObjects", bucket, headers: &headers, deletes: &deletes, ..Call::default() };
        let demands = demands(&call).unwrap_or_default();
        if demands.is_empty() {
            return Err(bare_denial());
        }
        demands.iter().try_for_each(|demand| self.authorize(demand))
    }

    /// What to say of an object that is not there: only who may list the bucket may know.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>
    pub(super) fn missing(&self, said: S3Error) -> S3Error {
        let call = Call { operation: "HeadBucket", bucket: &self.listed, ..Call::default() };
        let demands = demands(&call).unwrap_or_default();
        demands.iter().try_for_each(|demand| self.authorize(demand)).err().unwrap_or(said)
    }

    fn decide(&self, demand: &Demand, guard: &Guard) -> S3Result<()> {
        let keeps_policy = matches!(self.caller, Caller::Root { .. })
            && matches!(demand.action, "s3:GetBucketPolicy" | "s3:PutBucketPolicy" | "s3:DeleteBucketPolicy");
        if guard.unreadable && !keeps_policy {
            return Err(access_denied("The bucket policy cannot be read, so nothing is allowed; write it anew"));
        }
        let anonymous = self.caller == Caller::Anonymous;
        if anonymous && guard.restricted {
            return Err(bare_denial());
        }
        let mut context = self.context.clone();
        for (name, value) in demand.context.iter() {
            context.set(name, value.clone());
        }
        let request = Request::new(self.caller.clone(), demand.action, &demand.resource);
        let request = request.map_err(|_| bare_denial())?.of_account(self.door.account.as_str()).with_context(context);
        let policies = Policies { resource: guard.policy.clone(), ..self.policies.clone() };
        let decision = evaluate(&policies, &request);
        match decision.verdict {
            Verdict::Allow => Ok(()),
            _ if anonymous => Err(bare_denial()),
            verdict => Err(access_denied(&self.denial(demand, verdict, decision.layer))),
        }
    }

    /// The refusal in AWS's words.
    ///
    /// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>
    fn denial(&self, demand: &Demand, verdict: Verdict, layer: Layer) -> String {
        let (user, action, policy) = (self.caller_arn(), demand.action, layer.aws_name());
        let resource: Cow<'_, str> = match demand.resource.as_str() {
            "*" => "".into(),
            arn => format!(" on resource: \"{arn}\"").into(),
        };
        let why = match verdict {
            Verdict::ExplicitDeny => {
                let article = if policy.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
                format!("with an explicit deny in {article} {policy}")
            }
            Verdict::Allow | Verdict::ImplicitDeny => format!("because no {policy} allows the {action} action"),
        };
        format!("User: {user} is not authorized to perform: {action}{resource} {why}")
    }

    /// Who is calling, as messages and GetCallerIdentity say it.
    pub(super) fn caller_arn(&self) -> String {
        match &self.caller {
            Caller::RoleSession { session, .. } => session.clone(),
            Caller::User { arn, .. } => arn.clone(),
            _ => format!("arn:aws:iam::{}:root", self.door.account),
        }
    }

    /// A refusal as the operation tells it. That a bucket is not there is no secret, and HeadBucket tells the Region even
    /// to those it refuses: clients find buckets that way.
    fn told(&self, mut denial: S3Error, asked: &Asked<'_>) -> S3Error {
        if asked.operation == "CreateBucket" || asked.bucket.is_empty() {
            return denial;
        }
        let found = self.door.service.look(|snapshot| bucket_record(&snapshot.buckets()?, asked.bucket));
        match found {
            Err(absent) => absent,
            Ok(record) => {
                let region = HeaderValue::from_str(&record.region).ok().filter(|_| asked.operation == "HeadBucket");
                denial.set_headers(region.map(|region| (REGION_HEADER, region)).into_iter().collect());
                denial
            }
        }
    }
}

impl Doorkeeper {
    /// What a bucket says; nothing for one that is not there.
    fn guard(&self, bucket: &str) -> S3Result<Guard> {
        let (text, block) = self.service.look(|snapshot| {
            let settings = snapshot.settings()?;
            let text: Option<String> = Kind::Policy.read(&settings, bucket)?;
            let block: Option<PublicAccessBlockConfiguration> = match &text {
                Some(_) => Kind::PublicAccess.read(&settings, bucket)?,
                // Nothing is public where there is no policy.
                None => None,
            };
            Ok((text, block))
        })?;
        let has_policy = text.is_some();
        let policy = text.and_then(|text| self.parsed.read(bucket, text));
        let restricts = block.is_some_and(|block| block.restrict_public_buckets.unwrap_or(false));
        let restricted = restricts && policy.as_ref().is_some_and(|policy| policy.document.is_public());
        Ok(Guard { unreadable: has_policy && policy.is_none(), policy, restricted })
    }
}

impl Service {
    /// The tags of an object; none if it is not there.
    fn tags_of(&self, bucket: &str, key: &str, version: Option<&str>) -> S3Result<Pairs> {
        if key.is_empty() {
            return Ok(Pairs::new());
        }
        let name = match version.map(parse_version_id).transpose() {
            Ok(name) => name,
            // The operation says what is wrong with it.
            Err(_) => return Ok(Pairs::new()),
        };
        let at = address(bucket, key);
        let found = self.look(|snapshot| match name {
            None => current(&snapshot.current()?, &at),
            Some(name) => find(&snapshot.current()?, &snapshot.noncurrent()?, &at, name),
        })?;
        Ok(found.and_then(|version| version.object).map(|object| object.tags).unwrap_or_default())
    }

    /// Puts the headers that began an upload in the place of those that its parts do not send.
    fn add_upload_headers(&self, asked: &Asked<'_>, query: &Pairs, headers: &mut Pairs) -> S3Result<()> {
        let Some((_, id)) = query.iter().find(|(name, _)| name == "uploadId") else { return Ok(()) };
        let at = address(asked.bucket, asked.key);
        let read = |snapshot: &Snapshot| -> Outcome<Option<UploadRecord>> {
            // The operation says that there is none.
            Ok(super::uploads::upload(&snapshot.uploads()?, &at, id).ok())
        };
        let Some(upload) = self.look(read)? else { return Ok(()) };
        let encryption = &upload.attributes.encryption;
        let algorithm = if encryption.kms { "aws:kms" } else { "AES256" };
        let began = [
            ("x-amz-server-side-encryption", Some(algorithm.to_owned())),
            ("x-amz-server-side-encryption-aws-kms-key-id", encryption.kms_key.clone()),
            ("x-amz-storage-class", upload.attributes.storage_class),
        ];
        for (name, value) in began {
            headers.retain(|(header, _)| header != name);
            headers.extend(value.map(|value| (name.to_owned(), value)));
        }
        Ok(())
    }
}
