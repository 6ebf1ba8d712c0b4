//! `cluster flyte-values`: the part of a Helm chart's values that names a layout's buckets and roles.

use crate::cluster::{FlyteVersion, flyte_values};
use crate::commands::{Context, Ending, LayoutArgs, load};
use crate::error::CommandError;
use crate::report::Outcome;
use clap::{Args, ValueEnum};

/// Print the Helm values that give Flyte a layout's buckets and roles
///
/// For the chart flyte-binary: the buckets for metadata and user data (told apart by `metadata` and `userdata` in their
/// names, else by their order), the Region, and the roles of the control plane and of tasks as the layout's `irsa` grants
/// name them. Roles by Pod Identity need no values.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright cluster flyte-values layout.toml > flyte-s3.yaml
  helm upgrade flyte flyteorg/flyte-binary -f values.yaml -f flyte-s3.yaml")]
pub struct FlyteArgs {
    #[command(flatten)]
    layout: LayoutArgs,
    /// The major version of Flyte
    #[arg(long, value_enum, default_value_t = Major::One, value_name = "VERSION")]
    flyte: Major,
}

/// A major version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Major {
    /// Flyte 1
    #[value(name = "1")]
    One,
    /// Flyte 2
    #[value(name = "2")]
    Two,
}

/// Runs the verb.
pub fn run(args: &FlyteArgs, context: &Context) -> Result<Ending, CommandError> {
    let loaded = load(&args.layout, context)?;
    let version = match args.flyte {
        Major::One => FlyteVersion::One,
        Major::Two => FlyteVersion::Two,
    };
    let (values, remarks) = flyte_values(&loaded.layout, version)
        .map_err(|error| CommandError::new("no-buckets", Outcome::Invalid, error.to_string()))?;
    context.ui.answer(&values);
    remarks.iter().for_each(|remark| context.ui.hint(remark));
    Ok(Ending::answered(Outcome::Done))
}
