//! The file of a role or user, read strictly: what it says counts, and a typing mistake must not give or take rights.

use super::is_name;
use crate::model::PolicyJson;
use crate::policy::{Document, DocumentPath, Json, Policy};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a principal's file says.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) path: String,
    /// The names of its policies, each with its place in the file.
    pub(super) policies: Vec<(String, String)>,
    pub(super) inline: Vec<Inline>,
    pub(super) boundary: Option<(String, String)>,
    pub(super) tags: Vec<(String, String)>,
    /// Who may take the role; a file that does not say leaves it to the account.
    pub(super) trust: Option<PolicyJson>,
    pub(super) description: Option<String>,
    pub(super) created: Option<Timestamp>,
}

/// An inline policy, as it counts and as it stands there.
#[derive(Debug)]
pub(super) struct Inline {
    pub(super) policy: Arc<Policy>,
    pub(super) text: PolicyJson,
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

/// The fields of a role's or user's file.
const FIELDS: &str = "path, policies, inline, boundary, tags, trust, description and created";

impl Sheet {
    /// What an empty file says.
    pub(super) fn empty() -> Self {
        Self {
            path: "/".to_owned(),
            policies: Vec::new(),
            inline: Vec::new(),
            boundary: None,
            tags: Vec::new(),
            trust: None,
            description: None,
            created: None,
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let listed = |mistakes: Vec<crate::policy::DocumentMistake>| {
            mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        let json = Json::parse(text).map_err(listed)?;
        let root = DocumentPath::root();
        let fields = object(&root, &json)?;
        let mut sheet = Self::empty();
        for (field, value) in fields {
            let place = root.name(field);
            match field.as_str() {
                "path" => sheet.path = path(&place, value)?,
                "policies" => sheet.policies = policies(&place, value)?,
                "inline" => sheet.inline = inline(&place, value)?,
                "boundary" => sheet.boundary = Some(policy_name(&place, value)?),
                "tags" => sheet.tags = tags(&place, value)?,
                "trust" => sheet.trust = Some(trust(&place, value)?),
                "description" => sheet.description = Some(self::text(&place, value)?.to_owned()),
                "created" => sheet.created = Some(date(&place, value)?),
                _ => return Err(format!("{place}: unknown; there are {FIELDS}")),
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

/// True for a path that IAM takes: `/`, or names between slashes.
pub(super) fn is_path(path: &str) -> bool {
    let inner =
        path.strip_prefix('/').and_then(|rest| if rest.is_empty() { Some("x") } else { rest.strip_suffix('/') });
    path.len() <= 512 && inner.is_some_and(|inner| inner.split('/').all(|name| is_name(name, 510)))
}

fn path(place: &DocumentPath, json: &Json) -> Result<String, String> {
    let path = text(place, json)?;
    let no_path = || format!("{place}: `{path}` is no path: it starts and ends with `/`");
    if is_path(path) { Ok(path.to_owned()) } else { Err(no_path()) }
}

fn date(place: &DocumentPath, json: &Json) -> Result<Timestamp, String> {
    let date = text(place, json)?;
    date.parse().map_err(|_| format!("{place}: `{date}` is no time such as 2026-11-23T12:00:00Z"))
}

/// A trust policy under its place, if IAM would take it.
fn trust(place: &DocumentPath, json: &Json) -> Result<PolicyJson, String> {
    let text = json.compact();
    sound_trust(&text).map_err(|message| format!("{place}: {message}"))?;
    Ok(PolicyJson(text))
}

/// Refuses what IAM would not take as a trust policy.
pub(super) fn sound_trust(text: &str) -> Result<(), String> {
    let listed = |found: Vec<crate::policy::DocumentMistake>| {
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    let document = Document::parse(text).map_err(listed)?;
    if !document.defects().is_empty() {
        return Err(listed(document.defects().to_vec()));
    }
    if !document.has_statement() {
        return Err("Statement: is missing".to_owned());
    }
    let flawed = |one: &&crate::policy::Statement| {
        one.principal.is_none() && one.not_principal.is_none() || one.action.is_none() && one.not_action.is_none()
    };
    if let Some(statement) = document.statements().iter().find(flawed) {
        return Err(format!("{}: a trust policy names Principal and Action", statement.path));
    }
    match document.statements().iter().find(|one| one.resource.is_some() || one.not_resource.is_some()) {
        Some(statement) => Err(format!("{}: a trust policy has no Resource", statement.path)),
        None => Ok(()),
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

fn inline(place: &DocumentPath, json: &Json) -> Result<Vec<Inline>, String> {
    let one = |(name, document): &(String, Json)| {
        let place = place.name(name);
        if !is_name(name, 128) {
            return Err(format!("{place}: `{name}` is no policy's name: letters, digits and `_+=,.@-`, at most 128"));
        }
        let within = |message: String| format!("{place}: {message}");
        let text = PolicyJson(document.compact());
        let document = Document::from_json(document).map_err(|mistake| within(mistake.to_string()))?;
        Ok(Inline { policy: sound(name, document).map(Arc::new).map_err(within)?, text })
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
