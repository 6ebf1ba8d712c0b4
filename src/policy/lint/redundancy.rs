//! What a policy says twice.

use super::Report;
use super::codes::{REDUNDANT_ACTION, REDUNDANT_RESOURCE, REDUNDANT_STATEMENT};
use super::scope::Scope;
use crate::policy::arn_pattern::ArnPattern;
use crate::policy::context::Context;
use crate::policy::document::{ActionPattern, OneOrMany, Statement};
use crate::policy::path::DocumentPath;
use crate::policy::pattern::{Pattern, Syntax};
use crate::policy::principal::Principals;
use std::collections::{HashMap, HashSet};

/// Longer lists are only searched for equal entries: no policy within its quota has them.
const MOST_COMPARED: usize = 500;

pub(super) fn check(scopes: &[Scope<'_>], report: &mut Report) {
    for scope in scopes {
        let statement = scope.statement;
        for (element, list) in [("Action", &statement.action), ("NotAction", &statement.not_action)] {
            let Some(list) = list else { continue };
            let texts: Vec<String> = list.items.iter().map(|action| action.text.to_ascii_lowercase()).collect();
            for (path, (index, by)) in places(scope, element, list, covered(&texts, covers)) {
                let (message, fix) = said(texts[index] == texts[by], &list.items[index].text, &list.items[by].text);
                report.add(REDUNDANT_ACTION, &path, message, fix);
            }
        }
        for (element, list) in [("Resource", &statement.resource), ("NotResource", &statement.not_resource)] {
            let Some(list) = list else { continue };
            let texts: Vec<String> = list.items.iter().map(|arn| arn.text.clone()).collect();
            for (path, (index, by)) in places(scope, element, list, covered(&texts, arn_covers)) {
                let (message, fix) = said(texts[index] == texts[by], &texts[index], &texts[by]);
                report.add(REDUNDANT_RESOURCE, &path, message, fix);
            }
        }
    }
    statements(scopes, report);
}

fn said(twice: bool, narrow: &str, wide: &str) -> (String, &'static str) {
    match twice {
        true => (format!("`{narrow}` stands in the list twice"), "remove one of the two"),
        false => (format!("`{narrow}` is covered by `{wide}`"), "remove the wider one, or else the narrower"),
    }
}

fn places<'a, T>(
    scope: &Scope<'a>,
    element: &str,
    list: &'a OneOrMany<T>,
    pairs: Vec<(usize, usize)>,
) -> Vec<(DocumentPath, (usize, usize))> {
    let entries = scope.listed(element, Some(list));
    pairs.into_iter().map(|pair| (entries[pair.0].0.clone(), pair)).collect()
}

/// Which entries are covered by which other one.
fn covered(texts: &[String], covers: impl Fn(&str, &str) -> bool) -> Vec<(usize, usize)> {
    let mut first: HashMap<&str, usize> = HashMap::new();
    let mut pairs = Vec::new();
    let few = texts.len() <= MOST_COMPARED;
    for (index, text) in texts.iter().enumerate() {
        let earlier = *first.entry(text).or_insert(index);
        if earlier != index {
            pairs.push((index, earlier));
        } else if let Some(by) = texts.iter().position(|wide| few && wide != text && covers(wide, text)) {
            pairs.push((index, by));
        }
    }
    pairs
}

/// The narrower pattern as a text that only a `*` of the wider one can take where it has wildcards itself.
fn as_text(pattern: &str) -> String {
    pattern.replace(['*', '?'], "\u{1}")
}

/// True if `wide` means all that `narrow` means. Patterns with `?` are only compared word for word.
fn covers(wide: &str, narrow: &str) -> bool {
    let syntax = Syntax { wildcards: true, variables: false };
    wide.contains('*') && !wide.contains('?') && Pattern::parse(wide, syntax).matches(&as_text(narrow), Context::EMPTY)
}

fn arn_covers(wide: &str, narrow: &str) -> bool {
    wide.contains('*')
        && !wide.contains('?')
        && ArnPattern::resource(wide, false).matches(&as_text(narrow), Context::EMPTY)
}

/// Statements that say the same, whatever their Sids and the order of their lists.
fn statements(scopes: &[Scope<'_>], report: &mut Report) {
    let mut seen = HashMap::new();
    for statement in scopes.iter().map(|scope| scope.statement).filter(|statement| statement.flaw().is_none()) {
        match seen.get(&meaning(statement)) {
            None => {
                seen.insert(meaning(statement), statement);
            }
            Some(earlier) => {
                let message = format!("this says the same as `{}`", earlier.path);
                report.add(REDUNDANT_STATEMENT, &statement.path, message, "remove one of the two");
            }
        }
    }
}

/// A statement's content in a form in which equal ones are equal.
fn meaning(statement: &Statement) -> Vec<String> {
    let mut lines = Vec::new();
    let mut add = |name: &str, texts: Vec<String>| {
        let set: HashSet<String> = texts.into_iter().collect();
        let mut sorted: Vec<String> = set.into_iter().collect();
        sorted.sort_unstable();
        lines.push(format!("{name}\n{}", sorted.join("\n")));
    };
    let actions = |list: &Option<OneOrMany<ActionPattern>>| {
        list.iter().flat_map(|list| &list.items).map(|action| action.text.to_ascii_lowercase()).collect::<Vec<_>>()
    };
    let arns = |list: &Option<OneOrMany<ArnPattern>>| {
        list.iter().flat_map(|list| &list.items).map(|arn| arn.text.clone()).collect::<Vec<_>>()
    };
    add("Effect", statement.effect_text.clone().into_iter().collect());
    add("Action", actions(&statement.action));
    add("NotAction", actions(&statement.not_action));
    add("Resource", arns(&statement.resource));
    add("NotResource", arns(&statement.not_resource));
    for (name, principals) in [("Principal", &statement.principal), ("NotPrincipal", &statement.not_principal)] {
        add(name, principals.iter().flat_map(who).collect());
    }
    let mut conditions = Vec::new();
    for block in statement.condition.iter().flatten() {
        for key in &block.keys {
            let mut values: Vec<&str> = key.values.items.iter().map(|value| value.text.as_str()).collect();
            values.sort_unstable();
            conditions.push(format!(
                "{}\t{}\t{}",
                block.operator_text,
                key.name.to_ascii_lowercase(),
                values.join("\t")
            ));
        }
    }
    add("Condition", conditions);
    lines
}

fn who(principals: &Principals) -> Vec<String> {
    match principals {
        Principals::Text(text) => vec![format!("AWS\t{text}")],
        Principals::Map(groups) => {
            let entry = |key: &str, text: &str| format!("{key}\t{text}");
            groups.iter().flat_map(|group| group.entries.items.iter().map(|one| entry(&group.key, &one.text))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{arn_covers, covers};

    #[test]
    fn patterns_cover_patterns() {
        for (wide, narrow, expected) in [
            ("s3:get*", "s3:getobject", true),
            ("s3:get*", "s3:get*tagging", true),
            ("s3:*", "s3:get*", true),
            ("*", "s3:get*", true),
            ("s3:get*", "s3:*object", false),
            ("s3:getobject*", "s3:get*", false),
            ("s3:get?bject", "s3:getobject", false),
            ("s3:getobject", "s3:getobject", false),
        ] {
            assert_eq!(covers(wide, narrow), expected, "{wide} {narrow}");
        }
    }

    #[test]
    fn arns_cover_arns() {
        for (wide, narrow, expected) in [
            ("arn:aws:s3:::lake/*", "arn:aws:s3:::lake/a/*", true),
            ("arn:aws:s3:::lake/*", "arn:aws:s3:::lake/?", true),
            ("arn:aws:s3:::lake/*", "arn:aws:s3:::lake", false),
            ("arn:aws:s3:::lake*", "arn:aws:s3:::lake", true),
            ("*", "arn:aws:s3:::lake", true),
            ("arn:*:s3:::lake/*", "arn:aws:s3:::lake/*", true),
            ("arn:aws:s3:::lake/*", "*", false),
            ("arn:aws:s3:::lake/*", "arn:*:s3:::lake/*", false),
            ("arn:aws:s3:::a/*", "arn:aws:s3:::a/${aws:username}/*", true),
        ] {
            assert_eq!(arn_covers(wide, narrow), expected, "{wide} {narrow}");
        }
    }
}
