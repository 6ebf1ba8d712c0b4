//! Where the receipt of a sync goes, and where it may not.

use super::{Meant, SyncArgs};
use crate::apply::sync_receipt::ReceiptPlace;
use crate::error::CommandError;
use crate::local;
use crate::model::Location;

/// The receipt that is asked for.
pub(super) fn wanted(meant: &Meant, args: &SyncArgs) -> Result<Option<ReceiptPlace>, CommandError> {
    let Some(receipt) = &args.receipt else { return Ok(None) };
    let wrong = |message: String, hint: &str| Err(CommandError::usage(message).hint(hint));
    if matches!(meant.target, Location::Local(_)) {
        return wrong("a receipt lists objects, and this sync puts none in place".to_owned(), "leave `--receipt` out");
    }
    let inside = |what: &dyn std::fmt::Display| {
        wrong(format!("the receipt `{what}` would lie in what it describes"), "write it to another folder")
    };
    Ok(Some(match receipt {
        Location::Local(path) => {
            let root = if let Location::Local(root) = &meant.source { Some(local::absolute(root)) } else { None };
            if root.is_some_and(|root| local::absolute(path).starts_with(root)) {
                return inside(&path.display());
            }
            ReceiptPlace::File(path.clone())
        }
        Location::S3(place) => {
            let Some((key, _, _)) = place.as_object() else {
                return wrong(format!("`{place}` names no object"), "write `s3://BUCKET/FOLDER/receipt.jsonl`");
            };
            if let Location::S3(target) = &meant.target
                && target.bucket == place.bucket
                && target.as_folder().is_ok_and(|folder| key.as_str().starts_with(folder.as_str()))
            {
                return inside(place);
            }
            ReceiptPlace::Object { bucket: place.bucket.clone(), key }
        }
        Location::Layout { .. } => {
            return wrong("a receipt goes to a file or to `s3://BUCKET/KEY`".to_owned(), "name one of them");
        }
    }))
}
