//! Documents and requests put together from what policies are made of: with and without a trace the same verdict, never
//! a panic, never slow. An input that begins with `[` is read as a file of cases, which is what the corpus starts from.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use bucketwright::policy::{
    Caller, Context, Document, Policies, Policy, Request, Value, Verdict, cases, evaluate, evaluate_with_trace, explain,
};
use bucketwright_fuzz::{LIMIT, in_time};
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use std::sync::Arc;

/// What texts in policies and requests are put together from.
const PIECES: [&str; 48] = [
    "*",
    "?",
    "a",
    "aa",
    "b",
    "/",
    ":",
    "${",
    "}",
    "$",
    "'",
    ",",
    " ",
    "",
    "s3",
    "s3:",
    "GetObject",
    "PutObject",
    "List*",
    "arn:aws:s3:::lake",
    "arn:aws:s3:::lake/",
    "team-a/",
    "é",
    "日",
    "\n",
    "%",
    "${aws:username}",
    "${aws:PrincipalTag/t}",
    "${aws:username, 'x'}",
    "${*}",
    "${?}",
    "${$}",
    "arn:",
    "::",
    "111111111111",
    "arn:aws:iam::111111111111:user/a",
    "arn:aws:iam::111111111111:role/r",
    "true",
    "false",
    "10",
    "-1.50",
    "2026-01-01",
    "2026-01-01T00:00:00Z",
    "1767225600",
    "10.0.0.0/8",
    "2001:db8::/32",
    "YQ==",
    "k",
];

const KEYS: [&str; 10] = [
    "aws:username",
    "aws:PrincipalTag/t",
    "aws:SourceIp",
    "aws:CurrentTime",
    "aws:SecureTransport",
    "aws:PrincipalArn",
    "aws:TagKeys",
    "s3:prefix",
    "s3:max-keys",
    "k:b",
];

const TESTS: [&str; 28] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnEquals",
    "ArnNotEquals",
    "ArnLike",
    "ArnNotLike",
    "Null",
    "StringLikes",
];

/// Keys have at most 1,024 bytes; patterns may have some more.
const MOST_TEXT_BYTES: usize = 1_500;
/// As large as a bucket policy may be.
const MOST_DOCUMENT_BYTES: usize = 20 * 1024;

/// A text of pieces and of characters that nobody thought of.
#[derive(Debug, Arbitrary)]
struct Text<'input>(Vec<Piece<'input>>);

#[derive(Debug, Arbitrary)]
enum Piece<'input> {
    Known(u8),
    Again(u8, u8),
    Raw(&'input str),
}

impl Text<'_> {
    fn write(&self) -> String {
        let known = |index: &u8| PIECES[usize::from(*index) % PIECES.len()];
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Known(index) => text.push_str(known(index)),
                Piece::Again(index, times) => text.push_str(&known(index).repeat(usize::from(*times))),
                Piece::Raw(raw) => text.push_str(raw),
            }
            if text.len() > MOST_TEXT_BYTES {
                break;
            }
        }
        text.chars().take(MOST_TEXT_BYTES).collect()
    }
}

#[derive(Debug, Arbitrary)]
struct Condition<'input> {
    quantifier: u8,
    test: u8,
    if_exists: bool,
    key: u8,
    values: Vec<Text<'input>>,
}

#[derive(Debug, Arbitrary)]
struct Statement<'input> {
    deny: bool,
    not_action: bool,
    not_resource: bool,
    /// None, `Principal`, `NotPrincipal`.
    principal: Option<(bool, Vec<Text<'input>>)>,
    actions: Vec<Text<'input>>,
    resources: Vec<Text<'input>>,
    conditions: Vec<Condition<'input>>,
}

#[derive(Debug, Arbitrary)]
struct Input<'input> {
    /// Each with the layer that it is put into.
    documents: Vec<(u8, bool, Vec<Statement<'input>>)>,
    caller: u8,
    owner: bool,
    action: Text<'input>,
    resource: Text<'input>,
    context: Vec<(u8, bool, Vec<Text<'input>>)>,
}

fuzz_target!(|data: &[u8]| {
    if data.first() == Some(&b'[') {
        let text = String::from_utf8_lossy(data);
        for case in cases::parse(&text).into_iter().flatten() {
            in_time(LIMIT, || decide(&case.policies, &case.request));
        }
    } else if let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) {
        let texts: Vec<(u8, String)> = input.documents.iter().map(document).collect();
        let large = texts.iter().any(|(_, text)| text.len() > MOST_DOCUMENT_BYTES);
        if let Some(request) = request(&input).filter(|_| !large) {
            in_time(LIMIT, || decide(&policies(&texts), &request));
        }
    }
});

/// With and without a trace the answer is the same, and can be put into words.
fn decide(policies: &Policies, request: &Request) {
    let (fast, traced) = (evaluate(policies, request), evaluate_with_trace(policies, request));
    assert_eq!((fast.verdict, fast.layer), (traced.verdict, traced.layer));
    drop(explain::record("fuzz", &traced, request, Some(Verdict::Allow)));
    drop(explain::access_denied_message(&traced, request));
}

fn document((layer, current, statements): &(u8, bool, Vec<Statement<'_>>)) -> (u8, String) {
    let statements: Vec<_> = statements.iter().map(statement).collect();
    let version = if *current { "2012-10-17" } else { "2008-10-17" };
    (*layer, json!({"Version": version, "Statement": statements}).to_string())
}

fn statement(statement: &Statement<'_>) -> serde_json::Value {
    let texts = |list: &[Text<'_>]| list.iter().map(Text::write).collect::<Vec<_>>();
    let mut written = json!({"Effect": if statement.deny { "Deny" } else { "Allow" }});
    written[if statement.not_action { "NotAction" } else { "Action" }] = json!(texts(&statement.actions));
    written[if statement.not_resource { "NotResource" } else { "Resource" }] = json!(texts(&statement.resources));
    if let Some((not, entries)) = &statement.principal {
        written[if *not { "NotPrincipal" } else { "Principal" }] = json!({"AWS": texts(entries)});
    }
    for condition in &statement.conditions {
        let quantifier = ["", "ForAllValues:", "ForAnyValue:"][usize::from(condition.quantifier) % 3];
        let test = TESTS[usize::from(condition.test) % TESTS.len()];
        let operator = format!("{quantifier}{test}{}", if condition.if_exists { "IfExists" } else { "" });
        let key = KEYS[usize::from(condition.key) % KEYS.len()];
        written["Condition"][operator][key] = json!(texts(&condition.values));
    }
    written
}

fn policies(texts: &[(u8, String)]) -> Policies {
    let mut policies = Policies::default();
    for (layer, text) in texts {
        let Ok(document) = Document::parse(text) else { panic!("not read: {text}") };
        let policy = Arc::new(Policy { name: "fuzz".to_owned(), document });
        match layer % 7 {
            0 => policies.identity.push(policy),
            1 => policies.resource = Some(policy),
            2 => policies.boundary = Some(policy),
            3 => policies.session.get_or_insert_default().push(policy),
            4 => policies.scp.get_or_insert_default().push(vec![policy]),
            5 => policies.rcp.get_or_insert_default().push(vec![policy]),
            _ => policies.endpoint = Some(policy),
        }
    }
    policies
}

fn request(input: &Input<'_>) -> Option<Request> {
    let account = "111111111111".to_owned();
    let callers = ["arn:aws:iam::111111111111:user/a", "arn:aws:iam::111111111111:role/r", "111111111111", "anonymous"];
    let caller = match callers.get(usize::from(input.caller) % 6) {
        Some(text) => Caller::parse(text, None).ok()?,
        None if input.caller % 2 == 0 => Caller::Service { name: "logging.s3.amazonaws.com".to_owned() },
        None => Caller::FederatedUser {
            session: "arn:aws:sts::111111111111:federated-user/f".to_owned(),
            user: callers[0].to_owned(),
            account: account.clone(),
        },
    };
    let mut context = Context::default();
    for (key, many, values) in &input.context {
        let mut values: Vec<String> = values.iter().map(Text::write).collect();
        let value = if *many { Value::Many(values) } else { Value::One(values.pop().unwrap_or_default()) };
        context.set(KEYS[usize::from(*key) % KEYS.len()], value);
    }
    let request = Request::new(caller, &format!("s3:{}", input.action.write()), &input.resource.write()).ok()?;
    let owner = if input.owner { account } else { "222222222222".to_owned() };
    Some(request.with_context(context).of_account(owner))
}
