//! `policy lint`: what is wrong or unwise about policy documents, with what to write instead.

use super::eval::is_layout;
use crate::access;
use crate::commands::{Closing, Context, Ending, LayoutArgs, load};
use crate::error::CommandError;
use crate::layout::Layout;
use crate::local;
use crate::model::BucketName;
use crate::policy::MAX_DOCUMENT_BYTES;
use crate::policy::lint::{self, PolicyType, Subject};
use crate::policy::sharing::shared_buckets;
use crate::report::{Event, Finding, Outcome, Severity, Summary};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// Say what is wrong or unwise about policy documents, and what to write instead
///
/// Findings carry the codes of IAM Access Analyzer where it has one, and `BW_` codes for the traps of S3; docs/lint.md
/// lists them all. Of a layout (a file ending in .toml) the policies that its grants make are looked at, and whether
/// different principals may write all of one bucket (`shared-bucket`). Nothing is asked over the network.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright policy lint role-policy.json
  bucketwright policy lint --bucket my-bucket bucket-policy.json
  bucketwright policy lint --type trust trust.json --fail-on warning
  bucketwright policy lint layout.toml --fail-on warning
  aws iam get-policy-version ... --query PolicyVersion.Document | bucketwright policy lint -

Exits 4 if there is a finding at or above `--fail-on`.")]
pub struct LintArgs {
    /// Policy documents, or layouts; `-` for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Environment of the layouts
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    /// What the policies are attached to [default: identity; bucket with --bucket]
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    kind: Option<Kind>,
    /// The bucket that the bucket policies are for
    #[arg(long, value_name = "NAME")]
    bucket: Option<BucketName>,
    /// The least severity that ends with exit code 4
    #[arg(long, value_enum, default_value_t = FailOn::SecurityWarning, value_name = "SEVERITY")]
    fail_on: FailOn,
}

/// `--type`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Of a user, group or role
    Identity,
    /// Of a bucket
    Bucket,
    /// Permissions boundary
    Boundary,
    /// Of a session
    Session,
    /// Service control policy
    Scp,
    /// Resource control policy
    Rcp,
    /// Of a role: who may take it
    Trust,
}

impl From<Kind> for PolicyType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Identity => Self::Identity,
            Kind::Bucket => Self::Bucket,
            Kind::Boundary => Self::Boundary,
            Kind::Session => Self::Session,
            Kind::Scp => Self::Scp,
            Kind::Rcp => Self::Rcp,
            Kind::Trust => Self::Trust,
        }
    }
}

/// `--fail-on`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// Errors only
    Error,
    /// Errors, and grants wider than they should be
    SecurityWarning,
    /// All but suggestions
    Warning,
}

impl From<FailOn> for Severity {
    fn from(least: FailOn) -> Self {
        match least {
            FailOn::Error => Self::Error,
            FailOn::SecurityWarning => Self::SecurityWarning,
            FailOn::Warning => Self::Warning,
        }
    }
}

impl LintArgs {
    fn kind(&self) -> Result<PolicyType, CommandError> {
        match (self.kind, &self.bucket) {
            (None | Some(Kind::Bucket), Some(_)) => Ok(PolicyType::Bucket),
            (Some(_), Some(_)) => Err(CommandError::usage("`--bucket` is for bucket policies")
                .hint("leave `--type` out, or pass `--type bucket`")),
            (kind, None) => Ok(kind.unwrap_or(Kind::Identity).into()),
        }
    }
}

/// Runs the verb. Nothing is said if one of the files cannot be read.
pub fn run(args: &LintArgs, context: &Context) -> Result<Ending, CommandError> {
    let kind = args.kind()?;
    if args.files.iter().filter(|path| is_stdin(path)).count() > 1 {
        return Err(CommandError::usage("standard input can be read once; name `-` once"));
    }
    let mut findings: Vec<Finding> = Vec::new();
    for path in &args.files {
        if is_layout(path) {
            findings.extend(of_layout(
                &load(&LayoutArgs { layout: path.clone(), env: args.env.clone() }, context)?.layout,
            )?);
            continue;
        }
        let target = if is_stdin(path) { "stdin".to_owned() } else { path.display().to_string() };
        let subject = Subject { target: &target, kind, bucket: args.bucket.as_ref() };
        findings.extend(lint::lint(&read(path)?, &subject));
    }
    findings.iter().for_each(|finding| context.ui.event(&Event::Finding(finding.clone())));
    let fails = findings.iter().any(|finding| finding.severity >= args.fail_on.into());
    let summary = Summary { closing: Some(closing(&findings, args.files.len())), ..Summary::default() };
    let outcome = if fails { Outcome::Differs } else { Outcome::Done };
    Ok(Ending { summary, outcome, closing: Closing::Shown, last_word: None })
}

/// What is to be said of the policies that the grants make, and of the grants beside each other.
fn of_layout(layout: &Layout) -> Result<Vec<Finding>, CommandError> {
    let mut findings = shared_buckets(layout);
    for grant in &layout.grants {
        for (name, document) in access::documents_of(layout, grant, "aws")? {
            let target = format!("policy/{name}");
            let subject = Subject { target: &target, kind: PolicyType::Identity, bucket: None };
            findings.extend(lint::lint(document.0.as_bytes(), &subject));
        }
    }
    Ok(findings)
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// A document's bytes. One that is too large is read so far that the linter says so itself.
fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    let most_bytes = MAX_DOCUMENT_BYTES as u64;
    let read = match is_stdin(path) {
        true => local::read_stdin_at_most(most_bytes),
        false => local::read_at_most(path, most_bytes),
    };
    let content = read.map_err(|error| CommandError::unreadable(path, &error))?;
    Ok(content.unwrap_or_else(|| vec![b' '; MAX_DOCUMENT_BYTES + 1]))
}

/// `1 error`, `2 suggestions`: the weightiest first, each severity that there is.
pub(super) fn by_severity(findings: &[&Finding]) -> Vec<String> {
    let severities = [Severity::Error, Severity::SecurityWarning, Severity::Warning, Severity::Suggestion];
    let counted = severities.iter().filter_map(|severity| {
        let count = findings.iter().filter(|finding| finding.severity == *severity).count();
        let plural = if count == 1 { "" } else { "s" };
        (count > 0).then(|| format!("{count} {severity}{plural}"))
    });
    counted.collect()
}

/// `3 files: 1 error, 2 suggestions`
fn closing(findings: &[Finding], files: usize) -> String {
    let counted = by_severity(&findings.iter().collect::<Vec<_>>());
    let files = if files == 1 { "1 file".to_owned() } else { format!("{files} files") };
    match counted.is_empty() {
        true => format!("{files}: no findings"),
        false => format!("{files}: {}", counted.join(", ")),
    }
}
