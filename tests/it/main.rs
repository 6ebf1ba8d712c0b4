//! The one integration test binary: the real client against the embedded endpoint, and the binary as people run it.

mod bad_input;
mod json_contract;
mod layout_cases;
mod main_job;
mod server_auth;
mod server_checksums;
mod server_env;
mod server_objects;
mod server_raw;
mod server_settings;
mod testenv;
