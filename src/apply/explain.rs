//! Tells of every name on both sides of a sync which rule of the filter decides about it. Writes nothing.

use super::listing::{ListingError, ListingLimits, list, list_sorted};
use super::pipeline::{Listing, LookError, Side, objects_of, spawn_pages, trail_of, tree_of};
use super::sync::SyncRequest;
use crate::local::{Told, explain as explain_walk};
use crate::model::{Filter, Odd};
use crate::report::{Event, FilterRecord};
use crate::sync::item::Found;
use std::cmp::Ordering;
use std::iter::Peekable;
use std::path::PathBuf;
use tokio::sync::mpsc;

/// What was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Explained {
    /// Names that are taken.
    pub selected: u64,
    /// Names and whole directories that are left out.
    pub excluded: u64,
    /// Things that could not be looked at.
    pub odd: u64,
}

type Names = Box<dyn Iterator<Item = Result<Told, Flaw>> + Send>;

enum Flaw {
    Odd(Odd),
    Lost(ListingError),
}

/// Tells each name once, in the order of names, whichever side has it.
pub async fn explain(request: SyncRequest, events: &mpsc::Sender<Event>) -> Result<Explained, LookError> {
    let tree = tree_of(&request.source, &request.target);
    let limits = ListingLimits { retry_for: request.retry_for, ..ListingLimits::standard(request.spill_folder) };
    let source = names(request.source, &request.filter, tree.clone(), &limits).await?;
    let target = names(request.target, &request.filter, tree, &limits).await?;
    let events = events.clone();
    tokio::task::spawn_blocking(move || tell(source, target, &events)).await?
}

/// The names of a side, each with what the filter decides.
async fn names(side: Side, filter: &Filter, tree: Option<PathBuf>, limits: &ListingLimits) -> Result<Names, LookError> {
    let objects = match side {
        Side::Nothing => return Ok(Box::new(std::iter::empty())),
        Side::Files(files) => {
            return Ok(Box::new(explain_walk(&files.root, filter.clone()).map(|told| told.map_err(Flaw::Odd))));
        }
        Side::Objects(objects) => objects,
    };
    let folder = objects.folder.clone();
    let pages = match &objects.listing {
        Listing::One { key, .. } => {
            let found = objects.store.head_object(&objects.bucket, key).await?.is_some();
            let parent = key.file_name();
            let told = Told { name: parent.to_owned(), selected: true, rule: None };
            return Ok(Box::new(found.then_some(Ok(told)).into_iter()));
        }
        Listing::Streamed => spawn_pages(list(&objects.store, &objects.bucket, &folder, limits)),
        Listing::Sorted => spawn_pages(list_sorted(&objects.store, &objects.bucket, &folder, limits).await?),
    };
    let mut trail = trail_of(filter, tree);
    let mut last = String::new();
    let told = objects_of(pages).filter_map(move |entry| {
        let found = match entry.map(|entry| Found::below(&folder, entry)) {
            Ok(Ok(found)) => found,
            // What is not below the folder has no name there.
            Ok(Err(_)) => return None,
            Err(error) => return Some(Err(Flaw::Lost(error))),
        };
        let (about, judged) = trail.judge(found.name());
        // The root's own marker has no name, and a directory that is left out is told once.
        if about.is_empty() || about == last {
            return None;
        }
        about.clone_into(&mut last);
        Some(Ok(Told { name: about.to_owned(), selected: judged.is_selected(), rule: judged.rule().cloned() }))
    });
    Ok(Box::new(told))
}

/// Merges both sides, so that a name of both is told once. Ends early if nobody listens any more.
fn tell(source: Names, target: Names, events: &mpsc::Sender<Event>) -> Result<Explained, LookError> {
    let (mut source, mut target) = (source.peekable(), target.peekable());
    let mut explained = Explained::default();
    loop {
        let side = match (source.peek(), target.peek()) {
            (None, None) => return Ok(explained),
            (Some(Err(_)), _) | (Some(_), None) => Ordering::Less,
            (_, Some(Err(_))) | (None, Some(_)) => Ordering::Greater,
            (Some(Ok(left)), Some(Ok(right))) => left.name.as_bytes().cmp(right.name.as_bytes()),
        };
        let event = match next(&mut source, &mut target, side) {
            Some(Ok(told)) => {
                if told.selected {
                    explained.selected += 1;
                } else {
                    explained.excluded += 1;
                }
                Event::Filter(record(told))
            }
            Some(Err(Flaw::Odd(odd))) => {
                explained.odd += 1;
                Event::Finding(super::sync::odd_item(&odd))
            }
            Some(Err(Flaw::Lost(error))) => return Err(error.into()),
            None => return Ok(explained),
        };
        if events.blocking_send(event).is_err() {
            return Ok(explained);
        }
    }
}

fn next(source: &mut Peekable<Names>, target: &mut Peekable<Names>, side: Ordering) -> Option<Result<Told, Flaw>> {
    match side {
        Ordering::Less => source.next(),
        Ordering::Greater => target.next(),
        Ordering::Equal => {
            target.next();
            source.next()
        }
    }
}

fn record(told: Told) -> FilterRecord {
    FilterRecord {
        name: told.name,
        selected: told.selected,
        rule: told.rule.as_ref().map(|rule| rule.text().to_owned()),
        from: told.rule.as_ref().map(|rule| rule.to_string()),
    }
}
