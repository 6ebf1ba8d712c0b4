//! From the bytes of a layout file to a [`Layout`], or to every mistake in it.

use super::mistakes::{LayoutError, Mistakes, Span, quote};
use super::reader::Reader;
use super::variables::Variables;
use super::{Layout, fields, resolve};
use std::collections::BTreeMap;
use toml::de::DeTable;

/// The largest layout file, in bytes. A layout is written by people; what is larger is another file by mistake.
pub const MAX_BYTES: usize = 1024 * 1024;

/// What a layout is read with.
#[derive(Debug, Clone, Copy)]
pub struct ParseOptions<'a> {
    /// The file's name without `.toml`: the default id, and the file's name in messages.
    pub file_stem: &'a str,
    /// The environment that `--env` names.
    pub environment: Option<&'a str>,
    /// Variables from `--set`, which win over all others.
    pub set: &'a BTreeMap<String, String>,
    /// What `${env:NAME}` may read: the process's environment, as the edge passes it in.
    pub env_vars: &'a BTreeMap<String, String>,
}

/// Reads a layout file. The error holds every mistake that can be told, in the file's order, and is never empty.
///
/// After an error in the TOML itself only that one is told, for what follows it cannot be read with certainty.
pub fn parse(bytes: &[u8], options: &ParseOptions<'_>) -> Result<Layout, Vec<LayoutError>> {
    let text = text(bytes, options)?;
    let mut mistakes = Mistakes::default();
    let layout = match DeTable::parse(text) {
        Ok(table) => {
            let mut variables = Variables::read(table.get_ref(), options, &mut mistakes);
            // The file's own span is empty, so mistakes about the whole file point at its start.
            let file = Reader::new(&mut variables, &mut mistakes).section(&fields::FILE, table.get_ref(), 0..0);
            variables.report_unused(&mut mistakes);
            resolve::layout(&file, options, &mut mistakes)
        }
        Err(error) => {
            report_syntax(text, &error, &mut mistakes);
            None
        }
    };
    match layout {
        Some(layout) if mistakes.is_empty() => Ok(layout),
        _ => Err(mistakes.into_errors(options.file_stem, text)),
    }
}

/// The file as text, unless its size or bytes show that it is no layout.
fn text<'a>(bytes: &'a [u8], options: &ParseOptions<'_>) -> Result<&'a str, Vec<LayoutError>> {
    let refuse = |span: Option<Span>, text: &str, message: String, help: &str| {
        let mut mistakes = Mistakes::default();
        match span {
            Some(span) => mistakes.at(&span, message).help(help),
            None => mistakes.anywhere(message).help(help),
        }
        Err(mistakes.into_errors(options.file_stem, text))
    };
    if bytes.len() > MAX_BYTES {
        let message = format!("the file has {} bytes; a layout has at most 1 MiB", bytes.len());
        return refuse(None, "", message, "is this the layout? Data belongs in a `[[dataset]]`");
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = error.valid_up_to();
            let start = std::str::from_utf8(&bytes[..good]).unwrap_or_default();
            let message = format!("the file is not UTF-8: byte {good} is {:#04x}", bytes[good]);
            return refuse(Some(good..good + 1), start, message, "save it as UTF-8");
        }
    };
    if text.trim_start_matches('\u{feff}').trim().is_empty() {
        return refuse(None, "", "the file is empty".to_owned(), "`bucketwright new` writes a layout to start from");
    }
    Ok(text)
}

/// The parser's own message on one line.
fn report_syntax(text: &str, error: &toml::de::Error, mistakes: &mut Mistakes) {
    let message = error.message().replace(", expected nothing", "");
    let span = error.span().unwrap_or(text.len()..text.len());
    if message == "duplicate key" {
        let key = text.get(span.clone()).unwrap_or_default().trim_matches(['"', '\'']);
        mistakes
            .at(&span, format!("{} is given twice", quote(key)))
            .help("a table has each key once; lists of tables are written `[[name]]`");
        return;
    }
    let next = text.get(span.start..).unwrap_or_default().trim_start_matches([' ', '\t']);
    let words = match message.as_str() {
        "string values must be quoted, expected literal string"
            if next.is_empty() || next.starts_with(['\r', '\n']) =>
        {
            "a key without a value"
        }
        "string values must be quoted, expected literal string" => "text must stand in quotes",
        "invalid basic string, expected `\"`" => "a text without its closing `\"`",
        "invalid literal string, expected `'`" => "a text without its closing `'`",
        other => other,
    };
    mistakes.at(&span, format!("not TOML: {words}")).help("the rest of the file was not checked");
}

#[cfg(test)]
mod tests {
    use super::{MAX_BYTES, ParseOptions, parse};
    use crate::layout::{Layout, LayoutError, builtin, fields};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn read(bytes: &[u8], file_stem: &str) -> Result<Layout, Vec<LayoutError>> {
        let none = BTreeMap::new();
        parse(bytes, &ParseOptions { file_stem, environment: None, set: &none, env_vars: &none })
    }

    fn refused(bytes: &[u8], file_stem: &str) -> String {
        let mistakes = read(bytes, file_stem).unwrap_err();
        mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn files_that_are_no_layouts() {
        assert_eq!(refused(b"", "x"), "x.toml: the file is empty");
        assert_eq!(refused(b"version = 1\n# \xff\n", "x"), "x.toml:2:3: the file is not UTF-8: byte 14 is 0xff");
        assert_eq!(refused(b"\xff\xfev\0e\0", "x"), "x.toml:1:1: the file is not UTF-8: byte 0 is 0xff");
        let large = vec![b'x'; 50 * 1024 * 1024];
        assert_eq!(refused(&large, "x"), "x.toml: the file has 52428800 bytes; a layout has at most 1 MiB");
    }

    #[test]
    fn the_file_name_is_the_id() {
        let text = b"version = 1\nbucket = [{ name = 'ml-data' }]\n";
        assert_eq!(read(text, "ml-workflows").unwrap().id.as_str(), "ml-workflows");
        assert_eq!(refused(text, "my layout"), "my layout.toml: the file's name cannot be the layout's id");
    }

    #[test]
    fn the_largest_of_files_is_read() {
        let mut text = "version = 1\nbucket = [{ name = 'ml-data' }]\n".to_owned();
        text.push_str(&"#".repeat(MAX_BYTES - text.len()));
        assert!(read(text.as_bytes(), "x").is_ok());
        text.push('#');
        assert!(read(text.as_bytes(), "x").is_err());
    }

    #[test]
    fn hostile_depth_is_refused() {
        for text in ["[".repeat(300_000), "a = ".to_owned() + &"{a=".repeat(100_000), "a.".repeat(400_000) + "a = 1"] {
            assert!(read(text.as_bytes(), "x").is_err());
        }
    }

    #[test]
    fn variables_cannot_multiply_a_file_without_end() {
        let projects: String = (100..500).map(|index| format!("'${{a}}{index}', ")).collect();
        let text = format!(
            "version = 1\n[vars]\na = '{}'\n[[bucket]]\nname = 'ml-data'\ntemplate = 'kedro'\nprojects = [{projects}]\n",
            "x".repeat(15_000)
        );
        let found = refused(text.as_bytes(), "x");
        assert!(found.contains("variables make the layout longer than 4194304 bytes"), "{found}");
        assert_eq!(found.lines().count(), 2, "{found}");
    }

    /// What every layout promises to those who plan with it.
    fn check_promises(layout: &Layout) {
        let names: BTreeSet<_> = layout.buckets.iter().map(|bucket| &bucket.name).collect();
        assert_eq!(names.len(), layout.buckets.len());
        for bucket in &layout.buckets {
            assert!(!bucket.name.has_dot());
            assert!(bucket.folders.iter().all(|folder| !folder.prefix.is_root()));
            let prefixes: BTreeSet<_> = bucket.folders.iter().map(|folder| &folder.prefix).collect();
            assert_eq!(prefixes.len(), bucket.folders.len());
            assert!(bucket.waive.values().all(|reason| !reason.is_empty()));
            assert!(bucket.access_log.iter().all(|log| names.contains(&log.bucket) && log.bucket != bucket.name));
            assert!(bucket.logs_from.is_empty() || bucket.kms_key.is_none());
        }
        for dataset in &layout.datasets {
            let bucket = layout.buckets.iter().find(|bucket| bucket.name == dataset.bucket).unwrap();
            assert!(bucket.folders.iter().any(|folder| folder.prefix == dataset.folder));
        }
        for grant in &layout.grants {
            assert!(!grant.on.is_empty() && grant.on.iter().all(|place| names.contains(&place.bucket)));
        }
    }

    /// Lines that nearly make a layout: heads of tables, and keys with fitting and unfitting values.
    fn line() -> impl Strategy<Value = String> {
        let keys: Vec<&str> = fields::ALL.iter().flat_map(|table| table.fields).map(|field| field.name).collect();
        let values = [
            "1",
            "90",
            "true",
            "false",
            "\"ml-data\"",
            "\"ml-data/a/data\"",
            "\"ml-project\"",
            "\"mine\"",
            "\"${v}\"",
            "[\"a\", \"b\"]",
            "[\"ml-data\"]",
            "\"read\"",
            "\"slash\"",
            "{ v = \"x\" }",
            "{ bucket = \"ml-logs\" }",
            "[{ path = \"data\" }, { path = \"\", access = \"read\" }]",
            "[{ role = \"r\" }]",
            "{ versioning = \"x\" }",
            "\"a.csv\"",
            "\"get\"",
            "\"deny\"",
            "\"P\"",
            "\"..\"",
            "[]",
            "{}",
            "1.5",
            "\"é\u{7f}",
        ];
        let heads = [
            "[[bucket]]",
            "[[bucket]]\nname = \"ml-data\"",
            "[[bucket]]\nname = \"ml-logs\"",
            "[[dataset]]",
            "[[grant]]",
            "[[assert]]",
            "[template.mine]",
            "[template.ml-project]",
            "[env.prod]",
            "[vars]",
            "[bucket.tags]",
            "[[dataset]]\nsource = \"a.csv\"\nto = \"ml-data/a/data\"",
            "[[bucket.x]]",
            "[bucket]",
            "\u{feff}",
            "}",
        ];
        prop_oneof![
            3 => (prop::sample::select(keys), prop::sample::select(values.to_vec()))
                .prop_map(|(key, value)| format!("{key} = {value}")),
            1 => prop::sample::select(heads.to_vec()).prop_map(str::to_owned),
        ]
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Err(mistakes) = read(&bytes, "x") {
                prop_assert!(!mistakes.is_empty());
            }
        }

        #[test]
        fn nearly_layouts_are_read_or_refused(lines in prop::collection::vec(line(), 0..14), whole in any::<bool>()) {
            let start = if whole { "version = 1\nbucket = [{ name = 'ml-data', template = 'kedro' }]\n" } else { "version = 1\n" };
            let text = format!("{start}{}\n", lines.join("\n"));
            match read(text.as_bytes(), "x") {
                Ok(layout) => check_promises(&layout),
                Err(mistakes) => {
                    prop_assert!(!mistakes.is_empty());
                    for mistake in mistakes {
                        mistake.excerpt(&text);
                    }
                }
            }
        }

        #[test]
        fn a_damaged_starter_is_read_or_refused(
            which in 0..builtin::all().len(),
            at in any::<prop::sample::Index>(),
            with in prop::sample::select(vec!["", "\"", "]", "=", "\n", "é", "${", "x", "\u{0}", "[[", "1"]),
            length in 0..12_usize,
        ) {
            let text = builtin::all()[which].text.replace("your-", "my-").replace("-name\"", "-n\"");
            let start = text.floor_char_boundary(at.index(text.len()));
            let end = text.floor_char_boundary((start + length).min(text.len()));
            let damaged = format!("{}{with}{}", &text[..start], &text[end..]);
            match read(damaged.as_bytes(), "x") {
                Ok(layout) => check_promises(&layout),
                Err(mistakes) => prop_assert!(!mistakes.is_empty()),
            }
        }
    }
}
