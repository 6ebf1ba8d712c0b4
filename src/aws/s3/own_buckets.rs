//! The names of the caller's own buckets, page by page: accounts with many refuse to tell them all at once.

use super::{S3Error, Store};
use crate::model::BucketName;

/// The most pages that are asked for.
const MOST_PAGES: usize = 20;
/// How many names a page has.
const NAMES: i32 = 1_000;

impl Store {
    /// The names of the caller's own buckets, in order; of very many only the first.
    pub async fn own_buckets(&self) -> Result<Vec<BucketName>, S3Error> {
        let mut names = Vec::new();
        let mut token = None;
        for _ in 0..MOST_PAGES {
            let request = self.client().list_buckets().max_buckets(NAMES).set_continuation_token(token);
            let page = request.send().await.map_err(|error| S3Error::new("ListBuckets", "s3://", &error))?;
            names.extend(page.buckets().iter().filter_map(|bucket| bucket.name()?.parse().ok()));
            token = page.continuation_token().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(names)
    }
}
