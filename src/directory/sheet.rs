//! The file of a role or user, read strictly: what it says counts, and a typing mistake must not give or take rights.

use super::is_name;
use crate::policy::{Document, DocumentPath, Json, Policy};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a principal's file says.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) path: String,
    /// The names of its policies, each with its place in the file.
    pub(super) policies: Vec<(String, String)>,
    pub(super) inline: Vec<Arc<Policy>>,
    pub(super) boundary: Option<(String, String)>,
    pub(super) tags: Vec<(String, String)>,
}

/// A document under its name, if IAM would take it as an identity policy.
pub(super) fn sound(name: &str, document: Document) -> Result<Policy, String> {
    if !document.defects().is_empty() {
        return Err(document.defects().iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
    }
    if !document.has_statement() {
        return Err("Statement: is missing".to_owned());
    }
    if let Some(statement) = document.statements().iter().find(|statement| statement.flaw().is_some()) {
        return Err(format!(
            "{}: IAM would refuse this statement, an element is missing or stands twice",
            statement.path
        ));
    }
    if let Some(statement) =
        document.statements().iter().find(|one| one.principal.is_some() || one.not_principal.is_some())
    {
        return Err(format!("{}: policies of roles and users have no Principal", statement.path));
    }
    Ok(Policy { name: name.to_owned(), document })
}

impl Sheet {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let listed = |mistakes: Vec<crate::policy::DocumentMistake>| {
            mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        let json = Json::parse(text).map_err(listed)?;
        let root = DocumentPath::root();
        let fields = object(&root, &json)?;
        let mut sheet =
            Self { path: "/".to_owned(), policies: Vec::new(), inline: Vec::new(), boundary: None, tags: Vec::new() };
        for (field, value) in fields {
            let place = root.name(field);
            match field.as_str() {
                "path" => sheet.path = path(&place, value)?,
                "policies" => sheet.policies = policies(&place, value)?,
                "inline" => sheet.inline = inline(&place, value)?,
                "boundary" => sheet.boundary = Some(policy_name(&place, value)?),
                "tags" => sheet.tags = tags(&place, value)?,
                _ => return Err(format!("{place}: unknown; there are path, policies, inline, boundary and tags")),
            }
        }
        Ok(sheet)
    }
}

fn object<'json>(place: &DocumentPath, json: &'json Json) -> Result<&'json [(String, Json)], String> {
    match json {
        Json::Object(fields) => Ok(fields),
        other if place.depth() == 0 => Err(format!("must be an object, is {}", other.kind())),
        other => Err(format!("{place}: must be an object, is {}", other.kind())),
    }
}

fn text<'json>(place: &DocumentPath, json: &'json Json) -> Result<&'json str, String> {
    json.as_text().ok_or_else(|| format!("{place}: must be a text, is {}", json.kind()))
}

fn path(place: &DocumentPath, json: &Json) -> Result<String, String> {
    let path = text(place, json)?;
    let inner =
        path.strip_prefix('/').and_then(|rest| if rest.is_empty() { Some("x") } else { rest.strip_suffix('/') });
    match inner {
        Some(inner) if path.len() <= 512 && inner.split('/').all(|name| is_name(name, 510)) => Ok(path.to_owned()),
        _ => Err(format!("{place}: `{path}` is no path: it starts and ends with `/`")),
    }
}

fn policy_name(place: &DocumentPath, json: &Json) -> Result<(String, String), String> {
    let name = text(place, json)?;
    if is_name(name, 128) {
        Ok((place.to_string(), name.to_owned()))
    } else {
        Err(format!("{place}: `{name}` is no policy's name: letters, digits and `_+=,.@-`, at most 128"))
    }
}

fn policies(place: &DocumentPath, json: &Json) -> Result<Vec<(String, String)>, String> {
    let Json::List(items) = json else { return Err(format!("{place}: must be a list, is {}", json.kind())) };
    items.iter().enumerate().map(|(index, item)| policy_name(&place.index(index), item)).collect()
}

fn inline(place: &DocumentPath, json: &Json) -> Result<Vec<Arc<Policy>>, String> {
    let one = |(name, document): &(String, Json)| {
        let place = place.name(name);
        if !is_name(name, 128) {
            return Err(format!("{place}: `{name}` is no policy's name: letters, digits and `_+=,.@-`, at most 128"));
        }
        let within = |message: String| format!("{place}: {message}");
        let document = Document::from_json(document).map_err(|mistake| within(mistake.to_string()))?;
        sound(name, document).map(Arc::new).map_err(within)
    };
    object(place, json)?.iter().map(one).collect()
}

fn tags(place: &DocumentPath, json: &Json) -> Result<Vec<(String, String)>, String> {
    let mut keys = BTreeSet::new();
    let mut tags = Vec::new();
    for (key, value) in object(place, json)? {
        let place = place.name(key);
        // Condition keys ignore case, so such tags would hide one another.
        if key.is_empty() || !keys.insert(key.to_lowercase()) {
            return Err(format!("{place}: a tag's key must not be empty nor stand twice in other case"));
        }
        tags.push((key.clone(), text(&place, value)?.to_owned()));
    }
    Ok(tags)
}
