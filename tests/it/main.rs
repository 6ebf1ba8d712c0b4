//! The one integration test binary: the real client against the embedded endpoint, and the binary as people run it.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may panic and touch files")]

mod adoption;
mod bad_input;
mod json_contract;
mod layout_cases;
mod main_job;
mod policy;
mod server_auth;
mod server_checksums;
mod server_env;
mod server_objects;
mod server_raw;
mod server_settings;
mod testenv;
