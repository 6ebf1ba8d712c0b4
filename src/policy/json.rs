//! JSON with everything in it that policies care about: order kept, names that stand twice found, depth limited.
//!
//! `serde_json::Value` keeps the last of two equal names, so a reviewer and IAM could read different policies.

use super::mistake::{DocumentMistake, Fault};
use super::path::DocumentPath;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// The deepest nesting that is read. A policy needs six levels, a file of cases four more around it.
const MAX_DEPTH: usize = 32;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Self>),
    /// An object, in the order of the text.
    Object(Vec<(String, Self)>),
}

impl Json {
    /// Reads a text. Everything that is wrong comes back at once, except that nothing is looked for behind a syntax
    /// error.
    pub fn parse(text: &str) -> Result<Self, Vec<DocumentMistake>> {
        let mut reader = Reader { path: DocumentPath::root(), mistakes: Vec::new() };
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let read = reader.deserialize(&mut deserializer).and_then(|json| deserializer.end().map(|()| json));
        let mut mistakes = reader.mistakes;
        match read {
            Ok(json) if mistakes.is_empty() => return Ok(json),
            Ok(_) => {}
            Err(error) => mistakes.push(syntax(&error)),
        }
        Err(mistakes)
    }

    /// The value in words, for messages.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// The value as text without white space between its tokens.
    pub fn compact(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(truth) => truth.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => quoted(text),
            Self::List(items) => format!("[{}]", items.iter().map(Self::compact).collect::<Vec<_>>().join(",")),
            Self::Object(fields) => {
                let field = |(name, value): &(String, Self)| format!("{}:{}", quoted(name), value.compact());
                format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(","))
            }
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The element `name` of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }
}

fn syntax(error: &serde_json::Error) -> DocumentMistake {
    let (line, column) = (error.line(), error.column());
    let whole = error.to_string();
    let message = whole.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&whole).to_owned();
    DocumentMistake::new(DocumentPath::root(), Fault::Syntax { message, line, column })
}

/// Where the reader is, and what it has found wrong.
struct Reader {
    path: DocumentPath,
    mistakes: Vec<DocumentMistake>,
}

impl Reader {
    /// Reads a value one step below.
    fn below<T>(&mut self, path: DocumentPath, read: impl FnOnce(&mut Self) -> T) -> T {
        let above = std::mem::replace(&mut self.path, path);
        let value = read(self);
        self.path = above;
        value
    }

    fn is_too_deep(&mut self) -> bool {
        let deep = self.path.depth() > MAX_DEPTH;
        if deep {
            self.mistakes.push(DocumentMistake::new(self.path.clone(), Fault::TooDeep));
        }
        deep
    }
}

impl<'de> DeserializeSeed<'de> for &mut Reader {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Reader {
    type Value = Json;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        serde_json::Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        if self.is_too_deep() {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Json::Null);
        }
        while let Some(item) = self.below(self.path.index(list.len()), |reader| items.next_element_seed(reader))? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        if self.is_too_deep() {
            while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Json::Null);
        }
        let mut fields: Vec<(String, Json)> = Vec::new();
        while let Some(name) = entries.next_key::<String>()? {
            let value = self.below(self.path.name(&name), |reader| entries.next_value_seed(reader))?;
            fields.push((name, value));
        }
        let mut seen = HashSet::with_capacity(fields.len());
        for (name, _) in fields.iter().filter(|(name, _)| !seen.insert(name.as_str())) {
            self.mistakes.push(DocumentMistake::new(self.path.name(name), Fault::Duplicate));
        }
        Ok(Json::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::Json;

    fn check(text: &str, mistakes: &[&str]) {
        let found = Json::parse(text).err().unwrap_or_default();
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), mistakes, "{text:.80}");
    }

    #[test]
    fn order_stays_and_equal_names_are_found() {
        let json = Json::parse(r#"{"b": 1, "a": [true, null, "x", -2, 1.5]}"#).unwrap();
        let Json::Object(fields) = &json else { panic!() };
        assert_eq!(fields.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        check(
            r#"{"a": {"x": 1, "y": 2, "x": 3}, "b": [{"k": 1, "k": 1}], "a": 2}"#,
            &["`a.x` stands there twice", "`b[0].k` stands there twice", "`a` stands there twice"],
        );
        check(r#"{"a": 1, "\u0061": 2}"#, &["`a` stands there twice"]);
    }

    #[test]
    fn what_is_no_json_says_where() {
        check("", &["not JSON: EOF while parsing a value at line 1 column 0"]);
        check("{\n\"a\": 1,}", &["not JSON: trailing comma at line 2 column 8"]);
        check("{} {}", &["not JSON: trailing characters at line 1 column 4"]);
    }

    #[test]
    fn depth_is_limited_without_deep_recursion() {
        check(&format!("{}{}", "[".repeat(33), "]".repeat(33)), &[]);
        let path = "[0]".repeat(33);
        let said = format!("`{path}` is nested deeper than any policy");
        check(&format!("{}{}", "[".repeat(34), "]".repeat(34)), &[&said]);
        for start in ["[", r#"{"a":"#] {
            let deep = Json::parse(&start.repeat(100_000)).unwrap_err();
            assert!(deep[0].to_string().ends_with("is nested deeper than any policy"), "{}", deep[0]);
        }
    }
}
