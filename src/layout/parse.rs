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
    mistakes.at(&span, format!("not TOML: {message}")).help("the rest of the file was not checked");
}
