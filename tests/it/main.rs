//! The one integration test binary: the real client against the embedded endpoint, and the binary as people run it.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may panic and touch files")]

mod adoption;
mod bad_input;
mod dataset;
mod enforcement;
mod faults;
mod json_contract;
mod layout_cases;
mod listing;
mod main_job;
mod odd_files;
mod output;
mod policy;
mod policy_generate;
mod policy_layout;
mod policy_lint;
mod server_auth;
mod server_checksums;
mod server_conditions;
mod server_copies;
mod server_crash;
mod server_env;
mod server_listing;
mod server_multipart;
mod server_objects;
mod server_open;
mod server_raw;
mod server_settings;
mod server_versions;
mod stopping;
mod testenv;
mod transfer;
mod wire;
