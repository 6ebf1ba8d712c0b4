//! The one integration test binary: the real client against the embedded endpoint, and the binary as people run it.

mod json_contract;
mod layout_cases;
