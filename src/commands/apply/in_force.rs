//! Waits until what a run changed in the account is in force, where that can be seen from here: as the role itself.
//!
//! Each role is asked one thing that opened and one that closed, both by reading, until three answers in a row are as
//! planned. A role that cannot be taken is named, since nothing else tells when its rights have reached S3.

use crate::access::{Turn, Turned};
use crate::apply::probe::{self, Prober};
use crate::aws::sts::SessionLimit;
use crate::commands::{Context, announced};
use crate::config::AsRole;
use crate::doctor::seen::RoleKind;
use crate::model::{Arn, Role, RoleName, Seen};
use crate::report::{Check, Event, Finding, Severity, Verdict};
use crate::verify::access::Answer;
use crate::verify::access::spots::{Expected, Ground, Spot};
use crate::verify::access::wait::{IN_A_ROW, LONGEST, Next, Wait};
use crate::world::{Session, World};
use futures_util::stream::{self, StreamExt as _};
use std::time::{Duration, Instant};

/// How many roles are asked at once.
const ROLES_AT_ONCE: usize = 8;

/// How the wait for one role ended.
#[derive(Debug)]
enum Came {
    /// As planned, after this time.
    InForce(Duration),
    /// Not as planned in all the time that is waited; what was asked.
    Late(Vec<String>),
    /// Nothing more is to be said: no reading tells the change, or the user wants to stop.
    Untold,
    /// The role, or what it would be asked, cannot be tried from here.
    NotFromHere,
}

/// Waits for every role whose access changed. Returns those that could be taken, for whoever tries more as them.
pub(super) async fn wait(turned: &[Turned], changed: &[RoleName], world: &World, context: &Context) -> Vec<Arn> {
    let asked = changed.iter().map(|role| {
        let turned = turned.iter().find(|one| one.role == *role);
        async move {
            let Some((found, session)) = taken(role, world).await else { return (role, None, Came::NotFromHere) };
            let questions = turned.map(|turned| turned.questions(&found)).unwrap_or_default();
            let came = match questions.is_empty() {
                true => Came::Untold,
                false => settle(&questions, &session, world, context).await,
            };
            (role, Some(found.arn), came)
        }
    });
    let waited = stream::iter(asked).buffered(ROLES_AT_ONCE).collect::<Vec<_>>();
    let waited = announced("waiting until the changes of access are in force", waited, context).await;
    let mut takeable = Vec::new();
    let mut out_of_reach = Vec::new();
    for (role, arn, came) in waited {
        match came {
            Came::InForce(after) => context.ui.event(&Event::Check(in_force(role, after))),
            Came::Late(asked) => context.ui.event(&Event::Finding(late(role, &asked))),
            Came::Untold => {}
            Came::NotFromHere => out_of_reach.push(format!("`{role}`")),
        }
        takeable.extend(arn);
    }
    if !out_of_reach.is_empty() {
        let (names, it) = (out_of_reach.join(", "), if out_of_reach.len() == 1 { "it" } else { "them" });
        context.ui.hint(&format!(
            "changes of access take seconds, now and then minutes; {names} cannot be taken from here to see when they are in \
             force for {it}"
        ));
    }
    takeable
}

/// The role, if it can be taken from here. Who trusts only services or service accounts is not even asked, so that no
/// refusal stands in anybody's trail.
async fn taken(role: &RoleName, world: &World) -> Option<(Role, Session)> {
    let Ok(Seen::Here(found)) = world.account.role(role).await else { return None };
    if !world.is_local() && RoleKind::of(&found.trust) != RoleKind::Other {
        return None;
    }
    let session = world.session(Some(&AsRole::Arn(found.arn.clone())), &SessionLimit::None).await.ok()?;
    Some((found, session))
}

/// Asks again and again.
async fn settle(questions: &[&Turn], session: &Session, world: &World, context: &Context) -> Came {
    let stop = context.stop.token();
    let who = Prober { principal: &session.store, caller: &world.store, writes: false, stop: &stop };
    let spots: Vec<Spot> = questions.iter().map(|turn| spot(turn)).collect();
    let name = format!("apply-{:016x}", context.run_id);
    let (began, mut wait) = (Instant::now(), Wait::default());
    loop {
        let (mut agrees, mut is_told) = (true, false);
        for spot in &spots {
            let tried = probe::run(who, spot, &name).await;
            agrees &= spot.is_as_expected(&tried.answers, false);
            is_told |= tried.answers.iter().any(|(_, answer)| !matches!(answer, Answer::NotTried(_)));
        }
        if context.stop.is_asked() {
            return Came::Untold;
        }
        if !is_told {
            return Came::NotFromHere;
        }
        match wait.heard(agrees, began.elapsed()) {
            Next::Settled(after) => return Came::InForce(after),
            Next::GaveUp => return Came::Late(questions.iter().map(|turn| in_words(turn)).collect()),
            Next::Ask(pause) => tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = context.stop.asked() => return Came::Untold,
            },
        }
    }
}

fn spot(turn: &Turn) -> Spot {
    let expected = Expected { operation: turn.operation, allowed: turn.allowed, because: String::new() };
    Spot { bucket: turn.bucket.clone(), ground: Ground::Folder(turn.folder.clone()), expected: vec![expected] }
}

fn in_force(role: &RoleName, after: Duration) -> Check {
    Check {
        check: "in-force".to_owned(),
        target: role.to_string(),
        verdict: Verdict::Pass,
        detail: format!("as planned after {:.1} s, {IN_A_ROW} answers in a row", after.as_secs_f64()),
    }
}

fn in_words(turn: &Turn) -> String {
    let should = if turn.allowed { "should be allowed" } else { "should be refused" };
    format!("{} of {} {should}", turn.operation.word(), spot(turn).target())
}

/// What is still as it was. It is no failure of the run: everything that was planned is written.
fn late(role: &RoleName, asked: &[String]) -> Finding {
    let message = format!("not in force {} s after the change: {}", LONGEST.as_secs(), asked.join(", "));
    let finding = Finding::new("not-in-force", Severity::Warning, format!("role/{role}"), message);
    finding.with_fix(
        "`bucketwright verify --access --as ROLE_ARN` tries everything, and `bucketwright doctor` tells why it is refused",
    )
}
