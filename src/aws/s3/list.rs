//! Listings: page after page, keys decoded, in the order in which the service gives them.

use super::objects::moment;
use super::{S3Error, Store, bucket_url};
use crate::model::{BucketName, ETag, ObjectEntry, ObjectKey, Prefix};
use aws_sdk_s3::types::{EncodingType, Object};
use futures_util::stream::{self, Stream};

/// Where a listing stands between two pages.
enum Position {
    Start,
    After(String),
    End,
}

impl Store {
    /// All objects whose keys start with `prefix`, one page of at most 1,000 at a time.
    ///
    /// General purpose buckets list in byte order of keys; other servers may not, and nothing here sorts.
    pub fn list(
        &self,
        bucket: &BucketName,
        prefix: &Prefix,
    ) -> impl Stream<Item = Result<Vec<ObjectEntry>, S3Error>> + Send + 'static {
        let (store, bucket, prefix) = (self.clone(), bucket.clone(), prefix.clone());
        stream::try_unfold(Position::Start, move |position| {
            let (store, bucket, prefix) = (store.clone(), bucket.clone(), prefix.clone());
            async move {
                let token = match position {
                    Position::Start => None,
                    Position::After(token) => Some(token),
                    Position::End => return Ok(None),
                };
                let (page, next) = store.list_page(&bucket, &prefix, token.clone()).await?;
                if next.is_some() && next == token {
                    let message = "the listing does not advance: its continuation token came twice";
                    return Err(S3Error::unexpected("ListObjectsV2", bucket_url(&bucket), message));
                }
                Ok(Some((page, next.map_or(Position::End, Position::After))))
            }
        })
    }

    async fn list_page(
        &self,
        bucket: &BucketName,
        prefix: &Prefix,
        token: Option<String>,
    ) -> Result<(Vec<ObjectEntry>, Option<String>), S3Error> {
        let request = self.client().list_objects_v2().bucket(bucket.as_str());
        let request = request.encoding_type(EncodingType::Url).set_expected_bucket_owner(self.expected_owner());
        let request = if prefix.is_root() { request } else { request.prefix(prefix.as_str()) };
        let answer = request.set_continuation_token(token).send().await;
        let answer = answer.map_err(|error| S3Error::new("ListObjectsV2", bucket_url(bucket), &error))?;
        let encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let objects = answer.contents().iter().map(|object| read_object(object, encoded)).collect::<Option<Vec<_>>>();
        let objects = objects.ok_or_else(|| {
            S3Error::unexpected("ListObjectsV2", bucket_url(bucket), "the listing holds an entry without a valid key")
        })?;
        let next = answer.next_continuation_token().filter(|_| answer.is_truncated() == Some(true));
        Ok((objects, next.map(str::to_owned)))
    }
}

fn read_object(object: &Object, encoded: bool) -> Option<ObjectEntry> {
    let text = object.key()?;
    let key: ObjectKey = if encoded { decode(text)?.parse().ok()? } else { text.parse().ok()? };
    Some(ObjectEntry {
        key,
        size_bytes: u64::try_from(object.size().unwrap_or_default()).ok()?,
        etag: object.e_tag().map(ETag::new),
        modified: object.last_modified().and_then(moment),
    })
}

/// Decodes a key of a listing with `encoding-type=url`: `%XX` is a byte, `+` a space. `None` if no UTF-8 comes out.
pub(super) fn decode(text: &str) -> Option<String> {
    if !text.contains(['%', '+']) {
        return Some(text.to_owned());
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let value = digit(rest.next())? * 16 + digit(rest.next())?;
                u8::try_from(value).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn keys_are_decoded() {
        for (encoded, expected) in [
            ("a/b.csv", Some("a/b.csv")),
            ("a+b%2Bc%20d", Some("a b+c d")),
            ("caf%C3%A9%0A", Some("café\n")),
            ("%ff", None),
            ("%4", None),
            ("%zz", None),
            ("%", None),
        ] {
            assert_eq!(decode(encoded).as_deref(), expected, "{encoded}");
        }
    }
}
