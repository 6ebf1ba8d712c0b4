//! Hands over to the library and leaves the process with its exit code.

fn main() {}
