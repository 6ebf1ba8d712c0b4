//! The page of a small world, and of a hostile one.

use super::{AccountPart, BucketPart, ClusterPart, DatasetPart, Format, Page, PolicyPart, SurveyPart, is_own};
use crate::model::{Identity, ObjectEntry};
use crate::page::parts::PolicyStanding;
use crate::report::{
    Access, ActionRecord, Cell, Check, ClusterNodes, Finding, IdentityRecord, NodeGroupRecord, Pods, Severity, Status,
    Verdict, VpcEndpointRecord,
};
use crate::tree::tests::{ALL, seed_bucket};
use crate::tree::{Count, TreeBuilder};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;

/// Letters that nobody sees, or that change how others are shown.
const HIDDEN: [char; 3] = ['\u{202e}', '\u{0}', '\u{200b}'];
const HOSTILE: &str = "<script>alert(\"1\")</script>";

fn check(control: &str, verdict: Verdict, detail: &str) -> Check {
    Check {
        check: control.to_owned(),
        target: "s3://bsingh-ml-workflows".to_owned(),
        verdict,
        detail: detail.to_owned(),
    }
}

fn cell(operation: &'static str, folder: &str, expected: Access, observed: Access) -> Cell {
    let because = "ObjectsReadWrite allows it".to_owned();
    let target = format!("s3://bsingh-ml-workflows/{folder}");
    Cell { principal: "FlyteMLS3Access".to_owned(), operation, target, expected, observed, because }
}

fn put(builder: &mut TreeBuilder, key: &str, size_bytes: u64) {
    builder.add(&ObjectEntry { key: key.parse().unwrap(), size_bytes, etag: None, modified: None });
}

fn survey(text: &str) -> SurveyPart {
    let nodes = NodeGroupRecord {
        cluster: "education-eks-vV8VCAqw".to_owned(),
        name: "node-group-1".to_owned(),
        kind: ClusterNodes::Managed,
        status: None,
        image: None,
        role: None,
        role_name: None,
        instance_profiles: None,
        launch_template: None,
        launch_template_version: None,
        nodes: Some(1),
        hop_limits: vec![1],
        tokens: vec!["required"],
        namespaces: Vec::new(),
        pods: Pods::HostNetwork,
        because: text.to_owned(),
        new_nodes: None,
    };
    let endpoint = VpcEndpointRecord {
        cluster: nodes.cluster.clone(),
        id: "vpce-1".to_owned(),
        kind: "gateway".to_owned(),
        state: "available".to_owned(),
        route_tables: vec!["rtb-1".to_owned()],
        subnets: vec!["subnet-1".to_owned()],
        missing: vec![text.to_owned()],
        policy: "everything",
        statements: Vec::new(),
    };
    SurveyPart { nodes: vec![nodes], vpc: Some("vpc-1".to_owned()), endpoints: Some(vec![endpoint]) }
}

fn policy(text: &str) -> PolicyPart {
    PolicyPart {
        name: "FlyteMLS3Access".to_owned(),
        arn: Some("arn:aws:iam::245966534215:policy/FlyteMLS3Access".to_owned()),
        version: Some("v2".to_owned()),
        gives: "read-write on s3://bsingh-ml-workflows/".to_owned(),
        document: "{\n  \"Version\": \"2012-10-17\"\n}".to_owned(),
        standing: PolicyStanding::Differs,
        attached: Some(vec![format!("role {text}")]),
        wanted: vec!["the roles of all node groups of cluster education-eks-vV8VCAqw".to_owned()],
    }
}

/// The seed's bucket with its grant, where every text that could come from outside is `text`.
fn page(text: &str) -> Page {
    let bucket = seed_bucket();
    let mut builder = TreeBuilder::wanted(&bucket, [], ALL);
    put(&mut builder, "credit-scoring/data/CleanCreditScoring.csv", 1_215_506);
    put(&mut builder, &format!("credit-scoring/data/{text}"), 1);
    let tree = builder.finish();
    let part = BucketPart {
        name: "bsingh-ml-workflows".to_owned(),
        facts: vec![("state", "there".to_owned()), ("template", "ml-project".to_owned())],
        tags: vec![("team".to_owned(), text.to_owned())],
        checks: vec![
            check("public-access", Verdict::Pass, "all four flags on (S3.8, CIS 2.1.4)"),
            check("versioning", Verdict::Waived, text),
            check("lifecycle", Verdict::Fail, "is no rules, wanted two (S3.10, S3.13)"),
            check("tls-only", Verdict::Unknown, "may not be read"),
            check("access-log", Verdict::NotApplicable, "the layout names no log bucket (S3.9)"),
        ],
        policy: Some(format!("{{\n  \"Id\": \"{text}\"\n}}")),
        tree: Some(tree.clone()),
    };
    let cluster = ClusterPart {
        name: "education-eks-vV8VCAqw".to_owned(),
        arn: None,
        groups: vec![("node-group-1".to_owned(), text.to_owned())],
        remarks: Vec::new(),
        survey: Some(survey(text)),
    };
    let (allow, deny) = (Access::Allow, Access::Deny);
    Page {
        layout: "ml-workflows".parse().unwrap(),
        tool: "bucketwright 0.0.0".to_owned(),
        day: "July 26, 2025".to_owned(),
        at: "2025-07-26T12:00:00Z".to_owned(),
        identity: IdentityRecord {
            identity: Identity { account: Some("245966534215".parse().unwrap()), arn: Some(text.to_owned()) },
            endpoint: "aws".to_owned(),
            region: "us-east-1".to_owned(),
            expires: None,
        },
        buckets: vec![part],
        account: AccountPart::Seen { policies: vec![policy(text)], clusters: vec![cluster] },
        computed: vec![
            cell("list", "", allow, allow),
            cell("head-bucket", "", deny, deny),
            cell("put", "credit-scoring/data/", allow, deny),
            cell("delete", "credit-scoring/data/", deny, allow),
            Cell { principal: text.to_owned(), ..cell("get", text, allow, Access::NotTried) },
        ],
        observed: None,
        datasets: vec![DatasetPart {
            source: text.to_owned(),
            to: "s3://bsingh-ml-workflows/credit-scoring/data/".to_owned(),
            found: Some(Count { objects: 1, bytes: 1_215_506 }),
            receipt: None,
        }],
        findings: vec![
            Finding::new("no-access-log", Severity::Suggestion, "s3://bsingh-ml-workflows", text).with_fix(text),
            Finding::new("policy-locks-out", Severity::Error, text, "it denies the caller"),
        ],
        actions: vec![ActionRecord {
            status: Status::Planned,
            action: "put-setting",
            target: "s3://bsingh-ml-workflows".to_owned(),
            reason: text.to_owned(),
            setting: Some("lifecycle"),
            source: None,
            bytes: None,
            proof: None,
            policy: None,
        }],
    }
}

#[test]
fn the_page_in_markdown() {
    insta::assert_snapshot!(page("as found").render(Format::Markdown));
}

#[test]
fn the_page_in_html() {
    let html = page("as found").render(Format::Html);
    // The style has its own review.
    let (start, rest) = html.split_once("<style>").unwrap();
    let (_, end) = rest.split_once("</style>").unwrap();
    let start = start.split_once("'sha256-").map_or(start.to_owned(), |(before, after)| {
        format!("{before}'sha256-[digest]{}", &after[after.find('\'').unwrap()..])
    });
    insta::assert_snapshot!(format!("{start}<style></style>{end}"));
}

#[test]
fn hostile_text_is_text() {
    let html = page(HOSTILE).render(Format::Html);
    assert!(!html.contains("<script"), "{html}");
    assert!(html.contains("team = &lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;"));
    let markdown = page(HOSTILE).render(Format::Markdown);
    // In code it is code.
    let lines = outside_fences(&markdown);
    let open: Vec<_> =
        lines.iter().filter(|line| line.split('`').step_by(2).any(|text| text.contains("<script"))).collect();
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn pages_know_their_own() {
    for format in [Format::Markdown, Format::Html] {
        assert!(is_own(page("x").render(format).as_bytes()));
    }
    for other in [
        "version = 1\nlayout = \"x\"\n",
        "# Notes\nEach month: `bucketwright report -o notes.md`\n",
        "see <!-- bucketwright report -->",
        "<!DOCTYPE html>\n<title>bucketwright report</title>",
        "<!-- bucketwright reports, and how we read them -->",
    ] {
        assert!(!is_own(other.as_bytes()), "{other}");
    }
}

#[test]
fn nothing_is_loaded_and_nothing_runs() {
    let html = page("as found").render(Format::Html);
    for forbidden in ["<script", "javascript:", "<link", "<iframe", "<img", "url(", "@import", "://", "style=\""] {
        assert!(!html.replace("s3://", "").contains(forbidden), "{forbidden}");
    }
    assert!(html.contains("default-src 'none'") && html.contains("name=\"viewport\""));
}

#[test]
fn addresses_in_names_are_no_links() {
    let of = |text: &str| page(text).render(Format::Markdown);
    for address in ["http://x.example", "see https://x.example", "HTTPS://x.example", "fTp://x.example"] {
        let text = of(address);
        let (_, rest) = address.split_once("://").unwrap();
        let open = outside_fences(&text)
            .into_iter()
            .filter(|line| line.split('`').step_by(2).any(|part| part.contains(&format!("://{rest}"))));
        assert_eq!(open.collect::<Vec<_>>(), [""; 0]);
    }
    assert!(of("s3://x").contains("s3://x"));
}

/// What the page says in short of something.
fn in_short(page: &Page, what: &str) -> String {
    let text = page.render(Format::Markdown);
    let start = format!("| {what} | ");
    let line = text.lines().find(|line| line.starts_with(&start)).unwrap();
    line[start.len()..].trim_end_matches(" |").to_owned()
}

#[test]
fn no_cell_hides_another() {
    let (allow, deny) = (Access::Allow, Access::Deny);
    let (good, wrong) = (cell("get", "data/", allow, allow), cell("get", "data/", allow, deny));
    let unknown = cell("get", "data/", allow, Access::NotTried);
    for (computed, observed, told, shown) in [
        (vec![good.clone()], None, "✓ 1 cells, 0 not as the grants say, 0 unknown", "✓"),
        (vec![wrong.clone(), good.clone()], None, "✗ 2 cells, 1 not as the grants say, 0 unknown", "\\!–"),
        (vec![unknown.clone(), good.clone()], None, "? 2 cells, 0 not as the grants say, 1 unknown", "?"),
        (vec![unknown, wrong.clone()], None, "✗ 2 cells, 1 not as the grants say, 1 unknown", "\\!–"),
        // What somebody else was allowed makes up for nothing.
        (vec![wrong], Some(vec![good]), "✗ 2 cells, 1 of them observed, 1 not as the grants say, 0 unknown", "\\!–"),
    ] {
        let page = Page { computed, observed, ..page("x") };
        assert_eq!(in_short(&page, "access"), told);
        let text = page.render(Format::Markdown);
        let row = text.lines().find(|line| line.starts_with("| `data/` |")).unwrap();
        assert_eq!(row.split('|').nth(3).unwrap().trim(), shown, "{row}");
    }
}

#[test]
fn what_was_not_compared_is_not_called_fine() {
    let action = |status| ActionRecord { status, ..page("x").actions.remove(0) };
    let (planned, skipped) = (action(Status::Planned), action(Status::Skipped));
    for (actions, has_datasets, told) in [
        (vec![], false, "✓ none: apply has nothing to do"),
        (vec![], true, "✓ none; files of datasets were not compared"),
        (vec![planned.clone()], false, "△ apply would do 1 thing"),
        (vec![planned, skipped.clone()], false, "△ apply would do 1 thing, and leave 1 alone for cause"),
        (vec![skipped], true, "△ none, and leave 1 alone for cause; files of datasets were not compared"),
    ] {
        let mut page = Page { actions, ..page("x") };
        page.datasets.truncate(usize::from(has_datasets));
        assert_eq!(in_short(&page, "drift"), told);
    }
}

/// The elements of a page and the names of their attributes, in order: what no text from outside may change.
fn skeleton(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = html;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((tag, next)) = after.split_once('>') else { break };
        // What stands between quotes is a value.
        let names: Vec<&str> = tag.split('"').step_by(2).collect();
        found.push(names.concat());
        rest = next;
    }
    found
}

proptest! {
    #[test]
    fn no_text_changes_what_the_page_is_made_of(
        letters in proptest::collection::vec(select(vec![
            "<", ">", "\"", "'", "&", "/", "!--", "]]>", "script", "img src=x onerror=1", "</style>", "</pre>", "`", "```", "|",
            "\n", "\r", "\t", "\u{0}", "\u{202e}", "\u{200b}", "[a](javascript:1)", "https://x.example", "&lt;", "\\", "*", "#", "ü", "a",
        ]), 1..12),
    ) {
        let text = letters.concat();
        let (calm, wild) = (page("x").render(Format::Html), page(&text).render(Format::Html));
        prop_assert!(!wild.contains(HIDDEN));
        // Folders of the name's own make rows of their own, so only the tags that there are are compared.
        let kinds = |html: &str| skeleton(html).into_iter().collect::<std::collections::BTreeSet<_>>();
        prop_assert!(kinds(&wild).is_subset(&kinds(&calm)), "{:?}", kinds(&wild).difference(&kinds(&calm)).collect::<Vec<_>>());
        let markdown = page(&text).render(Format::Markdown);
        prop_assert!(!markdown.contains(HIDDEN) && !markdown.contains('\r'));
        // A heading begins where the program wants one, and every row of a table has as many cells as its head.
        let headings = |lines: &[&str]| lines.iter().filter(|line| line.starts_with('#')).count();
        let plain = page("x").render(Format::Markdown);
        prop_assert_eq!(headings(&outside_fences(&markdown)), headings(&outside_fences(&plain)), "{}", markdown);
        let bars = |line: &str| line.replace("\\\\", "").replace("\\|", "").matches('|').count();
        let lines = outside_fences(&markdown);
        for pair in lines.windows(2).filter(|pair| pair.iter().all(|line| line.starts_with('|'))) {
            prop_assert_eq!(bars(pair[0]), bars(pair[1]), "{}", pair[1]);
        }
    }
}

/// The lines of Markdown that are no code. Every fence must be closed.
fn outside_fences(markdown: &str) -> Vec<&str> {
    let (mut lines, mut fence) = (Vec::new(), None);
    for line in markdown.lines() {
        let ticks = line.bytes().take_while(|byte| *byte == b'`').count();
        match fence {
            Some(open) if ticks >= open && ticks == line.len() => fence = None,
            None if ticks >= 3 => fence = Some(ticks),
            Some(_) => {}
            None => lines.push(line),
        }
    }
    assert_eq!(fence, None, "{markdown}");
    lines
}
