//! The HTML report in headless Chromium: no word on the console, no request, hostile text shown as text, and no page wider
//! than the window. Screenshots stay in the case's folder.
#![expect(clippy::disallowed_methods, reason = "pages are files")]

use super::Skipped;
use super::endpoint::Peer;
use super::lab::Lab;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const BUCKET: &str = "bsingh-ml-workflows";
const HOSTILE: &str = "<script>document.title='taken'</script>";
/// The widths of a phone and of a desk, in pixels.
const WIDTHS: [usize; 2] = [390, 1280];
/// The height of a screenshot, in pixels.
const HEIGHT: usize = 4600;

const LAYOUT: &str = r#"
version = 1
layout = "ml-workflows"

[[bucket]]
name = "bsingh-ml-workflows"
template = "ml-project"
projects = ["credit-scoring", "fraud-detection", "customer-segmentation"]
waive = { access-log = "kept short for the picture" }

[[dataset]]
source = "CreditScoring.csv"
to = "bsingh-ml-workflows/credit-scoring/data"

[[grant]]
policy = "FlyteMLS3Access"
access = "read-write"
on = ["bsingh-ml-workflows"]
attach = [{ role = "trainer" }]

[[grant]]
policy = "AnalystsRead"
access = "read"
on = ["bsingh-ml-workflows/credit-scoring"]
"#;
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

/// A page that does all that a report must not: the control of the case.
const WRONG: &str = "<!DOCTYPE html><title>x</title><div style=\"width:2000px\">x</div>\
    <img src=\"http://127.0.0.1:9/pixel.png\"><script>console.error('a word')</script>";

/// Looks at a page in a frame of the window's width, and says what it is made of.
const HARNESS: &str = "<!DOCTYPE html><meta charset=\"utf-8\"><body><iframe src=\"PAGE\" width=\"WIDTH\" height=\"800\"></iframe>\
    <pre id=\"said\">nothing</pre><script>\
    window.onload = () => { const page = document.querySelector('iframe').contentDocument;\
    document.querySelector('#said').textContent = JSON.stringify({\
    width: page.documentElement.scrollWidth, scripts: page.querySelectorAll('script').length, title: page.title,\
    hostile: page.body.textContent.includes(\"HOSTILE\"), h1: page.querySelectorAll('h1').length,\
    svg: page.querySelectorAll('svg').length, styled: getComputedStyle(page.body).marginTop === '0px' }); }\
    </script>";

/// The report of MiniStack's account, opened.
pub(crate) fn report(lab: &Lab) -> Result<()> {
    let browser = Browser::find(lab)?;
    browser.is_told_apart()?;
    let endpoint = Peer::Ministack.start(lab)?;
    let aws = |words: &[&str]| lab.expect(endpoint.give(lab.client("aws")).args(words));
    aws(&["iam", "create-role", "--role-name", "trainer", "--assume-role-policy-document", TRUST])?;
    fs::copy(lab.root.join("layouts/example/CreditScoring.csv"), lab.path("CreditScoring.csv"))?;
    fs::write(lab.path("layout.toml"), LAYOUT)?;
    let ours = |words: &[&str]| lab.run(endpoint.give(lab.bucketwright()).args(words));
    ours(&["apply", "--yes"])?.exit(0)?;
    let tags = serde_json::json!({ "TagSet": [
        { "Key": "bucketwright:layout", "Value": "ml-workflows" }, { "Key": "note", "Value": HOSTILE },
    ] });
    aws(&["s3api", "put-bucket-tagging", "--bucket", BUCKET, "--tagging", &tags.to_string()])?;
    let key = format!("credit-scoring/results/{HOSTILE}.txt");
    aws(&["s3api", "put-object", "--bucket", BUCKET, "--key", &key])?;
    ours(&["report", "--verify", "-o", "state.html"])?.exit(0)?;
    ours(&["report", "--verify", "-o", "state.md"])?.exit(0)?;
    for width in WIDTHS {
        browser.holds("state.html", width)?;
        browser.picture("state.html", width, "light")?;
    }
    browser.picture("state.html", WIDTHS[0], "dark")
}

/// A headless Chromium.
struct Browser<'lab> {
    lab: &'lab Lab,
    program: PathBuf,
}

/// What came of opening a page.
struct Opened {
    dom: String,
    console: Vec<String>,
    requests: Vec<String>,
}

impl<'lab> Browser<'lab> {
    fn find(lab: &'lab Lab) -> Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let names = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];
        let places = names.iter().flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)));
        let program = places.into_iter().find(|place| place.is_file());
        let missing =
            || Skipped("there is no Chromium here; Debian has it in the package chromium-headless-shell".to_owned());
        Ok(Self { lab, program: program.ok_or_else(missing)? })
    }

    fn command(&self) -> Command {
        let mut command = self.lab.command(&self.program);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]);
        command.args([
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ]);
        command.args(["--disable-extensions", "--disable-default-apps", "--allow-file-access-from-files"]);
        command.args(["--enable-logging=stderr", "--log-level=0", "--virtual-time-budget=3000"]);
        command.arg(format!("--user-data-dir={}", self.lab.path("profile").display()));
        command
    }

    fn url(&self, page: &str) -> String {
        format!("file://{}", self.lab.path(page).display())
    }

    fn open(&self, page: &str) -> Result<Opened> {
        let log = self.lab.path("net.json");
        let mut command = self.command();
        command.arg(format!("--log-net-log={}", log.display())).args(["--dump-dom", &self.url(page)]);
        let ran = self.lab.run(&mut command)?.exit(0)?;
        let console = ran.stderr.lines().filter(|line| line.contains(":CONSOLE")).map(str::to_owned).collect();
        Ok(Opened { dom: ran.stdout, console, requests: requests(&log)? })
    }

    /// What this case looks for is seen where it is.
    fn is_told_apart(&self) -> Result<()> {
        fs::write(self.lab.path("wrong.html"), WRONG)?;
        let opened = self.open("wrong.html")?;
        ensure!(opened.console.iter().any(|line| line.contains("a word")), "a word on the console goes unseen");
        ensure!(
            opened.requests.iter().any(|url| url.contains("pixel.png")),
            "a request goes unseen: {:?}",
            opened.requests
        );
        let said = self.looked_at("wrong.html", WIDTHS[0])?.0;
        ensure!(
            said["width"] == 2016 || said["width"].as_u64() > Some(1000),
            "a page that is too wide goes unseen: {said}"
        );
        ensure!(said["scripts"] == 1, "a script goes unseen: {said}");
        Ok(())
    }

    fn looked_at(&self, page: &str, width: usize) -> Result<(Value, Opened)> {
        let hostile = HOSTILE.replace("</", "<\\/").replace('\'', "\\'");
        let text = HARNESS.replace("PAGE", page).replace("WIDTH", &width.to_string()).replace("HOSTILE", &hostile);
        fs::write(self.lab.path("harness.html"), text)?;
        let opened = self.open("harness.html")?;
        let said = opened.dom.split_once("id=\"said\">").and_then(|(_, rest)| rest.split_once("</pre>"));
        let said =
            said.context("the harness said nothing")?.0.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        Ok((serde_json::from_str(&said).with_context(|| format!("the harness said `{said}`"))?, opened))
    }

    /// The page is as it should be in a window of this width.
    fn holds(&self, page: &str, width: usize) -> Result<()> {
        let alone = self.open(page)?;
        ensure!(alone.console.is_empty(), "the console says:\n{}", alone.console.join("\n"));
        ensure!(alone.requests.is_empty(), "the page asks for {:?}", alone.requests);
        let (said, framed) = self.looked_at(page, width)?;
        ensure!(framed.console.is_empty(), "the console says:\n{}", framed.console.join("\n"));
        ensure!(said["scripts"] == 0 && said["hostile"] == true, "hostile text is more than text: {said}");
        ensure!(said["h1"] == 1 && said["styled"] == true && said["svg"].as_u64() > Some(1), "{said}");
        let found = said["width"].as_u64().context("no width")?;
        ensure!(found <= width as u64, "the page is {found} pixels wide in a window of {width}");
        Ok(())
    }

    fn picture(&self, page: &str, width: usize, look: &str) -> Result<()> {
        let file = self.lab.path(&format!("{page}-{width}-{look}.png"));
        let mut command = self.command();
        if look == "dark" {
            command.arg("--blink-settings=preferredColorScheme=0");
        }
        command.arg(format!("--screenshot={}", file.display())).arg(format!("--window-size={width},{HEIGHT}"));
        self.lab.run(command.arg(self.url(page)))?.exit(0)?;
        ensure!(file.is_file(), "there is no screenshot");
        println!("note: look at {}", file.display());
        Ok(())
    }
}

/// The addresses that were asked for, files and the browser's own pages apart.
fn requests(log: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(log)?;
    // A browser that ends in a hurry leaves the list open.
    let whole = serde_json::from_str::<Value>(&text)
        .or_else(|_| serde_json::from_str(&format!("{}]}}", text.trim_end().trim_end_matches(','))));
    let log = whole.context("the log of the network is no JSON")?;
    let events = log["events"].as_array().cloned().unwrap_or_default();
    let urls = events.iter().filter_map(|event| event["params"]["url"].as_str());
    let mut outside: Vec<String> =
        urls.filter(|url| url.starts_with("http") || url.starts_with("ws")).map(str::to_owned).collect();
    outside.sort();
    outside.dedup();
    Ok(outside)
}
