//! `policy generate`: policy documents from a layout's grants, or from what is typed.

mod bucket_side;
mod remarks;
mod trust;

use super::invalid;
use crate::commands::{Context, Ending, LayoutArgs, load};
use crate::error::CommandError;
use crate::layout::{Bucket, FolderAccess, Grant, Layout, ListScope, Place, Purpose};
use crate::model::{AccountId, Arn, BucketName, Prefix};
use crate::policy::entitlement::{Entitlement, Ground};
use crate::policy::generate::flyte::{self, FlyteBuckets};
use crate::policy::generate::trust::{OidcIssuer, ServiceAccount};
use crate::policy::generate::{self, Form, Frame, Generated, Kind, operator, terraform};
use crate::report::{Event, Outcome, PolicyRecord};
use clap::{Args, ValueEnum};
use serde::Serialize as _;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Make policy documents: least privilege from a layout's grants, or from options
///
/// One document is printed as it is, several as one object by name. Bucket and object actions stand apart, listings are
/// limited to the granted folders, and no grant gives more than its folders allow. What is too large for one managed
/// policy becomes several, all of them to be attached. Nothing is written to the account.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright policy generate layout.toml                       every grant's policy
  bucketwright policy generate layout.toml --grant FlyteMLS3Access > policy.json
  bucketwright policy generate --bucket shared-bucket --prefix team-a --access read-write
  bucketwright policy generate --bucket b --access read --kms-key arn:aws:kms:us-east-1:<account>:key/<id>
  bucketwright policy generate --flyte --bucket x-flyte-metadata --bucket x-flyte-userdata
  bucketwright policy generate layout.toml --type bucket         TLS only, log delivery
  bucketwright policy generate --type bucket --bucket b --access read \\
      --principal arn:aws:iam::<other account>:role/reader       the bucket's half for another account
  bucketwright policy generate layout.toml --type trust --oidc-issuer my-cluster=https://oidc.eks...
  bucketwright policy generate layout.toml --for operator        what this tool itself needs
  bucketwright policy generate layout.toml --for retire          what `retire` needs beside that")]
pub struct GenerateArgs {
    /// The layout file [default: layout.toml, unless options say it all]
    #[arg(value_name = "LAYOUT")]
    layout: Option<PathBuf>,
    /// Environment of the layout: its account, region, profile and variables
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    /// Only the policies of these grants
    #[arg(long, value_name = "NAME", conflicts_with_all = ["bucket", "flyte"])]
    grant: Vec<String>,
    #[command(flatten)]
    typed: TypedArgs,
    /// The kind of document
    #[arg(long = "type", value_enum, default_value_t = DocumentType::Identity, value_name = "TYPE")]
    kind: DocumentType,
    /// For whom, instead of the grants: `operator` is whoever runs this tool, `retire` is beside that for `retire`
    #[arg(long = "for", value_enum, value_name = "WHO", conflicts_with_all = ["grant", "bucket", "flyte", "seed_compatible"])]
    audience: Option<Audience>,
    /// The plain documents of hand-made set-ups: no Sids, no multipart rights, folder limits ignored
    #[arg(long, conflicts_with_all = ["list", "flyte", "guard", "kms_key"])]
    seed_compatible: bool,
    /// The account of buckets and OIDC providers, unless the layout names it
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// Allow only buckets of that account, so that nobody else's bucket under a freed name is ever used
    #[arg(long)]
    guard: bool,
    #[command(flatten)]
    trust: TrustArgs,
    /// The form of the output
    #[arg(long, value_enum, default_value_t = DocumentFormat::Json, value_name = "FORMAT")]
    format: DocumentFormat,
}

/// What is wanted, where no grant says so.
#[derive(Debug, Args)]
#[command(next_help_heading = "Instead of grants")]
struct TypedArgs {
    /// A bucket; a layout, if given, says what its folders allow
    #[arg(long, value_name = "BUCKET")]
    bucket: Vec<BucketName>,
    /// A folder of every bucket; without it the whole buckets
    #[arg(long, value_name = "PREFIX", requires = "bucket", conflicts_with = "flyte")]
    prefix: Vec<String>,
    /// How much
    #[arg(long, value_enum, value_name = "ACCESS")]
    access: Option<AccessWord>,
    /// How much a listing may see: the folders, the names at the top level too, or every key's name
    #[arg(long, value_enum, value_name = "SCOPE", conflicts_with_all = ["grant", "flyte"])]
    list: Option<ListWord>,
    /// The KMS key of the buckets
    #[arg(long, value_name = "ARN", requires = "bucket")]
    kms_key: Option<Arn>,
    /// The policies of a Flyte installation: for the backend, and for tasks
    #[arg(long)]
    flyte: bool,
    /// The policy's name [default: bucket, folder and access]
    #[arg(long, value_name = "NAME", conflicts_with = "grant")]
    name: Option<String>,
    /// Who gets the access, in a bucket policy: the ARN of a role or user of another account
    #[arg(long, value_name = "ARN")]
    principal: Vec<Arn>,
}

/// Who may take a role.
#[derive(Debug, Args)]
#[command(next_help_heading = "Trust policies")]
struct TrustArgs {
    /// The issuer of a cluster's OIDC provider, for IRSA; the cluster's name may be left out where there is one
    #[arg(long, value_name = "[CLUSTER=]URL")]
    oidc_issuer: Vec<String>,
    /// A service account that may take the role; without an issuer by Pod Identity
    #[arg(long, value_name = "NAMESPACE/NAME")]
    service_account: Vec<ServiceAccount>,
    /// The role's name, for `--service-account`
    #[arg(long, value_name = "NAME", requires = "service_account")]
    role: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DocumentType {
    /// For roles and users
    Identity,
    /// For buckets
    Bucket,
    /// For roles of service accounts: who may take them
    Trust,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Audience {
    /// Whoever runs this tool
    Operator,
    /// Whoever runs `retire`, beside the operator's rights
    Retire,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DocumentFormat {
    /// The documents
    Json,
    /// Terraform resources
    Terraform,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AccessWord {
    /// Read
    Read,
    /// Read and put, no delete
    Append,
    /// Read, put and delete
    ReadWrite,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ListWord {
    /// The granted folders
    Scoped,
    /// Also the names at the top level
    Root,
    /// Every key of the bucket
    Bucket,
}

impl From<AccessWord> for FolderAccess {
    fn from(word: AccessWord) -> Self {
        match word {
            AccessWord::Read => Self::Read,
            AccessWord::Append => Self::Append,
            AccessWord::ReadWrite => Self::ReadWrite,
        }
    }
}

impl From<ListWord> for ListScope {
    fn from(word: ListWord) -> Self {
        match word {
            ListWord::Scoped => Self::Scoped,
            ListWord::Root => Self::Root,
            ListWord::Bucket => Self::Bucket,
        }
    }
}

/// What the documents are made from.
struct Sources {
    layout: Option<Layout>,
    frame: Frame,
    account: Option<AccountId>,
}

/// Runs the verb.
pub fn run(args: &GenerateArgs, context: &Context) -> Result<Ending, CommandError> {
    let sources = sources(args, context)?;
    let documents = match (args.audience, args.kind) {
        (Some(Audience::Operator), _) => {
            operator::of_layout(layout_of(&sources)?, &sources.frame, sources.account.as_ref())?
        }
        (Some(Audience::Retire), _) => operator::of_retiring(layout_of(&sources)?, &sources.frame)?,
        (None, DocumentType::Identity) => identities(args, &sources, context)?,
        (None, DocumentType::Bucket) => bucket_side::documents(args, &sources, context)?,
        (None, DocumentType::Trust) => trust::documents(args, &sources, context)?,
    };
    if documents.is_empty() {
        return Err(invalid("there is nothing to make a document of".to_owned())
            .hint("the layout needs a `[[grant]]`, or say `--bucket` and `--access`"));
    }
    show(&documents, args.format, context);
    Ok(Ending::answered(Outcome::Done))
}

/// Prints the documents.
fn show(documents: &[Generated], format: DocumentFormat, context: &Context) {
    match format {
        DocumentFormat::Terraform => context.ui.answer(&terraform::render(documents)),
        DocumentFormat::Json if context.ui.is_json() => {
            for one in documents {
                let kind = match one.kind {
                    Kind::Identity => "identity",
                    Kind::Bucket(_) => "bucket",
                    Kind::Trust => "trust",
                };
                context.ui.event(&Event::Policy(PolicyRecord {
                    name: one.name.clone(),
                    kind,
                    characters: one.characters() as u64,
                    document: one.document.clone(),
                }));
            }
        }
        DocumentFormat::Json => {
            let whole = match documents {
                [one] => one.document.clone(),
                several => {
                    let named = several.iter().map(|one| (one.name.clone(), one.document.clone()));
                    Value::Object(named.collect::<Map<_, _>>())
                }
            };
            context.ui.answer(&pretty(&whole));
        }
    }
}

/// The text with four blanks a level, as the consoles of AWS show documents.
fn pretty(document: &Value) -> String {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    // A value made of texts, lists and maps with text keys cannot fail to be written to memory.
    _ = document.serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter));
    text.push(b'\n');
    String::from_utf8_lossy(&text).into_owned()
}

fn sources(args: &GenerateArgs, context: &Context) -> Result<Sources, CommandError> {
    let typed_is_enough = !args.typed.bucket.is_empty() || !args.trust.service_account.is_empty();
    let path = args.layout.clone().or_else(|| (!typed_is_enough).then(|| PathBuf::from("layout.toml")));
    let layout = match path {
        Some(layout) => Some(load(&LayoutArgs { layout, env: args.env.clone() }, context)?.layout),
        None => None,
    };
    let known = layout.as_ref().and_then(|layout| layout.account.clone());
    if let (Some(known), Some(typed)) = (&known, &args.account)
        && known != typed
    {
        return Err(CommandError::usage(format!("the layout is for account `{known}`, `--account` says `{typed}`"))
            .hint("drop `--account`, or choose another `--env`"));
    }
    let account = known.or_else(|| args.account.clone());
    if args.guard && account.is_none() {
        return Err(CommandError::usage("`--guard` needs to know the account")
            .hint("pass `--account`, or name the account in the layout"));
    }
    let region = context.flags.region.as_ref().or_else(|| layout.as_ref()?.region.as_ref());
    let of_key = || args.typed.kms_key.as_ref().map(Arn::partition);
    let partition = region.map(|region| region.partition()).or_else(of_key).unwrap_or("aws").to_owned();
    let guard = account.clone().filter(|_| args.guard);
    Ok(Sources { layout, frame: Frame { partition, guard }, account })
}

fn layout_of(sources: &Sources) -> Result<&Layout, CommandError> {
    sources.layout.as_ref().ok_or_else(|| CommandError::usage("this needs a layout").hint("name the layout file"))
}

/// What every policy asked for is to give.
fn entitlements(args: &GenerateArgs, sources: &Sources) -> Result<Vec<Entitlement>, CommandError> {
    if args.typed.flyte {
        return flyte_entitlements(args, sources);
    }
    if !args.typed.bucket.is_empty() {
        return Ok(vec![typed_entitlement(&args.typed, sources)?]);
    }
    let layout = layout_of(sources)?;
    let unknown = args.grant.iter().find(|name| layout.grants.iter().all(|grant| grant.policy != **name));
    if let Some(name) = unknown {
        let known: Vec<&str> = layout.grants.iter().map(|grant| grant.policy.as_str()).collect();
        let failed = CommandError::usage(format!("the layout has no grant `{name}`"));
        return Err(failed.hint(format!("grants: {}", known.join(", "))));
    }
    let wanted = |grant: &&Grant| args.grant.is_empty() || args.grant.contains(&grant.policy);
    Ok(layout.grants.iter().filter(wanted).map(|grant| Entitlement::of_grant(layout, grant)).collect())
}

fn identities(args: &GenerateArgs, sources: &Sources, context: &Context) -> Result<Vec<Generated>, CommandError> {
    let form = if args.seed_compatible { Form::Seed } else { Form::Least };
    let mut documents: Vec<Generated> = Vec::new();
    for entitlement in entitlements(args, sources)? {
        let parts = generate::identity(&entitlement, form, &sources.frame)?;
        remarks::about(&entitlement, form, &parts, context);
        for part in &parts {
            if let Some(taken) = documents.iter().find(|other| other.name.eq_ignore_ascii_case(&part.name)) {
                return Err(invalid(format!("two policies would be called `{}`", taken.name))
                    .hint("a grant that is split names its parts NAME-1, NAME-2; give the other another name"));
            }
        }
        documents.extend(parts);
    }
    Ok(documents)
}

/// What is known of the buckets: from the layout, and the key that was typed.
fn grounds(args: &TypedArgs, sources: &Sources) -> BTreeMap<BucketName, Ground> {
    let known = sources.layout.iter().flat_map(|layout| &layout.buckets);
    let mut grounds: BTreeMap<BucketName, Ground> =
        known.map(|bucket| (bucket.name.clone(), Ground::of(bucket))).collect();
    for bucket in &args.bucket {
        let ground = grounds.entry(bucket.clone()).or_default();
        if let Some(key) = &args.kms_key {
            ground.kms_key = Some(key.clone());
        }
    }
    grounds
}

fn typed_entitlement(args: &TypedArgs, sources: &Sources) -> Result<Entitlement, CommandError> {
    let access: FolderAccess = args
        .access
        .ok_or_else(|| CommandError::usage("`--bucket` needs `--access`: read, append or read-write"))?
        .into();
    let prefixes = match &args.prefix[..] {
        [] => vec![Prefix::root()],
        typed => typed.iter().map(|text| folder(text)).collect::<Result<_, _>>()?,
    };
    let mut places: Vec<Place> = Vec::new();
    for bucket in &args.bucket {
        for prefix in &prefixes {
            let place = Place { bucket: bucket.clone(), prefix: prefix.clone() };
            if !places.contains(&place) {
                places.push(place);
            }
        }
    }
    let name = args.name.clone().unwrap_or_else(|| name_of(&places, access));
    let list = args.list.map_or(ListScope::Scoped, ListScope::from);
    Ok(Entitlement { name: checked_name(name)?, access, list, places, grounds: grounds(args, sources) })
}

/// A folder as typed, with or without its slash.
fn folder(text: &str) -> Result<Prefix, CommandError> {
    let bare = text.trim_end_matches('/');
    if bare.is_empty() || bare.starts_with('/') || bare.contains("//") {
        return Err(CommandError::usage(format!("`{text}` is no folder"))
            .hint("write it as `team-a` or `team-a/data`; leave `--prefix` out for the whole bucket"));
    }
    if bare.ends_with('*') {
        return Err(CommandError::usage(format!("`{text}` ends in a star, which would be part of its name"))
            .hint(format!("write `{}`: all that lies in it is meant", bare.trim_end_matches(['*', '/']))));
    }
    Prefix::root().folder(bare).map_err(|error| CommandError::usage(error.to_string()))
}

/// `shared-bucket-team-a-read-write`: what it is on, and how much it gives.
fn name_of(places: &[Place], access: FolderAccess) -> String {
    let first = places
        .first()
        .map_or_else(String::new, |place| format!("{}-{}", place.bucket, place.prefix.as_str().replace('/', "-")));
    let more = if places.len() > 1 { format!("-and-{}-more", places.len() - 1) } else { String::new() };
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "+=,.@_-".contains(letter);
    let stem: String =
        first.trim_end_matches('-').chars().map(|letter| if legal(letter) { letter } else { '_' }).collect();
    let tail = format!("{more}-{access}");
    let room = 128 - tail.len();
    format!("{}{tail}", stem.get(..room).unwrap_or(&stem))
}

fn checked_name(name: String) -> Result<String, CommandError> {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "+=,.@_-".contains(letter);
    if (1..=128).contains(&name.len()) && name.chars().all(legal) {
        return Ok(name);
    }
    Err(CommandError::usage(format!("`{name}` is no name of a policy"))
        .hint("IAM takes 1 to 128 letters, digits and `+=,.@_-`"))
}

fn flyte_entitlements(args: &GenerateArgs, sources: &Sources) -> Result<Vec<Entitlement>, CommandError> {
    let of_layout = || {
        let declared = |bucket: &&Bucket| bucket.purpose == Purpose::Declared;
        let buckets = sources.layout.iter().flat_map(|layout| &layout.buckets).filter(declared);
        buckets.map(|bucket| bucket.name.clone()).collect()
    };
    let typed = &args.typed;
    let buckets = if typed.bucket.is_empty() { of_layout() } else { typed.bucket.clone() };
    let buckets = FlyteBuckets::sort(&buckets)
        .ok_or_else(|| CommandError::usage("`--flyte` needs to know its buckets").hint("name them with `--bucket`"))?;
    let name = checked_name(typed.name.clone().unwrap_or_else(|| "flyte".to_owned()))?;
    let access = typed.access.map_or(FolderAccess::Read, FolderAccess::from);
    Ok(flyte::entitlements(&name, &buckets, access, &grounds(typed, sources)))
}

/// The issuers that were typed, by cluster; the empty name stands for one that was given without.
fn issuers(args: &TrustArgs) -> Result<BTreeMap<String, OidcIssuer>, CommandError> {
    let issuer = |text: &String| {
        let (cluster, url) = match text.split_once('=') {
            Some((cluster, url)) => (cluster, url),
            None => ("", text.as_str()),
        };
        let issuer =
            url.parse().map_err(|error: generate::trust::OidcIssuerError| CommandError::usage(error.to_string()));
        issuer.map(|issuer| (cluster.to_owned(), issuer))
    };
    args.oidc_issuer.iter().map(issuer).collect()
}
