//! The one secret of a folder, and the keys that are derived from it.
#![expect(clippy::disallowed_methods, reason = "this is the file edge")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const SECRET_BYTES: usize = 32;

/// The key pair of the folder's owner.
#[derive(Clone)]
pub(super) struct Keys {
    access_key: String,
    secret_key: String,
}

impl fmt::Debug for Keys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Keys").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

impl Keys {
    /// Reads the folder's secret, or makes it if there is none. The caller holds the folder alone if it may be made.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let secret = match File::open(path) {
            Ok(mut file) => {
                let mut secret = Vec::new();
                Read::by_ref(&mut file).take(SECRET_BYTES as u64 + 1).read_to_end(&mut secret)?;
                secret
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(path)?,
            Err(error) => return Err(error),
        };
        if secret.len() != SECRET_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the secret file does not hold 32 bytes"));
        }
        Ok(Self::derive(&secret))
    }

    fn derive(secret: &[u8]) -> Self {
        let access = derived(secret, "access key");
        let digits: String = access.iter().take(8).map(|byte| format!("{byte:02X}")).collect();
        Self {
            access_key: format!("BWAK{digits}"),
            secret_key: URL_SAFE_NO_PAD.encode(&derived(secret, "secret key")[..30]),
        }
    }

    /// The access key id: 20 characters, as AWS's.
    pub(super) fn access_key(&self) -> &str {
        &self.access_key
    }

    /// The secret key: 40 characters, as AWS's.
    pub(super) fn secret_key(&self) -> &str {
        &self.secret_key
    }
}

/// HMAC-SHA-256 of a purpose under the folder's secret.
fn derived(secret: &[u8], purpose: &str) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any key length");
    mac.update(purpose.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A new secret, readable by its owner alone. It gets its name only when it is whole.
fn create(path: &Path) -> io::Result<Vec<u8>> {
    let mut secret = vec![0; SECRET_BYTES];
    getrandom::fill(&mut secret).map_err(|error| io::Error::other(error.to_string()))?;
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(&secret)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::Keys;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_stay_and_are_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let keys = Keys::open(&path).unwrap();
        assert_eq!((keys.access_key().len(), keys.secret_key().len()), (20, 40));
        assert_eq!(Keys::open(&path).unwrap().secret_key(), keys.secret_key());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!format!("{keys:?}").contains(keys.secret_key()));
    }

    #[test]
    fn a_damaged_secret_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "short").unwrap();
        assert!(Keys::open(&path).is_err());
    }
}
