//! From a file below a source to the key of its object, never outside of the folder it belongs in.

use crate::model::{KeyError, LocalFile, ObjectKey, Odd, OddKind, Prefix};

/// The key of `file` below `folder`, by its relative path.
pub fn key_of(folder: &Prefix, file: &LocalFile) -> Result<ObjectKey, Odd> {
    folder.key(&file.relative).map_err(|error| Odd::at(&file.path, odd_kind(&error)))
}

fn odd_kind(error: &KeyError) -> OddKind {
    match error {
        KeyError::TooLong { .. } => OddKind::KeyTooLong,
        KeyError::Empty | KeyError::NoSlash(_) => OddKind::Unreadable(error.to_string()),
    }
}

/// True if `name` can be the last part of a key that stands for a file: not empty, no slash, not `.` or `..`.
pub fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '\0']) && name != "." && name != ".."
}

#[cfg(test)]
mod tests {
    use super::{is_file_name, key_of};
    use crate::model::{Fingerprint, LocalFile, OddKind, Prefix};

    fn file(relative: &str) -> LocalFile {
        let fingerprint = Fingerprint { size_bytes: 1, mtime_ns: 0, ctime_ns: 0, device: 0, inode: 0 };
        LocalFile { relative: relative.to_owned(), path: relative.into(), fingerprint }
    }

    #[test]
    fn keys_are_the_bytes_of_the_path() {
        let folder: Prefix = "p/data/".parse().unwrap();
        for name in ["a.csv", "deep/a b+c#d%e?f*[g].csv", "back\\slash", "new\nline", ".hidden", "é/e\u{301}"] {
            assert_eq!(key_of(&folder, &file(name)).unwrap().as_str(), format!("p/data/{name}"));
        }
        let longest = "x".repeat(1024 - 7);
        assert!(key_of(&folder, &file(&longest)).is_ok());
        assert_eq!(key_of(&folder, &file(&format!("{longest}x"))).unwrap_err().kind, OddKind::KeyTooLong);
    }

    #[test]
    fn names_that_would_leave_the_folder() {
        for (name, good) in
            [("a.csv", true), ("..a", true), ("", false), (".", false), ("..", false), ("a/b", false), ("../a", false)]
        {
            assert_eq!(is_file_name(name), good, "{name}");
        }
    }
}
