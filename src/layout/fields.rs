//! What a layout file may say: one description of every table and key.
//!
//! The reader, the nearest names in its messages, the JSON schema for editors and the reference page all come from
//! here, so they cannot disagree.

use super::nearest::listed;
use std::fmt::Write as _;

/// One table of the file.
#[derive(Debug)]
pub struct Table {
    /// How people write it: `[[bucket]]`.
    pub title: &'static str,
    /// Its name in the JSON schema.
    pub id: &'static str,
    /// What it is for, in a sentence.
    pub doc: &'static str,
    /// Its keys, in the order in which they are documented.
    pub fields: &'static [Field],
}

/// One key of a table.
#[derive(Debug)]
pub struct Field {
    /// The key.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// What stands for it when it is absent, as TOML; none if that needs words.
    pub default: Option<&'static str>,
    /// What it means.
    pub doc: &'static str,
}

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number in this range, ends included.
    Whole(u32, u32),
    /// A list of texts.
    Texts,
    /// One text or a list of them.
    TextOrTexts,
    /// One of these words, or a table.
    ChoiceOr(&'static [&'static str], &'static Table),
    /// A table whose keys the writer chooses and whose values are texts.
    Map(Keys),
    /// A table.
    Section(&'static Table),
    /// A list of tables.
    Sections(&'static Table),
    /// A table of tables, each under a name the writer chooses.
    Named(&'static Table),
}

/// Which keys a [`Kind::Map`] takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// Names of variables. Their values are expanded where they are used.
    Variables,
    /// Keys of tags.
    Tags,
    /// Names of controls, with `-` or `_`.
    Controls,
}

const fn field(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field { name, kind, required: false, default: None, doc }
}

impl Field {
    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn default(mut self, toml: &'static str) -> Self {
        self.default = Some(toml);
        self
    }
}

impl Table {
    /// The key of this name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// The words for how folders are marked.
const MARKERS: &[&str] = &["slash", "keep", "none"];
/// The words for how much access there is.
const ACCESS: &[&str] = &["read", "append", "read-write"];
/// The largest number of days a lifecycle rule of ours may have: a hundred years.
const MAX_DAYS: u32 = 36_500;

/// The file itself.
pub static FILE: Table = Table {
    title: "the top level",
    id: "layout",
    doc: "A layout: the wanted state of one or more buckets, their projects, datasets and grants.",
    fields: &[
        field("version", Kind::Whole(1, 1), "The version of this format.").required(),
        field(
            "layout",
            Kind::Text,
            "The id in the owner tag, which tells what belongs to which layout: 1 to 128 letters, digits, `.`, `_`, `-`, \
             `/`. The default is the file's name without `.toml`.",
        ),
        field("account", Kind::Text, "The twelve digits of the account that every write must happen in."),
        field("region", Kind::Text, "The Region that every bucket must be in."),
        field("profile", Kind::Text, "The AWS profile to use unless `--profile` names another."),
        field(
            "backup",
            Kind::Text,
            "The folder, relative to this file or absolute, where policies, trust policies and attachments are kept \
             before they are replaced or taken away.",
        )
        .default("\".bucketwright/backups\""),
        field(
            "vars",
            Kind::Map(Keys::Variables),
            "Variables for `${name}` in any text. `--set` wins over the chosen environment, which wins over this table. \
             `${env:NAME}` reads the process's environment; `$${` stands for a plain `${`.",
        ),
        field("env", Kind::Named(&ENVIRONMENT), "Environments, chosen with `--env NAME`."),
        field("bucket", Kind::Sections(&BUCKET), "The buckets.").required(),
        field("dataset", Kind::Sections(&DATASET), "Local files and directories that belong in folders."),
        field("grant", Kind::Sections(&GRANT), "Access for somebody, as one IAM policy each."),
        field("assert", Kind::Sections(&ASSERT), "Expectations that do not come from the grants."),
        field("template", Kind::Named(&TEMPLATE), "Templates of one's own; they win over shipped ones of that name."),
    ],
};

/// `[env.NAME]`
pub static ENVIRONMENT: Table = Table {
    title: "[env.NAME]",
    id: "environment",
    doc: "What differs between, say, production and development. Without `--env` none applies.",
    fields: &[
        field("account", Kind::Text, "The account guard of this environment, instead of the top level's."),
        field("region", Kind::Text, "The Region guard of this environment, instead of the top level's."),
        field("profile", Kind::Text, "The AWS profile of this environment, instead of the top level's."),
        field("vars", Kind::Map(Keys::Variables), "Variables of this environment, before those of `[vars]`."),
    ],
};

/// `[[bucket]]`
pub static BUCKET: Table = Table {
    title: "[[bucket]]",
    id: "bucket",
    doc: "One bucket. What it does not say has the secure default.",
    fields: &[
        field(
            "name",
            Kind::Text,
            "The bucket's name, by AWS's rules and without dots, which the certificates of S3's HTTPS addresses do not \
             cover.",
        )
        .required(),
        field(
            "template",
            Kind::Text,
            "The template of its folders: a shipped one, or a `[template.NAME]` of this file.",
        ),
        field("projects", Kind::Texts, "Projects; each gets the template's folders. Without, they stand at the root."),
        field("versioning", Kind::Flag, "Whether old versions are kept. `false` needs a waiver.").default("true"),
        field(
            "encryption",
            Kind::ChoiceOr(&["sse-s3"], &KMS),
            "Default encryption: S3's own keys, or `{ kms_key = \"arn:aws:kms:...\" }`.",
        )
        .default("\"sse-s3\""),
        field(
            "markers",
            Kind::Choice(MARKERS),
            "How empty folders are shown: an object `folder/`, `folder/.keep`, or none.",
        )
        .default("\"slash\""),
        field(
            "public_access",
            Kind::Choice(&["blocked", "unmanaged"]),
            "Whether all public access is blocked. `unmanaged` leaves the setting alone and needs a waiver.",
        )
        .default("\"blocked\""),
        field("access_log", Kind::Section(&ACCESS_LOG), "Where S3 writes the bucket's access log."),
        field(
            "noncurrent_days",
            Kind::Whole(1, MAX_DAYS),
            "Days until old versions expire in the whole bucket. Without it 90, except on adopted buckets, where \
             nothing expires unasked.",
        ),
        field("tags", Kind::Map(Keys::Tags), "Tags of the bucket, besides the owner tag: at most 49."),
        field("adopt", Kind::Flag, "Whether a bucket that exists without our owner tag may be taken over.")
            .default("false"),
        field(
            "manage",
            Kind::Choice(&["all", "data", "verify"]),
            "What the tool may write: everything, only markers and datasets, or nothing. The rest is only checked.",
        )
        .default("\"all\""),
        field(
            "waive",
            Kind::Map(Keys::Controls),
            "Controls that are given up, each with its reason: `{ versioning = \"scratch data\" }`. Every control is \
             wanted unless it stands here, and a setting that weakens one is refused without its waiver.",
        ),
    ],
};

/// `encryption = { kms_key = ".." }`
pub static KMS: Table = Table {
    title: "`encryption`",
    id: "kms",
    doc: "Default encryption with a KMS key, with a bucket key to keep calls to KMS few.",
    fields: &[field(
        "kms_key",
        Kind::Text,
        "The full ARN of the key. An alias is refused: S3 does not check it, and it means another key in another account.",
    )
    .required()],
};

/// `access_log = { .. }`
pub static ACCESS_LOG: Table = Table {
    title: "`access_log`",
    id: "accessLog",
    doc: "Where an access log goes. A log bucket that the file does not declare is made with secure defaults.",
    fields: &[
        field("bucket", Kind::Text, "The log bucket: another bucket, encrypted with S3's own keys.").required(),
        field("prefix", Kind::Text, "The start of every log object's key. The default is the bucket's name and `/`."),
    ],
};

/// `[[dataset]]`
pub static DATASET: Table = Table {
    title: "[[dataset]]",
    id: "dataset",
    doc: "A local file, or the contents of a local directory, that belong in a folder.",
    fields: &[
        field("source", Kind::Text, "The file or directory, relative to the layout file.").required(),
        field("to", Kind::Text, "The folder, as `bucket/folder`: always a folder of the layout.").required(),
        field("as", Kind::Text, "Another name for a single file."),
        field("exclude", Kind::Texts, "Globs, relative to the source, of files to leave out."),
        field("allow_outside", Kind::Flag, "Whether the source may lie outside the layout file's own folder.")
            .default("false"),
        field(
            "receipt",
            Kind::Text,
            "Where the list of what was sent is written, relative to the layout file; lets `verify --data` run without \
             the source.",
        ),
    ],
};

/// `[[grant]]`
pub static GRANT: Table = Table {
    title: "[[grant]]",
    id: "grant",
    doc: "One IAM policy: which access, on what, for whom. Access never exceeds that of the folder.",
    fields: &[
        field("policy", Kind::Text, "The policy's name: 1 to 128 letters, digits and `+=,.@_-`.").required(),
        field("access", Kind::Choice(ACCESS), "Read; read and put without delete; or all three.").required(),
        field("on", Kind::Texts, "Buckets, or folders as `bucket/folder`.").required(),
        field(
            "list",
            Kind::Choice(&["scoped", "root", "bucket"]),
            "How much a listing may see: the granted folders, the names at the top level too, or every key's name.",
        )
        .default("\"scoped\""),
        field("attach", Kind::Sections(&ATTACH), "Whom the policy is attached to; nobody if absent."),
        field("adopt", Kind::Flag, "Whether a policy that exists without our owner tag may be taken over.")
            .default("false"),
    ],
};

/// One entry of `attach`
pub static ATTACH: Table = Table {
    title: "an entry of `attach`",
    id: "attach",
    doc: "One target: exactly one of `eks_cluster`, `role`, `irsa` and `pod_identity`.",
    fields: &[
        field("eks_cluster", Kind::Text, "An EKS cluster: the roles of its node groups."),
        field(
            "node_groups",
            Kind::TextOrTexts,
            "With `eks_cluster`: names or globs of node groups; `\"*\"` means all.",
        )
        .default("\"*\""),
        field("role", Kind::Text, "A role, by its name."),
        field("irsa", Kind::Section(&SERVICE_ACCOUNT), "A service account's role by the cluster's OIDC provider."),
        field("pod_identity", Kind::Section(&SERVICE_ACCOUNT), "A service account's role by EKS Pod Identity."),
    ],
};

/// `irsa = { .. }`, `pod_identity = { .. }`
pub static SERVICE_ACCOUNT: Table = Table {
    title: "`irsa` or `pod_identity`",
    id: "serviceAccount",
    doc: "A Kubernetes service account and the role it takes.",
    fields: &[
        field("cluster", Kind::Text, "The EKS cluster.").required(),
        field("namespace", Kind::Text, "The namespace.").required(),
        field("service_account", Kind::Text, "The service account.").required(),
        field("role", Kind::Text, "The role's name.").required(),
    ],
};

/// The operations of the access matrix.
pub(super) const OPERATIONS: &[&str] = &["list", "get", "put", "delete", "multipart", "head-bucket"];

/// `[[assert]]`
pub static ASSERT: Table = Table {
    title: "[[assert]]",
    id: "assert",
    doc: "One expectation about access, checked by plan and verify.",
    fields: &[
        field("principal", Kind::Text, "Who: the policy of a grant, or a role that a grant attaches to.").required(),
        field("operation", Kind::Choice(OPERATIONS), "What is tried.").required(),
        field("target", Kind::Text, "On what: `bucket`, `bucket/key` or `bucket/prefix*`.").required(),
        field("expect", Kind::Choice(&["allow", "deny"]), "How it should end.").required(),
    ],
};

/// `[template.NAME]`
pub static TEMPLATE: Table = Table {
    title: "[template.NAME]",
    id: "template",
    doc: "A tree of folders.",
    fields: &[
        field(
            "extends",
            Kind::Text,
            "Another template whose folders come first; a folder of the same path takes over what it leaves open.",
        ),
        field("folders", Kind::Sections(&FOLDER), "The folders.").default("[]"),
    ],
};

/// One entry of `folders`
pub static FOLDER: Table = Table {
    title: "an entry of `folders`",
    id: "folder",
    doc: "One folder of a template.",
    fields: &[
        field(
            "path",
            Kind::Text,
            "Its path in the project, such as `data/raw`; the empty path is the project's own folder.",
        )
        .required(),
        field("access", Kind::Choice(ACCESS), "The most that any grant gives here.").default("\"read-write\""),
        field(
            "noncurrent_days",
            Kind::Whole(1, MAX_DAYS),
            "Days until old versions expire here, instead of the bucket's number.",
        ),
        field("markers", Kind::Choice(MARKERS), "How this folder is marked, instead of the bucket's way."),
    ],
};

/// Every table, each once, the file itself first.
pub static ALL: [&Table; 12] = [
    &FILE,
    &BUCKET,
    &KMS,
    &ACCESS_LOG,
    &DATASET,
    &GRANT,
    &ATTACH,
    &SERVICE_ACCOUNT,
    &ASSERT,
    &TEMPLATE,
    &FOLDER,
    &ENVIRONMENT,
];

impl Kind {
    /// What it takes, in words that fit after "must be".
    pub fn expected(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Choice(words) => format!("one of {}", listed(words.iter().copied())),
            Self::Flag => "true or false".to_owned(),
            Self::Whole(least, most) if least == most => format!("{least}"),
            Self::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Self::Texts => "a list of texts".to_owned(),
            Self::TextOrTexts => "text or a list of texts".to_owned(),
            Self::ChoiceOr(words, table) => {
                let keys = listed(table.fields.iter().map(|field| field.name));
                format!("{} or a table with {keys}", listed(words.iter().copied()))
            }
            Self::Map(_) | Self::Section(_) => "a table".to_owned(),
            Self::Sections(_) => "a list of tables".to_owned(),
            Self::Named(_) => "a table of named tables".to_owned(),
        }
    }
}

/// The reference of all tables and keys, as Markdown.
pub fn markdown() -> String {
    let mut page = String::new();
    for table in ALL {
        let heading = match table.id {
            "layout" => "Top level".to_owned(),
            _ if table.title.starts_with('[') => format!("`{}`", table.title),
            _ => table.title.replacen("an entry", "An entry", 1),
        };
        let _ =
            write!(page, "## {heading}\n\n{}\n\n| key | takes | default | meaning |\n|---|---|---|---|\n", table.doc);
        for field in table.fields {
            let default = match (field.required, field.default) {
                (true, _) => "required".to_owned(),
                (false, Some(toml)) => format!("`{toml}`"),
                (false, None) => String::new(),
            };
            let _ = writeln!(page, "| `{}` | {} | {default} | {} |", field.name, field.kind.expected(), field.doc);
        }
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

#[cfg(test)]
mod tests {
    use super::{ALL, Kind, markdown};
    use std::collections::BTreeSet;

    #[test]
    fn every_table_that_is_reached_is_listed_once() {
        let listed: BTreeSet<&str> = ALL.iter().map(|table| table.id).collect();
        assert_eq!(listed.len(), ALL.len());
        for table in ALL {
            for field in table.fields {
                if let Kind::Section(inner) | Kind::Sections(inner) | Kind::Named(inner) | Kind::ChoiceOr(_, inner) =
                    field.kind
                {
                    assert!(listed.contains(inner.id), "{}", inner.id);
                }
                assert!(field.doc.ends_with('.'), "{}: {}", field.name, field.doc);
            }
        }
    }

    #[test]
    fn the_reference_has_a_row_for_every_key() {
        let page = markdown();
        let keys: usize = ALL.iter().map(|table| table.fields.len()).sum();
        assert_eq!(page.lines().filter(|line| line.starts_with("| `")).count(), keys);
    }
}
