//! `verify --receipt`: a folder against the receipt of what was put there.

use super::tally::Tally;
use crate::apply::dataset;
use crate::commands::{Closing, Context, Ending, announced, open};
use crate::config::Settings;
use crate::error::CommandError;
use crate::model::Location;
use crate::report::{Check, Event, Summary, Verdict};
use std::path::Path;

/// A folder against the receipt of what was put there.
pub(super) async fn check_receipt(receipt: &Path, place: &Path, context: &Context) -> Result<Ending, CommandError> {
    let text = place.to_str().unwrap_or_default();
    let Ok(Location::S3(place)) = text.parse::<Location>() else {
        return Err(CommandError::usage("`--receipt` checks a place in S3")
            .hint("write `bucketwright verify --receipt FILE s3://BUCKET/FOLDER/`"));
    };
    let folder = place.as_folder().map_err(|error| CommandError::usage(error.to_string()))?;
    let rows = dataset::read_receipt(receipt)?;
    let rows: Vec<_> = rows.into_iter().filter(|row| row.key.as_str().starts_with(folder.as_str())).collect();
    if rows.is_empty() {
        return Err(CommandError::usage(format!("the receipt names nothing below `{place}`"))
            .hint("check the folder, and that it is the receipt of this bucket"));
    }
    let settings = Settings::resolve(&context.flags, None, None, &context.environment)?;
    let world = open(&settings, None, context).await?;
    context.ui.event(&Event::Identity(world.identity_record()));
    let target = format!("s3://{}/{folder}", place.bucket);
    let looking = format!("comparing {target} with its receipt");
    let looked = dataset::verify_receipt(&world.store, &place.bucket, &folder, rows);
    let looked = announced(&looking, looked, context).await?;
    let verdict = if looked.holds() { Verdict::Pass } else { Verdict::Fail };
    let check = Check { check: "receipt".to_owned(), target, verdict, detail: looked.to_string() };
    let mut tally = Tally::default();
    tally.check(&check);
    context.ui.event(&Event::Check(check));
    looked.findings.into_iter().for_each(|finding| context.ui.event(&Event::Finding(finding)));
    let closing = tally.words().map(|words| format!("Verify: {words}"));
    let summary = Summary { unchanged: tally.held, failed: tally.wrong, closing, ..Summary::default() };
    Ok(Ending { summary, outcome: tally.outcome(), closing: Closing::Shown, last_word: None })
}
