//! The JSON output as a script reads it: the schema is declared here once more, from the consumer's side and strictly.
//! A field that is renamed, dropped or added without a word here fails.

use bucketwright::model::Identity;
use bucketwright::plan::{Action, Plan, Reason, Step};
use bucketwright::policy::Verdict as Ruling;
use bucketwright::report::{
    Access, ActionRecord, Cell, ChangeRecord, Check, DecisionRecord, EditRecord, ErrorRecord, Event, FilterRecord,
    Finding, IdentityRecord, LayerRecord, Mark, NodeKind, NodeRecord, PolicyRecord, Progress, ReasonRecord,
    RemedyRecord, Severity, Status, Summary, SymptomRecord, Turn, UploadRecord, Verdict,
};
use bucketwright::ui::{Captured, ColorChoice, Format, Ui, UiOptions};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Line {
    Identity(IdentityLine),
    Action(ActionLine),
    Finding(FindingLine),
    Cell(CellLine),
    Decision(DecisionLine),
    Symptom(SymptomLine),
    Layer(LayerLine),
    Remedy(RemedyLine),
    Policy(PolicyLine),
    Edit(EditLine),
    Check(CheckLine),
    Filter(FilterLine),
    Node(NodeLine),
    UnfinishedUpload(UploadLine),
    Answer(AnswerLine),
    Error(ErrorLine),
    Summary(SummaryLine),
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityLine {
    account: Option<String>,
    arn: Option<String>,
    endpoint: String,
    region: String,
    expires: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StatusWord {
    Planned,
    Done,
    Failed,
    Skipped,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionLine {
    status: StatusWord,
    action: String,
    target: String,
    reason: String,
    setting: Option<String>,
    source: Option<String>,
    bytes: Option<u64>,
    proof: Option<String>,
    policy: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SeverityWord {
    Error,
    SecurityWarning,
    Warning,
    Suggestion,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct FindingLine {
    code: String,
    severity: SeverityWord,
    target: String,
    path: Option<String>,
    message: String,
    fix: Option<String>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AccessWord {
    Allow,
    #[default]
    Deny,
    NotTried,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct CellLine {
    principal: String,
    operation: String,
    target: String,
    expected: AccessWord,
    observed: AccessWord,
    because: String,
    // What follows comes from `policy diff` alone.
    turn: Option<TurnWord>,
    before: Option<String>,
    after: Option<String>,
    actions: Option<Vec<String>>,
    given: Option<BTreeMap<String, Option<String>>>,
    example: Option<String>,
    who: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionLine {
    id: String,
    decision: RulingWord,
    expected: Option<RulingWord>,
    layer: String,
    message: String,
    because: Vec<ReasonLine>,
    fix: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RulingWord {
    Allow,
    ExplicitDeny,
    ImplicitDeny,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasonLine {
    layer: String,
    document: Option<String>,
    statement: Option<usize>,
    sid: Option<String>,
    effect: Option<String>,
    applied: Option<bool>,
    failed: Option<String>,
    decisive: bool,
    message: String,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct SymptomLine {
    line: u64,
    lines: u64,
    times: u64,
    others: u64,
    principal: Option<String>,
    action: Option<String>,
    operation: Option<String>,
    resource: Option<String>,
    layer: Option<String>,
    denial: Option<String>,
    policy: Option<String>,
    region: Option<String>,
    beside: Option<Vec<String>>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct LayerLine {
    layer: String,
    state: String,
    document: Option<String>,
    owner: Option<String>,
    changed: Option<String>,
    detail: String,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RemedyLine {
    kind: String,
    target: String,
    change: Vec<String>,
    run: Option<String>,
    opens: Vec<String>,
    #[serde(default)]
    wider: Vec<String>,
    weakens: bool,
    checked: bool,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyLine {
    name: String,
    kind: String,
    characters: u64,
    document: serde_json::Value,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TurnWord {
    Opens,
    Closes,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct EditLine {
    edit: String,
    principal: String,
    statement: String,
    detail: String,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum VerdictWord {
    Pass,
    Fail,
    Waived,
    Unknown,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckLine {
    check: String,
    target: String,
    verdict: VerdictWord,
    detail: String,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct FilterLine {
    name: String,
    selected: bool,
    rule: Option<String>,
    from: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KindWord {
    Folder,
    Object,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum MarkWord {
    Missing,
    Extra,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeLine {
    bucket: String,
    path: String,
    kind: KindWord,
    mark: Option<MarkWord>,
    bytes: u64,
    objects: Option<u64>,
    more_objects: Option<u64>,
    more_bytes: Option<u64>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct UploadLine {
    target: String,
    upload_id: String,
    initiated: Option<String>,
    age_s: Option<u64>,
    initiator: Option<String>,
    parts: Option<u64>,
    bytes: Option<u64>,
    ours: bool,
    source: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerLine {
    text: String,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorLine {
    kind: String,
    message: String,
    hints: Vec<String>,
    target: Option<String>,
    excerpt: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct SummaryLine {
    planned: u64,
    done: u64,
    unchanged: u64,
    skipped: u64,
    failed: u64,
    deleted: u64,
    bytes: u64,
    elapsed_ms: u64,
    exit: u8,
}

fn json_ui() -> (Ui, Captured) {
    let options = UiOptions {
        format: Format::Json,
        quiet: true,
        verbose: 2,
        progress: true,
        color: ColorChoice::Always,
        stdout_is_terminal: true,
        stderr_is_terminal: true,
        width: 80,
    };
    Ui::captured(options, "")
}

/// The lines of stdout, each read strictly; stderr must be empty.
fn lines(captured: &Captured) -> Vec<Line> {
    assert_eq!(captured.stderr(), "");
    let text = captured.stdout();
    assert!(text.ends_with('\n'));
    let read = |line: &str| {
        assert!(line.starts_with(r#"{"type":""#), "the type comes first: {line}");
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
    };
    text.lines().map(read).collect()
}

/// Prints one event and reads it back.
fn check(event: &Event, expected: Line) {
    let (ui, captured) = json_ui();
    ui.event(event);
    assert_eq!(lines(&captured), [expected]);
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[test]
fn identity_says_null_for_what_is_unknown() {
    let record = |identity| {
        let (endpoint, region, expires) = (text("aws"), text("us-east-1"), None);
        IdentityRecord { identity, endpoint, region, expires }
    };
    let known = Identity { account: "245966534215".parse().ok(), arn: Some(text("arn:aws:iam::245966534215:role/x")) };
    let line = |account: Option<&str>, arn: Option<&str>| {
        let (account, arn) = (account.map(text), arn.map(text));
        let (endpoint, region, expires) = (text("aws"), text("us-east-1"), None);
        Line::Identity(IdentityLine { account, arn, endpoint, region, expires })
    };
    check(&Event::Identity(record(known)), line(Some("245966534215"), Some("arn:aws:iam::245966534215:role/x")));
    check(&Event::Identity(record(Identity::default())), line(None, None));
    let (ui, captured) = json_ui();
    ui.event(&Event::Identity(record(Identity::default())));
    assert!(captured.stdout().contains(r#""account":null,"arn":null"#), "unknown is null, not absent");
    assert!(!captured.stdout().contains("expires"), "what has no end says none");
    let (ui, captured) = json_ui();
    let expires = Some(text("2026-11-23T20:00:00Z"));
    ui.event(&Event::Identity(IdentityRecord { expires, ..record(Identity::default()) }));
    assert!(captured.stdout().contains(r#""expires":"2026-11-23T20:00:00Z""#), "{}", captured.stdout());
}

#[test]
fn actions_carry_what_they_have() {
    for (status, word) in [
        (Status::Planned, StatusWord::Planned),
        (Status::Done, StatusWord::Done),
        (Status::Failed, StatusWord::Failed),
        (Status::Skipped, StatusWord::Skipped),
    ] {
        let record = ActionRecord {
            status,
            action: "upload",
            target: text("s3://b/k\n\u{1b}"),
            reason: text("missing"),
            setting: None,
            source: Some(text("k")),
            bytes: Some(7),
            proof: Some("crc64nvme"),
            policy: Some(text("arn:aws:iam::111122223333:policy/p")),
        };
        let line = ActionLine {
            status: word,
            action: text("upload"),
            target: text("s3://b/k\n\u{1b}"),
            reason: text("missing"),
            setting: None,
            source: Some(text("k")),
            bytes: Some(7),
            proof: Some(text("crc64nvme")),
            policy: Some(text("arn:aws:iam::111122223333:policy/p")),
        };
        check(&Event::Action(record), Line::Action(line));
    }
}

#[test]
fn findings_cells_and_checks() {
    for (severity, word) in [
        (Severity::Error, SeverityWord::Error),
        (Severity::SecurityWarning, SeverityWord::SecurityWarning),
        (Severity::Warning, SeverityWord::Warning),
        (Severity::Suggestion, SeverityWord::Suggestion),
    ] {
        let mut finding = Finding::new("code", severity, "s3://b", "message").with_fix("fix");
        finding.path = Some(text("/Statement/0"));
        let (path, fix) = (finding.path.clone(), finding.fix.clone());
        let (code, target, message) = (text("code"), text("s3://b"), text("message"));
        check(
            &Event::Finding(finding),
            Line::Finding(FindingLine { code, severity: word, target, path, message, fix }),
        );
    }
    for (access, word, again) in [
        (Access::Allow, AccessWord::Allow, AccessWord::Allow),
        (Access::Deny, AccessWord::Deny, AccessWord::Deny),
        (Access::NotTried, AccessWord::NotTried, AccessWord::NotTried),
    ] {
        let (principal, target, because) = (text("role"), text("s3://b/p/"), text("why"));
        let (operation, expected, observed) = ("head-bucket", access, access);
        let cell = Cell { principal, operation, target, expected, observed, because };
        let Cell { principal, target, because, .. } = cell.clone();
        let (operation, rest) = (text(operation), CellLine::default());
        let line = CellLine { principal, operation, target, expected: word, observed: again, because, ..rest };
        check(&Event::Cell(cell), Line::Cell(line));
    }
    for (verdict, word) in [
        (Verdict::Pass, VerdictWord::Pass),
        (Verdict::Fail, VerdictWord::Fail),
        (Verdict::Waived, VerdictWord::Waived),
        (Verdict::Unknown, VerdictWord::Unknown),
    ] {
        let event = Check { check: text("tls-only"), target: text("s3://b"), verdict, detail: text("d") };
        let (name, target) = (text("tls-only"), text("s3://b"));
        check(&Event::Check(event), Line::Check(CheckLine { check: name, target, verdict: word, detail: text("d") }));
    }
}

#[test]
fn policies_carry_their_documents() {
    let document = serde_json::json!({ "Version": "2012-10-17", "Statement": [] });
    let record = PolicyRecord { name: text("P"), kind: "identity", characters: 42, document: document.clone() };
    let line = PolicyLine { name: text("P"), kind: text("identity"), characters: 42, document };
    check(&Event::Policy(record), Line::Policy(line));
}

#[test]
fn changes_cell_by_cell_and_edits() {
    for (turn, word, [before, after], [expected, observed]) in [
        (Turn::Opens, TurnWord::Opens, ["implicit-deny", "allow"], [AccessWord::Deny, AccessWord::Allow]),
        (Turn::Closes, TurnWord::Closes, ["allow", "explicit-deny"], [AccessWord::Allow, AccessWord::Deny]),
    ] {
        let given: BTreeMap<_, _> = [(text("s3:prefix"), Some(text("a/*"))), (text("s3:delimiter"), None)].into();
        let record = ChangeRecord {
            turn,
            principal: text("P"),
            who: Some(text("anybody, unsigned")),
            operations: vec!["list"],
            actions: vec![text("s3:ListBucket")],
            target: text("s3://b/a/*"),
            given: given.clone(),
            example: text("s3://b"),
            because: text("A allows it now"),
            before,
            after,
        };
        let line = CellLine {
            principal: text("P"),
            operation: text("list"),
            target: text("s3://b/a/*"),
            expected,
            observed,
            because: text("A allows it now"),
            turn: Some(word),
            before: Some(text(before)),
            after: Some(text(after)),
            actions: Some(vec![text("s3:ListBucket")]),
            given: Some(given),
            example: Some(text("s3://b")),
            who: Some(text("anybody, unsigned")),
        };
        check(&Event::Change(record), Line::Cell(line));
    }
    let (principal, statement, detail) = (text("P"), text("A"), text("Action + s3:GetObject"));
    let record = EditRecord { edit: "changed", principal, statement, detail };
    let line = EditLine {
        edit: text("changed"),
        principal: text("P"),
        statement: text("A"),
        detail: text("Action + s3:GetObject"),
    };
    check(&Event::Edit(record), Line::Edit(line));
}

#[test]
fn decisions_carry_their_reasons() {
    let reason = ReasonRecord {
        layer: "identity",
        document: Some(text("policy.json")),
        statement: Some(1),
        sid: Some(text("S")),
        effect: Some("deny"),
        applied: Some(false),
        failed: Some("action"),
        decisive: true,
        message: text("m"),
    };
    for (verdict, word, again) in [
        (Ruling::Allow, RulingWord::Allow, RulingWord::Allow),
        (Ruling::ExplicitDeny, RulingWord::ExplicitDeny, RulingWord::ExplicitDeny),
        (Ruling::ImplicitDeny, RulingWord::ImplicitDeny, RulingWord::ImplicitDeny),
    ] {
        let record = DecisionRecord {
            id: text("T01"),
            decision: verdict.word(),
            expected: Some(verdict.word()),
            layer: "identity",
            message: text("m"),
            because: vec![reason.clone()],
            fix: Some(text("f")),
            alone: true,
        };
        let because = vec![ReasonLine {
            layer: text("identity"),
            document: Some(text("policy.json")),
            statement: Some(1),
            sid: Some(text("S")),
            effect: Some(text("deny")),
            applied: Some(false),
            failed: Some(text("action")),
            decisive: true,
            message: text("m"),
        }];
        let (layer, message, fix) = (text("identity"), text("m"), Some(text("f")));
        let line =
            DecisionLine { id: text("T01"), decision: word, expected: Some(again), layer, message, because, fix };
        check(&Event::Decision(record), Line::Decision(line));
    }
}

#[test]
fn refusals_layers_and_remedies() {
    let (times, others, beside) = (2, 1, vec![text("ListObjectsV2 (doctor-denied)")]);
    let who = "arn:aws:iam::111122223333:user/a";
    let record = SymptomRecord {
        line: 3,
        lines: 9,
        times,
        others,
        principal: Some(text(who)),
        layer: Some("identity"),
        denial: Some("explicit"),
        beside: beside.clone(),
        ..SymptomRecord::default()
    };
    let line = SymptomLine {
        line: 3,
        lines: 9,
        times: 2,
        others: 1,
        principal: Some(text(who)),
        action: None,
        operation: None,
        resource: None,
        layer: Some(text("identity")),
        denial: Some(text("explicit")),
        policy: None,
        region: None,
        beside: Some(beside),
    };
    check(&Event::Symptom(record), Line::Symptom(line));
    let record =
        LayerRecord { layer: "scp", state: "hidden", document: None, owner: None, changed: None, detail: text("why") };
    let line = LayerLine {
        layer: text("scp"),
        state: text("hidden"),
        document: None,
        owner: None,
        changed: None,
        detail: text("why"),
    };
    check(&Event::Layer(record), Line::Layer(line));
    let record = RemedyRecord {
        kind: "layout",
        target: text("layout.toml"),
        change: vec![text("a"), text("b")],
        run: Some(text("c")),
        opens: Vec::new(),
        wider: vec![text("d")],
        weakens: false,
        checked: true,
    };
    let line = RemedyLine {
        kind: text("layout"),
        target: text("layout.toml"),
        change: vec![text("a"), text("b")],
        run: Some(text("c")),
        opens: Vec::new(),
        wider: vec![text("d")],
        weakens: false,
        checked: true,
    };
    check(&Event::Remedy(record), Line::Remedy(line));
}

#[test]
fn nodes_answers_and_errors() {
    for (kind, mark, kind_word, mark_word, objects) in [
        (NodeKind::Folder, Some(Mark::Missing), KindWord::Folder, Some(MarkWord::Missing), Some(4)),
        (NodeKind::Folder, Some(Mark::Extra), KindWord::Folder, Some(MarkWord::Extra), Some(4)),
        (NodeKind::Object, None, KindWord::Object, None, None),
    ] {
        let (bucket, path, bytes, more) = (text("b"), text("p/"), 3, objects.map(|count| count / 2));
        let (more_objects, more_bytes) = (more, more);
        let node = NodeRecord { bucket, path, kind, mark, bytes, objects, more_objects, more_bytes };
        let (bucket, path, kind, mark) = (text("b"), text("p/"), kind_word, mark_word);
        let line = NodeLine { bucket, path, kind, mark, bytes, objects, more_objects, more_bytes };
        check(&Event::Node(node), Line::Node(line));
    }
    let (target, upload_id) = (text("s3://b/k"), text("id"));
    for known in [false, true] {
        let (initiated, source) = (known.then(|| text("2026-11-02T10:00:00Z")), known.then(|| text("k.csv")));
        let (initiator, number) = (known.then(|| text("arn")), known.then_some(3));
        let record = UploadRecord {
            target: target.clone(),
            upload_id: upload_id.clone(),
            initiated: initiated.clone(),
            age_s: number,
            initiator: initiator.clone(),
            parts: number,
            bytes: number,
            ours: known,
            source: source.clone(),
        };
        let (target, upload_id, age_s, parts, bytes) = (target.clone(), upload_id.clone(), number, number, number);
        let line = UploadLine { target, upload_id, initiated, age_s, initiator, parts, bytes, ours: known, source };
        check(&Event::UnfinishedUpload(record), Line::UnfinishedUpload(line));
    }
    for (selected, rule) in [(true, None), (false, Some("cache/"))] {
        let (rule, from) = (rule.map(text), rule.map(|_| text("--exclude")));
        let record = FilterRecord { name: text("cache/"), selected, rule: rule.clone(), from: from.clone() };
        check(&Event::Filter(record), Line::Filter(FilterLine { name: text("cache/"), selected, rule, from }));
    }
    check(&Event::Answer { text: text("a\nb") }, Line::Answer(AnswerLine { text: text("a\nb") }));
    let (kind, message, hints) = ("expired-credentials", text("m"), vec![text("h")]);
    let error = ErrorRecord { hints: hints.clone(), excerpt: Some(text("1 | x")), ..ErrorRecord::new(kind, "m") };
    let excerpt = Some(text("1 | x"));
    check(&Event::Error(error), Line::Error(ErrorLine { kind: text(kind), message, hints, target: None, excerpt }));
}

#[test]
fn a_run_in_json_says_everything_on_stdout_and_ends_with_the_summary() {
    let (ui, captured) = json_ui();
    let bucket = || "bucket".parse().unwrap();
    let marker = Step::PutMarker { key: "p/".parse().unwrap() };
    let skip = Step::SkipDataset { source: text("gone.csv"), to: text("bucket/p") };
    let plan = Plan {
        actions: vec![
            Action { bucket: bucket(), step: marker, reason: Reason::Missing },
            Action { bucket: bucket(), step: skip, reason: Reason::SourceAbsent },
        ],
        unchanged: 3,
        findings: vec![Finding::new("c", Severity::Warning, "s3://bucket", "m")],
        ..Plan::default()
    };
    let planned = ui.show_plan(&plan);
    let (sender, listener) = ui.listen();
    sender.blocking_send(Event::Progress(Progress::Expect { objects: 1, bytes: 1 })).unwrap();
    sender.blocking_send(Event::Action(plan.actions[0].record(Status::Done))).unwrap();
    sender.blocking_send(Event::Progress(Progress::Settled)).unwrap();
    drop(sender);
    let mut summary = listener.finish();
    ui.note("for people");
    ui.hint("for people");
    ui.error(&ErrorRecord::new("k", "m"));
    (summary.unchanged, summary.elapsed_ms, summary.exit) = (planned.unchanged, 12, 3);
    summary.closing = Some(text("for people"));
    ui.summary(&summary);
    let read = lines(&captured);
    let kinds: Vec<&str> = read
        .iter()
        .map(|line| match line {
            Line::Action(action) => match action.status {
                StatusWord::Planned => "planned",
                StatusWord::Done => "done",
                StatusWord::Failed => "failed",
                StatusWord::Skipped => "skipped",
            },
            Line::Finding(_) => "finding",
            Line::Error(_) => "error",
            Line::Summary(_) => "summary",
            _ => "other",
        })
        .collect();
    assert_eq!(kinds, ["planned", "skipped", "finding", "done", "error", "summary"]);
    let expected = SummaryLine {
        planned: 0,
        done: 1,
        unchanged: 3,
        skipped: 0,
        failed: 0,
        deleted: 0,
        bytes: 0,
        elapsed_ms: 12,
        exit: 3,
    };
    assert_eq!(read.last(), Some(&Line::Summary(expected)));
    let counts = Summary { planned: 1, skipped: 1, unchanged: 3, ..Summary::default() };
    assert_eq!(planned, counts);
}
