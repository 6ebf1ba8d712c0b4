//! Listings: page after page, keys decoded, in the order in which the service gives them.

use super::objects::moment;
use super::{S3Error, Store, bucket_url};
use crate::model::{BucketName, ETag, ObjectEntry, ObjectKey, Prefix};
use aws_sdk_s3::types::{EncodingType, Object};
use futures_util::stream::{self, Stream};

/// Which page of a listing is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageRequest {
    /// Only keys behind this text, on the first page of a listing that does not start at the start.
    pub after: Option<String>,
    /// What the page before gave as its continuation.
    pub token: Option<String>,
    /// The most keys on a page; the service's own limit, 1,000, if none.
    pub most_keys: Option<i32>,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPage {
    /// Its objects in the order of the service.
    pub entries: Vec<ObjectEntry>,
    /// What asks for the next page, if there is one.
    pub next: Option<String>,
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
        stream::try_unfold(Some(PageRequest::default()), move |request| {
            let (store, bucket, prefix) = (store.clone(), bucket.clone(), prefix.clone());
            async move {
                let Some(request) = request else { return Ok(None) };
                let page = store.list_page(&bucket, &prefix, request).await?;
                let next = page.next.map(|token| PageRequest { token: Some(token), ..PageRequest::default() });
                Ok(Some((page.entries, next)))
            }
        })
    }

    /// One page of the objects whose keys start with `prefix`.
    ///
    /// A continuation that leads to itself is an error: such a listing has no end.
    pub async fn list_page(
        &self,
        bucket: &BucketName,
        prefix: &Prefix,
        page: PageRequest,
    ) -> Result<ListedPage, S3Error> {
        match self.ask_page(bucket, prefix, page.clone()).await {
            Err(error) if self.turns(&error) => self.ask_page(bucket, prefix, page).await,
            answer => answer,
        }
    }

    async fn ask_page(&self, bucket: &BucketName, prefix: &Prefix, page: PageRequest) -> Result<ListedPage, S3Error> {
        let unexpected = |message| S3Error::unexpected("ListObjectsV2", bucket_url(bucket), message);
        let request = self.client().list_objects_v2().bucket(bucket.as_str()).set_max_keys(page.most_keys);
        let request = request.encoding_type(EncodingType::Url).set_expected_bucket_owner(self.expected_owner());
        let request = if prefix.is_root() { request } else { request.prefix(prefix.as_str()) };
        let answer = request.set_start_after(page.after).set_continuation_token(page.token.clone()).send().await;
        let answer = answer.map_err(|error| S3Error::new("ListObjectsV2", bucket_url(bucket), &error))?;
        let encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let entries = answer.contents().iter().map(|object| read_object(object, encoded)).collect::<Option<Vec<_>>>();
        let entries = entries.ok_or_else(|| unexpected("the listing holds an entry without a valid key"))?;
        let next = answer.next_continuation_token().filter(|_| answer.is_truncated() == Some(true));
        if next.is_some() && next == page.token.as_deref() {
            return Err(unexpected("the listing does not advance: its continuation token came twice"));
        }
        Ok(ListedPage { entries, next: next.map(str::to_owned) })
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
