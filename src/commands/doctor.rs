//! `doctor`: why a request was refused, and the smallest change that would help.
//!
//! A message is read first; what it cannot tell is asked of the account and the bucket, read only. Without credentials the
//! message alone is explained.

mod files;
mod look;
mod pod;

use super::kube::KubeArgs;
use super::{Context, Ending, LayoutArgs, Loaded};
use crate::cluster::AccountName;
use crate::config::{Settings, Target};
use crate::doctor::message::{self, MAX_BYTES};
use crate::doctor::seen::{Around, Layers};
use crate::doctor::{self, Case, Diagnosis, Known, Question, QuestionError, Reading};
use crate::error::CommandError;
use crate::local;
use crate::model::{AccountId, HumanBytes};
use crate::policy::Context as ConditionContext;
use crate::report::{Event, Finding, Outcome, Severity};
use crate::world::World;
use clap::Args;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

/// The layout that is taken if none is named.
const DEFAULT_LAYOUT: &str = "layout.toml";

/// Say why a request was refused, at which layer, and what to change
///
/// Reads AWS's AccessDenied message, as boto3, s3fs, the aws CLI, Flyte and others print it, or finds the most telling one
/// in a log. Then decides the request once more over everything that may be read: the role's policies, its boundary, the
/// bucket policy and the bucket itself; says what may not be read, and when each policy last changed. The change that it
/// proposes is an edit of the layout where the layout owns the policy, and has been tried before it is shown. Writes
/// nothing.
///
/// With `--pod` the pod is looked at in its cluster first: its service account, its node, and its log, also that of the
/// container before its last start. If its identity is at fault, that comes first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl logs POD | bucketwright doctor -
  bucketwright doctor 'An error occurred (AccessDenied) when calling the PutObject operation: ...'
  bucketwright doctor --pod flytesnacks-development/a6w-n0-0 --cluster education-eks-vV8VCAqw
  bucketwright doctor --principal trainer --action s3:PutObject --resource s3://lake/models/m.bin
  bucketwright doctor --principal trainer --action HeadBucket --resource s3://lake --policy policy.json

Exits 4 if a cause was found, 0 if the request would be allowed now, and 2 if no
refusal could be read.")]
pub struct DoctorArgs {
    /// The message, a file with it, or `-` for a log on standard input
    #[arg(value_name = "MESSAGE")]
    message: Option<String>,
    /// A pod: as whom it asks, the refusal in its log, and why
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = parse_pod, conflicts_with_all = ["message", "principal"])]
    pod: Option<AccountName>,
    /// With `--pod`: the EKS cluster that it is in, which tells the roles of nodes and of Pod Identity
    #[arg(long, value_name = "NAME", requires = "pod")]
    cluster: Option<String>,
    #[command(flatten)]
    kube: KubeArgs,
    /// The layout that owns the policies [default: layout.toml, where there is one]
    #[arg(long, value_name = "FILE")]
    layout: Option<PathBuf>,
    /// Environment of the layout: its account, region, profile and variables
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    /// Who asked: an ARN, or the name of a role of the account
    #[arg(long, value_name = "ARN|ROLE")]
    principal: Option<String>,
    /// The action, such as s3:PutObject, or the call, such as HeadBucket
    #[arg(long)]
    action: Option<String>,
    /// The resource: s3://BUCKET[/KEY] or an ARN; for listings what follows the bucket is the prefix
    #[arg(long, value_name = "PLACE")]
    resource: Option<String>,
    /// A condition key of the request
    #[arg(long, value_name = "KEY=VALUE")]
    context: Vec<String>,
    /// Look at nothing, and take this policy of the role or user
    #[arg(long, value_name = "FILE")]
    policy: Vec<PathBuf>,
    /// Look at nothing, and take this bucket policy
    #[arg(long, value_name = "FILE")]
    bucket_policy: Option<PathBuf>,
    /// Look at nothing, and take this permissions boundary
    #[arg(long, value_name = "FILE")]
    boundary: Option<PathBuf>,
    /// Look at nothing: explain what the message alone tells
    #[arg(long)]
    offline: bool,
}

/// Pods are named as service accounts are.
fn parse_pod(text: &str) -> Result<AccountName, String> {
    text.parse().map_err(|_| "write NAMESPACE/NAME, as `kubectl get pods -A` shows them".to_owned())
}

/// Runs the verb.
pub async fn run(args: &DoctorArgs, context: &Context) -> Result<Ending, CommandError> {
    if let Some(name) = &args.pod {
        return Box::pin(pod::run(name, args, context)).await;
    }
    if args.kube.is_given() {
        return Err(CommandError::usage("without `--pod` no cluster is asked, so none need be named"));
    }
    let reading = read_message(args)?;
    let question = question(args, reading.as_ref())?;
    diagnose(args, reading, question, context).await
}

/// Says why, from what was read and asked.
async fn diagnose(
    args: &DoctorArgs,
    reading: Option<Reading>,
    question: Question,
    context: &Context,
) -> Result<Ending, CommandError> {
    if let Some(reading) = &reading {
        context.ui.event(&Event::Symptom(reading.record()));
    }
    let loaded = load(args, context)?;
    let looks = reading.as_ref().is_none_or(|reading| reading.symptom.trouble.is_about_bucket());
    if files::given(args) {
        let case = files::case(args, &question, reading.as_ref(), loaded)?;
        return Ok(show(&doctor::diagnose(&case), reading.as_ref(), context));
    }
    if args.offline || !looks {
        return alone(reading.as_ref(), &question, context);
    }
    match open(loaded.as_ref(), &question, context).await {
        Ok(world) => look_and_tell(&world, loaded, question, reading, args, context).await,
        Err(failed) => match &reading {
            // What the message tells is worth more than that nobody could be asked.
            Some(_) => {
                let why = failed.records.first().map(|record| record.message.clone()).unwrap_or_default();
                context.ui.warning(&format!("nothing was looked at, only the message was read: {why}"));
                alone(reading.as_ref(), &question, context)
            }
            None => Err(failed),
        },
    }
}

/// Asks the account and the bucket, and tells what is found.
async fn look_and_tell(
    world: &World,
    loaded: Option<Loaded>,
    question: Question,
    reading: Option<Reading>,
    args: &DoctorArgs,
    context: &Context,
) -> Result<Ending, CommandError> {
    context.ui.event(&Event::Identity(world.identity_record()));
    let subject = look::Subject {
        question,
        reading: reading.clone(),
        context: typed_context(&args.context)?,
        layout: loaded.map(|loaded| (loaded.layout, layout_name(args))),
    };
    let looked = super::announced("looking at the account and the bucket", look::look(world, subject), context).await?;
    for finding in looked.notes {
        context.ui.event(&Event::Finding(finding));
    }
    match looked.case {
        Ok(case) => {
            if let Some(hint) = looked.hint {
                context.ui.hint(&hint);
            }
            Ok(show(&doctor::diagnose(&case), reading.as_ref(), context))
        }
        Err(missing) => {
            for finding in looked.places {
                let is_told = reading.as_ref().is_some_and(|reading| reading.symptom.trouble.code() == finding.code);
                let finding = if is_told { Finding { severity: Severity::Warning, ..finding } } else { finding };
                context.ui.event(&Event::Finding(finding));
            }
            match reading {
                Some(_) => {
                    context.ui.hint(&format!("{missing}; with it the policies could be looked at"));
                    alone(reading.as_ref(), &Question::default(), context)
                }
                None => Err(CommandError::usage(missing.to_string())),
            }
        }
    }
}

/// What the message alone tells.
fn alone(reading: Option<&Reading>, question: &Question, context: &Context) -> Result<Ending, CommandError> {
    let Some(reading) = reading else {
        let missing = question.request(&Known::default()).err().map_or_else(String::new, |missing| missing.to_string());
        return Err(CommandError::usage(format!("there is nothing to explain: {missing}"))
            .hint("give a message, or `--policy FILE` with `--principal`, `--action` and `--resource`"));
    };
    let findings = std::iter::once(doctor::explain(&reading.symptom)).chain(doctor::asides(&reading.symptom));
    findings.for_each(|finding| context.ui.event(&Event::Finding(finding)));
    Ok(Ending::answered(Outcome::Differs))
}

/// The cause, then what it rests on, then the layers, then what to change.
fn show(diagnosis: &Diagnosis, reading: Option<&Reading>, context: &Context) -> Ending {
    let ui = &context.ui;
    // A message about something else than a policy is its own first cause.
    let told = reading.filter(|reading| !reading.symptom.trouble.is_about_policies());
    let is_found = |code: &str| diagnosis.findings.iter().any(|finding| finding.code == code);
    if let Some(reading) = told.filter(|reading| !is_found(reading.symptom.trouble.code())) {
        ui.event(&Event::Finding(doctor::explain(&reading.symptom)));
    }
    diagnosis.findings.iter().for_each(|finding: &Finding| ui.event(&Event::Finding(finding.clone())));
    ui.event(&Event::Decision(diagnosis.decision.clone()));
    diagnosis.rows.iter().for_each(|row| ui.event(&Event::Layer(row.clone())));
    diagnosis.remedies.iter().for_each(|remedy| ui.event(&Event::Remedy(remedy.clone())));
    let refused = told.is_some() || diagnosis.has_cause();
    Ending::answered(if refused { Outcome::Differs } else { Outcome::Done })
}

/// The refusal in what was given; none if nothing was given.
fn read_message(args: &DoctorArgs) -> Result<Option<Reading>, CommandError> {
    let Some(given) = &args.message else {
        if args.principal.is_none() && args.action.is_none() && args.resource.is_none() {
            return Err(CommandError::usage("there is nothing to explain").hint(
                "give a message, `-` for a log on standard input, or `--principal`, `--action` and `--resource`",
            ));
        }
        return Ok(None);
    };
    let path = Path::new(given);
    let text = match given.as_str() {
        "-" if std::io::stdin().is_terminal() => {
            return Err(CommandError::usage("`-` reads a log from standard input, and there is none")
                .hint("write `kubectl logs POD | bucketwright doctor -`"));
        }
        "-" => bounded(local::read_stdin_at_most(MAX_BYTES), path)?,
        // A message has blanks; what has none and is there is a file.
        name if !name.contains(char::is_whitespace) && local::exists(path) => {
            bounded(local::read_at_most(path, MAX_BYTES), path)?
        }
        text => text.to_owned(),
    };
    match message::read(&text) {
        Some(reading) => Ok(Some(reading)),
        None => {
            let lines = text.lines().count();
            let failed = CommandError::new(
                "no-refusal",
                Outcome::Invalid,
                format!("no refusal of AWS was found in {lines} lines"),
            );
            Err(failed
                .hint("the line with `AccessDenied`, `Forbidden` or `403` is what tells; logs may need more detail"))
        }
    }
}

fn bounded(read: std::io::Result<Option<Vec<u8>>>, path: &Path) -> Result<String, CommandError> {
    let bytes = read.map_err(|error| CommandError::unreadable(path, &error))?.ok_or_else(|| {
        CommandError::new("log", Outcome::Invalid, format!("the log is larger than {}", HumanBytes(MAX_BYTES)))
            .hint("give the part with the refusal, for example with `grep -i denied`")
    })?;
    // A log may hold anything; what is no text cannot be a message.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What is asked about.
fn question(args: &DoctorArgs, reading: Option<&Reading>) -> Result<Question, CommandError> {
    let asked = reading.map(|reading| Question::of(&reading.symptom)).unwrap_or_default();
    let (resource, prefix) = match &args.resource {
        Some(text) => place(text, args.action.as_deref().or(asked.action.as_deref()))?,
        None => (None, None),
    };
    let operation = args.action.clone().filter(|action| !action.contains(':'));
    let typed =
        Question { principal: args.principal.clone(), action: args.action.clone(), operation, resource, prefix };
    Ok(asked.with(typed))
}

/// The ARN of a place, and for listings the prefix.
fn place(text: &str, action: Option<&str>) -> Result<(Option<String>, Option<String>), CommandError> {
    let lists = action.is_some_and(|action| {
        let name = action.trim_start_matches("s3:").to_ascii_lowercase();
        name.starts_with("listbucket") && !name.contains("upload") || name.starts_with("listobject")
    });
    let Some(place) = text.strip_prefix("s3://") else {
        if text == "*" || (text.starts_with("arn:") && text.split(':').count() >= 6) {
            return Ok((Some(text.to_owned()), None));
        }
        return Err(CommandError::usage(format!("`{text}` is no resource: write s3://BUCKET/KEY or an ARN")));
    };
    Ok(match place.split_once('/') {
        Some((bucket, prefix)) if lists => (Some(format!("arn:aws:s3:::{bucket}")), Some(prefix.to_owned())),
        Some((bucket, "")) => (Some(format!("arn:aws:s3:::{bucket}")), None),
        _ => (Some(format!("arn:aws:s3:::{place}")), None),
    })
}

fn typed_context(typed: &[String]) -> Result<ConditionContext, CommandError> {
    typed.iter().try_fold(ConditionContext::default(), |known, pair| match pair.split_once('=') {
        Some((name, value)) => Ok(known.with(name, value)),
        None => Err(CommandError::usage("write `--context` as KEY=VALUE")),
    })
}

/// The layout that was named, or that is here.
fn load(args: &DoctorArgs, context: &Context) -> Result<Option<Loaded>, CommandError> {
    let path = match &args.layout {
        Some(path) => path.clone(),
        None if local::exists(Path::new(DEFAULT_LAYOUT)) => PathBuf::from(DEFAULT_LAYOUT),
        None => return Ok(None),
    };
    let named = LayoutArgs { layout: path.clone(), env: args.env.clone() };
    match super::load(&named, context) {
        Ok(loaded) => Ok(Some(loaded)),
        // Whoever did not name it may not even know that it is there.
        Err(failed) if args.layout.is_none() && args.env.is_none() => {
            let why = failed.records.first().map(|record| record.message.clone()).unwrap_or_default();
            context.ui.warning(&format!("`{}` is not used: {why}", path.display()));
            Ok(None)
        }
        Err(failed) => Err(failed),
    }
}

fn layout_name(args: &DoctorArgs) -> String {
    args.layout.as_ref().map_or_else(|| DEFAULT_LAYOUT.to_owned(), |path| path.display().to_string())
}

/// Connects, as the layout says where there is one. The layout's account is no guard here: nothing is written.
async fn open(loaded: Option<&Loaded>, question: &Question, context: &Context) -> Result<World, CommandError> {
    let layout = loaded.map(|loaded| &loaded.layout);
    let profile = layout.and_then(|layout| layout.profile.as_deref());
    let region = layout.and_then(|layout| layout.region.as_ref());
    let settings = Settings::resolve(&context.flags, profile, region, &context.environment)?;
    // The embedded endpoint is of whatever account is asked about.
    let asked =
        question.principal.as_deref().and_then(|arn| arn.split(':').nth(4)).and_then(|id| id.parse::<AccountId>().ok());
    let account = match (&settings.target, layout.and_then(|layout| layout.account.clone())) {
        (_, Some(account)) => Some(account),
        (Target::Local { .. }, None) => asked,
        (Target::Remote { .. }, None) => None,
    };
    super::open(&settings, account.as_ref(), context).await
}

/// A case of which nothing was looked at.
fn unseen(
    question: &Question,
    known: &Known,
    reading: Option<&Reading>,
    layers: Layers,
    loaded: Option<(crate::layout::Layout, String)>,
) -> Result<Case, QuestionError> {
    Ok(Case {
        request: question.request(known)?,
        operation: question.operation.clone(),
        symptom: reading.map(|reading| reading.symptom.clone()),
        layers,
        around: Around { layout: loaded, ..Around::nothing() },
    })
}
