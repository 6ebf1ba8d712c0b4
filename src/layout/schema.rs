//! The JSON schema of layout files, for editors: drawn from the same description that the reader walks.

use super::fields::{ALL, FILE, Field, Keys, Kind, Table};
use crate::model::Control;
use serde_json::{Map, Value, json};

/// The schema, in the 2020-12 draft of JSON Schema.
///
/// Source: <https://json-schema.org/draft/2020-12/schema>
pub fn schema() -> Value {
    let mut definitions = Map::new();
    for table in ALL.into_iter().filter(|table| table.id != FILE.id) {
        definitions.insert(table.id.to_owned(), object(table));
    }
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!("bucketwright layout"));
    if let Value::Object(file) = object(&FILE) {
        schema.extend(file);
    }
    schema.insert("$defs".to_owned(), Value::Object(definitions));
    Value::Object(schema)
}

/// A table: its keys and no others.
fn object(table: &Table) -> Value {
    let properties: Map<String, Value> =
        table.fields.iter().map(|field| (field.name.to_owned(), property(field))).collect();
    let required: Vec<&str> = table.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let mut object = json!({ "type": "object", "description": table.doc, "properties": properties });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object["additionalProperties"] = json!(false);
    object
}

fn property(field: &Field) -> Value {
    let mut property = kind(field.kind);
    property["description"] = json!(field.doc);
    // The defaults of the description read the same in TOML and in JSON.
    if let Some(Ok(default)) = field.default.map(serde_json::from_str::<Value>) {
        property["default"] = default;
    }
    property
}

fn kind(kind: Kind) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Choice(words) => choice(words),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Whole(least, most) if least == most => json!({ "const": least }),
        Kind::Whole(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::TextOrTexts => {
            json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
        }
        Kind::ChoiceOr(words, table) => json!({ "anyOf": [choice(words), reference(table)] }),
        Kind::Map(keys) => map(keys),
        Kind::Section(table) => reference(table),
        Kind::Sections(table) => json!({ "type": "array", "items": reference(table) }),
        Kind::Named(table) => json!({ "type": "object", "additionalProperties": reference(table) }),
    }
}

fn reference(table: &Table) -> Value {
    json!({ "$ref": format!("#/$defs/{}", table.id) })
}

/// One of the words, or a text with a variable in it.
fn choice(words: &[&str]) -> Value {
    json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": "\\$\\{" }] })
}

fn map(keys: Keys) -> Value {
    let mut map = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    match keys {
        Keys::Variables => map["propertyNames"] = json!({ "pattern": "^[A-Za-z_][A-Za-z0-9_-]*$" }),
        Keys::Tags => map["propertyNames"] = json!({ "minLength": 1, "maxLength": 128 }),
        Keys::Controls => {
            let mut names: Vec<String> = Control::ALL.iter().map(|control| control.name().to_owned()).collect();
            let underscored: Vec<String> = names.iter().map(|name| name.replace('-', "_")).collect();
            names.extend(underscored.into_iter().filter(|name| name.contains('_')));
            map["propertyNames"] = json!({ "enum": names });
            map["additionalProperties"] = json!({ "type": "string", "minLength": 1 });
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use super::schema;
    use crate::layout::fields::{ALL, FILE};
    use serde_json::Value;

    /// The schema of a table.
    fn object(schema: &Value, id: &str) -> Value {
        if id == FILE.id { schema.clone() } else { schema["$defs"][id].clone() }
    }

    #[test]
    fn it_knows_the_keys_that_the_reader_knows() {
        let schema = schema();
        for table in ALL {
            let object = object(&schema, table.id);
            let keys: Vec<&str> = object["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            let known: Vec<&str> = table.fields.iter().map(|field| field.name).collect();
            assert_eq!(keys, known, "{}", table.id);
            assert_eq!(object["additionalProperties"], false);
            let required = object["required"].as_array().map_or(0, Vec::len);
            assert_eq!(required, table.fields.iter().filter(|field| field.required).count());
            for field in table.fields {
                assert_eq!(object["properties"][field.name].get("default").is_some(), field.default.is_some());
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(schema: &Value, value: &Value, count: &mut usize) {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                assert!(schema.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
                *count += 1;
            }
            let inner: Vec<&Value> = match value {
                Value::Array(items) => items.iter().collect(),
                Value::Object(map) => map.values().collect(),
                _ => Vec::new(),
            };
            inner.into_iter().for_each(|value| walk(schema, value, count));
        }
        let (schema, mut count) = (schema(), 0);
        walk(&schema, &schema, &mut count);
        assert!(count >= ALL.len() - 1);
    }
}
