//! What objects carry beside their bytes, as it is typed.

use super::SyncArgs;
use crate::commands::apply::ChecksumChoice;
use crate::error::CommandError;
use crate::model::{AttributeError, HeaderText, KmsKey, Location, ObjectAttributes, ObjectEncryption, StorageClass};
use clap::{Args, ValueEnum};

/// What objects carry.
#[derive(Debug, Args)]
#[command(next_help_heading = "What uploaded objects carry")]
pub(super) struct AttributeArgs {
    /// User metadata, such as `origin=sensor-7`; may be given many times
    #[arg(long, value_name = "KEY=VALUE")]
    metadata: Vec<String>,
    /// A tag; may be given up to 10 times
    #[arg(long, value_name = "KEY=VALUE")]
    tag: Vec<String>,
    /// The media type of every object [default: guessed from each name]
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

/// What objects of this sync carry; an error where that could not be.
pub(super) fn resolve(args: &SyncArgs) -> Result<ObjectAttributes, CommandError> {
    let attributes = args.attributes.parse().map_err(|error| CommandError::usage(error.to_string()))?;
    let wrong = |message: &str, hint: &str| Err(CommandError::usage(message).hint(hint));
    if args.attributes.sse == Some(SseChoice::S3) && args.attributes.sse_kms_key.is_some() {
        return wrong("`--sse s3` and `--sse-kms-key` exclude one another", "leave one of them out");
    }
    if !attributes.is_empty()
        && !matches!((&args.source, &args.target), (Location::Local(_), Location::S3(_) | Location::Layout { .. }))
    {
        return wrong(
            "metadata, tags, storage class and the like are given to what is uploaded, and this sync uploads nothing",
            "a copy takes what its source has; a file has none of it",
        );
    }
    let kms = matches!(attributes.encryption, Some(ObjectEncryption::SseKms(_)));
    if kms && args.checksum == ChecksumChoice::Md5 {
        return wrong(
            "with `--checksum md5` the ETag is the proof of an upload, and under SSE-KMS an ETag is no MD5",
            "leave `--checksum` out, or choose `sha256`",
        );
    }
    Ok(attributes)
}
