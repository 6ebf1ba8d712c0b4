//! What objects carry beside their bytes, as it is typed.

use super::Meant;
use crate::commands::apply::ChecksumChoice;
use crate::error::CommandError;
use crate::model::{AttributeError, HeaderText, KmsKey, Location, ObjectAttributes, ObjectEncryption, StorageClass};
use crate::sync::saved::AttributeTexts;
use clap::{Args, ValueEnum};

/// What objects carry.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "What uploaded and copied objects carry")]
pub(super) struct AttributeArgs {
    /// User metadata, such as `origin=sensor-7`; may be given many times. A copy keeps what else its source has
    #[arg(long, value_name = "KEY=VALUE")]
    metadata: Vec<String>,
    /// A tag; may be given up to 10 times. A copy has these instead of those of its source
    #[arg(long, value_name = "KEY=VALUE")]
    tag: Vec<String>,
    /// The media type of every object [default: guessed from each name; a copy keeps its source's]
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// What caches may do, such as `max-age=3600`
    #[arg(long, value_name = "TEXT")]
    cache_control: Option<HeaderText>,
    /// The storage class, such as STANDARD_IA or INTELLIGENT_TIERING
    #[arg(long, value_name = "CLASS")]
    storage_class: Option<StorageClass>,
    /// Whose keys encrypt: s3 or kms [default: as the bucket says]
    #[arg(long, value_enum, value_name = "WHOSE", hide_possible_values = true)]
    sse: Option<SseChoice>,
    /// The key of KMS that encrypts: its ARN, alias/NAME or id
    #[arg(long, value_name = "KEY")]
    sse_kms_key: Option<KmsKey>,
}

/// Whose keys encrypt an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SseChoice {
    /// Keys of S3
    #[value(alias = "AES256")]
    S3,
    /// Keys of KMS
    #[value(alias = "aws:kms")]
    Kms,
}

impl AttributeArgs {
    /// What a saved plan tells; none of what no flag could say.
    pub(super) fn saved(texts: &AttributeTexts) -> Option<Self> {
        let sse = |text: &String| SseChoice::from_str(text, false).ok();
        Some(Self {
            metadata: texts.metadata.clone(),
            tag: texts.tag.clone(),
            content_type: texts.content_type.clone(),
            cache_control: read(texts.cache_control.as_deref(), |text| text.parse().ok())?,
            storage_class: read(texts.storage_class.as_deref(), |text| text.parse().ok())?,
            sse: read(texts.sse.as_ref(), sse)?,
            sse_kms_key: read(texts.sse_kms_key.as_deref(), |text| text.parse().ok())?,
        })
    }

    /// What a saved plan keeps.
    pub(super) fn texts(&self) -> AttributeTexts {
        let sse = self.sse.and_then(|choice| choice.to_possible_value());
        AttributeTexts {
            metadata: self.metadata.clone(),
            tag: self.tag.clone(),
            content_type: self.content_type.clone(),
            cache_control: self.cache_control.as_ref().map(|text| text.as_str().to_owned()),
            storage_class: self.storage_class.map(|class| class.as_str().to_owned()),
            sse: sse.map(|choice| choice.get_name().to_owned()),
            sse_kms_key: self.sse_kms_key.as_ref().map(|key| key.as_str().to_owned()),
        }
    }

    fn parse(&self) -> Result<ObjectAttributes, AttributeError> {
        let mut attributes = ObjectAttributes {
            cache_control: self.cache_control.clone(),
            storage_class: self.storage_class,
            encryption: match (&self.sse_kms_key, self.sse) {
                (Some(key), _) => Some(ObjectEncryption::SseKms(Some(key.clone()))),
                (None, Some(SseChoice::Kms)) => Some(ObjectEncryption::SseKms(None)),
                (None, Some(SseChoice::S3)) => Some(ObjectEncryption::SseS3),
                (None, None) => None,
            },
            ..ObjectAttributes::default()
        };
        self.metadata.iter().try_for_each(|pair| attributes.add_metadata(pair))?;
        self.tag.iter().try_for_each(|pair| attributes.add_tag(pair))?;
        self.content_type.iter().try_for_each(|text| attributes.set_content_type(text))?;
        Ok(attributes)
    }
}

/// What a text says, if there is one; none if it says nothing that is known.
fn read<Text, Value>(text: Option<Text>, read: impl Fn(Text) -> Option<Value>) -> Option<Option<Value>> {
    match text {
        Some(text) => read(text).map(Some),
        None => Some(None),
    }
}

/// What objects of this sync carry; an error where that could not be.
pub(super) fn resolve(meant: &Meant) -> Result<ObjectAttributes, CommandError> {
    let attributes = meant.choices.attributes.parse().map_err(|error| CommandError::usage(error.to_string()))?;
    let wrong = |message: &str, hint: &str| Err(CommandError::usage(message).hint(hint));
    if meant.choices.attributes.sse == Some(SseChoice::S3) && meant.choices.attributes.sse_kms_key.is_some() {
        return wrong("`--sse s3` and `--sse-kms-key` exclude one another", "leave one of them out");
    }
    if !attributes.is_empty() && matches!(&meant.target, Location::Local(_)) {
        return wrong(
            "metadata, tags, storage class and the like are given to objects, and this sync writes files",
            "leave them out: a file has none of it",
        );
    }
    let kms = matches!(attributes.encryption, Some(ObjectEncryption::SseKms(_)));
    if kms && meant.choices.checksum == ChecksumChoice::Md5 {
        return wrong(
            "with `--checksum md5` the ETag is the proof of an upload, and under SSE-KMS an ETag is no MD5",
            "leave `--checksum` out, or choose `sha256`",
        );
    }
    Ok(attributes)
}
