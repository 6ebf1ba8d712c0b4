//! Access as somebody else: every cell of their grants' matrix, by real calls in sessions of theirs, or computed.

use super::PROBES_AT_ONCE;
use super::mode::{Simulated, Subject};
use super::tally::Tally;
use crate::apply::probe::{self, Prober, Tried};
use crate::commands::{Context, Loaded, announced};
use crate::error::CommandError;
use crate::layout::Layout;
use crate::report::{Cell, Check, Event, Verdict};
use crate::verify::access::reading::{Answers, together};
use crate::verify::access::simulation;
use crate::verify::access::spots::{Ground, Spot, spots};
use crate::verify::access::wait::{IN_A_ROW, LONGEST, Next, Wait};
use crate::world::{Session, World};
use futures_util::stream::{self, StreamExt as _};
use std::time::{Duration, Instant};

/// How access is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct How {
    /// Leave out what writes.
    pub(super) no_write: bool,
    /// Wait until what is expected has been seen several times in a row.
    pub(super) wait: bool,
}

/// What is known of one place.
struct Place {
    spot: Spot,
    answers: Answers,
    wait: Wait,
    /// Whether it is asked again.
    open: bool,
}

/// Tries everything for every subject.
pub(super) async fn observe(
    subjects: &[Subject],
    loaded: &Loaded,
    world: &World,
    how: How,
    context: &Context,
    tally: &mut Tally,
) -> Result<(), CommandError> {
    for (index, subject) in subjects.iter().enumerate() {
        let mut sessions = Vec::new();
        for limit in &subject.limits {
            sessions.push(world.session(subject.role.as_ref(), limit).await.map_err(CommandError::from)?);
        }
        say_who(subject, &sessions, context);
        if !how.no_write {
            context.stop.begin_writing()?;
        }
        let mut run = Run { sessions: &sessions, world, how, context, tally: &mut *tally, index, round: 0 };
        let places = run.places(&loaded.layout, subject).await;
        if context.stop.is_asked() {
            return Ok(());
        }
        tell(&places, subject, how, context, tally);
    }
    Ok(())
}

/// One subject being tried.
struct Run<'run> {
    sessions: &'run [Session],
    world: &'run World,
    how: How,
    context: &'run Context,
    tally: &'run mut Tally,
    /// Which subject, so that no two have the same keys.
    index: usize,
    round: usize,
}

impl Run<'_> {
    /// Tries every place, with `--wait` until each is as expected several times in a row.
    async fn places(&mut self, layout: &Layout, subject: &Subject) -> Vec<Place> {
        let place = |spot| Place { spot, answers: Answers::new(), wait: Wait::default(), open: true };
        let mut places: Vec<Place> = spots(layout, &subject.held).into_iter().map(place).collect();
        let began = Instant::now();
        let mut settled_after = Some(Duration::ZERO);
        loop {
            self.round(&mut places).await;
            if !self.how.wait || self.context.stop.is_asked() {
                return places;
            }
            let mut pause = Duration::ZERO;
            for place in places.iter_mut().filter(|place| place.open) {
                match place.wait.heard(place.spot.is_as_expected(&place.answers, self.how.no_write), began.elapsed()) {
                    Next::Ask(after) => pause = pause.max(after),
                    Next::Settled(after) => {
                        place.open = false;
                        settled_after = settled_after.map(|so_far| so_far.max(after));
                    }
                    Next::GaveUp => (place.open, settled_after) = (false, None),
                }
            }
            if places.iter().all(|place| !place.open) {
                self.tell_wait(subject, settled_after);
                return places;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.context.stop.asked() => return places,
            }
        }
    }

    /// Asks every place that is open once, several at a time.
    async fn round(&mut self, places: &mut [Place]) {
        let name = format!("verify-{:016x}-{}-{}", self.context.run_id, self.index, self.round);
        self.round += 1;
        let open: Vec<usize> = (0..places.len()).filter(|index| places[*index].open).collect();
        let token = self.context.stop.token();
        let (sessions, caller, writes) = (self.sessions, &self.world.store, !self.how.no_write);
        let (name, token) = (&name, &token);
        let tried: Vec<(usize, Tried)> = {
            let spots: &[Place] = places;
            let trials = open.into_iter().map(|index| async move {
                let (mut parts, mut left) = (Vec::new(), Vec::new());
                for (part, session) in sessions.iter().enumerate() {
                    if token.is_cancelled() {
                        break;
                    }
                    let who = Prober { principal: &session.store, caller, writes, stop: token };
                    let tried = probe::run(who, &spots[index].spot, &format!("{name}-{part}")).await;
                    parts.push(tried.answers);
                    left.extend(tried.left);
                }
                (index, Tried { answers: together(&parts), left })
            });
            announced("trying every cell", stream::iter(trials).buffered(PROBES_AT_ONCE).collect(), self.context).await
        };
        for (index, tried) in tried {
            places[index].answers = tried.answers;
            for finding in tried.left {
                self.tally.apart += 1;
                self.context.ui.event(&Event::Finding(finding));
            }
        }
    }

    fn tell_wait(&mut self, subject: &Subject, settled_after: Option<Duration>) {
        let (verdict, detail) = match settled_after {
            Some(after) => {
                (Verdict::Pass, format!("as expected after {:.1} s, {IN_A_ROW} answers in a row", after.as_secs_f64()))
            }
            None => (Verdict::Fail, format!("not as expected within {} s", LONGEST.as_secs())),
        };
        let check = Check { check: "in-force".to_owned(), target: subject.held.name.clone(), verdict, detail };
        self.tally.check(&check);
        self.context.ui.event(&Event::Check(check));
    }
}

fn say_who(subject: &Subject, sessions: &[Session], context: &Context) {
    let Some(first) = sessions.first() else { return };
    let how = match (sessions.len(), subject.role.as_ref().is_some_and(|role| role.as_str() == subject.held.name)) {
        (_, true) => String::new(),
        (1, false) => format!(", limited to what `{}` is to give", subject.held.name),
        (count, false) => {
            format!(", limited to what `{}` is to give, in {count} parts because of its length", subject.held.name)
        }
    };
    context.ui.note(&format!("trying access as {}{how}", first.arn));
}

/// Shows the cells bucket by bucket and counts them.
fn tell(places: &[Place], subject: &Subject, how: How, context: &Context, tally: &mut Tally) {
    for of_bucket in places.chunk_by(|one, other| one.spot.bucket == other.spot.bucket) {
        let mut cells = Vec::new();
        for place in of_bucket {
            let of_place = place.spot.cells(&place.answers, &subject.held.name);
            let by_choice = how.no_write || matches!(place.spot.ground, Ground::Object(_));
            of_place.iter().for_each(|cell| tally.tried(cell, by_choice));
            cells.extend(of_place);
        }
        context.ui.event(&Event::Matrix(cells));
    }
}

/// Shows what the evaluator says of every cell.
pub(super) fn simulate(simulated: &[Simulated], layout: &Layout, context: &Context, tally: &mut Tally) {
    for Simulated { held, candidate } in simulated {
        let spots = spots(layout, held);
        for of_bucket in spots.chunk_by(|one, other| one.bucket == other.bucket) {
            let cells: Vec<Cell> =
                of_bucket.iter().flat_map(|spot| simulation::cells(spot, held, candidate.as_ref())).collect();
            cells.iter().for_each(|cell| tally.cell(cell));
            context.ui.event(&Event::Matrix(cells));
        }
    }
}
