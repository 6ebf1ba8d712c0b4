//! One thing broken at a time in the account of a server written by others: `verify` as the role finds it, `doctor` names
//! layer, document and change, and that change alone makes `verify` content again.
#![expect(clippy::disallowed_methods, reason = "the layout is a file")]

use super::endpoint::Peer;
use super::grants::{BUCKET, CLUSTER, CONTROL, GROUPS, POLICY, Seen, eks_account};
use super::lab::{Lab, Ran};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use std::fs;

/// A model of a project, which is uploaded in thought.
const MODEL: &str = "s3://bsingh-ml-workflows/credit-scoring/models/m.bin";
const NODE: &str = GROUPS[0].1;

/// One thing that is broken.
struct Breakage {
    name: &'static str,
    /// Breaks it by the AWS CLI.
    make: fn(&Scene<'_>) -> Result<()>,
    /// What `doctor` finds, the kind of its change, and words that stand in the row of the layer that refuses.
    code: &'static str,
    kind: &'static str,
    row: [&'static str; 2],
    words: &'static str,
    /// Whether MiniStack 1.5.33 says in its refusal on what: it does for bucket policies alone.
    names_resource: bool,
    /// Makes the change; those that come with a command are made by that.
    mend: fn(&Scene<'_>, &Value) -> Result<()>,
}

const BREAKAGES: &[Breakage] = &[
    Breakage {
        name: "a Deny on models",
        make: |scene| scene.deny_models(),
        code: "doctor-explicit-deny",
        kind: "ask",
        row: ["identity", "denies"],
        words: "`NoModels`",
        names_resource: false,
        mend: |scene, _| scene.aws(&["iam", "delete-role-policy", "--role-name", NODE, "--policy-name", "Guard"]),
    },
    Breakage {
        name: "a wrong prefix",
        make: |scene| {
            let text = scene.document(&scene.policy)?.to_string();
            scene.put_version(&scene.policy, &text.replace("credit-scoring/models", "credit-scoring/modles"))
        },
        code: "doctor-policy-differs",
        kind: "apply",
        row: ["identity", "silent"],
        words: "credit-scoring/modles",
        names_resource: false,
        mend: |scene, remedy| scene.run(remedy),
    },
    Breakage {
        name: "a boundary without PutObject",
        make: |scene| scene.bound(),
        code: "doctor-boundary",
        kind: "statement",
        row: ["boundary", "silent"],
        words: "no statement is about this action",
        names_resource: false,
        mend: |scene, remedy| {
            let fence = scene.policy.replace(POLICY, "Fence");
            let mut document = scene.document(&fence)?;
            document["Statement"].as_array_mut().context("no statements")?.push(statement(remedy)?);
            scene.put_version(&fence, &document.to_string())
        },
    },
    Breakage {
        name: "attached to the wrong role",
        make: |scene| {
            scene.detach()?;
            scene.aws(&["iam", "attach-role-policy", "--role-name", CONTROL, "--policy-arn", &scene.policy])
        },
        code: "doctor-wrong-role",
        kind: "apply",
        row: ["identity", "silent"],
        words: "the role has no policy at all",
        names_resource: false,
        mend: |scene, remedy| scene.run(remedy),
    },
    Breakage {
        name: "detached",
        make: |scene| scene.detach(),
        code: "doctor-not-attached",
        kind: "apply",
        row: ["identity", "silent"],
        words: "the role has no policy at all",
        names_resource: false,
        mend: |scene, remedy| scene.run(remedy),
    },
    Breakage {
        name: "a bucket policy that denies",
        make: |scene| {
            let mut freeze = scene.denial("Freeze", "s3:PutObject");
            freeze["Principal"] = json!("*");
            scene.put_bucket_statement(freeze)
        },
        code: "doctor-explicit-deny",
        kind: "ask",
        row: ["resource", "denies"],
        words: "`Freeze`",
        names_resource: true,
        mend: |scene, remedy| scene.except(statement(remedy)?),
    },
];

/// The account, with the layout applied.
struct Scene<'lab> {
    seen: Seen<'lab>,
    /// The ARN of the role that is tried.
    role: String,
    /// The ARN of the grant's policy.
    policy: String,
}

/// MiniStack with authentication on.
pub(crate) fn ministack(lab: &Lab) -> Result<()> {
    let seen = Seen { lab, endpoint: Peer::Ministack.start(lab)? };
    let layout = format!(
        "version = 1\nlayout = \"ml-workflows\"\n[[bucket]]\nname = \"{BUCKET}\"\ntemplate = \"ml-project\"\n\
         projects = [\"credit-scoring\", \"fraud-detection\"]\nwaive = {{ access-log = \"a test\" }}\n\
         [[grant]]\npolicy = \"{POLICY}\"\naccess = \"read-write\"\non = [\"{BUCKET}\"]\n\
         attach = [{{ eks_cluster = \"{CLUSTER}\", node_groups = \"*\" }}]\n"
    );
    fs::write(lab.path("layout.toml"), layout)?;
    // No node's role can be taken from elsewhere, but these can, so that they can be tried.
    let role = make_role(&seen, NODE, &json!({"AWS": "*"}))?;
    make_role(&seen, GROUPS[1].1, &json!({"AWS": "*"}))?;
    make_role(&seen, CONTROL, &json!({"Service": "eks.amazonaws.com"}))?;
    seen.cluster()?;
    let applied = seen.ours(&["apply", "layout.toml", "--yes", "--verify"])?.exit(0)?;
    let waited = events(&applied)?;
    let waited = waited.iter().filter(|event| event["check"] == "in-force" && event["verdict"] == "pass");
    // Two roles, each first by one thing that opened and then by everything.
    ensure!(waited.count() == 4, "what changed was not waited for: {applied}");
    let policy = seen.attached(NODE)?.pop().context("nothing is attached")?;
    let scene = Scene { seen, role, policy };
    scene.verify(0)?;
    for breakage in BREAKAGES {
        scene.one(breakage).with_context(|| breakage.name)?;
        println!("{}: found by verify, named by doctor, mended", breakage.name);
    }
    Ok(())
}

/// moto's cluster: the policy is attached to the control plane's role instead of the node groups', and nobody needs to be
/// taken to see that.
pub(crate) fn moto_eks(lab: &Lab) -> Result<()> {
    let (seen, control) = eks_account(lab)?;
    seen.layout("read-write", &format!("{{ eks_cluster = \"{CLUSTER}\", node_groups = \"*\" }}"))?;
    seen.apply()?;
    let policy = seen.attached(NODE)?.pop().context("nothing is attached")?;
    let ask = ["doctor", "--principal", NODE, "--action", "s3:PutObject", "--resource", MODEL];
    seen.ours(&ask)?.exit(0)?;
    for (_, role) in GROUPS {
        seen.aws(&["iam", "detach-role-policy", "--role-name", role, "--policy-arn", &policy])?;
    }
    seen.aws(&["iam", "attach-role-policy", "--role-name", control, "--policy-arn", &policy])?;
    let ran = seen.ours(&ask)?.exit(4)?;
    let found = events(&ran)?;
    let first = found.iter().find(|event| event["type"] == "finding").context("no finding")?;
    let meant = format!("`{control}` of the cluster's control plane, which pods never have");
    let is_told = first["message"].as_str().is_some_and(|message| message.contains(&meant));
    ensure!(first["code"] == "doctor-wrong-role" && is_told, "{ran}");
    let remedy = found.iter().find(|event| event["type"] == "remedy").context("no change")?;
    run(&seen, remedy)?;
    seen.ours(&ask)?.exit(0)?;
    ensure!(seen.attached(control)?.is_empty(), "the control plane keeps what it should not have");
    Ok(())
}

fn make_role(seen: &Seen<'_>, name: &str, principal: &Value) -> Result<String> {
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]});
    let create = ["iam", "create-role", "--role-name", name, "--assume-role-policy-document", &trust.to_string()];
    Ok(seen.aws(&create)?["Role"]["Arn"].as_str().context("no ARN")?.to_owned())
}

fn events(ran: &Ran) -> Result<Vec<Value>> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).context("no JSON")).collect()
}

/// Runs the command that a change comes with.
fn run(seen: &Seen<'_>, remedy: &Value) -> Result<()> {
    let command = remedy["run"].as_str().context("no command")?;
    let words: Vec<&str> = command.split(' ').skip(1).chain(["--yes"]).collect();
    seen.ours(&words)?.exit(0).map(drop)
}

/// The statement that a change shows: that for all which the layout gives, where there is one.
fn statement(remedy: &Value) -> Result<Value> {
    let lines = ["wider", "change"].iter().find_map(|field| remedy[*field].as_array()).context("no lines")?;
    let lines: Vec<&str> = lines.iter().skip(1).filter_map(Value::as_str).collect();
    serde_json::from_str(&lines.join("\n")).with_context(|| format!("no statement: {remedy}"))
}

impl Scene<'_> {
    fn aws(&self, words: &[&str]) -> Result<()> {
        self.seen.aws(words).map(drop)
    }

    fn run(&self, remedy: &Value) -> Result<()> {
        run(&self.seen, remedy)
    }

    fn verify(&self, code: i32) -> Result<Vec<Value>> {
        events(&self.seen.ours(&["verify", "layout.toml", "--access", "--as", &self.role])?.exit(code)?)
    }

    /// Breaks it, has it found and named, mends it as told, and sees that all is well.
    fn one(&self, breakage: &Breakage) -> Result<()> {
        (breakage.make)(self)?;
        let cells = self.verify(4)?;
        let is_refused_put = |cell: &&Value| {
            cell["type"] == "cell"
                && cell["operation"] == "put"
                && cell["expected"] == "allow"
                && cell["observed"] == "deny"
        };
        let Some(cell) = cells.iter().find(is_refused_put) else { bail!("no refused put: {cells:#?}") };
        let message = cell["because"].as_str().context("no reason")?;
        let place = format!("{}m.bin", cell["target"].as_str().context("no target")?);
        // Where this server leaves out the resource, which AWS always names, it is told beside the message.
        let names_resource = message.contains("on resource");
        ensure!(names_resource == breakage.names_resource, "the resource is named: {names_resource}, in `{message}`");
        let beside: &[&str] = if names_resource { &[] } else { &["--resource", &place] };
        let by_message = self.told(breakage, &[&["doctor", message], beside].concat())?;
        let asked = ["doctor", "--principal", &self.role, "--action", "s3:PutObject", "--resource", &place];
        let by_question = self.told(breakage, &asked)?;
        ensure!(by_message["kind"] == by_question["kind"], "{by_message} {by_question}");
        (breakage.mend)(self, &by_question)?;
        self.verify(0)?;
        let ran = self.seen.ours(&asked)?.exit(0)?;
        ensure!(ran.stdout.contains("doctor-allowed-now"), "{ran}");
        self.clear()
    }

    /// What `doctor` proposes, after it has named cause and layer.
    fn told(&self, breakage: &Breakage, words: &[&str]) -> Result<Value> {
        let ran = self.seen.ours(words)?.exit(4)?;
        let events = events(&ran)?;
        let of_type = |kind: &'static str| events.iter().filter(move |event| event["type"] == kind);
        let first = of_type("finding").next().context("no finding")?;
        ensure!(first["code"] == breakage.code, "wanted {}: {ran}", breakage.code);
        let is_row = |row: &&Value| [&row["layer"], &row["state"]] == breakage.row;
        let row = of_type("layer").find(is_row).with_context(|| format!("no such row: {ran}"))?;
        ensure!(row.to_string().contains(breakage.words), "`{}` is not in {row}", breakage.words);
        let remedy = of_type("remedy").next().with_context(|| format!("no change: {ran}"))?;
        ensure!(remedy["kind"] == breakage.kind && remedy["checked"] == true, "{remedy}");
        Ok(remedy.clone())
    }

    /// What a statement about the models denies.
    fn denial(&self, sid: &str, action: &str) -> Value {
        json!({"Sid": sid, "Effect": "Deny", "Action": action, "Resource": format!("arn:aws:s3:::{BUCKET}/*/models/*")})
    }

    fn deny_models(&self) -> Result<()> {
        let document = json!({"Version": "2012-10-17", "Statement": [self.denial("NoModels", "s3:*")]}).to_string();
        let put = ["iam", "put-role-policy", "--role-name", NODE, "--policy-name", "Guard", "--policy-document"];
        self.aws(&[&put[..], &[&document]].concat())
    }

    /// From both node groups' roles, as whoever takes one for the other would.
    fn detach(&self) -> Result<()> {
        for (_, role) in GROUPS {
            self.aws(&["iam", "detach-role-policy", "--role-name", role, "--policy-arn", &self.policy])?;
        }
        Ok(())
    }

    fn bound(&self) -> Result<()> {
        let actions = ["s3:Get*", "s3:List*", "s3:Delete*", "s3:Abort*"];
        let statement = json!({"Sid": "Some", "Effect": "Allow", "Action": actions, "Resource": "*"});
        let document = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        self.aws(&["iam", "create-policy", "--policy-name", "Fence", "--policy-document", &document])?;
        let fence = self.policy.replace(POLICY, "Fence");
        self.aws(&["iam", "put-role-permissions-boundary", "--role-name", NODE, "--permissions-boundary", &fence])
    }

    /// The document of a policy that is in force.
    fn document(&self, policy: &str) -> Result<Value> {
        let found = self.seen.aws(&["iam", "get-policy", "--policy-arn", policy])?;
        let version = found["Policy"]["DefaultVersionId"].as_str().context("no version")?;
        let found = self.seen.aws(&["iam", "get-policy-version", "--policy-arn", policy, "--version-id", version])?;
        Ok(found["PolicyVersion"]["Document"].clone())
    }

    fn put_version(&self, policy: &str, document: &str) -> Result<()> {
        let put = ["iam", "create-policy-version", "--policy-arn", policy, "--set-as-default", "--policy-document"];
        self.aws(&[&put[..], &[document]].concat())
    }

    fn bucket_policy(&self) -> Result<Value> {
        let found = self.seen.aws(&["s3api", "get-bucket-policy", "--bucket", BUCKET]);
        let Ok(found) = found else { return Ok(json!({"Version": "2012-10-17", "Statement": []})) };
        Ok(serde_json::from_str(found["Policy"].as_str().context("no policy")?)?)
    }

    /// Puts a statement into the bucket policy, in the place of that with the same Sid.
    fn put_bucket_statement(&self, statement: Value) -> Result<()> {
        let mut policy = self.bucket_policy()?;
        let statements = policy["Statement"].as_array_mut().context("no statements")?;
        statements.retain(|one| one["Sid"] != statement["Sid"]);
        statements.push(statement);
        self.aws(&["s3api", "put-bucket-policy", "--bucket", BUCKET, "--policy", &policy.to_string()])
    }

    /// Excepts the role from a statement as `doctor` says. In AWS `aws:PrincipalArn` of a session is the ARN of its role; in
    /// MiniStack 1.5.33 it is the session's, so there the change must not help before that is excepted, too.
    fn except(&self, mut statement: Value) -> Result<()> {
        let excepted = statement["Condition"]["ArnNotLike"]["aws:PrincipalArn"].take();
        ensure!(excepted == json!(self.role), "excepted is {excepted}");
        statement["Condition"]["ArnNotLike"]["aws:PrincipalArn"] = json!([self.role]);
        self.put_bucket_statement(statement.clone())?;
        self.verify(4).context("the server knows the role by its session now")?;
        let session = format!("arn:aws:sts::*:assumed-role/{NODE}/*");
        statement["Condition"]["ArnNotLike"]["aws:PrincipalArn"] = json!([self.role, session]);
        self.put_bucket_statement(statement)
    }

    /// Takes away what a mended breakage leaves, so that the next one is alone.
    fn clear(&self) -> Result<()> {
        let found = self.seen.aws(&["iam", "get-role", "--role-name", NODE])?;
        if found["Role"]["PermissionsBoundary"].is_object() {
            self.aws(&["iam", "delete-role-permissions-boundary", "--role-name", NODE])?;
        }
        Ok(())
    }
}
