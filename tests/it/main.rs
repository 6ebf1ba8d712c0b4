//! Everything that runs against more than one module, in one binary.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may panic and touch files")]

mod server_auth;
mod server_checksums;
mod server_env;
mod server_objects;
mod server_raw;
mod server_settings;
