//! Datasets: local files for folders of the layout, judged by their paths alone.

use super::places::{self, Places};
use crate::layout::Dataset;
use crate::layout::mistakes::{Mistakes, quote};
use crate::layout::names;
use crate::layout::section::{Found, Section};
use crate::model::{BucketName, Filter, Prefix};
use std::collections::BTreeMap;

/// Reads every `[[dataset]]`.
pub(super) fn read(file: &Section, places: &Places, mistakes: &mut Mistakes) -> Vec<Dataset> {
    let mut datasets = Vec::new();
    let mut spans = Vec::new();
    for section in file.sections("dataset") {
        if let Some(dataset) = dataset(section, places, mistakes) {
            datasets.push(dataset);
            spans.push(section);
        }
    }
    report_collisions(&datasets, &spans, mistakes);
    report_shared_receipts(&datasets, &spans, mistakes);
    datasets
}

/// Every part is checked, also when another is wrong already.
fn dataset(section: &Section, places: &Places, mistakes: &mut Mistakes) -> Option<Dataset> {
    let allow_outside = section.flag("allow_outside").unwrap_or(false);
    let unsure_outside = section.is_broken("allow_outside");
    let source = section.text("source").and_then(|source| {
        let checked = names::local_path("source", source.value, allow_outside || unsure_outside);
        mistakes.take(source.span, checked).map(|()| source.value.to_owned())
    });
    let target = section.text("to").and_then(|to| target(to, places, mistakes));
    let rename = section.text("as").map(|name| {
        mistakes.take(name.span, names::file_name(name.value));
        name.value.to_owned()
    });
    let exclude = section.texts("exclude").into_iter().map(|glob| checked_glob(glob, mistakes)).collect();
    let receipt = section.text("receipt").map(|receipt| {
        mistakes.take(receipt.span, names::local_path("receipt", receipt.value, false));
        receipt.value.to_owned()
    });
    let (bucket, folder) = target?;
    Some(Dataset { source: source?, bucket, folder, rename, exclude, allow_outside, receipt })
}

fn target(to: Found<'_, &str>, places: &Places, mistakes: &mut Mistakes) -> Option<(BucketName, Prefix)> {
    let written = places::split(to.value, to.span, mistakes)?;
    let bucket = places.bucket(written.bucket, to.span, mistakes)?;
    let Some(path) = written.rest.filter(|path| !path.is_empty()) else {
        mistakes
            .at(to.span, format!("`to` names the bucket {} and no folder", quote(written.bucket)))
            .help("write `bucket/folder`, with a folder of the layout");
        return None;
    };
    let folder = places.folder(&bucket, path, false, to.span, mistakes)?;
    Some((bucket, folder))
}

fn checked_glob(glob: Found<'_, &str>, mistakes: &mut Mistakes) -> String {
    if let Err(error) = Filter::excluding([glob.value]) {
        mistakes.at(glob.span, format!("{} is not a glob: {}", quote(glob.value), error.message));
    }
    glob.value.to_owned()
}

/// The name that a dataset's file gets, if it is certain by its text that the dataset is one file.
///
/// `as` is for single files. Otherwise an extension of letters tells: `x.csv` is taken for a file, `images` or `v1.0`
/// may be a directory. Whoever sees the files finds the collisions that remain.
fn certain_file(dataset: &Dataset) -> Option<String> {
    if let Some(name) = &dataset.rename {
        return Some(name.clone());
    }
    let tidy = names::tidy_path(&dataset.source);
    let name = tidy.rsplit('/').next()?;
    let (stem, extension) = name.rsplit_once('.')?;
    let letters = extension.starts_with(|letter: char| letter.is_ascii_alphabetic()) && extension.len() <= 8;
    (!stem.is_empty() && letters && !dataset.source.ends_with('/')).then(|| name.to_owned())
}

/// Two datasets that would write the same key, or one that is there twice.
fn report_collisions(datasets: &[Dataset], sections: &[&Section], mistakes: &mut Mistakes) {
    let mut sources = BTreeMap::new();
    let mut keys = BTreeMap::new();
    for (dataset, section) in datasets.iter().zip(sections) {
        let folder = (&dataset.bucket, &dataset.folder);
        let source = names::tidy_path(&dataset.source);
        let span = section.key_span("source");
        if let Some(first) = sources.insert((folder, source, &dataset.rename), span) {
            let target = format!("{}/{}", folder.0, folder.1);
            mistakes
                .at(span, format!("dataset {} is there twice for `{target}`", quote(&dataset.source)))
                .first(first)
                .help("remove one of them");
            continue;
        }
        let Some(name) = certain_file(dataset) else { continue };
        let key = format!("{}/{}{name}", folder.0, folder.1);
        if let Some(first) = keys.insert((folder, name), span) {
            mistakes
                .at(span, format!("two datasets land on the key `{key}`"))
                .first(first)
                .help("give one of them another name with `as`");
        }
    }
}

fn report_shared_receipts(datasets: &[Dataset], sections: &[&Section], mistakes: &mut Mistakes) {
    let mut receipts = BTreeMap::new();
    for (dataset, section) in datasets.iter().zip(sections) {
        let Some(receipt) = &dataset.receipt else { continue };
        let span = section.key_span("receipt");
        if let Some(first) = receipts.insert(names::tidy_path(receipt), span) {
            mistakes
                .at(span, format!("two datasets write the receipt {}", quote(receipt)))
                .first(first)
                .help("give each its own");
        }
    }
}
