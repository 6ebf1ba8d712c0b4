//! What is known about a request: condition keys with their values. Names ignore case, values do not.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition.html>

/// The condition keys of one request. A key that is not here is absent, which an empty value is not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// Sorted by key.
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// In lower case.
    key: Box<str>,
    /// As it was given.
    name: Box<str>,
    value: Value,
}

/// The value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of a key that has at most one value in a request.
    One(String),
    /// Of a key that takes a set, such as `aws:TagKeys`; it may be empty.
    Many(Vec<String>),
}

impl Value {
    /// The values.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

impl Context {
    /// Nothing known.
    pub(super) const EMPTY: &'static Self = &Self { entries: Vec::new() };

    /// The form in which names are compared.
    pub(super) fn key(name: &str) -> Box<str> {
        name.to_lowercase().into_boxed_str()
    }

    /// Sets a key that has one value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set(name, Value::One(value.into()));
        self
    }

    /// Sets a key that takes several values.
    #[must_use]
    pub fn with_many(mut self, name: &str, values: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.set(name, Value::Many(values.into_iter().map(Into::into).collect()));
        self
    }

    /// Sets a key, whatever it was before.
    pub fn set(&mut self, name: &str, value: Value) {
        let entry = Entry { key: Self::key(name), name: name.into(), value };
        match self.find(&entry.key) {
            Ok(index) => self.entries[index] = entry,
            Err(index) => self.entries.insert(index, entry),
        }
    }

    /// The value of a key, whatever the case of its name.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.get(&Self::key(name))
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|entry| (&*entry.name, &entry.value))
    }

    /// The value of a key that is in lower case already.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.find(key).ok().map(|index| &self.entries[index].value)
    }

    /// The value of a single-valued key that is in lower case already.
    pub(super) fn single(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::One(value) => Some(value),
            Value::Many(_) => None,
        }
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| (*entry.key).cmp(key))
    }
}

#[cfg(test)]
mod tests {
    use super::{Context, Value};

    #[test]
    fn names_ignore_case_and_absent_is_not_empty() {
        let context = Context::default().with("S3:Prefix", "").with_many("aws:TagKeys", ["a", "b"]).with("b", "1");
        assert_eq!(context.value("s3:prefix"), Some(&Value::One(String::new())));
        assert_eq!(context.value("s3:delimiter"), None);
        assert_eq!(context.value("AWS:tagkeys").unwrap().as_slice(), ["a", "b"]);
        assert_eq!(context.single("aws:tagkeys"), None, "a set is no single value");
        assert_eq!(
            context.with("B", "2").iter().map(|(name, _)| name).collect::<Vec<_>>(),
            ["aws:TagKeys", "B", "S3:Prefix"]
        );
    }
}
