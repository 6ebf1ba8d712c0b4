//! Turns the tables of a file into a [`Layout`]: names into their types, references into what they mean.

mod buckets;
mod datasets;
mod grants;
mod logs;
mod places;
pub(super) mod templates;

use super::mistakes::Mistakes;
use super::names::{self, Wrong};
use super::section::Section;
use super::{DEFAULT_BACKUP, FolderAccess, Layout, MarkerStyle, ParseOptions};
use crate::model::{AccountId, LayoutId, Region};
use templates::Templates;

/// The layout of a file that was read; none if a mistake stands in its way.
pub(super) fn layout(file: &Section, options: &ParseOptions<'_>, mistakes: &mut Mistakes) -> Option<Layout> {
    let id = layout_id(file, options, mistakes);
    let guards = guards(file, options.environment, mistakes);
    let templates = Templates::read(file.map("template"), mistakes);
    if file.has("bucket") && !file.is_broken("bucket") && file.sections("bucket").next().is_none() {
        mistakes.at(file.key_span("bucket"), "the layout has no bucket").help("add at least one table `[[bucket]]`");
    }
    let buckets = buckets::read(file, guards.region.as_ref(), &templates, mistakes);
    let places = places::Places::new(&buckets);
    let datasets = datasets::read(file, &places, mistakes);
    let grants = grants::read(file, &places, mistakes);
    let asserts = grants::read_asserts(file, &places, mistakes);
    let backup = backup(file, mistakes);
    mistakes.is_empty().then_some(())?;
    let Guards { account, region, profile } = guards;
    Some(Layout { id: id?, account, region, profile, backup, buckets: buckets.list, datasets, grants, asserts })
}

fn backup(file: &Section, mistakes: &mut Mistakes) -> String {
    let Some(text) = file.text("backup") else { return DEFAULT_BACKUP.to_owned() };
    mistakes.take(text.span, names::local_path("backup", text.value, true));
    text.value.to_owned()
}

fn layout_id(file: &Section, options: &ParseOptions<'_>, mistakes: &mut Mistakes) -> Option<LayoutId> {
    if let Some(id) = file.text("layout") {
        return mistakes.take(id.span, id.value.parse().map_err(|error| Wrong::from(format!("{error}"))));
    }
    if file.has("layout") {
        return None;
    }
    let id = options.file_stem.parse().ok();
    if id.is_none() {
        mistakes
            .anywhere("the file's name cannot be the layout's id")
            .help("write `layout = \"...\"` at the top, with letters, digits, `.`, `_` and `-`");
    }
    id
}

/// What every write is held against.
struct Guards {
    account: Option<AccountId>,
    region: Option<Region>,
    profile: Option<String>,
}

/// The guards of the top level, each replaced by that of the chosen environment where it has one.
///
/// Environments that are not chosen are checked as well, where no variable stands in the way.
fn guards(file: &Section, environment: Option<&str>, mistakes: &mut Mistakes) -> Guards {
    let mut guards = guards_of(file, mistakes);
    for entry in file.map("env") {
        let Some(section) = entry.section() else { continue };
        let own = guards_of(section, mistakes);
        if environment == Some(entry.key.as_str()) {
            guards.account = own.account.or(guards.account);
            guards.region = own.region.or(guards.region);
            guards.profile = own.profile.or(guards.profile);
        }
    }
    guards
}

fn guards_of(section: &Section, mistakes: &mut Mistakes) -> Guards {
    let account = section.text("account").and_then(|text| mistakes.take(text.span, names::account(text.value)));
    let region = section
        .text("region")
        .and_then(|text| mistakes.take(text.span, text.value.parse().map_err(|error| Wrong::from(format!("{error}")))));
    let profile = section.text("profile").map(|text| {
        if text.value.is_empty() || text.value.chars().any(char::is_control) {
            mistakes.at(text.span, "`profile` is not the name of a profile").help("leave the key out for the default");
        }
        text.value.to_owned()
    });
    Guards { account, region, profile }
}

/// The access that a checked word means.
fn access(word: &str) -> FolderAccess {
    match word {
        "read" => FolderAccess::Read,
        "append" => FolderAccess::Append,
        _ => FolderAccess::ReadWrite,
    }
}

/// The marker style that a checked word means.
fn markers(word: &str) -> MarkerStyle {
    match word {
        "keep" => MarkerStyle::Keep,
        "none" => MarkerStyle::None,
        _ => MarkerStyle::Slash,
    }
}
