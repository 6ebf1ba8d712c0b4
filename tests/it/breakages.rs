//! The seed's layout with its grant, applied and proven as a node's role; then one thing broken at a time.
//!
//! Each time `verify` must find it. `doctor` must name the layer, the statement and the change, from the words that the
//! service refused with and when it is asked; and once just that change is made, `verify` must be content again.

use crate::doctor::{Account, CONTROL, LAYOUT, NODE, NODE_2, STORE, document, lines};
use crate::server_env::{client, open};
use crate::testenv::Ran;
use aws_sdk_s3::Client;
use serde_json::{Value, json};

const BUCKET: &str = "bsingh-ml-workflows";
const VERIFY: [&str; 7] = ["verify", "--local", "--access", "--as", NODE, "--output", "json"];

/// What `doctor` must say of a breakage.
struct Told {
    code: &'static str,
    /// Layer and state of the row that shows the cause, and words of it: the document, and the statement where there is one.
    row: [&'static str; 2],
    words: &'static [&'static str],
    /// The kind of the change.
    kind: &'static str,
}

/// The account after `apply`, in which `verify` is content.
fn whole() -> Account {
    let account = Account::new();
    content(&account);
    account
}

/// Everything is as the grant says.
fn content(account: &Account) {
    let ran = account.env.expect(0, &VERIFY);
    let (all, wrong) = (ran.of_type("cell"), unexpected(&ran));
    assert!(all.len() > 50 && wrong.is_empty(), "{} cells, of which {wrong:?}", all.len());
}

fn unexpected(ran: &Ran) -> Vec<Value> {
    ran.of_type("cell").into_iter().filter(|cell| cell["expected"] != cell["observed"]).collect()
}

/// `verify` finds it, `doctor` says what it is; the change that it proposes.
fn broken(account: &Account, told: &Told) -> Value {
    let ran = account.env.expect(4, &VERIFY);
    let wrong = unexpected(&ran);
    // Where nobody may write there is nothing to delete either.
    assert!(wrong.iter().all(|cell| cell["observed"] == "deny" || cell["observed"] == "not-tried"), "{wrong:?}");
    let is_put = |cell: &&Value| cell["operation"] == "put";
    let cell = wrong.iter().find(is_put).unwrap_or_else(|| panic!("no refused put: {wrong:?}"));
    let place = format!("{}m.bin", cell["target"].as_str().unwrap());
    let message = cell["because"].as_str().unwrap();
    let asked = ["--principal", NODE, "--action", "s3:PutObject", "--resource", &place];
    let remedies = [&[message][..], &asked].map(|arguments| {
        let ran = account.doctor(arguments);
        assert_eq!(ran.code, 4, "{arguments:?}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.of_type("finding")[0]["code"], told.code, "{arguments:?}: {}", ran.stdout);
        let rows = ran.of_type("layer");
        let row = rows.iter().find(|row| [&row["layer"], &row["state"]] == told.row);
        let row = row.unwrap_or_else(|| panic!("no {:?}: {rows:?}", told.row)).to_string();
        assert!(told.words.iter().all(|words| row.contains(words)), "{row}");
        let mut remedies = ran.of_type("remedy");
        assert_eq!(remedies.len(), 1, "one change is enough: {remedies:?}");
        assert_eq!((&remedies[0]["kind"], &remedies[0]["checked"]), (&json!(told.kind), &json!(true)));
        remedies.remove(0)
    });
    let [from_message, from_question] = remedies;
    assert_eq!(from_message["kind"], from_question["kind"]);
    from_message
}

/// The statement of a change that shows one: that for all which the layout gives, where there is one.
fn statement(remedy: &Value) -> Value {
    let lines: Vec<&str> = ["wider", "change"]
        .iter()
        .find_map(|field| remedy[*field].as_array())
        .map(|lines| lines.iter().map(|line| line.as_str().unwrap()).collect())
        .unwrap();
    serde_json::from_str(&lines[1..].join("\n")).unwrap()
}

/// The policy of the bucket, and a client that may change it.
async fn bucket_policy(account: &Account) -> (Client, Value) {
    let server = open(&account.env.path(STORE));
    let owner = client(&server, server.secret_key());
    let found = owner.get_bucket_policy().bucket(BUCKET).send().await.unwrap();
    let policy = serde_json::from_str(found.policy().unwrap()).unwrap();
    (owner, policy)
}

async fn put_bucket_policy(owner: &Client, policy: &Value) {
    owner.put_bucket_policy().bucket(BUCKET).policy(policy.to_string()).send().await.unwrap();
}

#[test]
fn a_deny_on_models() {
    let account = whole();
    let denial = document("Deny", "NoModels", "s3:*", "arn:aws:s3:::bsingh-ml-workflows/*/models/*");
    account.edit_role(NODE, "inline", json!({ "Guard": denial }));
    let remedy = broken(
        &account,
        &Told {
            code: "doctor-explicit-deny",
            row: ["identity", "denies"],
            words: &["inline policy Guard", "`NoModels`"],
            kind: "ask",
        },
    );
    assert_eq!(lines(&remedy), ["take statement `NoModels` out of inline policy Guard"]);
    account.edit_role(NODE, "inline", json!({}));
    content(&account);
}

#[test]
fn a_wrong_prefix() {
    let account = whole();
    let path = account.env.path(&format!("{STORE}/directory/policies/FlyteMLS3Access.json"));
    let good = std::fs::read_to_string(path).unwrap();
    account.put("policies/FlyteMLS3Access.json", &good.replace("credit-scoring/models", "credit-scoring/modles"));
    let remedy = broken(
        &account,
        &Told {
            code: "doctor-policy-differs",
            row: ["identity", "silent"],
            words: &["FlyteMLS3Access", "`ObjectsReadWrite`", "credit-scoring/modles"],
            kind: "apply",
        },
    );
    account.run(&remedy);
    content(&account);
}

#[test]
fn a_boundary_without_put() {
    let account = whole();
    let allow = |action: &str| document("Allow", "Some", action, "*")["Statement"][0].clone();
    let actions = ["s3:Get*", "s3:List*", "s3:Delete*", "s3:Abort*"];
    let mut fence = json!({ "Version": "2012-10-17", "Statement": [] });
    for (number, action) in actions.iter().enumerate() {
        let mut statement = allow(action);
        statement["Sid"] = json!(format!("Some{number}"));
        fence["Statement"].as_array_mut().unwrap().push(statement);
    }
    account.put_policy("Fence", &fence);
    account.edit_role(NODE, "boundary", json!("Fence"));
    let remedy = broken(
        &account,
        &Told {
            code: "doctor-boundary",
            row: ["boundary", "silent"],
            words: &["Fence", "no statement is about this action"],
            kind: "statement",
        },
    );
    assert_eq!(lines(&remedy)[0], "add to the permissions boundary `Fence`:");
    assert_eq!(remedy["wider"][0], "or, for all that the layout gives of s3:PutObject, in its place:");
    fence["Statement"].as_array_mut().unwrap().push(statement(&remedy));
    account.put_policy("Fence", &fence);
    content(&account);
}

#[test]
fn attached_to_the_wrong_role() {
    let account = whole();
    for (role, policies) in [(NODE, json!([])), (NODE_2, json!([])), (CONTROL, json!(["FlyteMLS3Access"]))] {
        account.edit_role(role, "policies", policies);
    }
    let remedy = broken(
        &account,
        &Told {
            code: "doctor-wrong-role",
            row: ["identity", "silent"],
            words: &["the role has no policy at all"],
            kind: "apply",
        },
    );
    account.run(&remedy);
    content(&account);
    assert_eq!(account.role(CONTROL)["policies"], json!([]), "who should not have it has it no more");
}

#[test]
fn detached() {
    let account = whole();
    account.edit_role(NODE, "policies", json!([]));
    account.edit_role(NODE_2, "policies", json!([]));
    let remedy = broken(
        &account,
        &Told {
            code: "doctor-not-attached",
            row: ["identity", "silent"],
            words: &["the role has no policy at all"],
            kind: "apply",
        },
    );
    account.run(&remedy);
    content(&account);
}

#[tokio::test]
async fn a_bucket_policy_that_denies() {
    let account = whole();
    let (owner, mut policy) = bucket_policy(&account).await;
    let freeze = document("Deny", "Freeze", "s3:PutObject", "arn:aws:s3:::bsingh-ml-workflows/*/models/*");
    let mut freeze = freeze["Statement"][0].clone();
    freeze["Principal"] = json!("*");
    policy["Statement"].as_array_mut().unwrap().push(freeze);
    put_bucket_policy(&owner, &policy).await;
    let remedy = broken(
        &account,
        &Told {
            code: "doctor-explicit-deny",
            row: ["resource", "denies"],
            words: &["bucket policy of", "`Freeze`"],
            kind: "ask",
        },
    );
    assert!(lines(&remedy)[0].contains("let statement `Freeze` except this caller"), "{remedy}");
    *policy["Statement"].as_array_mut().unwrap().last_mut().unwrap() = statement(&remedy);
    put_bucket_policy(&owner, &policy).await;
    content(&account);
}

#[test]
fn a_role_of_nodes_is_known_by_its_cluster() {
    let account = whole();
    let ran = account.env.expect(0, &VERIFY);
    assert!(ran.of_type("cell").iter().all(|cell| cell["principal"] == NODE));
    // Whoever has no grant by name nor by node group is the caller itself.
    let ran = account.env.expect(4, &["verify", "--local", "--access", "--as", CONTROL, "--output", "json"]);
    let who = format!("arn:aws:sts::000000000000:assumed-role/{CONTROL}/bucketwright");
    assert_eq!(ran.of_type("identity")[0]["arn"], who, "{}", ran.stdout);
    assert_eq!(ran.of_type("identity").len(), 1);
    // One node group of two.
    account.env.write("layout.toml", LAYOUT.replace("node_groups = \"*\"", "node_groups = \"node-group-2-*\""));
    account.env.expect(0, &["apply", "--local", "--yes", "--only", "grants"]);
    let second: Vec<&str> = VERIFY.iter().map(|word| if *word == NODE { NODE_2 } else { *word }).collect();
    account.env.expect(0, &second);
    let wait = [&VERIFY[..], &["--wait"]].concat();
    let ran = account.env.expect(2, &wait);
    assert!(ran.stdout.contains("no grant of the layout names the role"), "{}", ran.stdout);
}
