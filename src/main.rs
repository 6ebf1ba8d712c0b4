//! Hands over to the library and leaves the process with its exit code.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// Requests of the SDK are made of hundreds of small allocations each, on several threads.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    bucketwright::cli::main()
}
