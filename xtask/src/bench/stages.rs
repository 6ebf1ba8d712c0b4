//! How each kind of workload runs: which server, which programs, what is checked after each run.
#![expect(clippy::disallowed_methods, reason = "workloads read what runs wrote")]

use super::data::Tree;
use super::measure::{self, Sample};
use super::null_server::Etags;
use super::race::{Finish, Outcome, Runner, race};
use super::results::{Role, Row};
use super::servers::{Count, Endpoint};
use super::tools::{BUCKET, Job, Lab, Memory, Settings, Tool, Work};
use super::workloads::PEERS;
use super::{Limits, decisions};
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the peers of an upload compare after it, beyond what the server checks of each request.
const fn compared(tool: Tool) -> &'static str {
    match tool {
        Tool::Bucketwright => "the checksum in the answer is compared",
        Tool::S3sync => "the ETag in the answer is compared",
        Tool::Rclone => "the ETag is compared, by HEAD",
        Tool::S5cmd | Tool::Aws | Tool::Curl => "nothing is compared",
    }
}

/// A folder that every program reads the same way: made, and read once so that no run reads from the disk.
fn source(lab: &Lab, tree: Tree) -> Result<PathBuf> {
    let folder = tree.make(&lab.folder.join("data"))?;
    let mut sink = std::io::sink();
    for path in tree.paths() {
        std::io::copy(&mut fs::File::open(folder.join(path))?, &mut sink)?;
    }
    Ok(folder)
}

/// The programs of a race: ours, then the peers, with each of the settings asked for.
fn contenders(limits: &Limits, peers: &[Tool]) -> Vec<(Tool, Settings, String)> {
    let mut all = vec![(Tool::Bucketwright, Settings::Defaults, Tool::Bucketwright.name().to_owned())];
    for tool in peers {
        for settings in &limits.settings {
            let suffix = if *settings == Settings::Defaults { " (defaults)" } else { "" };
            all.push((*tool, *settings, format!("{}{suffix}", tool.name())));
        }
    }
    all
}

const fn role(tool: Tool) -> Role {
    match tool {
        Tool::Bucketwright => Role::Ours,
        Tool::Curl => Role::Reference,
        _ => Role::Peer,
    }
}

/// W1, W2: a tree into a fresh prefix of the null server, which then must hold all of it.
pub(super) fn upload(lab: &Lab, tree: Tree, has_curl: bool, limits: &Limits) -> Result<Finish> {
    let source = source(lab, tree)?;
    let endpoint = Endpoint::null(lab, Etags::Opaque, None)?;
    let mut tools = contenders(limits, &PEERS);
    if has_curl {
        tools.push((Tool::Curl, Settings::Defaults, Tool::Curl.name().to_owned()));
    }
    let runners = tools.into_iter().map(|(tool, settings, name)| {
        let (source, endpoint) = (&source, &endpoint);
        let label = name.replace([' ', '(', ')'], "");
        let run = move |round: usize| {
            let prefix = format!("{label}-{round}");
            let memory = Memory::Blank;
            let job = Job { work: Work::Upload, source, endpoint, prefix: &prefix, settings, memory };
            let before = endpoint.count(BUCKET)?;
            let sample = measure::run(&mut lab.job(tool, &job)?, &lab.folder.join("run.log"))?;
            let after = endpoint.count(&format!("{BUCKET}/{prefix}/"))?;
            ensure!(
                (after.objects, after.bytes, after.uploads) == (tree.files, tree.bytes(), 0),
                "{} objects of {} bytes arrived and {} uploads are unfinished; wanted {} objects of {} bytes",
                after.objects,
                after.bytes,
                after.uploads,
                tree.files,
                tree.bytes()
            );
            let proof = format!("{}; {}", proofs(&before, &after), compared(tool));
            Ok(Outcome { sample, proof })
        };
        Runner { name, role: role(tool), run: Box::new(run) }
    });
    Ok(race(runners.collect(), limits.runs))
}

/// What the uploads of a run carried for the server to check, from what it counted before and after.
fn proofs(before: &Count, after: &Count) -> String {
    let since = |name: &str| {
        let [before, after] = [before, after].map(|count| count.counts.get(name).copied().unwrap_or(0));
        after - before
    };
    let uploads = since("put-object") + since("upload-part");
    let kinds = after.counts.keys().filter_map(|name| name.strip_prefix("proof "));
    let carried: Vec<String> = kinds
        .filter_map(|kind| match since(&format!("proof {kind}")) {
            0 => None,
            count if count >= uploads => Some(kind.to_owned()),
            count => Some(format!("{kind} ({count} of {uploads})")),
        })
        .collect();
    if carried.is_empty() { "no checksum sent".to_owned() } else { format!("sent {}", carried.join(", ")) }
}

/// W3: everything is there already. Nobody may send anything.
pub(super) fn recheck(lab: &Lab, tree: Tree, limits: &Limits) -> Result<Finish> {
    let source = source(lab, tree)?;
    let endpoint = Endpoint::null(lab, Etags::Md5, Some(&source))?;
    let (settings, memory) = (Settings::Equal, Memory::Blank);
    let job = Job { work: Work::Recheck, source: &source, endpoint: &endpoint, prefix: "seed", settings, memory };
    // The first sync of this machine, which fills the hash cache.
    let filled = measure::run(&mut lab.job(Tool::Bucketwright, &job)?, &lab.folder.join("run.log"));
    let filled = filled.map_err(|error| format!("{error:#}"));
    let job = Job { memory: Memory::Kept, ..job };
    let runners = contenders(&Limits { settings: vec![Settings::Equal], ..limits.clone() }, &PEERS);
    let runners = runners.into_iter().map(|(tool, _, name)| {
        let (job, endpoint, filled) = (&job, &endpoint, &filled);
        let (how, proof) = match tool {
            Tool::Bucketwright => ("", "content, by the hash cache"),
            Tool::Rclone => (" --size-only", "size"),
            Tool::S3sync => (" --check-etag", "content, by reading every file"),
            _ => ("", "size and time"),
        };
        let run = move |_| {
            if let (Tool::Bucketwright, Err(error)) = (tool, filled) {
                bail!("{error}");
            }
            let before = endpoint.count(BUCKET)?;
            let sample = measure::run(&mut lab.job(tool, job)?, &lab.folder.join("run.log"))?;
            nothing_sent(&before, &endpoint.count(BUCKET)?)?;
            Ok(Outcome { sample, proof: proof.to_owned() })
        };
        Runner { name: format!("{name}{how}"), role: role(tool), run: Box::new(run) }
    });
    Ok(race(runners.collect(), limits.runs))
}

/// Fails if anything was uploaded in between.
fn nothing_sent(before: &Count, after: &Count) -> Result<()> {
    for call in ["put-object", "upload-part", "create-multipart-upload"] {
        let [before, after] = [before, after].map(|count| count.counts.get(call).copied().unwrap_or(0));
        ensure!(before == after, "{} objects were sent again", after - before);
    }
    Ok(())
}

/// W4: everything is there already, on the embedded endpoint, and no cache says so.
pub(super) fn rehash(lab: &Lab, tree: Tree, limits: &Limits) -> Result<Finish> {
    let source = source(lab, tree)?;
    let endpoint = Endpoint::embedded(lab, "rehash", true)?;
    make_bucket(lab, &endpoint)?;
    let (settings, memory) = (Settings::Equal, Memory::Blank);
    let job = Job { work: Work::Upload, source: &source, endpoint: &endpoint, prefix: "all", settings, memory };
    println!("  filling the embedded endpoint");
    measure::run(&mut lab.job(Tool::Rclone, &job)?, &lab.folder.join("run.log"))?;
    let job = Job { work: Work::Rehash, ..job };
    let runners = [(Tool::Bucketwright, ""), (Tool::Rclone, " --checksum")].map(|(tool, how)| {
        let job = &job;
        let run = move |_| {
            let sample = measure::run(&mut lab.job(tool, job)?, &lab.folder.join("run.log"))?;
            Ok(Outcome { sample, proof: "content, by reading every file".to_owned() })
        };
        Runner { name: format!("{}{how}", tool.name()), role: role(tool), run: Box::new(run) }
    });
    Ok(race(Vec::from(runners), limits.runs))
}

/// Makes the bucket of every run on a server that does not have it.
fn make_bucket(lab: &Lab, endpoint: &Endpoint) -> Result<()> {
    let mut command = lab.command(&lab.install(Tool::S5cmd)?, Tool::S5cmd);
    command.env("AWS_ACCESS_KEY_ID", &endpoint.key).env("AWS_SECRET_ACCESS_KEY", &endpoint.secret);
    command.args(["--endpoint-url", &endpoint.url, "mb", &format!("s3://{BUCKET}")]);
    measure::run(&mut command, &lab.folder.join("run.log")).map(drop)
}

/// W5: large files are in a bucket; are they still the same?
pub(super) fn verify(lab: &Lab, tree: Tree, limits: &Limits) -> Result<Finish> {
    let source = source(lab, tree)?;
    let layout = lab.folder.join("verify.toml");
    let dataset =
        format!("[[dataset]]\nsource = {:?}\nto = \"bench-verify/large/data\"\nallow_outside = true\n", source);
    let bucket = "[[bucket]]\nname = \"bench-verify\"\ntemplate = \"ml-project\"\nprojects = [\"large\"]\n";
    fs::write(&layout, format!("version = 1\nlayout = \"bench\"\n\n{bucket}\n{dataset}"))?;
    let endpoint = Endpoint::embedded(lab, "verify", true)?;
    let ours = |words: &[&str]| {
        let mut command = lab.command(&lab.bucketwright(), Tool::Bucketwright);
        command.env("AWS_ACCESS_KEY_ID", &endpoint.key).env("AWS_SECRET_ACCESS_KEY", &endpoint.secret);
        command.args(["--endpoint-url", &endpoint.url]).args(words).arg(&layout);
        command
    };
    println!("  filling the embedded endpoint");
    measure::run(&mut ours(&["apply", "--yes"]), &lab.folder.join("run.log"))?;
    let proof = "full-object checksum of every byte";
    let verify = |_| {
        let sample = measure::run(&mut ours(&["verify", "--data"]), &lab.folder.join("run.log"))?;
        Ok(Outcome { sample, proof: proof.to_owned() })
    };
    let cat = |_| {
        let mut command = Command::new("cat");
        command.args(tree.paths().map(|path| source.join(path)));
        let sample = measure::run(&mut command, Path::new("/dev/null"))?;
        Ok(Outcome { sample, proof: "nothing".to_owned() })
    };
    let runners = vec![
        Runner { name: "bucketwright".to_owned(), role: Role::Ours, run: Box::new(verify) },
        Runner { name: "cat FILES > /dev/null".to_owned(), role: Role::Reference, run: Box::new(cat) },
    ];
    Ok(race(runners, limits.runs))
}

/// W6: ours with few files and with many; times are for each 10,000 files.
pub(super) fn scale(lab: &Lab, few: u64, many: u64, file_bytes: u64, limits: &Limits) -> Result<Finish> {
    let endpoint = Endpoint::null(lab, Etags::Md5, None)?;
    let mut finish = Finish::default();
    for (label, files) in [("few", few), ("many", many)] {
        let tree = Tree { files, file_bytes };
        let source = source(lab, tree)?;
        // Once for a million files, which take minutes and disturb nobody.
        let runs = if files > 200_000 { 1 } else { limits.runs };
        let mut rows = ["first", "second"].map(|which| Row {
            name: format!("{which} sync, {label} ({files} files)"),
            role: Role::Ours,
            samples: Vec::new(),
            proof: String::new(),
        });
        for round in 0..runs {
            let prefix = format!("scale-{label}-{round}");
            let (work, settings) = (Work::Upload, Settings::Defaults);
            let job = |memory| Job { work, source: &source, endpoint: &endpoint, prefix: &prefix, settings, memory };
            for (row, memory) in rows.iter_mut().zip([Memory::Blank, Memory::Kept]) {
                let sample =
                    measure::run(&mut lab.job(Tool::Bucketwright, &job(memory))?, &lab.folder.join("run.log"))?;
                let there = endpoint.count(&format!("{BUCKET}/{prefix}/"))?.objects;
                ensure!(there == files, "{there} of {files} objects arrived");
                println!("  {} {:.3} s, {} MiB", row.name, sample.wall_s, sample.peak_bytes >> 20);
                row.samples.push(for_each(sample, files));
            }
        }
        finish.rows.extend(rows);
    }
    Ok(finish)
}

/// A sample's times for each 10,000 files of it.
#[expect(clippy::cast_precision_loss, reason = "there are fewer files than a float can count")]
fn for_each(sample: Sample, files: u64) -> Sample {
    let share = 10_000.0 / files as f64;
    Sample { wall_s: sample.wall_s * share, user_s: sample.user_s * share, system_s: sample.system_s * share, ..sample }
}

/// W7: our evaluator and another one over the same documents and requests.
pub(super) fn decide(lab: &Lab, limits: &Limits) -> Result<Finish> {
    let simulate = lab.install_iam_simulate()?;
    let script = lab.root.join("xtask/bench/decisions.mjs");
    let own = |words: &[&str]| {
        let mut command = lab.command(&lab.xtask(), Tool::Bucketwright);
        command.args(["bench", "decisions"]).args(words).arg(lab.root.join(decisions::CASES));
        command
    };
    let other = |how: &str| {
        let mut command = lab.command(Path::new("node"), Tool::Curl);
        command.arg(&script).arg(lab.root.join(decisions::CASES)).arg(how);
        command.arg(simulate.join("node_modules/@cloud-copilot/iam-simulate/dist/esm/index.js"));
        command
    };
    let timed = |mut command: Command| {
        let log = lab.folder.join("run.log");
        measure::run(&mut command, &log)?;
        let text = fs::read_to_string(&log)?;
        let (seconds, verdicts) =
            text.trim().rsplit('\n').next().and_then(|line| line.split_once(' ')).context("no figure")?;
        Ok(Outcome { sample: Sample::of_time(seconds.parse()?), proof: verdicts.to_owned() })
    };
    let runners = vec![
        Runner { name: "bucketwright".to_owned(), role: Role::Ours, run: Box::new(|_| timed(own(&[]))) },
        Runner {
            name: "bucketwright, with reasons".to_owned(),
            role: Role::Ours,
            run: Box::new(|_| timed(own(&["--reasons"]))),
        },
        Runner { name: "iam-simulate".to_owned(), role: Role::Peer, run: Box::new(|_| timed(other("checked"))) },
        Runner {
            name: "iam-simulate, unchecked".to_owned(),
            role: Role::Peer,
            run: Box::new(|_| timed(other("unchecked"))),
        },
    ];
    let mut finish = race(runners, limits.runs);
    let verdicts: Vec<&str> = finish.rows.iter().filter(|row| !row.samples.is_empty()).map(|row| &*row.proof).collect();
    ensure!(verdicts.windows(2).all(|pair| pair[0] == pair[1]), "the evaluators disagree: {verdicts:?}");
    finish.rows.iter_mut().for_each(|row| row.proof.clear());
    Ok(finish)
}

/// W8: programs that do next to nothing.
pub(super) fn start(lab: &Lab, limits: &Limits) -> Result<Finish> {
    let local = format!("--local={}", lab.folder.join("embedded/start").display());
    let layout = lab.root.join("layouts/example/layout.toml");
    let log = lab.folder.join("run.log");
    let outcome = |mut command: Command| {
        let sample = measure::run(&mut command, &log)?;
        Ok(Outcome { sample, proof: String::new() })
    };
    let version = |tool: Tool| {
        let mut command = lab.command(&lab.install(tool)?, tool);
        command.arg("--version");
        outcome(command)
    };
    let plan = |_| {
        let mut command = lab.command(&lab.bucketwright(), Tool::Bucketwright);
        command.arg("plan").arg(&layout).arg(&local);
        outcome(command)
    };
    let runners = vec![
        Runner {
            name: "bucketwright --version".to_owned(),
            role: Role::Ours,
            run: Box::new(move |_| version(Tool::Bucketwright)),
        },
        Runner { name: "bucketwright plan --local".to_owned(), role: Role::Ours, run: Box::new(plan) },
        Runner { name: "aws --version".to_owned(), role: Role::Peer, run: Box::new(move |_| version(Tool::Aws)) },
    ];
    // They are over before a disturbance evens out.
    Ok(race(runners, limits.runs * 4))
}
