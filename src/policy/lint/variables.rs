//! Policy variables: written right, where they are replaced, and in a version that has them.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>

use super::Report;
use super::codes::{
    Code, EMPTY_VARIABLE, INVALID_VARIABLE_FOR_OPERATOR, MISSING_BRACE_IN_VARIABLE, MISSING_QUOTE_IN_VARIABLE,
    UNSUPPORTED_SPACE_IN_VARIABLE, VARIABLE_UNSUPPORTED_IN_VERSION,
};
use super::scope::Scope;
use crate::policy::document::CURRENT_VERSION;
use crate::policy::operators::Test;
use crate::policy::path::DocumentPath;
use crate::policy::variables::{Part, Variable, VariableFault, split};

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    let statement = scope.statement;
    for (element, list) in [("Resource", &statement.resource), ("NotResource", &statement.not_resource)] {
        for (path, arn) in scope.listed(element, list.as_ref()) {
            text(&arn.text, &path, scope, report);
        }
    }
    for at in scope.keys() {
        let takes_variables = at.block.operator.is_none_or(|operator| {
            matches!(operator.test, Test::StringEquals | Test::StringEqualsIgnoreCase | Test::StringLike | Test::Arn)
        });
        for (path, value) in scope.entries(&at.path, &at.key.values) {
            if takes_variables || !scope.document.has_variables() {
                text(&value.text, &path, scope, report);
            } else if value.text.contains("${") {
                let message = format!("`{}` does not replace variables", at.block.operator_text);
                let fix = "write the value; variables stand under string and ARN operators";
                report.add(INVALID_VARIABLE_FOR_OPERATOR, &path, message, fix);
            }
        }
    }
}

fn text(text: &str, path: &DocumentPath, scope: &Scope<'_>, report: &mut Report) {
    if !text.contains("${") {
        return;
    }
    if !scope.document.has_variables() {
        let message = "without `Version` 2012-10-17 this is plain text, and no variable";
        let fix = format!("write `\"Version\": \"{CURRENT_VERSION}\"`");
        return report.add(VARIABLE_UNSUPPORTED_IN_VERSION, path, message, fix);
    }
    for (_, part) in split(text) {
        if let Part::Variable(variable) = part {
            fault(&variable, path, report);
        }
    }
}

fn fault(variable: &Variable, path: &DocumentPath, report: &mut Report) {
    let name = variable.name.trim();
    let (code, message, fix): (Code, String, String) = match variable.fault {
        None if variable.name.split('/').next().is_some_and(|base| base.contains(' ')) => space(name),
        None => return,
        Some(VariableFault::Space) => space(name),
        Some(VariableFault::MissingBrace) => (
            MISSING_BRACE_IN_VARIABLE,
            "`${` is never closed".to_owned(),
            "add `}` behind the variable's name".to_owned(),
        ),
        Some(VariableFault::MissingQuote) => (
            MISSING_QUOTE_IN_VARIABLE,
            format!("the default value of `{name}` is not in single quotes"),
            format!("write `${{{name}, 'VALUE'}}`"),
        ),
        Some(VariableFault::Empty) => (
            EMPTY_VARIABLE,
            "`${}` names no variable".to_owned(),
            "name one, such as `${aws:username}`, or remove it".to_owned(),
        ),
    };
    report.add(code, path, message, fix);
}

fn space(name: &str) -> (Code, String, String) {
    let plain: String = name.chars().filter(|letter| *letter != ' ').collect();
    let message = format!("`{name}` has a blank in or around its name");
    (UNSUPPORTED_SPACE_IN_VARIABLE, message, format!("write `${{{plain}}}`"))
}
