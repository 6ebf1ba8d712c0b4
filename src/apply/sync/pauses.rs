//! Tells the user when the run waits for other credentials.

use super::Listener;
use crate::apply::transfer::{TransferOptions, Way};
use crate::aws::s3::Store;
use crate::report::{Event, Finding, Progress, Severity};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Tells when the run waits for other credentials, for as long as this lives.
pub(super) struct TellsPauses(Vec<JoinHandle<()>>);

impl TellsPauses {
    pub(super) fn begin(store: &Store, options: &TransferOptions, listener: &Listener) -> Self {
        // Inside the service both ends are reached with the same credentials.
        let source = if let Way::Through(source) = &options.copies { Some(source) } else { None };
        let pauses = [Some(store), source].into_iter().flatten().filter_map(Store::pauses);
        Self(pauses.map(|pauses| tokio::spawn(tell_pauses(pauses, listener.events.clone()))).collect())
    }
}

async fn tell_pauses(mut pauses: watch::Receiver<Option<Duration>>, events: mpsc::Sender<Event>) {
    while pauses.changed().await.is_ok() {
        let Some(patience) = *pauses.borrow_and_update() else { continue };
        let message = format!("the credentials have expired: waiting {} s for others", patience.as_secs());
        let finding = Finding::new("credentials-expired", Severity::Warning, "the run", message);
        let fix = "sign in again in another terminal; the profile is read again every few seconds";
        let _ = events.send(Event::Finding(finding.with_fix(fix))).await;
        // Findings are shown once something else follows them, which now would take too long.
        let (target, reason) = ("the run".to_owned(), "the credentials have expired".to_owned());
        let _ = events.send(Event::Progress(Progress::Retried { target, reason })).await;
    }
}

impl Drop for TellsPauses {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}
