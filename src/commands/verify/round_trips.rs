//! Access as the calling identity: a round trip through every folder, where everything should work.

use super::tally::Tally;
use super::{ABSENT, PROBES_AT_ONCE};
use crate::apply::round_trip;
use crate::commands::{Context, Loaded};
use crate::model::BucketName;
use crate::report::Event;
use crate::verify::access;
use crate::world::World;
use futures_util::stream::{self, StreamExt as _};
use std::collections::BTreeSet;

/// A round trip in every folder, several at once and told in the layout's order.
pub(super) async fn check_access(
    loaded: &Loaded,
    world: &World,
    no_write: bool,
    absent: &BTreeSet<BucketName>,
    context: &Context,
    tally: &mut Tally,
) {
    let principal = world.identity.arn.clone().unwrap_or_else(|| "the calling identity".to_owned());
    let probes =
        loaded.layout.buckets.iter().flat_map(|bucket| {
            bucket.folders.iter().filter_map(|folder| access::probe(bucket, folder, context.run_id))
        });
    let principal = &principal;
    let trips = stream::iter(probes).map(|probe| async move {
        let trip = if no_write {
            access::RoundTrip::not_tried("`--no-write` leaves it out")
        } else if absent.contains(&probe.bucket) {
            access::RoundTrip::not_tried(ABSENT)
        } else if context.stop.is_asked() {
            return Vec::new();
        } else {
            round_trip::run(&world.store, &probe).await
        };
        trip.cells(&probe, principal)
    });
    let mut trips = trips.buffered(PROBES_AT_ONCE);
    while let Some(cells) = trips.next().await {
        for cell in cells {
            tally.cell(&cell);
            context.ui.event(&Event::Cell(cell));
        }
    }
}
