//! What a report tells, in which order and in which words.

use super::blocks::{Block, Code, Inline, Standing, Table, code, plain};
use super::grid::{Mark, grids};
use super::parts::{AccountPart, BucketPart, ClusterPart, PolicyPart, PolicyStanding};
use super::{Page, drawing};
use crate::model::Control;
use crate::report::{Check, Finding, Severity, Status, Verdict};

/// The page's title.
pub(super) fn title(page: &Page) -> String {
    format!("S3 bucket access and IAM policies of {}", page.layout)
}

/// The whole page.
pub(super) fn blocks(page: &Page) -> Vec<Block> {
    let mut out = vec![Block::Heading(1, title(page)), overview(page)];
    out.push(summary(page));
    out.push(Block::Heading(2, "Current setup".to_owned()));
    setup(page, &mut out);
    out.push(Block::Heading(2, "Bucket settings".to_owned()));
    for bucket in &page.buckets {
        settings(bucket, &mut out);
    }
    out.push(Block::Heading(2, "Bucket structure".to_owned()));
    for bucket in &page.buckets {
        structure(bucket, &mut out);
    }
    out.push(Block::Heading(2, "IAM policies".to_owned()));
    account(page, &mut out);
    out.push(Block::Heading(2, "Access matrix".to_owned()));
    matrix(page, &mut out);
    if !page.datasets.is_empty() {
        out.push(Block::Heading(2, "Datasets".to_owned()));
        out.push(datasets(page));
    }
    out.push(Block::Heading(2, "Findings".to_owned()));
    out.push(findings(&page.findings));
    out.push(Block::Heading(2, "What apply would change".to_owned()));
    out.push(actions(page));
    out.push(Block::Closing(format!("Last updated: {} ({}), by {}", page.day, page.at, page.tool)));
    out
}

fn overview(page: &Page) -> Block {
    let words = format!(
        "The buckets, folders, policies and access of layout {}, as they were found on {}. Nothing was changed.",
        page.layout, page.day
    );
    Block::Text(vec![plain(words)])
}

/// The page in five lines.
fn summary(page: &Page) -> Block {
    let checks = page.buckets.iter().flat_map(|bucket| &bucket.checks);
    let count = |verdict: Verdict| checks.clone().filter(|check| check.verdict == verdict).count();
    let (fail, unknown, waived) = (count(Verdict::Fail), count(Verdict::Unknown), count(Verdict::Waived));
    let controls = if fail > 0 {
        Standing::Bad
    } else if unknown > 0 {
        Standing::Open
    } else {
        Standing::Good
    };
    let (access, cells) = access(page);
    let grave = page.findings.iter().filter(|finding| finding.severity >= Severity::SecurityWarning).count();
    let (drift, changes) = drift(page);
    let row = |what: &str, standing, text: String| vec![vec![plain(what)], vec![Inline::Standing(standing, text)]];
    Block::Table(Table {
        caption: "In short".to_owned(),
        head: &["what", "how it stands"],
        rows: vec![
            row(
                "controls",
                controls,
                format!("{} passed, {fail} failed, {waived} waived, {unknown} unknown", count(Verdict::Pass)),
            ),
            row("access", access, cells),
            row(
                "findings",
                if grave > 0 { Standing::Bad } else { Standing::Good },
                format!("{}, {grave} of them grave", page.findings.len()),
            ),
            row("drift", drift, changes),
        ],
    })
}

/// How the matrix stands: computed and observed cells count alike.
fn access(page: &Page) -> (Standing, String) {
    let observed = page.observed.as_ref().map_or(0, Vec::len);
    let marks: Vec<Mark> = page.computed.iter().chain(page.observed.iter().flatten()).map(Mark::of).collect();
    let wrong = marks.iter().filter(|mark| mark.is_wrong()).count();
    let open = marks.iter().filter(|mark| **mark == Mark::Unknown).count();
    let standing = match (wrong, open) {
        (1.., _) => Standing::Bad,
        (0, 1..) => Standing::Open,
        (0, 0) => Standing::Good,
    };
    let called = if page.observed.is_some() { format!(", {observed} of them observed") } else { String::new() };
    (standing, format!("{} cells{called}, {wrong} not as the grants say, {open} unknown", marks.len()))
}

/// What is left to do. Files of datasets are no part of it, so that nothing is said of them.
fn drift(page: &Page) -> (Standing, String) {
    let planned = page.actions.iter().filter(|action| action.status != Status::Skipped).count();
    let left_alone = page.actions.len() - planned;
    let mut words = match planned {
        0 => "none".to_owned(),
        1 => "apply would do 1 thing".to_owned(),
        count => format!("apply would do {count} things"),
    };
    if left_alone > 0 {
        words = format!("{words}, and leave {left_alone} alone for cause");
    }
    match (page.datasets.is_empty(), page.actions.is_empty()) {
        (true, true) => words.push_str(": apply has nothing to do"),
        (true, false) => {}
        (false, _) => words.push_str("; files of datasets were not compared"),
    }
    let standing = if page.actions.is_empty() { Standing::Good } else { Standing::Odd };
    (standing, words)
}

fn setup(page: &Page, out: &mut Vec<Block>) {
    let identity = &page.identity;
    let account = identity.identity.account.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let caller = identity.identity.arn.clone().unwrap_or_else(|| "unknown".to_owned());
    let mut items = vec![
        vec![plain("Account: "), code(account)],
        vec![plain("Looked at as: "), code(caller)],
        vec![plain("Endpoint: "), code(identity.endpoint.clone())],
        vec![plain("Region: "), code(identity.region.clone())],
    ];
    items.extend(page.buckets.iter().map(|bucket| vec![plain("Bucket: "), code(bucket.name.clone())]));
    out.push(Block::List(items));
    if let AccountPart::Seen { clusters, .. } = &page.account {
        for one in clusters {
            cluster(one, out);
        }
    }
}

fn cluster(cluster: &ClusterPart, out: &mut Vec<Block>) {
    out.push(Block::Heading(3, format!("EKS cluster {}", cluster.name)));
    let mut items: Vec<Vec<Inline>> = cluster.arn.iter().map(|arn| vec![plain("ARN: "), code(arn.clone())]).collect();
    items.extend(cluster.groups.iter().map(|(group, role)| {
        vec![plain("Node group "), code(group.clone()), plain(", whose nodes have role "), code(role.clone())]
    }));
    items.extend(cluster.remarks.iter().map(|remark| vec![plain(remark.clone())]));
    out.push(Block::List(items));
}

fn settings(bucket: &BucketPart, out: &mut Vec<Block>) {
    out.push(Block::Heading(3, bucket.name.clone()));
    let mut facts: Vec<Vec<Inline>> =
        bucket.facts.iter().map(|(what, how)| vec![plain(format!("{what}: ")), plain(how.clone())]).collect();
    facts.extend(bucket.tags.iter().map(|(key, value)| vec![plain("tag: "), code(format!("{key} = {value}"))]));
    out.push(Block::List(facts));
    if !bucket.checks.is_empty() {
        out.push(Block::Table(Table {
            caption: format!("Controls of {}", bucket.name),
            head: &["control", "ids", "verdict", "what was found"],
            rows: bucket.checks.iter().map(check).collect(),
        }));
    }
    if let Some(policy) = &bucket.policy {
        let label = format!("The bucket policy of {}", bucket.name);
        out.push(Block::Text(vec![plain("Its bucket policy:")]));
        out.push(Block::Code(Code { label, language: "json", text: policy.clone() }));
    }
}

fn check(check: &Check) -> Vec<Vec<Inline>> {
    let ids = check.check.parse::<Control>().map_or("", Control::standards);
    // The ids stand in a column of their own.
    let detail = check.detail.strip_suffix(&format!(" ({ids})")).unwrap_or(&check.detail);
    let standing = match check.verdict {
        Verdict::Pass => Standing::Good,
        Verdict::Fail => Standing::Bad,
        Verdict::Waived => Standing::Odd,
        Verdict::Unknown => Standing::Open,
        Verdict::NotApplicable => Standing::Apart,
    };
    vec![
        vec![plain(check.check.clone())],
        vec![plain(ids)],
        vec![Inline::Standing(standing, check.verdict.to_string())],
        vec![plain(detail)],
    ]
}

fn structure(bucket: &BucketPart, out: &mut Vec<Block>) {
    if let Some(tree) = &bucket.tree {
        let label = format!("The folders of {}", bucket.name);
        out.push(Block::Code(Code { label, language: "", text: drawing::tree(tree) }));
    }
}

fn account(page: &Page, out: &mut Vec<Block>) {
    let policies = match &page.account {
        AccountPart::Seen { policies, .. } => policies,
        AccountPart::Unseen { why, policies } => {
            let words = format!(
                "The account was not looked at, because {why}. These are the policies that the layout asks for."
            );
            out.push(Block::Text(vec![plain(words)]));
            policies
        }
    };
    if policies.is_empty() {
        out.push(Block::Text(vec![plain("The layout has no grants, so it makes no policies.")]));
    }
    for one in policies {
        policy(one, out);
    }
}

fn policy(policy: &PolicyPart, out: &mut Vec<Block>) {
    out.push(Block::Heading(3, policy.name.clone()));
    let (standing, words) = match policy.standing {
        PolicyStanding::AsWanted => (Standing::Good, "says what the grant asks for"),
        PolicyStanding::Differs => (Standing::Bad, "says something else than the grant asks for"),
        PolicyStanding::Missing => (Standing::Bad, "is not there; this is the document that apply would make"),
        PolicyStanding::Unknown => (Standing::Open, "was not read; this is the document that the layout asks for"),
    };
    let mut items = vec![
        vec![plain("Gives: "), plain(policy.gives.clone())],
        vec![plain("Stands: "), Inline::Standing(standing, words.to_owned())],
    ];
    items.extend(policy.arn.iter().map(|arn| vec![plain("ARN: "), code(arn.clone())]));
    items.extend(policy.version.iter().map(|version| vec![plain("In force: "), code(version.clone())]));
    items.push(match &policy.attached {
        Some(names) if names.is_empty() => vec![plain("Attached to nobody")],
        Some(names) => vec![plain("Attached to: "), plain(names.join(", "))],
        None => vec![plain("Attached to: "), Inline::Standing(Standing::Open, "may not be seen".to_owned())],
    });
    if !policy.wanted.is_empty() {
        items.push(vec![plain("Meant for: "), plain(policy.wanted.join(", "))]);
    }
    out.push(Block::List(items));
    let label = format!("The document of {}", policy.name);
    out.push(Block::Code(Code { label, language: "json", text: policy.document.clone() }));
}

fn matrix(page: &Page, out: &mut Vec<Block>) {
    if page.computed.is_empty() && page.observed.is_none() {
        out.push(Block::Text(vec![plain("Without grants there is no access to tell.")]));
        return;
    }
    let legend = Mark::ALL.iter().map(|mark| vec![code(mark.sign()), plain(format!(" {}", mark.words()))]).collect();
    out.push(Block::List(legend));
    if !page.computed.is_empty() {
        let by = match page.account {
            AccountPart::Seen { .. } => "what the grants' policies allow as they are in force",
            AccountPart::Unseen { .. } => "what the grants' policies would allow as the layout asks for them",
        };
        let words = format!(
            "Computed: {by}, by the evaluator. A folder whose name ends in -sibling stands for any whose name only \
             begins like a granted one."
        );
        out.push(Block::Text(vec![plain(words)]));
        out.extend(grids(&page.computed).into_iter().map(Block::Matrix));
    }
    if let Some(observed) = &page.observed {
        out.push(Block::Text(vec![plain("Observed: how calls were answered.")]));
        out.extend(grids(observed).into_iter().map(Block::Matrix));
        if observed.is_empty() {
            out.push(Block::Text(vec![plain("There was nothing to try.")]));
        }
    }
    let cells = page.computed.iter().chain(page.observed.iter().flatten());
    let odd: Vec<_> = cells
        .filter(|cell| cell.expected != cell.observed)
        .map(|cell| {
            vec![
                vec![plain(cell.principal.clone())],
                vec![plain(cell.operation)],
                vec![plain(cell.target.clone())],
                vec![plain(format!("{}, expected {}", cell.observed, cell.expected))],
                vec![plain(cell.because.clone())],
            ]
        })
        .collect();
    if !odd.is_empty() {
        out.push(Block::Table(Table {
            caption: "Cells that are not as the grants say".to_owned(),
            head: &["who", "what", "where", "how", "why"],
            rows: odd,
        }));
    }
}

fn datasets(page: &Page) -> Block {
    let rows = page.datasets.iter().map(|dataset| {
        vec![
            vec![plain(dataset.source.clone())],
            vec![plain(dataset.to.clone())],
            vec![plain(dataset.found.map_or_else(|| "not seen".to_owned(), drawing::amount))],
            vec![plain(dataset.receipt.clone().unwrap_or_else(|| "none".to_owned()))],
        ]
    });
    Block::Table(Table {
        caption: "Datasets".to_owned(),
        head: &["source", "folder", "what lies there", "receipt"],
        rows: rows.collect(),
    })
}

fn findings(findings: &[Finding]) -> Block {
    if findings.is_empty() {
        return Block::Text(vec![plain("None.")]);
    }
    let row = |finding: &Finding| {
        let standing = match finding.severity {
            Severity::Error | Severity::SecurityWarning => Standing::Bad,
            Severity::Warning => Standing::Odd,
            Severity::Suggestion => Standing::Apart,
        };
        vec![
            vec![Inline::Standing(standing, finding.severity.to_string())],
            vec![plain(finding.code)],
            vec![plain(finding.target.clone())],
            vec![plain(finding.message.clone())],
            vec![plain(finding.fix.clone().unwrap_or_default())],
        ]
    };
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Block::Table(Table {
        caption: "Findings, the gravest first".to_owned(),
        head: &["severity", "code", "about", "what was seen", "what to do"],
        rows: sorted.into_iter().map(row).collect(),
    })
}

fn actions(page: &Page) -> Block {
    if page.actions.is_empty() {
        return Block::Text(vec![plain("Nothing: all is as the layout says. Files of datasets were not compared.")]);
    }
    let rows = page.actions.iter().map(|action| {
        let left_alone = if action.status == Status::Skipped { "left alone: " } else { "" };
        let because = format!("{left_alone}{}", action.reason);
        vec![vec![plain(action.action)], vec![plain(action.target.clone())], vec![plain(because)]]
    });
    Block::Table(Table {
        caption: "What apply would change".to_owned(),
        head: &["action", "on", "because"],
        rows: rows.collect(),
    })
}
