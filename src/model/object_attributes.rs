//! What an object carries beside its bytes, by S3's own rules, so that no upload is refused for it half way.

use super::{Arn, TagKey, TagValue, Tags};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// User metadata may have so many bytes in all, names and values together.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>
const MOST_METADATA_BYTES: usize = 2048;

/// An object may have so many tags.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>
const MOST_TAGS: usize = 10;

/// What every object of a run is written with. The default leaves all of it to the bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObjectAttributes {
    /// `x-amz-meta-*`, by names in lower case.
    pub metadata: BTreeMap<MetadataName, HeaderText>,
    /// The media type; guessed from the name without it.
    pub content_type: Option<HeaderText>,
    /// What caches may do with it.
    pub cache_control: Option<HeaderText>,
    /// Where it is stored.
    pub storage_class: Option<StorageClass>,
    /// Its tags.
    pub tags: Tags,
    /// How it is encrypted; as the bucket says without it.
    pub encryption: Option<ObjectEncryption>,
}

/// The name of a piece of user metadata: what HTTP takes in the name of a header, in lower case as S3 keeps it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetadataName(String);

/// The value of a header: printable ASCII, with blanks inside only.
///
/// S3 gives other letters back in another form than it got them, so they are refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeaderText(String);

/// Where an object is stored.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StorageClass(&'static str);

/// How an object is encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ObjectEncryption {
    /// By keys of S3.
    SseS3,
    /// By a key of KMS; without a name by the account's own key for S3.
    SseKms(Option<KmsKey>),
}

/// A key of KMS: an ARN, `alias/NAME`, or a key id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KmsKey(String);

/// The rule that a text breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// Not `KEY=VALUE`.
    #[error("`{0}` is not of the form KEY=VALUE")]
    NoPair(String),
    /// A name that no header can have.
    #[error("`{0}` cannot be a name of metadata: it takes letters, digits and `-_.`")]
    Name(String),
    /// A value that no header can have.
    #[error("`{0}` cannot be sent in a header: it takes printable ASCII")]
    Value(String),
    /// No media type.
    #[error("`{0}` is no content type: it looks like `text/csv`")]
    ContentType(String),
    /// Not a class that S3 has.
    #[error("`{0}` is no storage class; there are: {list}", list = STORAGE_CLASSES.join(", "))]
    StorageClass(String),
    /// Neither ARN, alias nor id.
    #[error("`{0}` is no key of KMS: write its ARN, `alias/NAME`, or its id")]
    KmsKey(String),
    /// A tag that breaks the rules of tags.
    #[error(transparent)]
    Tag(#[from] super::TagError),
    /// The same name twice.
    #[error("`{0}` is given twice")]
    Twice(String),
    /// Too many tags.
    #[error("an object takes at most {MOST_TAGS} tags; these are {0}")]
    TooManyTags(usize),
    /// Too much metadata.
    #[error("metadata of an object takes at most {MOST_METADATA_BYTES} bytes; this is {0}")]
    TooMuchMetadata(usize),
}

const STORAGE_CLASSES: [&str; 9] = [
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
    "EXPRESS_ONEZONE",
    "REDUCED_REDUNDANCY",
];

impl ObjectAttributes {
    /// Adds one piece of user metadata, `KEY=VALUE`.
    pub fn add_metadata(&mut self, pair: &str) -> Result<(), AttributeError> {
        let (name, value) = pair.split_once('=').ok_or_else(|| AttributeError::NoPair(pair.to_owned()))?;
        let name: MetadataName = name.parse()?;
        if self.metadata.insert(name.clone(), value.parse()?).is_some() {
            return Err(AttributeError::Twice(name.0));
        }
        let bytes = self.metadata.iter().map(|(name, value)| name.0.len() + value.0.len()).sum();
        if bytes > MOST_METADATA_BYTES { Err(AttributeError::TooMuchMetadata(bytes)) } else { Ok(()) }
    }

    /// Adds one tag, `KEY=VALUE`.
    pub fn add_tag(&mut self, pair: &str) -> Result<(), AttributeError> {
        let (key, value) = pair.split_once('=').ok_or_else(|| AttributeError::NoPair(pair.to_owned()))?;
        let key: TagKey = key.parse()?;
        if self.tags.insert(key.clone(), value.parse::<TagValue>()?).is_some() {
            return Err(AttributeError::Twice(key.to_string()));
        }
        let count = self.tags.len();
        if count > MOST_TAGS { Err(AttributeError::TooManyTags(count)) } else { Ok(()) }
    }

    /// Sets the media type.
    pub fn set_content_type(&mut self, text: &str) -> Result<(), AttributeError> {
        let kind = text.split(';').next().unwrap_or_default().trim();
        let whole = kind.split_once('/').is_some_and(|(left, right)| !left.is_empty() && !right.is_empty());
        if !whole {
            return Err(AttributeError::ContentType(text.to_owned()));
        }
        self.content_type = Some(text.parse()?);
        Ok(())
    }

    /// The media type for an object, `guessed` from its name unless one is set.
    pub fn content_type_or<'text>(&'text self, guessed: &'text str) -> &'text str {
        self.content_type.as_ref().map_or(guessed, HeaderText::as_str)
    }

    /// True if some of what a copy carries over from its source is said here, its tags not counted.
    pub fn has_headers(&self) -> bool {
        !self.metadata.is_empty() || self.content_type.is_some() || self.cache_control.is_some()
    }

    /// True if all of it is left to the bucket.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The tags as the header `x-amz-tagging` takes them: pairs of a query. None if there are none.
    pub fn tagging(&self) -> Option<String> {
        let pair =
            |(key, value): (&TagKey, &TagValue)| format!("{}={}", encoded(key.as_str()), encoded(value.as_str()));
        let pairs: Vec<String> = self.tags.iter().map(pair).collect();
        (!pairs.is_empty()).then(|| pairs.join("&"))
    }
}

/// Every byte that is not unreserved as `%XX`. Source: RFC 3986, section 2.
fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(one).collect()
}

impl MetadataName {
    /// The name without `x-amz-meta-`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl HeaderText {
    /// The value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl StorageClass {
    /// The name that S3 gives it.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl KmsKey {
    /// The key as S3 takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MetadataName {
    type Err = AttributeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.to_ascii_lowercase();
        let name = name.strip_prefix("x-amz-meta-").unwrap_or(&name);
        let legal = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if name.is_empty() || !legal { Err(AttributeError::Name(text.to_owned())) } else { Ok(Self(name.to_owned())) }
    }
}

impl FromStr for HeaderText {
    type Err = AttributeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !printable || text.trim() != text {
            return Err(AttributeError::Value(text.escape_debug().collect()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for StorageClass {
    type Err = AttributeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = text.to_ascii_uppercase().replace('-', "_");
        let found = STORAGE_CLASSES.into_iter().find(|class| *class == wanted);
        found.map(Self).ok_or_else(|| AttributeError::StorageClass(text.to_owned()))
    }
}

impl FromStr for KmsKey {
    type Err = AttributeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = |text: &str, more: &[u8]| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
        };
        let legal = match text.parse::<Arn>() {
            Ok(arn) => {
                arn.service() == "kms" && (arn.resource().starts_with("key/") || arn.resource().starts_with("alias/"))
            }
            Err(_) => match text.strip_prefix("alias/") {
                Some(name) => word(name, b"/_-"),
                // Key ids are UUIDs, those of several Regions start with `mrk-`.
                None => text.len() >= 32 && word(text, b"-"),
            },
        };
        if legal { Ok(Self(text.to_owned())) } else { Err(AttributeError::KmsKey(text.to_owned())) }
    }
}

/// Everything but the media type in one line, the same for the same attributes.
impl fmt::Display for ObjectAttributes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metadata, content_type: _, cache_control, storage_class, tags, encryption } = self;
        let mut parts: Vec<String> =
            metadata.iter().map(|(name, value)| format!("metadata {}={:?}", name.0, value.0)).collect();
        parts.extend(cache_control.iter().map(|text| format!("cache-control {:?}", text.0)));
        parts.extend(storage_class.iter().map(|class| format!("storage-class {class}")));
        parts.extend(tags.iter().map(|(key, value)| format!("tag {:?}={:?}", key.as_str(), value.as_str())));
        parts.extend(encryption.iter().map(|encryption| match encryption {
            ObjectEncryption::SseS3 => "sse s3".to_owned(),
            ObjectEncryption::SseKms(None) => "sse kms".to_owned(),
            ObjectEncryption::SseKms(Some(key)) => format!("sse kms {}", key.0),
        }));
        out.write_str(&parts.join(", "))
    }
}

impl fmt::Display for StorageClass {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{HeaderText, KmsKey, MetadataName, ObjectAttributes, StorageClass};

    #[test]
    fn names_and_values() {
        for (name, kept) in
            [("Origin", Some("origin")), ("x-amz-meta-Run_Id", Some("run_id")), ("a b", None), ("", None), ("é", None)]
        {
            assert_eq!(name.parse::<MetadataName>().ok().as_ref().map(MetadataName::as_str), kept, "{name}");
        }
        for (value, legal) in
            [("max-age=60, public", true), ("", true), (" a", false), ("a\nb: c", false), ("é", false)]
        {
            assert_eq!(value.parse::<HeaderText>().is_ok(), legal, "{value:?}");
        }
        for (class, kept) in [("standard-ia", Some("STANDARD_IA")), ("GLACIER_IR", Some("GLACIER_IR")), ("COLD", None)]
        {
            assert_eq!(class.parse::<StorageClass>().ok().map(StorageClass::as_str), kept, "{class}");
        }
    }

    #[test]
    fn keys_of_kms() {
        for (key, legal) in [
            ("arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", true),
            ("arn:aws:kms:us-east-1:111122223333:alias/ml", true),
            ("alias/ml", true),
            ("1234abcd-12ab-34cd-56ef-1234567890ab", true),
            ("mrk-1234abcd12ab34cd56ef1234567890ab", true),
            ("arn:aws:s3:::bucket", false),
            ("arn:aws:kms:us-east-1:111122223333:grant/x", false),
            ("alias/", false),
            ("ml", false),
            ("1234abcd-12ab-34cd-56ef-1234567890ab\r\nx: y", false),
        ] {
            assert_eq!(key.parse::<KmsKey>().is_ok(), legal, "{key:?}");
        }
    }

    #[test]
    fn limits_and_pairs() {
        let mut attributes = ObjectAttributes::default();
        assert!(attributes.is_empty());
        attributes.add_metadata("Origin=a=b").unwrap();
        assert!(attributes.add_metadata("origin=c").unwrap_err().to_string().contains("given twice"));
        assert!(attributes.add_metadata("origin").unwrap_err().to_string().contains("KEY=VALUE"));
        assert!(attributes.add_metadata(&format!("big={}", "x".repeat(2048))).is_err());
        assert!(attributes.set_content_type("csv").is_err());
        attributes.set_content_type("text/csv; charset=utf-8").unwrap();
        for number in 0..10 {
            attributes.add_tag(&format!("k{number}=a b+c/é")).unwrap();
        }
        assert!(attributes.add_tag("one=more").unwrap_err().to_string().contains("at most 10"));
        let mut one = ObjectAttributes::default();
        assert_eq!(one.tagging(), None);
        one.add_tag("team=ml & é").unwrap_err();
        let mut one = ObjectAttributes::default();
        one.add_tag("te am=m/l+é").unwrap();
        one.add_tag("x=").unwrap();
        assert_eq!(one.tagging().as_deref(), Some("te%20am=m%2Fl%2B%C3%A9&x="));
    }
}
