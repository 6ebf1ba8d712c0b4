//! One listing, asked for in several ranges of keys side by side, and passed on in order.
//!
//! A page needs an answer before the next can be asked for, so a listing of a million keys is a chain of a thousand round
//! trips: half a minute at 30 ms. Several chains at once need places to start from, and nobody knows the keys yet.
//!
//! # The scheme
//!
//! - It starts as one range without end. So a listing of up to [`SERIAL_PAGES`] pages costs exactly these requests.
//! - While it goes on, a range that has given two full pages is cut behind its last key, where keys branch
//!   (`sync::split`); the part behind the cut is a new range that starts with `start-after`. New ranges are cut in turn, so
//!   their number doubles every few round trips up to the limit. Finished ranges make room for new cuts.
//! - A wrong guess leaves a range without keys. There are at most half as many cuts as pages could be filled with what was
//!   received, so a listing never costs more than half again as many requests as it has pages.
//! - Pages of the first range are passed on at once. Those of others wait, in memory and beyond a limit on disk, so neither
//!   order nor memory holds the chains back.
//!
//! # Why the answer is that of a serial listing
//!
//! A range holds the keys behind `after`, up to and including `until`. It ends with the first key that is beyond, or
//! with the end of the listing; and the next range must begin with exactly that. If all seams fit, the ranges
//! are one sequence without gaps, in the service's own order. If one does not fit, if keys do not ascend, or if a
//! range begins before its start, because the service does not know `start-after` or has another order, the ranges
//! are given up: the listing goes on page after page, leaving out what was passed on already. Out of order, it is passed on
//! as it comes, for the reader to notice. On AWS itself an unfit seam only means that somebody wrote or deleted between
//! two requests, as between two pages, and is no reason to start again.

use super::{ListingError, ListingLimits, page_from_bytes, page_to_bytes};
use crate::apply::patience::Situation;
use crate::apply::transfer::retry::Retry;
use crate::aws::s3::{ErrorClass, ListedPage, PageRequest, S3Error, Store};
use crate::local::{Overflow, Ticket};
use crate::model::{BucketName, ObjectEntry, ObjectKey, Prefix};
use crate::sync::split::{Alphabet, cuts};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::Instant;

/// Up to so many pages a listing is not cut.
const SERIAL_PAGES: usize = 4;

/// A range is cut after so many pages of its own.
const PAGES_BEFORE_CUT: u32 = 2;

/// So many pages of the first range may wait for the reader.
const PAGES_AHEAD: usize = 4;

/// So many entries of later ranges may wait, in memory and on disk: about a GiB there.
const MOST_WAITING: usize = 10_000_000;

/// About what one entry takes in memory.
const ENTRY_BYTES: usize = 256;

/// The state of one listing.
#[derive(Debug)]
pub(super) struct Ranges {
    store: Store,
    bucket: BucketName,
    prefix: Prefix,
    limits: ListingLimits,
    /// In the order of keys; the first is the one that is being passed on.
    ranges: VecDeque<Range>,
    requests: JoinSet<(u64, Result<ListedPage, S3Error>)>,
    alphabet: Alphabet,
    overflow: Option<Arc<Overflow>>,
    in_memory: usize,
    waiting: usize,
    received: usize,
    /// The most entries that were on one page.
    page_size: usize,
    cuts: usize,
    next_id: u64,
    /// How the range before the first one ended, until the first one has shown that it begins there.
    seam: Option<Seam>,
    passed_on: Option<ObjectKey>,
    mode: Mode,
}

#[derive(Debug)]
enum Mode {
    Ranges,
    /// One page after the other; keys up to this one have been passed on before.
    Serial(Option<ObjectKey>),
}

/// Where one range ends and the next begins.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seam {
    Key(ObjectKey),
    End,
}

#[derive(Debug)]
struct Range {
    id: u64,
    after: Option<String>,
    until: Option<String>,
    state: State,
    begin: Option<Seam>,
    last: Option<ObjectKey>,
    /// The first key of the page that came last.
    page_first: Option<ObjectKey>,
    pages_since_cut: u32,
    held: VecDeque<Held>,
}

#[derive(Debug)]
enum State {
    Idle(Option<String>),
    Asked,
    Done(Seam),
}

#[derive(Debug)]
enum Held {
    Memory(Vec<ObjectEntry>),
    Disk(Ticket, usize),
}

impl Range {
    fn new(id: u64, after: Option<String>, until: Option<String>) -> Self {
        Self {
            id,
            after,
            until,
            state: State::Idle(None),
            begin: None,
            last: None,
            page_first: None,
            pages_since_cut: 0,
            held: VecDeque::new(),
        }
    }

    const fn is_done(&self) -> bool {
        matches!(self.state, State::Done(_))
    }

    /// True if the entries ascend from where the range stands.
    fn takes(&self, entries: &[ObjectEntry]) -> bool {
        let before = self.last.as_ref().map(ObjectKey::as_str).or(self.after.as_deref());
        let starts = entries.first().is_none_or(|first| before.is_none_or(|before| first.key.as_str() > before));
        starts && entries.is_sorted_by(|left, right| left.key < right.key)
    }

    /// Takes a page; gives what of it belongs to this range.
    fn receive(&mut self, page: ListedPage) -> Vec<ObjectEntry> {
        let ListedPage { mut entries, next } = page;
        if self.begin.is_none() {
            let first = entries.first().map(|entry| Seam::Key(entry.key.clone()));
            self.begin = first.or_else(|| next.is_none().then_some(Seam::End));
        }
        let until = self.until.as_deref();
        let end = entries.partition_point(|entry| until.is_none_or(|until| entry.key.as_str() <= until));
        self.state = match (entries.get(end), next) {
            (Some(beyond), _) => State::Done(Seam::Key(beyond.key.clone())),
            (None, None) => State::Done(Seam::End),
            (None, next) => State::Idle(next),
        };
        entries.truncate(end);
        self.pages_since_cut += 1;
        if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
            (self.page_first, self.last) = (Some(first.key.clone()), Some(last.key.clone()));
        }
        entries
    }
}

impl Ranges {
    pub(super) fn new(store: &Store, bucket: &BucketName, prefix: &Prefix, limits: &ListingLimits) -> Self {
        Self {
            store: store.clone(),
            bucket: bucket.clone(),
            prefix: prefix.clone(),
            limits: limits.clone(),
            ranges: VecDeque::from([Range::new(0, None, None)]),
            requests: JoinSet::new(),
            alphabet: Alphabet::default(),
            overflow: None,
            in_memory: 0,
            waiting: 0,
            received: 0,
            page_size: 1,
            cuts: 0,
            next_id: 1,
            seam: None,
            passed_on: None,
            mode: if limits.requests > 1 { Mode::Ranges } else { Mode::Serial(None) },
        }
    }

    /// The next page in order; `None` at the end.
    pub(super) async fn next_page(&mut self) -> Result<Option<Vec<ObjectEntry>>, ListingError> {
        // Answers that came while the reader was busy, so that their chains go on.
        while let Some(answer) = self.requests.try_join_next() {
            let (id, page) = answer?;
            self.receive(id, page).await?;
        }
        loop {
            self.cut();
            self.ask();
            if let Some(page) = self.take_first().await? {
                return Ok(Some(page));
            }
            if self.ranges.is_empty() {
                return Ok(None);
            }
            if let Some(answer) = self.requests.join_next().await {
                let (id, page) = answer?;
                self.receive(id, page).await?;
            }
        }
    }

    /// The next page of the first range; a range that has passed on everything makes room for the one behind it.
    async fn take_first(&mut self) -> Result<Option<Vec<ObjectEntry>>, ListingError> {
        while let Some(first) = self.ranges.front_mut() {
            if let (Some(seam), Some(begin)) = (&self.seam, &first.begin) {
                if seam != begin && !self.store.is_aws() {
                    self.give_up();
                    return Ok(None);
                }
                self.seam = None;
            }
            if let Some(held) = first.held.pop_front() {
                let page = self.fetch(held).await?;
                self.passed_on = page.last().map(|entry| entry.key.clone());
                return Ok(Some(page));
            }
            let State::Done(seam) = &first.state else { return Ok(None) };
            self.seam = Some(seam.clone());
            self.ranges.pop_front();
        }
        Ok(None)
    }

    async fn fetch(&mut self, held: Held) -> Result<Vec<ObjectEntry>, ListingError> {
        match (held, &self.overflow) {
            (Held::Memory(page), _) => {
                self.in_memory -= page.len();
                self.waiting -= page.len();
                Ok(page)
            }
            (Held::Disk(ticket, entries), Some(overflow)) => {
                self.waiting -= entries;
                let overflow = Arc::clone(overflow);
                spawn_blocking(move || page_from_bytes(&overflow.take(&ticket)?)).await?
            }
            (Held::Disk(..), None) => Ok(Vec::new()),
        }
    }

    async fn receive(&mut self, id: u64, page: Result<ListedPage, S3Error>) -> Result<(), ListingError> {
        let Some(place) = self.ranges.iter().position(|range| range.id == id) else { return Ok(()) };
        let range = &mut self.ranges[place];
        let page = match page {
            Ok(page) => page,
            Err(error) if range.begin.is_none() && range.after.is_some() && is_refusal(&error) => {
                self.give_up();
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        self.page_size = self.page_size.max(page.entries.len());
        if matches!(self.mode, Mode::Ranges) && !range.takes(&page.entries) {
            if self.cuts > 0 {
                self.give_up();
                return Ok(());
            }
            self.mode = Mode::Serial(None);
        }
        let entries = match &mut self.mode {
            Mode::Ranges => range.receive(page),
            Mode::Serial(passed_on) => {
                let last = range.last.take();
                let page = skip_passed_on(page, last.as_ref(), passed_on, &mut range.last);
                range.state = page.next.map_or(State::Done(Seam::End), |next| State::Idle(Some(next)));
                page.entries
            }
        };
        self.received += entries.len();
        self.alphabet.learn(entries.iter().map(|entry| entry.key.as_str()));
        if entries.is_empty() {
            return Ok(());
        }
        let held = self.hold(place, entries).await?;
        self.ranges[place].held.push_back(held);
        Ok(())
    }

    /// Keeps a page until its range is the first, in memory or on disk.
    async fn hold(&mut self, place: usize, page: Vec<ObjectEntry>) -> Result<Held, ListingError> {
        self.waiting += page.len();
        if place == 0 || (self.in_memory + page.len()) * ENTRY_BYTES <= self.limits.memory_bytes {
            self.in_memory += page.len();
            return Ok(Held::Memory(page));
        }
        let (overflow, folder) = (self.overflow.clone(), self.limits.spill_folder.clone());
        let put = spawn_blocking(move || {
            let overflow = overflow.map_or_else(|| Overflow::new(&folder).map(Arc::new), Ok)?;
            let ticket = overflow.put(&page_to_bytes(&page))?;
            Ok::<_, ListingError>((overflow, Held::Disk(ticket, page.len())))
        });
        let (overflow, held) = put.await??;
        self.overflow = Some(overflow);
        Ok(held)
    }

    /// Cuts ranges, the foremost first, while there is room for more requests.
    fn cut(&mut self) {
        let pages = self.received / self.page_size;
        if !matches!(self.mode, Mode::Ranges) || pages < SERIAL_PAGES {
            return;
        }
        let mut place = 0;
        while place < self.ranges.len() {
            let running = self.ranges.iter().filter(|range| !range.is_done()).count();
            let most = (pages / 2).saturating_sub(self.cuts).min(self.limits.requests.saturating_sub(running));
            if most == 0 {
                return;
            }
            place += 1 + self.cut_range(place, most);
        }
    }

    /// Puts up to `most` new ranges behind the one at `place`; gives their number.
    fn cut_range(&mut self, place: usize, most: usize) -> usize {
        let range = &mut self.ranges[place];
        let (Some(first), Some(last)) = (&range.page_first, &range.last) else { return 0 };
        if range.is_done() || range.pages_since_cut < PAGES_BEFORE_CUT {
            return 0;
        }
        range.pages_since_cut = 0;
        let prefix_bytes = self.prefix.as_str().len();
        let until = range.until.as_deref();
        let starts = cuts(prefix_bytes, first.as_str(), last.as_str(), until, self.alphabet, most);
        let Some(first_cut) = starts.first() else { return 0 };
        let end = range.until.replace(first_cut.clone());
        let ends = starts.iter().skip(1).cloned().map(Some).chain([end]);
        for (offset, (after, until)) in starts.iter().zip(ends).enumerate() {
            self.ranges.insert(place + 1 + offset, Range::new(self.next_id, Some(after.clone()), until));
            self.next_id += 1;
        }
        self.cuts += starts.len();
        starts.len()
    }

    /// Asks for the next page of every range that may have one more.
    fn ask(&mut self) {
        for (place, range) in self.ranges.iter_mut().enumerate() {
            let has_room = if place == 0 { range.held.len() < PAGES_AHEAD } else { self.waiting < MOST_WAITING };
            if !has_room || !matches!(range.state, State::Idle(_)) {
                continue;
            }
            let State::Idle(token) = std::mem::replace(&mut range.state, State::Asked) else { continue };
            let after = range.after.clone().filter(|_| token.is_none());
            let request = PageRequest { after, token, most_keys: self.limits.page_keys };
            let (store, bucket, prefix, id) = (self.store.clone(), self.bucket.clone(), self.prefix.clone(), range.id);
            let is_first = request == PageRequest { most_keys: request.most_keys, ..PageRequest::default() };
            let retry_for = if is_first { Duration::ZERO } else { self.limits.retry_for };
            self.requests.spawn(async move { (id, page_in_time(&store, &bucket, &prefix, request, retry_for).await) });
        }
    }

    /// Starts again, page after page.
    fn give_up(&mut self) {
        self.requests = JoinSet::new();
        (self.in_memory, self.waiting, self.seam) = (0, 0, None);
        self.ranges = VecDeque::from([Range::new(self.next_id, None, None)]);
        self.next_id += 1;
        self.mode = Mode::Serial(self.passed_on.clone());
    }
}

/// A page, asked for until it comes or the time is up.
async fn page_in_time(
    store: &Store,
    bucket: &BucketName,
    prefix: &Prefix,
    request: PageRequest,
    retry_for: Duration,
) -> Result<ListedPage, S3Error> {
    let mut retry = Retry::new(Situation::SETTLED, retry_for);
    loop {
        match store.list_page(bucket, prefix, request.clone()).await {
            Ok(page) => return Ok(page),
            Err(error) if store.has_waited(error.class) => return Err(error),
            Err(error) => {
                let elapsed = retry.failed(Instant::now());
                let Some(pause) = retry.after_trouble(error.class, elapsed) else { return Err(error) };
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// True if the service may not know `start-after`, as directory buckets do not.
const fn is_refusal(error: &S3Error) -> bool {
    matches!(error.class, ErrorClass::Unsupported | ErrorClass::Other)
}

/// Leaves out what was passed on before. Once a key is out of order nothing is left out any more: the reader must see it.
fn skip_passed_on(
    mut page: ListedPage,
    before: Option<&ObjectKey>,
    passed_on: &mut Option<ObjectKey>,
    last: &mut Option<ObjectKey>,
) -> ListedPage {
    let mut before = before.cloned();
    page.entries.retain(|entry| {
        if before.as_ref().is_some_and(|before| *before >= entry.key) {
            *passed_on = None;
        }
        before = Some(entry.key.clone());
        passed_on.as_ref().is_none_or(|passed_on| entry.key > *passed_on)
    });
    *last = before;
    page
}
