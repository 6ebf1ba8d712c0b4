//! `policy audit`: what an account holds that nobody should leave as it is, with what that rests on.

mod look;

use super::lint::{FailOn, by_severity};
use super::read_text;
use crate::audit::baseline::{Acceptor, Baseline};
use crate::audit::{self, Audit, HIDDEN, Limits, Parts};
use crate::commands::uploads::abort::parse_age;
use crate::commands::{self, Closing, Context, Ending, LayoutArgs, load, reach};
use crate::config::Settings;
use crate::error::CommandError;
use crate::layout::Layout;
use crate::local;
use crate::report::{Event, Finding, Outcome, Severity, Summary};
use crate::world::World;
use clap::{Args, ValueEnum};
use jiff::SignedDuration;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};

/// The longest baseline that is read: thousands of entries stay far below.
const MAX_BASELINE_BYTES: u64 = 8 * 1024 * 1024;

/// Say what an account holds that nobody should leave as it is
///
/// Managed policies that nobody has, that nobody uses, or whose name says nothing; statements in force that are broader than
/// they should be, by the codes of `policy lint` from warnings up, also of roles and buckets; users with access keys; buckets
/// without the secure defaults. With a layout also what is not in force as its grants say, and its policies that it no longer
/// names; of buckets then only its own, and what it waives counts as waived.
///
/// Each finding says what it rests on. Last use is evidence and no proof: IAM counts attempts, refused ones too, and forgets
/// them after 400 days. What may not be read is told, and never taken for unused. Writes nothing to the account.
///
/// `--baseline` takes a file of findings that somebody looked at and accepted; `--write-baseline` makes one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright policy audit
  bucketwright policy audit layout.toml --env prod --fail-on warning
  bucketwright policy audit --write-baseline audit.toml --reason 'as it was in November' --until 2027-05-31
  bucketwright policy audit --baseline audit.toml --output json      from cron

Exits 4 if there is a finding at or above `--fail-on` that the baseline does not accept, else 3 if something may not
be read, else 0. docs/audit.md lists what it looks for. `policy prune` deletes what nobody has.")]
pub struct AuditArgs {
    /// A layout, whose grants and buckets the account is held against
    #[arg(value_name = "LAYOUT")]
    layout: Option<PathBuf>,
    /// Environment of the layout
    #[arg(long, value_name = "NAME", requires = "layout")]
    env: Option<String>,
    /// Look only at these parts, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
    only: Vec<AuditPart>,
    /// How long a policy or key may stay without use, such as 90d
    #[arg(long, value_name = "AGE", default_value = "90d", value_parser = parse_age)]
    unused_after: SignedDuration,
    /// Findings that are accepted
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write down what is found as accepted; what the baseline accepts already stays as it is there
    #[arg(long, value_name = "FILE", requires = "reason")]
    write_baseline: Option<PathBuf>,
    /// Why what is written down is accepted
    #[arg(long, value_name = "TEXT", requires = "write_baseline")]
    reason: Option<String>,
    /// The last day on which it is accepted, as YYYY-MM-DD
    #[arg(long, value_name = "DAY", requires = "write_baseline")]
    until: Option<Date>,
    /// The least severity that ends with exit code 4 [default: error; warning with --baseline]
    #[arg(long, value_enum, value_name = "SEVERITY")]
    fail_on: Option<FailOn>,
}

/// `--only`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AuditPart {
    /// Managed policies, and what roles carry themselves
    Policies,
    /// Users with access keys, and who asks
    Keys,
    /// The layout's grants
    Grants,
    /// Buckets
    Buckets,
}

impl AuditArgs {
    fn parts(&self) -> Parts {
        if self.only.is_empty() {
            return Parts::ALL;
        }
        let names = |part| self.only.contains(&part);
        Parts {
            policies: names(AuditPart::Policies),
            keys: names(AuditPart::Keys),
            grants: names(AuditPart::Grants),
            buckets: names(AuditPart::Buckets),
        }
    }

    /// Without a baseline an account that nobody ever looked through has warnings by the dozen; with one, whatever is left
    /// is new.
    fn least(&self) -> Severity {
        let default = if self.baseline.is_some() { FailOn::Warning } else { FailOn::Error };
        self.fail_on.unwrap_or(default).into()
    }
}

/// Runs the verb.
pub async fn run(args: &AuditArgs, context: &Context) -> Result<Ending, CommandError> {
    let baseline = args.baseline.as_deref().map(read).transpose()?;
    let parts = args.parts();
    if parts.grants && !args.only.is_empty() && args.layout.is_none() {
        return Err(CommandError::usage("`--only grants` needs a layout to hold the account against"));
    }
    let loaded = match &args.layout {
        Some(path) => Some(load(&LayoutArgs { layout: path.clone(), env: args.env.clone() }, context)?),
        None => None,
    };
    let layout = loaded.as_ref().map(|loaded| &loaded.layout);
    let world = match layout {
        Some(layout) => reach(layout, context).await?,
        None => open(context).await?,
    };
    let limits = Limits { now: context.now, unused_after: args.unused_after };
    let observed = look::look(parts, layout, limits, &world, context).await?;
    let mut audited = audit::audit(layout, &world.circumstances(), &observed, limits);
    weigh(args, baseline.as_ref(), parts, layout, &mut audited, context)?;
    audited.waived.iter().for_each(|check| context.ui.event(&Event::Check(check.clone())));
    context.ui.show_findings(&audited.findings);
    Ok(ending(args, &audited))
}

/// Connects as the flags say. Whoever may not look at the account may still look at buckets.
async fn open(context: &Context) -> Result<World, CommandError> {
    let settings = Settings::resolve(&context.flags, None, None, &context.environment)?;
    let world = commands::open(&settings, None, context).await?;
    context.ui.event(&Event::Identity(world.identity_record()));
    Ok(world)
}

fn read(path: &Path) -> Result<Baseline, CommandError> {
    let text = read_text(path, MAX_BASELINE_BYTES)?;
    Baseline::parse(&text).map_err(|error| CommandError::baseline(path, &error))
}

/// Tells what is new from what was accepted, and writes down what is accepted from now on.
fn weigh(
    args: &AuditArgs,
    baseline: Option<&Baseline>,
    parts: Parts,
    layout: Option<&Layout>,
    audited: &mut Audit,
    context: &Context,
) -> Result<(), CommandError> {
    let today = TimeZone::UTC.to_datetime(context.now).date();
    let known = baseline.cloned().unwrap_or_default();
    known.accept(&mut audited.findings, today);
    if let (Some(path), Some(reason)) = (&args.write_baseline, &args.reason) {
        let acceptor = Acceptor { reason: reason.clone(), until: args.until };
        let renewed = known.renewed(&audited.findings, &acceptor);
        let text = renewed.render().map_err(|error| CommandError::baseline(path, &error))?;
        context.stop.begin_writing()?;
        local::replace_file(path, |out| out.write_all(text.as_bytes()))
            .map_err(|error| CommandError::unwritable(path, &error))?;
        let plural = if renewed.len() == 1 { "" } else { "s" };
        context.ui.note(&format!("accepted {} finding{plural} in {}", renewed.len(), path.display()));
        renewed.accept(&mut audited.findings, today);
    } else if let Some(path) = &args.baseline
        && !audited.findings.iter().any(is_unread)
    {
        // What was not read may be there all the same.
        let was_looked_for = |code: &str, target: &str| parts.cover(code, target, layout);
        let idle = known.unmatched(&audited.findings, &path.display().to_string(), was_looked_for);
        audited.findings.extend(idle);
    }
    Ok(())
}

/// True for what tells that something could not be looked at.
fn is_unread(finding: &Finding) -> bool {
    matches!(finding.code, HIDDEN | "no-iam")
}

fn ending(args: &AuditArgs, audited: &Audit) -> Ending {
    let new = audited.findings.iter().filter(|finding| finding.accepted().is_none());
    let (unread, told): (Vec<&Finding>, Vec<&Finding>) = new.partition(|finding| is_unread(finding));
    let unread = unread.len() as u64;
    let fails = told.iter().filter(|finding| finding.severity >= args.least()).count() as u64;
    let accepted = audited.findings.iter().filter(|finding| finding.accepted().is_some()).count() as u64;
    let outcome = match (fails, unread) {
        (1.., _) => Outcome::Differs,
        (0, 1..) => Outcome::Partly,
        (0, 0) => Outcome::Done,
    };
    let mut words = by_severity(&told);
    if words.is_empty() {
        words.push(if accepted > 0 { "nothing new" } else { "nothing found" }.to_owned());
    }
    let more = [(accepted, "accepted"), (audited.waived.len() as u64, "waived"), (unread, "could not be looked at")];
    words.extend(more.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")));
    let closing = Some(format!("Audit: {}", words.join(", ")));
    let summary = Summary { failed: fails, skipped: unread, unchanged: accepted, closing, ..Summary::default() };
    Ending { summary, outcome, closing: Closing::Shown, last_word: None }
}
