//! Output as literal text, against memory in the place of the streams.

use super::{Captured, ColorChoice, Confirmation, Format, Ui, UiOptions};
use crate::model::{ETag, Fingerprint, Identity, ObjectKey, PolicyJson, PublicAccessBlock, Setting, Tags};
use crate::plan::{Action, Plan, Reason, Step, Upload};
use crate::report::{
    Access, ActionRecord, Cell, Check, ErrorRecord, Event, Finding, IdentityRecord, Progress, Severity, Status,
    Summary, Verdict,
};
use crate::tree::tests::{ALL, add};
use crate::tree::{Tree, TreeBuilder};
use std::io::Write as _;

fn options() -> UiOptions {
    UiOptions {
        format: Format::Human,
        quiet: false,
        verbose: 0,
        progress: true,
        color: ColorChoice::Never,
        stdout_is_terminal: false,
        stderr_is_terminal: true,
        width: 80,
    }
}

fn ui(options: UiOptions) -> (Ui, Captured) {
    Ui::captured(options, "")
}

/// What the events print, stdout and stderr.
fn check(options: UiOptions, events: &[Event], stdout: &str, stderr: &str) {
    let (ui, captured) = ui(options);
    events.iter().for_each(|event| ui.event(event));
    ui.close();
    assert_eq!((captured.stdout().as_str(), captured.stderr().as_str()), (stdout, stderr));
}

fn action(step: Step, reason: Reason) -> Action {
    Action { bucket: "bsingh-ml-workflows".parse().unwrap(), step, reason }
}

fn upload(number: u64) -> Step {
    let fingerprint = Fingerprint { size_bytes: 1024 * 1024, mtime_ns: 0, ctime_ns: 0, device: 0, inode: 0 };
    let key: ObjectKey = format!("credit-scoring/data/{number:03}.png").parse().unwrap();
    let replaces = number.is_multiple_of(10).then(|| ETag::new("x"));
    Step::Upload(Upload { path: format!("{number:03}.png").into(), fingerprint, key, replaces })
}

fn settings() -> Vec<Action> {
    let differs = |found: &str, wanted: &str| Reason::Differs { found: found.to_owned(), wanted: wanted.to_owned() };
    let policy = Setting::Policy(PolicyJson("{}".to_owned()));
    vec![
        action(Step::CreateBucket { region: "us-east-1".parse().unwrap(), tags: Tags::new() }, Reason::Missing),
        action(Step::PutSetting(Setting::PublicAccess(PublicAccessBlock::ALL)), differs("off", "all four flags on")),
        action(Step::PutSetting(Setting::Versioning), Reason::Missing),
        action(Step::PutSetting(policy), differs(&"a".repeat(150), &"b ".repeat(150))),
        action(Step::PutMarker { key: "credit-scoring/data/".parse().unwrap() }, Reason::Missing),
    ]
}

#[test]
fn a_plan_is_grouped_aligned_and_cut() {
    let mut plan = Plan { actions: settings(), unchanged: 1200, findings: Vec::new(), ..Plan::default() };
    plan.actions.extend((1..=23).map(|number| action(upload(number), Reason::Missing)));
    let skip = Step::SkipDataset { source: "gone.csv".to_owned(), to: "bsingh-ml-workflows/p/data".to_owned() };
    plan.actions.push(action(skip, Reason::SourceAbsent));
    plan.findings = vec![
        Finding::new("no-log", Severity::Warning, "s3://bsingh-ml-workflows", "nobody can tell who read what")
            .with_fix("name an `access_log`"),
        Finding::new("foreign", Severity::Error, "s3://bsingh-ml-workflows-2", "belongs to another layout"),
    ];
    let (ui, captured) = ui(options());
    let counted = ui.show_plan(&plan);
    ui.summary(&counted);
    let uploads: String = (1..=20)
        .map(|number| {
            let sign = if number % 10 == 0 { '~' } else { '+' };
            format!("  {sign} upload  credit-scoring/data/{number:03}.png  1.0 MiB, missing\n")
        })
        .collect();
    assert_eq!(
        captured.stdout(),
        format!(
            "\
s3://bsingh-ml-workflows
  + create  bucket in us-east-1  missing
  ~ set     public-access  off, wanted all four flags on
  + set     versioning     missing
  ~ set     policy
      aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
      aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
      aa,
      wanted b b b b b b b b b b b b b b b b b b b b b b b b b b b b b b b b ...
  + make    credit-scoring/data/  missing
{uploads}  ... and 3 more uploads (3.0 MiB)
  ! skip    gone.csv to bsingh-ml-workflows/p/data  the source is not here
  warning [no-log] nobody can tell who read what
    fix: name an `access_log`

error [foreign] s3://bsingh-ml-workflows-2: belongs to another layout
Plan: refused because of 1 error; 28 to do (uploads of 23.0 MiB), 1 skipped, 1,200 as wanted
"
        )
    );
    assert_eq!((counted.planned, counted.skipped, counted.unchanged), (28, 1, 1200));
    assert_eq!(captured.stderr(), "");
}

#[test]
fn an_empty_plan_says_so() {
    let (ui, captured) = ui(options());
    ui.show_plan(&Plan { unchanged: 17, ..Plan::default() });
    assert_eq!(captured.stdout(), "Plan: nothing to do, 17 settings, folders and files are as wanted\n");
}

#[test]
fn nothing_is_cut_when_asked_for() {
    let mut plan = Plan { actions: settings(), ..Plan::default() };
    plan.actions.extend((1..=99).map(|number| action(upload(number), Reason::Missing)));
    let (ui, captured) = ui(UiOptions { verbose: 1, ..options() });
    ui.show_plan(&plan);
    let text = captured.stdout();
    assert_eq!(
        (text.matches("+ upload").count() + text.matches("~ upload").count(), text.contains("...")),
        (99, false)
    );
    assert_eq!((text.matches('a').count() > 150, text.matches("b b").count() > 70), (true, true));
}

/// Every width: nothing that can be folded is wider, and nothing that matters is lost.
#[test]
fn a_plan_fits_its_width() {
    for width in [40, 60, 80, 120, 200] {
        let (ui, captured) = ui(UiOptions { width, ..options() });
        ui.show_plan(&Plan { actions: settings(), ..Plan::default() });
        let text = captured.stdout();
        assert!(text.lines().all(|line| line.len() <= usize::from(width)), "{width}: {text}");
        for part in ["bucket in us-east-1", "public-access", "wanted all four flags on", "credit-scoring/data/"] {
            let found = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(found.contains(part), "{width}: {part} in {text}");
        }
    }
}

fn done(kind: &'static str, target: &str, bytes: Option<u64>) -> ActionRecord {
    ActionRecord {
        status: Status::Done,
        action: kind,
        target: target.to_owned(),
        reason: "was missing".to_owned(),
        setting: None,
        source: None,
        bytes,
        proof: None,
        policy: None,
    }
}

#[test]
fn what_was_done_is_the_answer_and_what_failed_is_not() {
    let mut versioning = done("put-setting", "s3://b", None);
    (versioning.setting, versioning.reason) = (Some("versioning"), "was off".to_owned());
    let mut failed = done("upload", "s3://b/k\u{1b}[2J", Some(1));
    (failed.status, failed.source, failed.reason) =
        (Status::Failed, Some("k".to_owned()), "the file changed\nerror: not really".to_owned());
    let events = [
        Event::Identity(IdentityRecord {
            identity: Identity { account: None, arn: None },
            endpoint: "http://127.0.0.1:9000".to_owned(),
            region: "us-east-1".to_owned(),
            expires: None,
        }),
        Event::Action(done("create-bucket", "s3://b", None)),
        Event::Action(versioning),
        Event::Action(failed),
        Event::Summary(Summary { done: 2, failed: 1, bytes: 2048, elapsed_ms: 1_250, exit: 3, ..Summary::default() }),
    ];
    let problem = "! failed uploading k to s3://b/k\\x1b[2J: the file changed\\nerror: not really\n";
    let identity = "as an identity that this endpoint cannot name, at http://127.0.0.1:9000,\n  us-east-1\n";
    let lines = "created s3://b\nset versioning on s3://b (was off)\nApply: 2 done, 1 failed, 2.0 KiB in 1.2 s\n";
    check(options(), &events, lines, &format!("{identity}{problem}"));
    check(UiOptions { quiet: true, ..options() }, &events, "", problem);
}

#[test]
fn checks_and_cells_stand_under_their_bucket() {
    let check_of = |name: &str, verdict, detail: &str| {
        let (target, detail) = ("s3://bsingh-ml-workflows".to_owned(), detail.to_owned());
        Event::Check(Check { check: name.to_owned(), target, verdict, detail })
    };
    let cell = |operation, folder: &str, expected, observed, because: &str| {
        let target = format!("s3://bsingh-ml-workflows/{folder}");
        let (principal, because) = ("FlyteMLS3Access".to_owned(), because.to_owned());
        Event::Cell(Cell { principal, operation, target, expected, observed, because })
    };
    let data = |folder: &str, detail: &str| {
        let (target, detail) = (format!("s3://bsingh-ml-workflows/{folder}"), detail.to_owned());
        Event::Check(Check { check: "data".to_owned(), target, verdict: Verdict::Pass, detail })
    };
    let refused = "s3:AbortMultipartUpload is not in the policy; lifecycle aborts after 7 days";
    let events = [
        check_of("public-access", Verdict::Pass, "all four flags on"),
        check_of("versioning", Verdict::Waived, "scratch data"),
        check_of("tls-only", Verdict::Fail, "no statement denies requests without TLS"),
        check_of("lifecycle", Verdict::Unknown, "AccessDenied: not authorized to perform s3:GetLifecycleConfiguration"),
        data("credit-scoring/data/", "1 file, 1.2 MiB: 1 by MD5"),
        data("", "30,000 files, 38.2 GiB: 29,990 by MD5, 10 by CRC64NVME"),
        cell("put", "credit-scoring/data/", Access::Allow, Access::Allow, "58 bytes"),
        cell("list", "credit-scoring/data/", Access::Allow, Access::Allow, "found"),
        cell("delete", "credit-scoring/models/", Access::Deny, Access::Deny, "append"),
        cell("put", "credit-scoring/results/", Access::Allow, Access::Allow, "58 bytes"),
        cell("list", "credit-scoring/results/", Access::Allow, Access::Allow, "found"),
        cell("multipart", "credit-scoring/results/", Access::Allow, Access::Deny, refused),
        cell("put", "team-a/", Access::Allow, Access::NotTried, "--no-write"),
        cell("get", "team-a/", Access::Allow, Access::NotTried, "--no-write"),
        cell("put", "team-b/", Access::Deny, Access::NotTried, "--no-write"),
        Event::Summary(Summary { closing: Some("Verify: 9 passed".to_owned()), ..Summary::default() }),
    ];
    let heading = "s3://bsingh-ml-workflows\n";
    let wrong = "  FAIL     tls-only       no statement denies requests without TLS
  unknown  lifecycle      AccessDenied: not authorized to perform
                          s3:GetLifecycleConfiguration
";
    let all = format!(
        "\
{heading}  pass     public-access  all four flags on
  waived   versioning     scratch data
{wrong}
data in s3://bsingh-ml-workflows
  pass     credit-scoring/data/      1 file, 1.2 MiB: 1 by MD5
  pass     the whole bucket          30,000 files, 38.2 GiB: 29,990 by MD5,
                                     10 by CRC64NVME

access to s3://bsingh-ml-workflows as FlyteMLS3Access
  credit-scoring/data/              put list: allow
  credit-scoring/models/            delete: deny, as expected  append
  credit-scoring/results/           put: allow
  credit-scoring/results/           list: allow
! credit-scoring/results/           multipart: DENY, expected allow
    s3:AbortMultipartUpload is not in the policy; lifecycle aborts after 7 days
? team-a/                           put get: not tried  --no-write
? team-b/                           put: not tried, expected deny

Verify: 9 passed
"
    );
    check(options(), &events, &all, "");
    check(UiOptions { quiet: true, ..options() }, &events[..4], &format!("{heading}{wrong}"), "");
    let (ui, captured) = ui(UiOptions { verbose: 1, ..options() });
    events.iter().for_each(|event| ui.event(event));
    let row = "  credit-scoring/data/              list: allow  found\n";
    assert!(captured.stdout().contains(row), "{}", captured.stdout());
}

#[test]
fn a_matrix_is_a_table_and_what_is_wrong_below_it() {
    let cell = |operation, folder: &str, expected, observed, because: &str| {
        let (principal, because) = ("trainer".to_owned(), because.replace("KEY", &format!("lake/{folder}k")));
        Cell { principal, operation, target: format!("s3://lake/{folder}"), expected, observed, because }
    };
    let long = "a-folder-with-a-name-that-is-wider-than-its-column/models/";
    let refused = "AccessDenied: s3:PutObject on \"KEY\" with an explicit deny; but Objects allows it";
    let (allow, deny) = (Access::Allow, Access::Deny);
    let events = [
        Event::Matrix(vec![
            cell("list", "", deny, deny, "no statement allows it"),
            cell("head-bucket", "", deny, deny, "no statement allows it"),
            cell("list", "p/data/", allow, allow, "ListFolders allows it"),
            cell("put", "p/data/", allow, deny, refused),
            cell("delete", "p/data/", deny, allow, "it worked (deleted), but no statement allows it"),
            cell("list", long, allow, allow, "ListFolders allows it"),
            cell("put", long, allow, deny, refused),
            cell("delete", long, allow, Access::NotTried, "ExpiredToken"),
            cell("get", long, deny, Access::Failed, "other bytes came back"),
        ]),
        Event::Matrix(vec![cell("list", "q/", allow, allow, "ListFolders allows it")]),
        Event::Summary(Summary { closing: Some("Verify: 4 passed".to_owned()), ..Summary::default() }),
    ];
    let all = format!(
        "\
access to s3://lake as trainer
                                              list   get    put    delete head
  the root                                    deny                        deny
  p/data/                                     allow         DENY!  ALLOW!
  {long}
                                              allow  FAIL!  DENY!  ?
! DENY, expected allow: put p/data/, put
    {long}
    AccessDenied: s3:PutObject on \"lake/p/data/k\" with an explicit deny; but
    Objects allows it
! ALLOW, expected deny: delete p/data/
    it worked (deleted), but no statement allows it
? not tried: delete {long}
    ExpiredToken
! FAILED, expected deny: get
    {long}
    other bytes came back

access to s3://lake as trainer
                   list
  q/               allow

Verify: 4 passed
"
    );
    check(options(), &events, &all, "");
    check(UiOptions { quiet: true, ..options() }, &events[1..2], "", "");
    let (ui, captured) = ui(UiOptions { verbose: 1, ..options() });
    ui.event(&events[1]);
    assert!(captured.stdout().ends_with("  allow: list q/\n    ListFolders allows it\n"), "{}", captured.stdout());
    let (ui, captured) = self::ui(UiOptions { format: Format::Json, ..options() });
    ui.event(&events[1]);
    let line = r#"{"type":"cell","principal":"trainer","operation":"list","target":"s3://lake/q/","expected":"allow","#;
    assert!(captured.stdout().starts_with(line), "{}", captured.stdout());
}

#[test]
fn errors_keep_their_lines_and_their_words() {
    let error = |message: &str, target: Option<&str>| {
        let hints = vec!["run `aws sso login --profile adfs`".to_owned()];
        ErrorRecord { hints, target: target.map(str::to_owned), ..ErrorRecord::new("any", message) }
    };
    let long = format!("cannot list `bucket`: the token {} is expired", "x".repeat(80));
    let excerpt = "layout.toml:3:1: unknown key\n  |\n3 | proyects = []\n  | ^^^^^^^^";
    let (ui, captured) = ui(options());
    ui.error(&error(&long, Some("s3://bucket")));
    ui.error(&error(excerpt, None));
    ui.warning("grants are not applied yet\nfor now");
    assert_eq!(
        captured.stderr(),
        format!(
            "\
error: cannot list `bucket`: the token
  {}
  is expired
  on s3://bucket
hint: run `aws sso login --profile adfs`
error: layout.toml:3:1: unknown key
    |
  3 | proyects = []
    | ^^^^^^^^
hint: run `aws sso login --profile adfs`
warning: grants are not applied yet
  for now
",
            "x".repeat(80)
        )
    );
    assert_eq!(captured.stdout(), "");
}

#[test]
fn quiet_keeps_answers_and_warnings() {
    let (ui, captured) = ui(UiOptions { quiet: true, ..options() });
    ui.note("waiting");
    ui.hint("try this");
    ui.warning("careful");
    ui.answer("text without a line break");
    ui.summary(&Summary { done: 1, ..Summary::default() });
    assert_eq!(
        (captured.stdout().as_str(), captured.stderr().as_str()),
        ("text without a line break\n", "warning: careful\n")
    );
}

#[test]
fn closing_line_is_the_verbs_own_if_it_has_one_and_absent_if_nothing_was_counted() {
    let closing = Summary { done: 1, closing: Some("38 pass, 1 waived".to_owned()), ..Summary::default() };
    let nothing = Summary { elapsed_ms: 7, exit: 4, ..Summary::default() };
    check(options(), &[Event::Summary(closing), Event::Summary(nothing)], "38 pass, 1 waived\n", "");
}

#[test]
fn colour_is_decoration() {
    let finding = Event::Finding(Finding::new("c", Severity::Error, "t", "m"));
    let colourful = UiOptions { color: ColorChoice::Always, ..options() };
    check(colourful, std::slice::from_ref(&finding), "\u{1b}[31merror \u{1b}[0m[c] t: m\n", "");
    let auto = UiOptions { color: ColorChoice::Auto, ..options() };
    check(auto, &[finding], "error [c] t: m\n", "");
}

#[test]
fn questions_are_asked_of_people_only() {
    for (typed, terminal, answer, asked) in [
        ("yes\n", true, Confirmation::Yes, "Apply? [y/N] "),
        ("\n", true, Confirmation::No, "Apply? [y/N] "),
        ("", true, Confirmation::No, "Apply? [y/N] "),
        ("yes\n", false, Confirmation::NobodyThere, ""),
    ] {
        let (ui, captured) = Ui::captured(UiOptions { stderr_is_terminal: terminal, ..options() }, typed);
        assert_eq!((ui.confirm("Apply?"), captured.stderr().as_str()), (answer, asked));
        ui.note("over");
        // Whatever follows a question that got no line of its own begins on a new one.
        let ended = if asked.is_empty() || !typed.is_empty() { "" } else { "\n" };
        assert_eq!(captured.stderr(), format!("{asked}{ended}over\n"));
    }
}

#[test]
fn log_lines_are_whole_and_harmless() {
    let (ui, captured) = ui(options());
    let mut log = ui.log_lines();
    log.write_all(b"one\ntwo\x1b[2J and ").unwrap();
    assert_eq!(captured.stderr(), "one\n");
    log.write_all(b"more").unwrap();
    drop(log);
    assert_eq!(captured.stderr(), "one\ntwo\\x1b[2J and more\n");
}

#[test]
fn long_reasons_are_cut_and_long_targets_are_not() {
    let target = format!("s3://b/{}", "k".repeat(300));
    let mut record = done("put-setting", &target, None);
    (record.setting, record.reason) = (Some("policy"), "r".repeat(300));
    let (ui, captured) = ui(options());
    ui.event(&Event::Action(record.clone()));
    record.status = Status::Failed;
    ui.event(&Event::Action(record));
    let text = captured.stdout();
    assert!(text.contains(&target) && text.ends_with("r ...)\n") && text.matches('r').count() < 80, "{text}");
    assert_eq!(captured.stderr().matches('r').count(), 300, "what failed is told whole");
}

#[test]
fn a_reason_that_stands_nowhere_else_is_not_cut() {
    for (status, action, whole) in [
        (Status::Planned, "upload", true),
        (Status::Done, "create-policy-version", true),
        (Status::Done, "detach-policy", true),
        (Status::Done, "put-setting", false),
    ] {
        let mut record = done(action, "t", None);
        (record.status, record.reason) = (status, "x".repeat(300));
        let (ui, captured) = ui(options());
        ui.event(&Event::Action(record));
        assert_eq!(captured.stdout().matches('x').count() == 300, whole, "{action}: {}", captured.stdout());
    }
}

#[test]
fn what_got_no_line_is_told_before_the_closing_line() {
    let (ui, captured) = ui(options());
    (0..22).for_each(|number| ui.event(&Event::Action(done("delete", &format!("s3://b/{number}"), None))));
    ui.summary(&Summary { done: 22, deleted: 22, ..Summary::default() });
    let text = captured.stdout();
    assert!(
        text.ends_with(
            "deleted s3://b/19 (was missing)\n... and 2 more deleted in s3://b\nApply: 22 done, 22 deleted\n"
        ),
        "{text}"
    );
}

fn tree() -> Tree {
    let mut builder = TreeBuilder::found("bucket".parse().unwrap(), "p/".parse().unwrap(), ALL);
    add(&mut builder, &["p/a/x=3", "p/b"]);
    builder.finish()
}

#[test]
fn trees_are_drawn_one_below_the_other() {
    let (ui, captured) = ui(options());
    ui.tree(&tree());
    ui.tree(&tree());
    let one = "s3://bucket/p/\n├── a/\n│   └── x\n└── b\n";
    assert_eq!(captured.stdout(), format!("{one}\n{one}"));
}

#[test]
fn a_tree_in_json_is_a_node_a_line() {
    let (ui, captured) = ui(UiOptions { format: Format::Json, quiet: true, ..options() });
    ui.tree(&tree());
    ui.note("not with quiet");
    let expected = concat!(
        r#"{"type":"node","bucket":"bucket","path":"p/","kind":"folder","bytes":4,"objects":2}"#,
        "\n",
        r#"{"type":"node","bucket":"bucket","path":"p/a/","kind":"folder","bytes":3,"objects":1}"#,
        "\n",
        r#"{"type":"node","bucket":"bucket","path":"p/a/x","kind":"object","bytes":3}"#,
        "\n",
        r#"{"type":"node","bucket":"bucket","path":"p/b","kind":"object","bytes":1}"#,
        "\n",
    );
    assert_eq!((captured.stdout().as_str(), captured.stderr().as_str()), (expected, ""));
}

#[test]
fn a_listener_prints_counts_and_sums_up_what_it_held_back() {
    let (ui, captured) = ui(UiOptions { stderr_is_terminal: false, ..options() });
    let (sender, listener) = ui.listen();
    sender.blocking_send(Event::Progress(Progress::Expect { objects: 25, bytes: 25 * 1024 })).unwrap();
    sender.blocking_send(Event::Progress(Progress::AllExpected)).unwrap();
    for number in 1..=25 {
        let target = format!("s3://b/{number:02}");
        sender.blocking_send(Event::Action(done("upload", &target, Some(1024)))).unwrap();
        sender.blocking_send(Event::Progress(Progress::Settled)).unwrap();
    }
    sender.blocking_send(Event::Action(done("put-marker", "s3://b/p/", None))).unwrap();
    drop(sender);
    let summary = listener.finish();
    let shown: String = (1..=20).map(|number| format!("uploaded s3://b/{number:02} (1.0 KiB)\n")).collect();
    assert_eq!(captured.stdout(), format!("{shown}made s3://b/p/\n... and 5 more uploaded in s3://b (5.0 KiB)\n"));
    assert_eq!((summary.done, summary.bytes, summary.exit), (26, 25 * 1024, 0));
    assert_eq!(captured.stderr(), "");
}

#[test]
fn a_listener_ends_though_many_send_at_once() {
    let (ui, captured) = ui(UiOptions { format: Format::Json, ..options() });
    let (sender, listener) = ui.listen();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let sender = sender.clone();
            scope.spawn(move || {
                for number in 0..2_000 {
                    let target = format!("s3://b/{thread}/{number}");
                    sender.blocking_send(Event::Action(done("upload", &target, Some(1)))).unwrap();
                }
            });
        }
        drop(sender);
    });
    assert_eq!(listener.finish().done, 8_000);
    let text = captured.stdout();
    assert_eq!(text.lines().count(), 8_000);
    assert!(text.lines().all(|line| line.starts_with(r#"{"type":"action","status":"done""#) && line.ends_with('}')));
}

#[test]
fn mistakes_in_a_file_are_shown_in_place_and_counted() {
    let mistake = |line: u32| ErrorRecord {
        target: Some("layout.toml".to_owned()),
        excerpt: Some(format!("{line} | proyects = []\n  | ^^^^^^^^")),
        hints: vec!["keys of [[bucket]]: `name`".to_owned()],
        ..ErrorRecord::new("layout", format!("layout.toml:{line}:1: unknown key `proyects`"))
    };
    let one = |line: u32| {
        format!(
            "error: layout.toml:{line}:1: unknown key `proyects`\n{line} | proyects = []\n  | ^^^^^^^^\n\
             hint: keys of [[bucket]]: `name`\n"
        )
    };
    let shown = |records: &[ErrorRecord]| {
        let (ui, captured) = ui(options());
        ui.failure(records);
        (captured.stdout(), captured.stderr())
    };
    assert_eq!(shown(&[mistake(3)]), (String::new(), one(3)));
    let two = format!("{}\n{}\n2 mistakes in layout.toml\n", one(3), one(7));
    assert_eq!(shown(&[mistake(3), mistake(7)]), (String::new(), two));
    let more = ErrorRecord::new("layout", "layout.toml: and 900 more mistakes like these");
    assert!(!shown(&[mistake(3), more]).1.contains("2 mistakes"), "a cut list is not counted");
}

#[test]
fn findings_of_a_kind_share_their_fix_and_their_number() {
    let odd = |number: u32, fix: &str| {
        let target = format!("data/{number}");
        Event::Finding(
            Finding::new("odd-file", Severity::Warning, &target, format!("`{target}` is a FIFO")).with_fix(fix),
        )
    };
    let events: Vec<Event> = (1..=12).map(|number| odd(number, "leave it out")).chain([odd(13, "mend it")]).collect();
    let shown: String = (1..=10).map(|number| format!("warning [odd-file] `data/{number}` is a FIFO\n")).collect();
    let end = "  ... and 2 more, which `-v` shows\n  fix: leave it out\nwarning [odd-file] `data/13` is a FIFO\n  fix: mend it\n";
    check(options(), &events, &format!("{shown}{end}"), "");
    let (ui, captured) = ui(UiOptions { verbose: 1, ..options() });
    events.iter().for_each(|event| ui.event(event));
    ui.note("done");
    assert_eq!((captured.stdout().matches("is a FIFO").count(), captured.stdout().contains("more")), (13, false));
}

#[test]
fn a_failure_is_told_once_and_its_hint_at_the_end() {
    let failed = |target: &str| {
        let mut record = done("put-marker", target, None);
        (record.status, record.reason) = (Status::Failed, "StorageFull: the disk is full".to_owned());
        let message = format!("PutObject on `{target}` failed: {}", record.reason);
        let error = ErrorRecord {
            target: Some(target.to_owned()),
            hints: vec!["free some space".to_owned()],
            ..ErrorRecord::new("disk-full", message)
        };
        [Event::Action(record), Event::Error(error)]
    };
    let mut upload = done("upload", "s3://b/p/x", Some(1));
    (upload.status, upload.source) = (Status::Failed, Some("x".to_owned()));
    upload.reason = "PutObject on `s3://b/p/x` failed: StorageFull: the disk is full".to_owned();
    let events: Vec<Event> =
        [failed("s3://b/p/"), failed("s3://b/q/")].into_iter().flatten().chain([Event::Action(upload)]).collect();
    let told = "! failed making s3://b/p/: StorageFull: the disk is full\n\
                ! failed making s3://b/q/: StorageFull: the disk is full\n\
                ! failed uploading x to s3://b/p/x: StorageFull: the disk is full\n\
                hint: free some space\n";
    check(options(), &events, "", told);
}

#[test]
fn what_fails_or_is_left_out_many_times_is_counted() {
    let times = |status, reason: &str, count: u32| {
        let events = (0..count).map(|number| {
            let mut record = done("put-marker", &format!("s3://b/{number}/"), None);
            (record.status, record.reason) = (status, reason.to_owned());
            Event::Action(record)
        });
        let (ui, captured) = ui(options());
        events.for_each(|event| ui.event(&event));
        ui.close();
        assert_eq!(captured.stdout(), "");
        captured.stderr()
    };
    let skipped = times(Status::Skipped, "the bucket could not be made", 25);
    assert_eq!(skipped.matches("! skipped making").count(), 5);
    assert!(skipped.ends_with("... and 20 more skipped in s3://b: the bucket could not be made\n"), "{skipped}");
    let failed = times(Status::Failed, "no", 2_000);
    assert_eq!(failed.matches("! failed making").count(), 20);
    assert!(failed.ends_with("... and 1,980 more failed making in s3://b\n"), "{failed}");
}

#[test]
fn after_the_end_nothing_is_said_but_that_the_answer_is_lost() {
    let (ui, captured) = ui(options());
    ui.answer("whole");
    ui.close();
    ui.note("late");
    ui.answer("late");
    ui.output_lost("No space left on device (os error 28)");
    ui.note("later");
    let lost = "error: cannot write the output: No space left on device\n";
    assert_eq!((captured.stdout().as_str(), captured.stderr().as_str()), ("whole\n", lost));
}
