//! A layout in the making, and its text.

use crate::layout::{AttachTarget, Grant, LayoutError, ListScope, MarkerStyle, ParseOptions, Place, parse};
use crate::layout::{FolderAccess, Layout};
use crate::model::{AccessLog, AccountId, Arn, BucketName, Control, LayoutId, Region, Tags, is_hidden};
use std::collections::BTreeMap;

/// The widest line of a comment, in characters.
const COMMENT_COLUMNS: usize = 112;

/// A file in the making.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) head: Vec<String>,
    pub(super) id: LayoutId,
    pub(super) account: Option<AccountId>,
    pub(super) region: Option<Region>,
    /// The bucket, and behind it the bucket that its access log goes to.
    pub(super) buckets: Vec<BucketDraft>,
    pub(super) template: Option<OwnTemplate>,
    pub(super) grants: Vec<Grant>,
    /// Comments about policies that no grant says, each with lines that are ready to be used.
    pub(super) notes: Vec<Note>,
}

/// One `[[bucket]]`.
#[derive(Debug, Clone, Default)]
pub(super) struct BucketDraft {
    pub(super) name: String,
    pub(super) remarks: Vec<String>,
    pub(super) adopt: bool,
    /// Only looked at.
    pub(super) is_verified_only: bool,
    pub(super) template: Option<String>,
    pub(super) projects: Vec<String>,
    pub(super) markers: Option<MarkerStyle>,
    pub(super) versioning: Option<bool>,
    pub(super) sse_s3: bool,
    pub(super) kms_key: Option<Arn>,
    pub(super) public_access: Option<&'static str>,
    pub(super) access_log: Option<AccessLog>,
    pub(super) noncurrent_days: Option<u32>,
    pub(super) tags: Tags,
    pub(super) waive: BTreeMap<Control, String>,
}

/// A template of the file's own.
#[derive(Debug, Clone, Default)]
pub(super) struct OwnTemplate {
    pub(super) name: String,
    pub(super) folders: Vec<FolderDraft>,
}

#[derive(Debug, Clone)]
pub(super) struct FolderDraft {
    pub(super) path: String,
    /// Where it is not marked as the bucket says.
    pub(super) markers: Option<MarkerStyle>,
    pub(super) noncurrent_days: Option<u32>,
}

/// A comment behind the grants.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Note {
    pub(super) text: String,
    /// A grant that stands there as a comment.
    pub(super) grant: Option<Grant>,
}

impl Draft {
    /// Gives a control of one of the buckets up, and with it what asks for it.
    pub(super) fn waive(&mut self, place: usize, control: Control, reason: String) {
        let bucket = &mut self.buckets[place];
        match control {
            Control::Encryption => (bucket.sse_s3, bucket.kms_key) = (false, None),
            Control::Lifecycle => {
                bucket.noncurrent_days = None;
                let folders = self.template.iter_mut().flat_map(|template| &mut template.folders);
                folders.filter(|_| place == 0).for_each(|folder| folder.noncurrent_days = None);
            }
            Control::AccessLog => bucket.access_log = None,
            Control::PublicAccess => bucket.public_access = Some("unmanaged"),
            Control::Versioning | Control::Ownership | Control::SseC | Control::TlsOnly | Control::Tags => {}
        }
        bucket.waive.insert(control, reason);
    }

    /// A file with nothing but one bucket of that name.
    pub(super) fn of(id: LayoutId, bucket: &BucketName) -> Self {
        Self {
            head: Vec::new(),
            id,
            account: None,
            region: None,
            buckets: vec![BucketDraft { name: bucket.to_string(), ..BucketDraft::default() }],
            template: None,
            grants: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The layout that the text means, or what is wrong with it.
    pub(super) fn parsed(&self) -> Result<Layout, Vec<LayoutError>> {
        let none = BTreeMap::new();
        let options = ParseOptions { file_stem: "layout", environment: None, set: &none, env_vars: &none };
        parse(self.text().as_bytes(), &options)
    }

    /// The file's text.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        self.head.iter().for_each(|line| comment(&mut out, line));
        line(&mut out, "version", "1");
        line(&mut out, "layout", &quoted(self.id.as_str()));
        if let Some(account) = &self.account {
            line(&mut out, "account", &quoted(account.as_str()));
        }
        if let Some(region) = &self.region {
            line(&mut out, "region", &quoted(region.as_str()));
        }
        self.buckets.iter().for_each(|bucket| bucket.write(&mut out));
        if let Some(template) = &self.template {
            template.write(&mut out);
        }
        for grant in &self.grants {
            out.push('\n');
            out.push_str(&grant_text(grant));
        }
        for note in &self.notes {
            out.push('\n');
            comment(&mut out, &note.text);
            for line in note.grant.iter().map(grant_text).collect::<String>().lines() {
                out.push_str("# ");
                out.push_str(line);
                out.push('\n');
            }
        }
        out
    }
}

impl BucketDraft {
    fn write(&self, out: &mut String) {
        out.push('\n');
        self.remarks.iter().for_each(|remark| comment(out, remark));
        out.push_str("[[bucket]]\n");
        line(out, "name", &quoted(&self.name));
        if self.adopt {
            line(out, "adopt", "true");
        }
        if self.is_verified_only {
            line(out, "manage", "\"verify\"");
        }
        if let Some(template) = &self.template {
            line(out, "template", &quoted(template));
        }
        if !self.projects.is_empty() {
            line(out, "projects", &list(&self.projects));
        }
        if let Some(style) = self.markers {
            line(out, "markers", &quoted(word(style)));
        }
        match self.versioning {
            Some(true) => line(out, "versioning", "true"),
            // Without its waiver the parser refuses it.
            Some(false) if self.waive.contains_key(&Control::Versioning) => line(out, "versioning", "false"),
            _ => {}
        }
        match &self.kms_key {
            Some(key) => line(out, "encryption", &format!("{{ kms_key = {} }}", quoted(key.as_str()))),
            None if self.sse_s3 => line(out, "encryption", "\"sse-s3\""),
            None => {}
        }
        if let Some(word) = self.public_access {
            line(out, "public_access", &quoted(word));
        }
        if let Some(log) = &self.access_log {
            let table = format!("{{ bucket = {}, prefix = {} }}", quoted(log.bucket.as_str()), quoted(&log.prefix));
            line(out, "access_log", &table);
        }
        if let Some(days) = self.noncurrent_days {
            line(out, "noncurrent_days", &days.to_string());
        }
        if !self.tags.is_empty() {
            let pairs =
                self.tags.iter().map(|(key, value)| format!("{} = {}", key_of(key.as_str()), quoted(value.as_str())));
            line(out, "tags", &format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", ")));
        }
        if !self.waive.is_empty() {
            out.push('\n');
            comment(out, "Not as the secure defaults have it. Without its line here, `apply` would set the control.");
            out.push_str("[bucket.waive]\n");
            self.waive.iter().for_each(|(control, reason)| line(out, control.name(), &quoted(reason)));
        }
    }
}

impl OwnTemplate {
    fn write(&self, out: &mut String) {
        out.extend(["\n[template.", &key_of(&self.name), "]\nfolders = [\n"]);
        for folder in &self.folders {
            let markers =
                folder.markers.map(|style| format!(", markers = {}", quoted(word(style)))).unwrap_or_default();
            let days = folder.noncurrent_days.map(|days| format!(", noncurrent_days = {days}")).unwrap_or_default();
            out.extend(["  { path = ", &quoted(&folder.path), &markers, &days, " },\n"]);
        }
        out.push_str("]\n");
    }
}

fn grant_text(grant: &Grant) -> String {
    let mut out = String::from("[[grant]]\n");
    line(&mut out, "policy", &quoted(&grant.policy));
    line(&mut out, "access", &quoted(&grant.access.to_string()));
    let place = |place: &Place| match place.prefix.is_root() {
        true => place.bucket.to_string(),
        false => format!("{}/{}", place.bucket, place.prefix.as_str().trim_end_matches('/')),
    };
    line(&mut out, "on", &list(&grant.on.iter().map(place).collect::<Vec<_>>()));
    match grant.list {
        ListScope::Scoped => {}
        ListScope::Root => line(&mut out, "list", "\"root\""),
        ListScope::Bucket => line(&mut out, "list", "\"bucket\""),
    }
    if grant.adopt {
        line(&mut out, "adopt", "true");
    }
    if !grant.attach.is_empty() {
        out.push_str("attach = [\n");
        for target in &grant.attach {
            out.extend(["  ", &target_text(target), ",\n"]);
        }
        out.push_str("]\n");
    }
    out
}

fn target_text(target: &AttachTarget) -> String {
    match target {
        AttachTarget::Role(role) => format!("{{ role = {} }}", quoted(role)),
        AttachTarget::NodeGroups { cluster, node_groups } => {
            let groups = match node_groups.as_slice() {
                [one] => quoted(one),
                several => list(several),
            };
            format!("{{ eks_cluster = {}, node_groups = {groups} }}", quoted(cluster))
        }
        AttachTarget::Irsa(to) | AttachTarget::PodIdentity(to) => format!("{{ role = {} }}", quoted(&to.role)),
    }
}

/// The word of a marker style in a layout.
pub(super) const fn word(style: MarkerStyle) -> &'static str {
    match style {
        MarkerStyle::Slash => "slash",
        MarkerStyle::Keep => "keep",
        MarkerStyle::None => "none",
    }
}

/// Every access, the least first.
pub(super) const ACCESSES: [FolderAccess; 3] = [FolderAccess::Read, FolderAccess::Append, FolderAccess::ReadWrite];

fn line(out: &mut String, key: &str, value: &str) {
    out.extend([key, " = ", value, "\n"]);
}

/// A text as a TOML value, in which a variable's start stands for itself and letters that nobody sees are spelled out.
fn quoted(text: &str) -> String {
    let text = text.replace("${", "$${");
    if !text.chars().any(is_hidden) {
        return toml::Value::String(text).to_string();
    }
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if !is_hidden(letter) => out.push(letter),
            letter => out.extend(["\\U", &format!("{:08X}", u32::from(letter))]),
        }
    }
    out + "\""
}

fn list(items: &[String]) -> String {
    format!("[{}]", items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", "))
}

/// A key, in quotes unless it is a bare one.
fn key_of(text: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !text.is_empty() && text.bytes().all(bare) {
        text.to_owned()
    } else {
        toml::Value::String(text.to_owned()).to_string()
    }
}

/// A comment, folded between words. What would end the line, or play with the terminal, is escaped.
fn comment(out: &mut String, text: &str) {
    let clean: String = text.chars().flat_map(shown).collect();
    let mut column = 0;
    for word in clean.split(' ').filter(|word| !word.is_empty()) {
        let width = word.chars().count();
        if column == 0 || column + 1 + width > COMMENT_COLUMNS {
            out.push_str(if column == 0 { "#" } else { "\n#" });
            column = 1;
        }
        out.push(' ');
        out.push_str(word);
        column += 1 + width;
    }
    out.push('\n');
}

fn shown(letter: char) -> impl Iterator<Item = char> {
    let plain = !is_hidden(letter);
    let escaped = letter.escape_unicode().filter(move |_| !plain);
    std::iter::once(letter).filter(move |_| plain).chain(escaped)
}
