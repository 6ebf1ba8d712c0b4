//! Any text as a policy document and as a file of cases: read or refused, never a panic, never slow.
#![no_main]

use bucketwright::policy::{Document, cases};
use bucketwright_fuzz::{LIMIT, in_time};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    in_time(LIMIT, || match Document::parse(&text) {
        Ok(document) => document.defects().iter().for_each(|defect| drop(defect.to_string())),
        Err(mistakes) => {
            assert!(!mistakes.is_empty(), "refused without a word");
            mistakes.iter().for_each(|mistake| drop(mistake.to_string()));
        }
    });
    in_time(LIMIT, || {
        if let Err(mistakes) = cases::parse(&text) {
            assert!(!mistakes.is_empty(), "refused without a word");
            mistakes.iter().for_each(|mistake| drop(mistake.to_string()));
        }
    });
});
