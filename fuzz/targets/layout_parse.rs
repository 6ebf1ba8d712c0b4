//! Any bytes as a layout file: a layout or mistakes with places, never a panic, never slow. Where it is a layout, the
//! policies made of its grants allow what the grants say, cell by cell.
#![no_main]

use bucketwright::layout::{Layout, ParseOptions, parse};
use bucketwright::policy::matrix;
use bucketwright_fuzz::{LIMIT, in_time};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use std::time::Duration;

fuzz_target!(|data: &[u8]| {
    let none = BTreeMap::new();
    let env_vars = BTreeMap::from([("HOME".to_owned(), "/home/x".to_owned())]);
    let text = String::from_utf8_lossy(data);
    let limit = LIMIT + for_folders(&text);
    for environment in [None, Some("prod")] {
        let options = ParseOptions { file_stem: "layout", environment, set: &none, env_vars: &env_vars };
        in_time(limit, || {
            if let Err(mistakes) = parse(data, &options) {
                assert!(!mistakes.is_empty(), "refused without a word");
                for mistake in mistakes {
                    drop(mistake.to_string());
                    drop(mistake.excerpt(&text));
                }
            }
        });
        if let Ok(layout) = parse(data, &options) {
            check_matrix(&layout);
        }
    }
});

/// Every folder of a template is made for every project, so that a file of n entries may mean n²/4 folders, of which
/// layouts may have 100,000. Each may take two microseconds.
fn for_folders(text: &str) -> Duration {
    let half = u32::try_from(text.matches(',').count() / 2).unwrap_or(u32::MAX);
    Duration::from_micros(2) * half.saturating_mul(half).min(100_000)
}

fn check_matrix(layout: &Layout) {
    for cell in matrix::of_layout(layout).into_iter().flatten() {
        assert_eq!(cell.expected, cell.observed, "{cell:?}");
    }
}
