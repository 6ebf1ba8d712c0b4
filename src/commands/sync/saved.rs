//! `--plan` and `--apply`: what a plan says of its command line, and what is wrong where the two do not fit.

use super::attributes::AttributeArgs;
use super::filters::FilterArgs;
use super::places::{self, Places};
use super::{Choices, CompareChoice, Meant};
use crate::apply::sync::saved::{self, NotAPlan, SavedError, SavedPlan};
use crate::commands::Context;
use crate::commands::apply::ChecksumChoice;
use crate::error::CommandError;
use crate::local;
use crate::model::{Location, escaped};
use crate::report::Outcome;
use crate::sync::saved::{Header, Options, VERSION};
use clap::ValueEnum;
use std::path::Path;

/// What to do about a plan that does not fit the world.
const MAKE_ANOTHER: &str = "make a new plan with `sync --plan FILE`, look at it, then apply that";

/// Reads the plan of `--apply`.
pub(super) async fn read(path: &Path) -> Result<SavedPlan, CommandError> {
    saved::read(path).await.map_err(|error| match error {
        SavedError::File(error) => CommandError::unreadable(path, &error),
        SavedError::NotAPlan(wrong) => not_a_plan(&wrong, &format!("`{}` cannot be applied", escaped(path))),
        other => failed(other),
    })
}

fn not_a_plan(wrong: &NotAPlan, what: &str) -> CommandError {
    let error = CommandError::new("plan-file", Outcome::Invalid, format!("{what}: {wrong}"));
    error.hint(match wrong {
        NotAPlan::OfApply => "`bucketwright apply --plan FILE` does what it says",
        NotAPlan::Foreign => "`--apply` takes a file that `sync --plan FILE` wrote",
        NotAPlan::Version(_) => "make the plan with this version of the program",
        NotAPlan::Line(_) | NotAPlan::CutOff | NotAPlan::Edited => MAKE_ANOTHER,
    })
}

/// What the plan says was meant. SRC and DST need not be given; if they are, they must be those of the plan.
pub(super) fn meant(
    plan: &SavedPlan,
    source: Option<&Location>,
    target: Option<&Location>,
    context: &Context,
) -> Result<Meant, CommandError> {
    let header = &plan.header;
    for (name, typed, planned) in [("SRC", source, &header.source), ("DST", target, &header.target)] {
        let Some(typed) = typed else { continue };
        if text_of(&places::settle(typed, context)?)? != *planned {
            let message = format!("the plan is for `{planned}`, and another {name} is given");
            return Err(CommandError::usage(message).hint("leave SRC and DST out: they stand in the plan"));
        }
    }
    // A plan whose digest is right was written by a program, so that only another version writes what is not known.
    let read = || {
        let [source, target] = [&header.source, &header.target].map(|text| text.parse().ok());
        let shard = match &header.options.shard {
            Some(shard) => Some(shard.parse().ok()?),
            None => None,
        };
        Some(Meant { source: source?, target: target?, choices: choices(&header.options)?, shard })
    };
    read().ok_or_else(|| {
        let message = "the plan holds options that this program does not know";
        CommandError::new("plan-file", Outcome::Invalid, message).hint("make the plan with this version of the program")
    })
}

fn choices(options: &Options) -> Option<Choices> {
    Some(Choices {
        delete: options.delete,
        max_delete: options.max_delete,
        filters: FilterArgs::saved(&options.rules, options.ignore_files).ok()?,
        compare: CompareChoice::from_str(&options.compare, false).ok()?,
        checksum: ChecksumChoice::from_str(&options.checksum, false).ok()?,
        // It stands beside the choices, settled.
        shard: None,
        attributes: AttributeArgs::saved(&options.attributes)?,
    })
}

/// The first line of a plan for this sync.
pub(super) fn header(meant: &Meant, places: &Places, context: &Context) -> Result<Header, CommandError> {
    let choices = &meant.choices;
    let name = |value: Option<clap::builder::PossibleValue>| value.map(|value| value.get_name().to_owned());
    Ok(Header {
        version: VERSION,
        program: format!("bucketwright {}", env!("CARGO_PKG_VERSION")),
        source: text_of(&meant.source)?,
        target: text_of(&meant.target)?,
        route: places.route.clone(),
        place: places.place(context),
        from: places.from.clone(),
        options: Options {
            compare: name(choices.compare.to_possible_value()).unwrap_or_default(),
            checksum: name(choices.checksum.to_possible_value()).unwrap_or_default(),
            shard: meant.shard.map(|shard| shard.to_string()),
            delete: choices.delete,
            max_delete: choices.max_delete,
            rules: choices.filters.texts(),
            ignore_files: choices.filters.reads_ignore_files(),
            attributes: choices.attributes.texts(),
        },
    })
}

/// A location as a plan keeps it.
fn text_of(location: &Location) -> Result<String, CommandError> {
    let text = match location {
        Location::Local(path) => path.to_str().map(str::to_owned),
        Location::S3(place) => Some(place.to_string()),
        Location::Layout { .. } => None,
    };
    text.ok_or_else(|| {
        CommandError::usage("a plan cannot keep a path that is not UTF-8").hint("name the folder another way")
    })
}

/// A plan may not lie in a local tree that it is about: there it would be sent, or deleted.
pub(super) fn refuse_inside(path: &Path, meant: &Meant) -> Result<(), CommandError> {
    let inside = [&meant.source, &meant.target].into_iter().any(|place| match place {
        Location::Local(root) => local::absolute(path).starts_with(local::absolute(root)),
        Location::S3(_) | Location::Layout { .. } => false,
    });
    if !inside {
        return Ok(());
    }
    let message = format!("the plan `{}` would lie in what it describes", escaped(path));
    Err(CommandError::usage(message).hint("write it to another folder"))
}

/// A plan whose source is reached another way than its target needs that way again, and no other plan takes one.
pub(super) fn same_way(planned: &Header, is_given: bool) -> Result<(), CommandError> {
    if planned.from.is_some() == is_given {
        return Ok(());
    }
    let hint = "pass the `--source-profile`, `--source-region` and `--source-endpoint-url` that it was made with";
    Err(another("the plan reaches its source another way").hint(hint))
}

fn another(message: &str) -> CommandError {
    CommandError::new("plan-moved", Outcome::Differs, format!("{message}; nothing was written"))
}

/// A plan holds for the endpoint, account and Region that it was made at, and for the very places that it saw.
pub(super) fn same_place(planned: &Header, now: &Header) -> Result<(), CommandError> {
    let moved = |message: String, hint: &str| Err(another(&message).hint(hint));
    let sides = [(Some(&planned.place), Some(&now.place)), (planned.from.as_ref(), now.from.as_ref())];
    for (then, now) in sides {
        let (Some(then), Some(now)) = (then, now) else { continue };
        let account = |account: &Option<_>| account.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
        for (field, then, now) in [
            ("endpoint", then.endpoint.clone(), now.endpoint.clone()),
            ("account", account(&then.account), account(&now.account)),
            ("region", then.region.to_string(), now.region.to_string()),
        ] {
            if then != now {
                let message = format!("the plan is for another {field}: `{then}`, and this is `{now}`");
                return moved(message, "choose the endpoint, profile and region that it was made with");
            }
        }
    }
    if planned.route != now.route {
        let message = format!(
            "`{}` or `{}` is not what it was: a file is a folder now, or the other way round",
            planned.source, planned.target
        );
        return moved(message, MAKE_ANOTHER);
    }
    Ok(())
}

/// Why a plan was not carried out.
pub(super) fn failed(error: SavedError) -> CommandError {
    match error {
        SavedError::Look(error) => error.into(),
        SavedError::NotAPlan(wrong) => not_a_plan(&wrong, "the plan cannot be applied"),
        SavedError::Moved(_) => CommandError::new("plan-moved", Outcome::Differs, error.to_string()).hint(MAKE_ANOTHER),
        SavedError::Stopped => CommandError::interrupted(),
        SavedError::File(_) | SavedError::Worker(_) => CommandError::new("sync", Outcome::Failed, error.to_string()),
    }
}

/// Why a plan was not made, for the file that was asked for.
pub(super) fn unmade(error: SavedError, path: Option<&Path>) -> CommandError {
    match (error, path) {
        (SavedError::File(error), Some(path)) => CommandError::unwritable(path, &error),
        (error, _) => failed(error),
    }
}

/// The last word about what moved while the plan was carried out.
pub(super) fn moved_meanwhile(moved: u64) -> Option<CommandError> {
    let things = if moved == 1 { "1 thing" } else { &format!("{moved} things") };
    let message = format!("{things} moved while the plan was carried out, and stayed as they are");
    (moved > 0).then(|| CommandError::new("plan-moved", Outcome::Partly, message).hint(MAKE_ANOTHER))
}
