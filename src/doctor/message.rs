//! Reads a refusal: one message, or the most telling one in a long log.
//!
//! What comes back names nothing but what stands there. Lines are counted, never quoted: logs hold tokens and signed
//! links.

mod sentence;
mod wrapping;

use super::trouble::Trouble;
use crate::policy::Layer;
use sentence::{Sentence, sentences};
use std::collections::HashMap;
use wrapping::{Wrapping, url_place};

/// The most that is read of a log.
pub const MAX_BYTES: u64 = 32 * 1024 * 1024;
/// How many lines around a refusal are searched for the object that it is about.
const NEARBY_LINES: usize = 3;
/// How many lines below a refusal are searched for the call that it is about: stack traces.
const TRACE_LINES: usize = 40;
/// How many other refusals are told apart.
const MOST_OTHERS: usize = 100;
/// The longest line that is looked at; what is behind that is binary or one endless JSON.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// What a refusal says, as far as it says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symptom {
    /// What kind of refusal it is.
    pub trouble: Trouble,
    /// Who was refused: an ARN, or `anonymous`.
    pub principal: Option<String>,
    /// The action, such as `s3:PutObject`.
    pub action: Option<String>,
    /// The API call, such as `HeadBucket`.
    pub operation: Option<String>,
    /// The resource's ARN.
    pub resource: Option<String>,
    /// For listings the prefix that was asked for, where it is told.
    pub prefix: Option<String>,
    /// Which kind of policy refuses.
    pub said_by: Option<SaidBy>,
    /// Whether it denies or lacks an Allow.
    pub denial: Option<Denial>,
    /// The ARN of the policy that denies.
    pub policy: Option<String>,
    /// Where the bucket is.
    pub region: Option<String>,
}

/// The kind of policy that a message names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaidBy {
    /// A layer of the decision.
    Layer(Layer),
    /// The trust policy of a role.
    Trust,
}

/// How a policy refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// A Deny matched.
    Explicit,
    /// Nothing allows it.
    Implicit,
}

/// The most telling refusal of a text, and what else there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The refusal.
    pub symptom: Symptom,
    /// The line on which it first stands, from one.
    pub line: usize,
    /// On how many lines it stands.
    pub times: usize,
    /// How many lines there are.
    pub lines: usize,
    /// Other refusals, in their order; of very many only the first.
    pub others: Vec<Symptom>,
}

/// One refusal in a text.
struct Found {
    line: usize,
    telling: u8,
    symptom: Symptom,
}

/// The most telling refusal in a text; none if there is none.
pub fn read(text: &str) -> Option<Reading> {
    let plain = without_escapes(text);
    let lines: Vec<&str> = plain.split('\n').collect();
    let starts = line_starts(&lines);
    let mut told: HashMap<usize, Sentence> = HashMap::new();
    for (at, sentence) in sentences(&plain) {
        let line = starts.partition_point(|start| *start <= at) - 1;
        told.entry(line).or_insert(sentence);
    }
    let mut found: Vec<Found> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let sentence = told.get(&index);
        if let Some(one) = refusal(&lines, index, line, sentence) {
            found.push(one);
        }
    }
    let best = found.iter().max_by_key(|one| (one.telling, std::cmp::Reverse(one.line)))?;
    let symptom = best.symptom.clone();
    let alike = |one: &&Found| one.symptom == symptom;
    let mut others: Vec<Symptom> = Vec::new();
    for one in found.iter().filter(|one| is_other(&one.symptom, &symptom)) {
        if others.len() < MOST_OTHERS && !others.contains(&one.symptom) {
            others.push(one.symptom.clone());
        }
    }
    let times = found.iter().filter(alike).count();
    Some(Reading { line: best.line + 1, times, lines: lines.len(), others, symptom })
}

/// True for a refusal that is not the same one told again with less words.
fn is_other(one: &Symptom, best: &Symptom) -> bool {
    let differs = |one: Option<&String>, best: Option<&String>| one.is_some() && one != best;
    let specific = one.trouble != best.trouble && !matches!(one.trouble, Trouble::Denied | Trouble::Forbidden);
    specific
        || differs(one.operation.as_ref(), best.operation.as_ref())
        || (one.action.is_some() && differs(one.action.as_ref(), best.action.as_ref()))
        || (one.action.is_some() && differs(one.resource.as_ref(), best.resource.as_ref()))
}

/// The refusal that begins on a line.
fn refusal(lines: &[&str], index: usize, line: &str, sentence: Option<&Sentence>) -> Option<Found> {
    let line = clipped(line);
    let trouble = match sentence {
        // The sentence may go on behind the line.
        Some(sentence) => {
            let action = sentence.action.to_ascii_lowercase();
            Trouble::of(&format!("{} is not authorized to perform: {action}", line.to_ascii_lowercase()))
        }
        None => Trouble::of(&line.to_ascii_lowercase()),
    }?;
    let mut around = Wrapping::of(line);
    if around.operation.is_none() {
        let end = lines.len().min(index + TRACE_LINES);
        let below = lines[index + 1..end]
            .iter()
            .take_while(|line| line.trim_start().starts_with("at ") || line.contains("... "));
        around = below.fold(around, |around, line| around.or(Wrapping { place: None, ..Wrapping::of(clipped(line)) }));
    }
    if around.region.is_none() && trouble == Trouble::WrongRegion {
        let nearby = nearby(lines, index).map(|line| Wrapping { operation: None, place: None, ..Wrapping::of(line) });
        around = nearby.fold(around, Wrapping::or);
    }
    let has_context = around.operation.is_some() || around.place.is_some() || sentence.is_some();
    if around.place.is_none() && sentence.is_none_or(|sentence| sentence.resource.is_none()) {
        around.place = nearby(lines, index).find_map(url_place);
    }
    let telling = match (trouble, sentence) {
        (Trouble::Denied, Some(sentence)) => 90 + u8::from(sentence.denial.is_some()) * 10,
        (Trouble::Denied | Trouble::Forbidden, None) if !has_context => trouble.telling() / 2,
        _ => trouble.telling(),
    };
    Some(Found { line: index, telling, symptom: symptom(trouble, sentence, around) })
}

/// The lines around one, the nearest first, those before it before those after it.
fn nearby<'text>(lines: &[&'text str], index: usize) -> impl Iterator<Item = &'text str> {
    let around = (1..=NEARBY_LINES).flat_map(move |step| [index.checked_sub(step), Some(index + step)]);
    let found: Vec<&'text str> =
        around.flatten().filter_map(|index| lines.get(index).map(|line| clipped(line))).collect();
    found.into_iter()
}

fn symptom(trouble: Trouble, sentence: Option<&Sentence>, around: Wrapping) -> Symptom {
    let sentence = sentence.cloned().unwrap_or_default();
    let resource = sentence.resource.filter(|resource| resource.starts_with("arn:"));
    let listed = around.operation.as_deref().is_some_and(|call| call.starts_with("ListObject"));
    let of_bucket = listed || around.operation.as_deref().is_some_and(is_about_bucket);
    let prefix = around.place.as_ref().filter(|(_, key)| listed && !key.is_empty()).map(|(_, key)| key.clone());
    let place = around.place.map(|(bucket, key)| match key.is_empty() || of_bucket {
        true => format!("arn:aws:s3:::{bucket}"),
        false => format!("arn:aws:s3:::{bucket}/{key}"),
    });
    let unsigned = around.unsigned.then(|| "anonymous".to_owned());
    Symptom {
        trouble,
        principal: sentence.principal.or(unsigned),
        action: Some(sentence.action).filter(|action| !action.is_empty()),
        operation: around.operation,
        resource: resource.or(place),
        prefix,
        said_by: sentence.said_by.or((trouble == Trouble::TrustRefused).then_some(SaidBy::Trust)),
        denial: sentence.denial,
        policy: sentence.policy,
        region: around.region,
    }
}

fn is_about_bucket(call: &str) -> bool {
    call.contains("Bucket") || call == "ListMultipartUploads"
}

/// A line without what is too long to be text.
fn clipped(line: &str) -> &str {
    let end = line.floor_char_boundary(MAX_LINE_BYTES);
    &line[..end]
}

/// The same text, byte for byte as long, in which escapes of JSON and XML are blanks: logs wrap messages in either.
fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let quoted = text.replace("&quot;", "     \"");
    let mut letters = quoted.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' => plain.push(' '),
            '\\' => {
                plain.push(' ');
                if letters.next_if(|next| matches!(next, 'n' | 't' | 'r')).is_some() {
                    plain.push(' ');
                }
            }
            other => plain.push(other),
        }
    }
    plain
}

fn line_starts(lines: &[&str]) -> Vec<usize> {
    let mut start = 0;
    let of = |line: &&str| {
        let this = start;
        start += line.len() + 1;
        this
    };
    lines.iter().map(of).collect()
}

#[cfg(test)]
mod tests;
