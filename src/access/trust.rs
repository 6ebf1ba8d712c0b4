//! Trust policies of roles: our statements in them, beside those of others.

use super::resolve::RoleWish;
use crate::document::{Document, DocumentError, OWN_SID_START};
use crate::model::{AccountId, PolicyJson, RoleName};
use crate::policy::generate::trust::{self, TrustError};
use serde_json::{Value, json};

/// A role's trust policy with our statements up to date and all others as they are. `found` is the one it has.
pub(super) fn merged(found: &PolicyJson, ours: &[Value]) -> Result<(Document, Document), DocumentError> {
    let before = Document::parse(found)?;
    let after = before.with_own_statements(|_| true, ours);
    Ok((before, after))
}

/// Our statements, marked as such by their names.
pub(super) fn statements(
    role: &RoleName,
    wish: &RoleWish,
    account: &AccountId,
    partition: &str,
) -> Result<Vec<Value>, TrustError> {
    let made = trust::document_of(role.as_str(), &wish.trusted, Some(account), partition)?;
    let listed = made.document.get("Statement").and_then(Value::as_array).cloned().unwrap_or_default();
    let mark = |mut statement: Value| {
        if let Some(sid) = statement.get("Sid").and_then(Value::as_str) {
            statement["Sid"] = json!(format!("{OWN_SID_START}{sid}"));
        }
        statement
    };
    Ok(listed.into_iter().map(mark).collect())
}

/// Who may take a role of the local directory: instances for a role of nodes, else whoever the account lets.
pub(super) fn of_directory(is_of_nodes: bool, account: &AccountId, partition: &str) -> PolicyJson {
    let principal = if is_of_nodes {
        json!({ "Service": "ec2.amazonaws.com" })
    } else {
        json!({ "AWS": format!("arn:{partition}:iam::{account}:root") })
    };
    let statement = json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" });
    PolicyJson(json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string())
}
