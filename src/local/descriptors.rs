//! How many files and sockets this process may have open at a time.

use rustix::process::{Resource, getrlimit};

/// The limit as it stands (`ulimit -n`); none if there is none.
pub fn descriptor_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

#[cfg(test)]
mod tests {
    use super::descriptor_limit;

    #[test]
    fn there_is_room_for_what_every_process_has_open() {
        assert!(descriptor_limit().is_none_or(|limit| limit > 3));
    }
}
