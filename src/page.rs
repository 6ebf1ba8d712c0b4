//! The report: what a layout's buckets, folders, policies and access are like, as one dated page for people.
//!
//! What was found goes in as values; [`content`] says in which order it is told, and [`markdown`] and [`html`] write it
//! down. Neither of them decides anything, so the two cannot disagree.

mod blocks;
mod content;
mod drawing;
mod grid;
mod html;
mod markdown;
mod markup;
mod parts;
mod picture;

pub use parts::{AccountPart, BucketPart, ClusterPart, DatasetPart, PolicyPart, SurveyPart, cells_in_force};

use crate::model::LayoutId;
use crate::report::{ActionRecord, Cell, Finding, IdentityRecord};

/// The words that every page of this program has near its start, in a place that people do not see: by them, and by what
/// stands around them there, it knows its own. Others may speak of this verb too.
const SIGN: &str = "bucketwright report";

/// All that a page tells.
#[derive(Debug, Clone)]
pub struct Page {
    /// The layout's id.
    pub layout: LayoutId,
    /// The program and its version.
    pub tool: String,
    /// The day in words: `July 26, 2025`.
    pub day: String,
    /// The moment, RFC 3339.
    pub at: String,
    /// Who looked, and where.
    pub identity: IdentityRecord,
    /// The buckets in the layout's order.
    pub buckets: Vec<BucketPart>,
    /// Policies and clusters.
    pub account: AccountPart,
    /// The access matrix as the evaluator decides it: by what is in force, or by what the layout asks for where the account
    /// was not looked at.
    pub computed: Vec<Cell>,
    /// The access matrix as calls were answered; none if none were made.
    pub observed: Option<Vec<Cell>>,
    /// The datasets.
    pub datasets: Vec<DatasetPart>,
    /// What a person should see.
    pub findings: Vec<Finding>,
    /// What `apply` would do.
    pub actions: Vec<ActionRecord>,
}

/// The form of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// GitHub's Markdown.
    Markdown,
    /// One HTML file that needs nothing else.
    Html,
}

impl Page {
    /// The page's text.
    pub fn render(&self, format: Format) -> String {
        let blocks = content::blocks(self);
        match format {
            Format::Markdown => markdown::page(SIGN, &blocks),
            Format::Html => html::page(SIGN, &content::title(self), &blocks),
        }
    }
}

/// True for the text of a page that this program wrote, which it may therefore replace.
pub fn is_own(text: &[u8]) -> bool {
    [markdown::start(SIGN), html::start(SIGN)].iter().any(|start| text.starts_with(start.as_bytes()))
}

#[cfg(test)]
mod tests;
