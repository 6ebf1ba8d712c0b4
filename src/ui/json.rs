//! Events as JSON: one object a line, its `type` first.

use crate::model::{is_hidden, spell_out};
use crate::report::Event;
use serde::Serialize;

/// The event's line without the line break, or its lines; none for events that are not part of the contract.
pub(super) fn line(event: &Event) -> Option<String> {
    match event {
        Event::Progress(_) => None,
        Event::Change(change) => lines(change.cells().iter().map(object)),
        Event::Matrix(cells) => lines(cells.iter().map(|cell| object(&Event::Cell(cell.clone())))),
        Event::PodIdentities(pods) => lines(pods.iter().map(|one| object(&Event::PodIdentity(one.clone())))),
        event => object(event),
    }
}

/// Several lines; none for none.
fn lines(lines: impl Iterator<Item = Option<String>>) -> Option<String> {
    let lines = lines.collect::<Option<Vec<_>>>()?;
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn object(value: &impl Serialize) -> Option<String> {
    // Every type in an event has string keys and no map that could fail, so an error cannot come from here.
    let json = serde_json::to_string(value).ok()?;
    Some(if json.chars().any(is_hidden) { spell_out(&json) } else { json })
}

#[cfg(test)]
mod tests {
    use super::line;
    use crate::report::{Event, Finding, Progress, Severity, Summary};

    #[test]
    fn type_comes_first_and_nothing_steers_the_terminal() {
        let finding = Finding::new("odd-key", Severity::Warning, "s3://b/\u{9b}\u{202e}\u{1b}", "x\ny");
        assert_eq!(
            line(&Event::Finding(finding)).unwrap(),
            r#"{"type":"finding","code":"odd-key","severity":"warning","target":"s3://b/\u009b\u202e\u001b","message":"x\ny"}"#
        );
        assert_eq!(
            line(&Event::Summary(Summary { done: 1, ..Summary::default() })).unwrap(),
            r#"{"type":"summary","planned":0,"done":1,"unchanged":0,"skipped":0,"failed":0,"deleted":0,"bytes":0,"elapsed_ms":0,"exit":0}"#
        );
        assert_eq!(line(&Event::Progress(Progress::Settled)), None);
    }
}
