//! Shipped starters: whole layouts to begin with, and the templates that they hold.
//!
//! A starter's file is the only place that knows its template, so what `new` writes and what
//! `template = "ml-project"` means cannot differ.

use super::LayoutError;
use super::fields;
use super::mistakes::Mistakes;
use super::nearest::{listed, nearest};
use super::parse::{ParseOptions, parse};
use super::placeholders::placeholder;
use super::reader::Reader;
use super::resolve::templates::{Template, template as read_template};
use super::variables::Variables;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;
use toml::de::{DeTable, DeValue};

/// A layout to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Starter {
    /// Its name, which is also the name of its file in `layouts/`.
    pub name: &'static str,
    /// What it is for, in a line: the first line of its file.
    pub summary: &'static str,
    /// Its text, with placeholders where the reader's own names belong.
    pub text: &'static str,
}

/// Why a starter could not be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// `--set` of something that the starter does not have.
    #[error("starter `{starter}` has nothing called `{key}` to set{}", near.as_ref().map(|near| format!(", did you mean `{near}`?")).unwrap_or_default())]
    UnknownKey {
        /// The starter.
        starter: &'static str,
        /// What was to be set.
        key: String,
        /// What was probably meant.
        near: Option<String>,
        /// What can be set.
        known: Vec<String>,
    },
    /// With the values given the layout would not be valid.
    #[error("{}", mistakes.iter().map(|mistake| mistake.message.as_str()).collect::<Vec<_>>().join("; "))]
    Value {
        /// What is wrong; the places are those in the file as it would be written.
        mistakes: Vec<LayoutError>,
    },
}

impl RenderError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::UnknownKey { known, .. } => Some(format!("can be set: {}", listed(known.iter().map(String::as_str)))),
            Self::Value { mistakes } => mistakes.first().and_then(|mistake| mistake.help.clone()),
        }
    }
}

macro_rules! starter {
    ($name:literal) => {{
        const TEXT: &str = include_str!(concat!("../../layouts/", $name, ".toml"));
        Starter { name: $name, summary: first_line(TEXT), text: TEXT }
    }};
}

static ALL: [Starter; 7] = [
    starter!("ml-project"),
    starter!("flyte"),
    starter!("shared-datasets"),
    starter!("team-folders"),
    starter!("ccds"),
    starter!("kedro"),
    starter!("lake"),
];

/// The first line without its `# `.
const fn first_line(text: &'static str) -> &'static str {
    let bytes = text.as_bytes();
    let mut end = 0;
    while end < bytes.len() && bytes[end] != b'\n' {
        end += 1;
    }
    text.split_at(end).0.split_at(2).1
}

/// All starters, the most general first.
pub fn all() -> &'static [Starter] {
    &ALL
}

/// The starter of that name.
pub fn find(name: &str) -> Option<&'static Starter> {
    ALL.iter().find(|starter| starter.name == name)
}

/// The name of the starter that was probably meant.
pub fn nearest_name(wrong: &str) -> Option<&'static str> {
    nearest(wrong, ALL.iter().map(|starter| starter.name))
}

static TEMPLATES: LazyLock<BTreeMap<String, Template>> =
    LazyLock::new(|| ALL.iter().flat_map(|starter| templates_of(starter.text)).collect());

/// The shipped template of that name.
pub(super) fn template(name: &str) -> Option<&'static Template> {
    TEMPLATES.get(name)
}

/// The names of all shipped templates.
pub(super) fn template_names<'any>() -> impl Iterator<Item = &'any str> {
    TEMPLATES.keys().map(String::as_str)
}

/// The tables `[template.NAME]` of a starter. A test proves that none is lost to a mistake.
fn templates_of(text: &str) -> Vec<(String, Template)> {
    let none = BTreeMap::new();
    let options = ParseOptions { file_stem: "starter", environment: None, set: &none, env_vars: &none };
    let Ok(file) = DeTable::parse(text) else { return Vec::new() };
    let mut mistakes = Mistakes::default();
    let mut variables = Variables::read(file.get_ref(), &options, &mut mistakes);
    let Some(DeValue::Table(templates)) = file.get_ref().get("template").map(|value| value.get_ref()) else {
        return Vec::new();
    };
    let mut reader = Reader::new(&mut variables, &mut mistakes);
    let sections: Vec<_> = templates
        .iter()
        .filter_map(|(name, value)| {
            let table = value.get_ref().as_table()?;
            Some((name.get_ref().to_string(), reader.section(&fields::TEMPLATE, table, value.span())))
        })
        .collect();
    sections.into_iter().map(|(name, section)| (name, read_template(&section, &mut mistakes))).collect()
}

/// Something in a starter that `--set` replaces.
struct Slot {
    key: String,
    /// The value in the text, quotes or brackets included.
    span: Range<usize>,
    is_list: bool,
    /// The value is a placeholder, so the file is refused until it is replaced.
    is_placeholder: bool,
}

/// The variables of `[vars]`, and the list `projects` wherever a bucket has one.
fn slots(text: &str) -> Vec<Slot> {
    let Ok(file) = DeTable::parse(text) else { return Vec::new() };
    let file = file.get_ref();
    let mut slots = Vec::new();
    if let Some(vars) = file.get("vars").and_then(|value| value.get_ref().as_table()) {
        for (key, value) in vars {
            let is_placeholder = value.get_ref().as_str().is_some_and(|text| placeholder(text).is_some());
            slots.push(Slot { key: key.get_ref().to_string(), span: value.span(), is_list: false, is_placeholder });
        }
    }
    let buckets = file.get("bucket").and_then(|value| value.get_ref().as_array());
    for bucket in buckets.into_iter().flat_map(|buckets| buckets.iter()) {
        if let Some(projects) = bucket.get_ref().get("projects") {
            slots.push(Slot {
                key: "projects".to_owned(),
                span: projects.span(),
                is_list: true,
                is_placeholder: false,
            });
        }
    }
    slots.sort_by_key(|slot| slot.span.start);
    slots
}

/// The starter's text with values from `--set`: variables as they are, `projects` as names between commas.
///
/// Values are held against the rules of layouts. What is not set keeps its placeholder, which `plan` refuses.
pub fn render(starter: &'static Starter, set: &BTreeMap<String, String>) -> Result<String, RenderError> {
    let slots = slots(starter.text);
    for key in set.keys() {
        if !slots.iter().any(|slot| &slot.key == key) {
            let mut known: Vec<String> = slots.iter().map(|slot| slot.key.clone()).collect();
            known.dedup();
            let near = nearest(key, known.iter().map(String::as_str)).map(str::to_owned);
            return Err(RenderError::UnknownKey { starter: starter.name, key: key.clone(), near, known });
        }
    }
    // Placeholders that stay get a stand-in, so that whatever is wrong then comes from the values given.
    let mut trial = set.clone();
    for slot in slots.iter().filter(|slot| slot.is_placeholder) {
        trial.entry(slot.key.clone()).or_insert_with(|| "stand-in".to_owned());
    }
    let none = BTreeMap::new();
    let options = ParseOptions { file_stem: starter.name, environment: None, set: &none, env_vars: &none };
    parse(fill(starter.text, &slots, &trial).as_bytes(), &options)
        .map_err(|mistakes| RenderError::Value { mistakes })?;
    Ok(fill(starter.text, &slots, set))
}

fn fill(text: &str, slots: &[Slot], set: &BTreeMap<String, String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut at = 0;
    for slot in slots {
        let Some(value) = set.get(&slot.key) else { continue };
        filled.push_str(&text[at..slot.span.start]);
        filled.push_str(&if slot.is_list { list(value) } else { quoted(value) });
        at = slot.span.end;
    }
    filled.push_str(&text[at..]);
    filled
}

fn quoted(value: &str) -> String {
    toml::Value::String(value.to_owned()).to_string()
}

/// Names between commas as a TOML list; spaces around them do not count.
fn list(value: &str) -> String {
    let items: Vec<String> = value.split(',').map(|item| quoted(item.trim())).collect();
    format!("[{}]", items.join(", "))
}

#[cfg(test)]
mod tests {
    use super::{ALL, RenderError, find, render, slots, templates_of};
    use crate::layout::{Layout, ParseOptions, parse};
    use std::collections::{BTreeMap, BTreeSet};

    fn set(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn read(text: &str) -> Result<Layout, Vec<String>> {
        let none = BTreeMap::new();
        let options = ParseOptions { file_stem: "layout", environment: None, set: &none, env_vars: &none };
        parse(text.as_bytes(), &options)
            .map_err(|mistakes| mistakes.iter().map(|mistake| mistake.message.clone()).collect())
    }

    #[test]
    fn every_starter_filled_in_is_a_layout() {
        for starter in &ALL {
            let text = render(starter, &set(&[("name", "bsingh-ml")])).unwrap();
            let layout = read(&text).unwrap_or_else(|mistakes| panic!("{}: {mistakes:?}", starter.name));
            assert_eq!(layout.id.as_str(), "bsingh-ml");
            assert!(layout.buckets.iter().all(|bucket| bucket.waive.is_empty()), "{}", starter.name);
            assert!(!starter.summary.is_empty() && !starter.summary.ends_with('.'), "{}", starter.summary);
            let buckets = layout.buckets.iter().filter(|bucket| bucket.template.is_some());
            assert!(buckets.count() > 0, "{}: no bucket shows the template", starter.name);
        }
    }

    #[test]
    fn a_starter_as_it_is_shipped_is_refused_for_its_placeholder_alone() {
        for starter in &ALL {
            let text = render(starter, &BTreeMap::new()).unwrap();
            assert_eq!(text, starter.text);
            let mistakes = read(&text).unwrap_err();
            assert!(matches!(&mistakes[..], [one] if one.contains("placeholder")), "{}: {mistakes:?}", starter.name);
        }
    }

    #[test]
    fn every_starter_has_the_template_of_its_name() {
        let mut names = BTreeSet::new();
        for starter in &ALL {
            let templates = templates_of(starter.text);
            assert!(templates.iter().any(|(name, _)| name == starter.name), "{}", starter.name);
            assert!(
                templates.into_iter().all(|(name, _)| names.insert(name)),
                "{}: a template of another",
                starter.name
            );
            assert!(slots(starter.text).iter().any(|slot| slot.is_placeholder), "{}", starter.name);
        }
    }

    #[test]
    fn lists_are_set_by_commas() {
        let starter = find("team-folders").unwrap();
        let text = render(starter, &set(&[("name", "b-1"), ("projects", "red, green,blue")])).unwrap();
        assert!(text.contains("projects = [\"red\", \"green\", \"blue\"]        # the teams"), "{text}");
        let folders: Vec<String> =
            read(&text).unwrap().buckets[0].folders.iter().map(|folder| folder.prefix.to_string()).collect();
        assert_eq!(folders, ["red/", "green/", "blue/"]);
    }

    #[test]
    fn wrong_values_and_keys_are_refused() {
        let starter = find("ml-project").unwrap();
        for (pairs, expected) in [
            (&[("nmae", "x")][..], "starter `ml-project` has nothing called `nmae` to set, did you mean `name`?"),
            (&[("name", "My_Bucket")], "bucket name `My_Bucket` holds `M`"),
            (&[("projects", "a,../b")], "project `../b` holds a slash"),
            (&[("projects", "a,,b")], "project `` is empty"),
            (&[("projects", "a,a")], "project `a` is there twice"),
            (&[("name", "a\"\nversion = 2\nb = \"")], "holds `\"`"),
        ] {
            let error = render(starter, &set(pairs)).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(!error.to_string().contains('\n'), "{error}");
            assert!(matches!(error, RenderError::Value { .. }) || error.help().unwrap().contains("`name`, `projects`"));
        }
    }
}
