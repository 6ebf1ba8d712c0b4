//! Hands over to the library and leaves the process with its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    bucketwright::cli::main()
}
