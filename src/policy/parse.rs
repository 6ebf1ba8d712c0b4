//! From JSON to a document: every element is looked at, and every mistake of form noted with its place.

use super::arn_pattern::ArnPattern;
use super::condition::{ConditionBlock, ConditionKey, ConditionValue, ValueKind};
use super::document::{ActionPattern, CURRENT_VERSION, Document, Effect, Flaw, OneOrMany, Statement};
use super::json::Json;
use super::mistake::{DocumentMistake, Fault};
use super::operators::Operator;
use super::path::DocumentPath;
use super::principal::{PrincipalEntry, PrincipalGroup, Principals};

/// The longest text that is read. The largest quota of IAM and S3 is 20 KiB; a linter shall still be able to say so.
pub const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;

const TEXT: &str = "a text";
const TEXTS: &str = "a text or a list of texts";
const OBJECT: &str = "an object";

impl Document {
    /// Reads a document's text. Fails only where there is nothing to evaluate: no JSON, no object, names that stand
    /// twice, no end of nesting. Everything that is wrong comes back at once.
    pub fn parse(text: &str) -> Result<Self, Vec<DocumentMistake>> {
        if text.len() > MAX_DOCUMENT_BYTES {
            let fault = Fault::TooLarge { bytes: text.len(), most_bytes: MAX_DOCUMENT_BYTES };
            return Err(vec![DocumentMistake::new(DocumentPath::root(), fault)]);
        }
        Self::from_json(&Json::parse(text)?).map_err(|mistake| vec![mistake])
    }

    /// Reads a document that is part of a larger one. Places are told from the document's own root.
    pub fn from_json(json: &Json) -> Result<Self, DocumentMistake> {
        let root = DocumentPath::root();
        let Json::Object(fields) = json else { return Err(wrong_type(&root, OBJECT, json)) };
        let variables = json.get("Version").and_then(Json::as_text) == Some(CURRENT_VERSION);
        let mut reader = Reader { variables, defects: Vec::new() };
        let mut document = Self { version: None, id: None, statements: None, defects: Vec::new() };
        for (name, value) in fields {
            let path = root.name(name);
            match name.as_str() {
                "Version" => document.version = reader.text(&path, value),
                "Id" => document.id = reader.text(&path, value),
                "Statement" => document.statements = Some(reader.statements(&path, value)),
                _ => reader.defect(path, Fault::UnknownElement),
            }
        }
        document.defects = reader.defects;
        Ok(document)
    }
}

fn wrong_type(path: &DocumentPath, expected: &'static str, found: &Json) -> DocumentMistake {
    DocumentMistake::new(path.clone(), Fault::WrongType { expected, found: found.kind() })
}

/// What holds for the whole document while it is read.
struct Reader {
    variables: bool,
    defects: Vec<DocumentMistake>,
}

impl Reader {
    fn defect(&mut self, path: DocumentPath, fault: Fault) {
        self.defects.push(DocumentMistake::new(path, fault));
    }

    fn mismatch(&mut self, path: &DocumentPath, expected: &'static str, found: &Json) {
        self.defects.push(wrong_type(path, expected, found));
    }

    fn text(&mut self, path: &DocumentPath, value: &Json) -> Option<String> {
        let text = value.as_text().map(str::to_owned);
        if text.is_none() {
            self.mismatch(path, TEXT, value);
        }
        text
    }

    /// One or many, each read by `read`, which notes what is wrong and leaves that out.
    fn one_or_many<T>(
        &mut self,
        path: &DocumentPath,
        value: &Json,
        mut read: impl FnMut(&mut Self, &DocumentPath, &Json) -> Option<T>,
    ) -> OneOrMany<T> {
        match value {
            Json::List(items) => {
                let read = items.iter().enumerate().filter_map(|(index, item)| read(self, &path.index(index), item));
                OneOrMany { items: read.collect(), listed: true }
            }
            single => OneOrMany { items: read(self, path, single).into_iter().collect(), listed: false },
        }
    }

    fn texts<T>(&mut self, path: &DocumentPath, value: &Json, make: impl Fn(&str) -> T) -> OneOrMany<T> {
        let expected = if matches!(value, Json::List(_)) { TEXT } else { TEXTS };
        self.one_or_many(path, value, |reader, path, item| match item {
            Json::Text(text) => Some(make(text)),
            other => {
                reader.mismatch(path, expected, other);
                None
            }
        })
    }

    fn statements(&mut self, path: &DocumentPath, value: &Json) -> OneOrMany<Statement> {
        self.one_or_many(path, value, |reader, path, item| match item {
            Json::Object(fields) => Some(reader.statement(path, fields)),
            other => {
                reader.mismatch(path, OBJECT, other);
                None
            }
        })
    }

    fn statement(&mut self, path: &DocumentPath, fields: &[(String, Json)]) -> Statement {
        let defects_before = self.defects.len();
        let mut statement = Statement {
            path: path.clone(),
            sid: None,
            effect_text: None,
            effect: None,
            principal: None,
            not_principal: None,
            action: None,
            not_action: None,
            resource: None,
            not_resource: None,
            condition: None,
            flaw: None,
        };
        for (name, value) in fields {
            let path = &path.name(name);
            let variables = self.variables;
            let resource = |text: &str| ArnPattern::resource(text, variables);
            match name.as_str() {
                "Sid" => statement.sid = self.text(path, value),
                "Effect" => statement.effect_text = self.text(path, value),
                "Principal" => statement.principal = self.principals(path, value),
                "NotPrincipal" => statement.not_principal = self.principals(path, value),
                "Action" => statement.action = Some(self.texts(path, value, ActionPattern::new)),
                "NotAction" => statement.not_action = Some(self.texts(path, value, ActionPattern::new)),
                "Resource" => statement.resource = Some(self.texts(path, value, resource)),
                "NotResource" => statement.not_resource = Some(self.texts(path, value, resource)),
                "Condition" => statement.condition = self.conditions(path, value),
                _ => self.defect(path.clone(), Fault::UnknownElement),
            }
        }
        statement.effect = match statement.effect_text.as_deref() {
            Some("Allow") => Some(Effect::Allow),
            Some("Deny") => Some(Effect::Deny),
            _ => None,
        };
        statement.flaw = flaw(&statement, self.defects.len() > defects_before);
        statement
    }

    fn principals(&mut self, path: &DocumentPath, value: &Json) -> Option<Principals> {
        match value {
            Json::Text(text) => Some(Principals::Text(text.clone())),
            Json::Object(groups) => {
                let group = |(key, entries): &(String, Json)| {
                    let entries = self.texts(&path.name(key), entries, |text| PrincipalEntry::new(key, text));
                    PrincipalGroup { key: key.clone(), entries }
                };
                Some(Principals::Map(groups.iter().map(group).collect()))
            }
            other => {
                self.mismatch(path, "`*` or an object", other);
                None
            }
        }
    }

    fn conditions(&mut self, path: &DocumentPath, value: &Json) -> Option<Vec<ConditionBlock>> {
        let Json::Object(blocks) = value else {
            self.mismatch(path, OBJECT, value);
            return None;
        };
        Some(blocks.iter().map(|(name, keys)| self.condition_block(&path.name(name), name, keys)).collect())
    }

    fn condition_block(&mut self, path: &DocumentPath, name: &str, value: &Json) -> ConditionBlock {
        let operator = Operator::parse(name);
        let mut block = ConditionBlock { operator_text: name.to_owned(), operator, keys: Vec::new() };
        let Json::Object(keys) = value else {
            self.mismatch(path, OBJECT, value);
            return block;
        };
        let test = operator.map(|operator| operator.test);
        for (key, values) in keys {
            let variables = self.variables;
            let values = self.one_or_many(&path.name(key), values, |reader, path, item| {
                let (text, kind) = match item {
                    Json::Text(text) => (text.clone(), ValueKind::Text),
                    Json::Number(number) => (number.to_string(), ValueKind::Number),
                    Json::Bool(truth) => (truth.to_string(), ValueKind::Bool),
                    other => {
                        reader.mismatch(path, "a text, a number, true or false", other);
                        return None;
                    }
                };
                Some(ConditionValue::new(text, kind, test, variables))
            });
            block.keys.push(ConditionKey::new(key, values));
        }
        block
    }
}

/// Why a statement can have no effect. An empty list has none either, in an element and in its `Not` form alike.
fn flaw(statement: &Statement, has_defects: bool) -> Option<Flaw> {
    fn entries<T, U>(plain: Option<&OneOrMany<T>>, not: Option<&OneOrMany<U>>) -> usize {
        plain.map_or(0, |list| list.items.len()) + not.map_or(0, |list| list.items.len())
    }
    let both = (statement.action.is_some() && statement.not_action.is_some())
        || (statement.resource.is_some() && statement.not_resource.is_some())
        || (statement.principal.is_some() && statement.not_principal.is_some());
    let principals = statement.principal.iter().chain(&statement.not_principal);
    if statement.effect.is_none() {
        Some(Flaw::NoEffect)
    } else if has_defects {
        Some(Flaw::BadElement)
    } else if both {
        Some(Flaw::BothForms)
    } else if entries(statement.action.as_ref(), statement.not_action.as_ref()) == 0 {
        Some(Flaw::NoAction)
    } else if entries(statement.resource.as_ref(), statement.not_resource.as_ref()) == 0 {
        Some(Flaw::NoResource)
    } else if principals.into_iter().any(Principals::is_empty) {
        Some(Flaw::NoPrincipal)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
