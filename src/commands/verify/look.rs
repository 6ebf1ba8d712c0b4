//! What is verified without writing: settings control by control, data by checksum.

use super::tally::Tally;
use super::{ABSENT, Scope};
use crate::apply::dataset::{self, DatasetCheck};
use crate::commands::{Context, Loaded, announced, dataset_request, observe};
use crate::error::CommandError;
use crate::layout::Dataset;
use crate::local;
use crate::model::{BucketName, Existence};
use crate::plan::ODD_FILE;
use crate::report::{Check, Event, Finding, Outcome, Severity, Verdict};
use crate::verify::settings;
use crate::world::World;
use std::collections::BTreeSet;

/// Everything that is verified without writing. Returns the buckets that are known not to be there.
pub(super) async fn look(
    loaded: &Loaded,
    world: &World,
    scope: Scope,
    context: &Context,
    tally: &mut Tally,
) -> Result<BTreeSet<BucketName>, CommandError> {
    let absent = match scope.settings {
        true => check_settings(loaded, world, context, tally).await?,
        false => BTreeSet::new(),
    };
    if scope.data {
        check_data(loaded, world, &absent, context, tally).await?;
    }
    Ok(absent)
}

/// Every control of every bucket; returns the buckets that are not there.
async fn check_settings(
    loaded: &Loaded,
    world: &World,
    context: &Context,
    tally: &mut Tally,
) -> Result<BTreeSet<BucketName>, CommandError> {
    let found = announced("looking at the buckets", observe(&loaded.layout, world), context).await?;
    let around = world.circumstances();
    for bucket in &loaded.layout.buckets {
        let Some(state) = found.get(&bucket.name) else { continue };
        for check in settings::checks(&loaded.layout, bucket, state, &around) {
            tally.check(&check);
            context.ui.event(&Event::Check(check));
        }
    }
    if tally.wrong > 0 {
        context.ui.hint("`bucketwright plan` shows what `apply` would mend");
    }
    let absent = found.into_iter().filter(|(_, state)| state.existence == Existence::Absent);
    Ok(absent.map(|(name, _)| name).collect())
}

/// Every dataset by checksum.
async fn check_data(
    loaded: &Loaded,
    world: &World,
    absent: &BTreeSet<BucketName>,
    context: &Context,
    tally: &mut Tally,
) -> Result<(), CommandError> {
    for one in &loaded.layout.datasets {
        let target = format!("s3://{}/{}", one.bucket, one.folder);
        let looked = match absent.contains(&one.bucket) {
            true => Err(CommandError::new("not-found", Outcome::Failed, ABSENT)),
            false => {
                let looking = format!("comparing `{}` with {target}", one.source);
                announced(&looking, look_at(one, loaded, world, context), context).await
            }
        };
        let (verdict, detail, findings) = match looked {
            Ok(Some(looked)) if looked.passed == 0 && looked.holds() && !looked.findings.is_empty() => {
                (Verdict::Unknown, "nothing could be compared".to_owned(), looked.findings)
            }
            Ok(Some(looked)) => {
                let verdict = if looked.holds() { Verdict::Pass } else { Verdict::Fail };
                (verdict, looked.to_string(), looked.findings)
            }
            Ok(None) => {
                tally.apart += 1;
                let message = format!("`{}` is not here, so its objects cannot be compared", one.source);
                let finding = Finding::new("source-absent", Severity::Warning, target, message);
                let finding = finding.with_fix("run it where the source is, or give the dataset a receipt");
                context.ui.event(&Event::Finding(finding));
                continue;
            }
            Err(failed) if failed.is("not-found") => (Verdict::Fail, ABSENT.to_owned(), Vec::new()),
            Err(failed) => return Err(failed),
        };
        let check = Check { check: "data".to_owned(), target, verdict, detail };
        tally.check(&check);
        tally.apart += findings.iter().filter(|finding| finding.code == ODD_FILE).count() as u64;
        context.ui.event(&Event::Check(check));
        for finding in findings {
            context.ui.event(&Event::Finding(finding));
        }
    }
    Ok(())
}

/// The dataset against its source, or against its receipt where the source is not here.
async fn look_at(
    one: &Dataset,
    loaded: &Loaded,
    world: &World,
    context: &Context,
) -> Result<Option<DatasetCheck>, CommandError> {
    let request = dataset_request(one, loaded, true, context)?;
    if let Some(check) = dataset::verify_dataset(&world.store, &request).await? {
        return Ok(Some(check));
    }
    let Some(receipt) = one.receipt.as_ref().map(|receipt| loaded.folder.join(receipt)) else { return Ok(None) };
    if !local::exists(&receipt) {
        return Ok(None);
    }
    let rows = dataset::read_receipt(&receipt)?;
    Ok(Some(dataset::verify_receipt(&world.store, &one.bucket, &one.folder, rows).await?))
}
