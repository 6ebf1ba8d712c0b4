//! Clients written by others as a role with a folder policy: what is theirs works, the rest is refused in AWS's words.
#![expect(clippy::disallowed_methods, reason = "the directory of roles is files")]

use super::endpoint::{Endpoint, embedded, embedded_as};
use super::lab::Lab;
use anyhow::{Result, ensure};
use std::fs;

const POLICY: &str = r#"{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::lake",
     "Condition": {"StringLike": {"s3:prefix": "team-a/*"}}},
    {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
     "Resource": "arn:aws:s3:::lake/team-a/*"}]}"#;

/// Two buckets and a role for one folder of the first; the endpoint with that role's keys.
fn as_trainer(lab: &Lab) -> Result<Endpoint> {
    let folder = lab.path("local");
    fs::write(lab.path("file"), "content\n")?;
    let owner = embedded(lab, &folder)?;
    let aws = |words: &[&str]| lab.expect(owner.give(lab.client("aws")).arg("s3").args(words)).map(drop);
    aws(&["mb", "s3://lake"])?;
    aws(&["mb", "s3://other"])?;
    for object in ["s3://lake/team-a/old", "s3://lake/team-b/old", "s3://other/team-a/old"] {
        aws(&["cp", "--no-progress", "file", object])?;
    }
    for (name, text) in [("policies/team-a", POLICY), ("roles/trainer", r#"{"policies": ["team-a"]}"#)] {
        let path = folder.join("directory").join(format!("{name}.json"));
        fs::create_dir_all(path.parent().unwrap_or(&folder))?;
        fs::write(path, text)?;
    }
    embedded_as(lab, &folder, Some("trainer"))
}

/// The refusals as S3 words them.
fn refused(lab: &Lab, endpoint: &Endpoint, client: &str, words: &[&str], action: &str, resource: &str) -> Result<()> {
    let ran = lab.run(endpoint.give(lab.client(client)).args(words))?;
    let wanted = format!("is not authorized to perform: {action} on resource: \"{resource}\"");
    ensure!(!ran.status.success() && ran.stderr.contains(&wanted), "{client} {words:?}: wanted `{wanted}`\n{ran}");
    Ok(())
}

/// The AWS CLI.
pub(crate) fn aws_as_role(lab: &Lab) -> Result<()> {
    let endpoint = as_trainer(lab)?;
    let aws = |words: &[&str]| lab.expect(endpoint.give(lab.client("aws")).args(words));
    let who = aws(&["sts", "get-caller-identity", "--query", "Arn", "--output", "text"])?;
    ensure!(who.trim() == "arn:aws:sts::000000000000:assumed-role/trainer/bucketwright", "the caller is {who}");
    ensure!(aws(&["s3", "ls", "s3://lake/team-a/"])?.contains("old"), "the folder is not listed");
    aws(&["s3", "cp", "--no-progress", "file", "s3://lake/team-a/new"])?;
    ensure!(aws(&["s3", "cp", "s3://lake/team-a/new", "-"])? == "content\n", "other bytes came back");
    aws(&["s3", "rm", "s3://lake/team-a/new"])?;
    let no = |words: &[&str], action: &str, resource: &str| refused(lab, &endpoint, "aws", words, action, resource);
    no(&["s3", "ls", "s3://lake/team-b/"], "s3:ListBucket", "arn:aws:s3:::lake")?;
    no(&["s3", "ls", "s3://lake"], "s3:ListBucket", "arn:aws:s3:::lake")?;
    no(&["s3", "ls", "s3://other/team-a/"], "s3:ListBucket", "arn:aws:s3:::other")?;
    let put = ["s3", "cp", "--no-progress", "file", "s3://lake/team-b/new"];
    no(&put, "s3:PutObject", "arn:aws:s3:::lake/team-b/new")?;
    no(&["s3", "rm", "s3://lake/team-b/old"], "s3:DeleteObject", "arn:aws:s3:::lake/team-b/old")?;
    let get = ["s3api", "get-object", "--bucket", "lake", "--key", "team-b/old", "down"];
    no(&get, "s3:GetObject", "arn:aws:s3:::lake/team-b/old")
}

/// s5cmd, which deletes with DeleteObjects.
pub(crate) fn s5cmd_as_role(lab: &Lab) -> Result<()> {
    let endpoint = as_trainer(lab)?;
    let s5cmd = |words: &[&str]| lab.expect(endpoint.give(lab.client("s5cmd")).args(words));
    ensure!(s5cmd(&["ls", "s3://lake/team-a/"])?.contains("old"), "the folder is not listed");
    s5cmd(&["cp", "file", "s3://lake/team-a/new"])?;
    ensure!(s5cmd(&["cat", "s3://lake/team-a/new"])? == "content\n", "other bytes came back");
    s5cmd(&["rm", "s3://lake/team-a/new"])?;
    let no = |words: &[&str], action: &str, resource: &str| refused(lab, &endpoint, "s5cmd", words, action, resource);
    no(&["ls", "s3://lake/team-b/"], "s3:ListBucket", "arn:aws:s3:::lake")?;
    no(&["ls", "s3://lake"], "s3:ListBucket", "arn:aws:s3:::lake")?;
    no(&["cp", "file", "s3://lake/team-b/new"], "s3:PutObject", "arn:aws:s3:::lake/team-b/new")?;
    no(&["rm", "s3://lake/team-b/old"], "s3:DeleteObject", "arn:aws:s3:::lake/team-b/old")?;
    no(&["cp", "file", "s3://other/team-a/new"], "s3:PutObject", "arn:aws:s3:::other/team-a/new")
}
