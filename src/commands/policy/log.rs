//! `policy log`: the versions of a policy, and what changed from one to the next.

use super::account::{self, PolicyRef, side_of, version_record};
use super::diff::{Counted, Pair, compare};
use crate::commands::{Closing, Context, Ending};
use crate::error::CommandError;
use crate::report::{Event, Outcome, Summary};
use clap::Args;

/// Tell what changed in a policy of the account, version by version, the newest first
///
/// For each version when it was made, whether it is in force, and what it opened and closed against the one before. IAM
/// keeps at most five versions; those that were pruned may stand in a backup.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright policy log FlyteMLS3Access
  bucketwright policy log FlyteMLS3Access --output json | jq 'select(.type == \"policy-version\") | .version'

`policy diff NAME@v1 NAME@v4` compares any two of them; `policy rollback` puts an older one in force.")]
pub struct LogArgs {
    /// The policy's name or ARN
    #[arg(value_name = "POLICY")]
    policy: PolicyRef,
}

/// Runs the verb.
pub async fn run(args: &LogArgs, context: &Context) -> Result<Ending, CommandError> {
    let world = account::open(context).await?;
    let policy = args.policy.find(&world).await?;
    for (index, version) in policy.versions.iter().enumerate() {
        context.ui.event(&Event::PolicyVersion(version_record(&policy, version)));
        let Some(before) = policy.versions.get(index + 1) else { continue };
        let name = format!("{} {} -> {}", policy.name, before.id, version.id);
        let sides = (side_of(&name, &before.document)?, side_of(&name, &version.document)?);
        compare(&Pair::of_documents(name, sides.0, sides.1), context, &mut Counted::default())?;
    }
    let count = policy.versions.len();
    let closing = match policy.arn.account() {
        "aws" => "the version in force; AWS keeps the others".to_owned(),
        _ => format!("{count} {} of 5", if count == 1 { "version" } else { "versions" }),
    };
    let summary = Summary { closing: Some(closing), ..Summary::default() };
    Ok(Ending { summary, outcome: Outcome::Done, closing: Closing::Shown, last_word: None })
}
