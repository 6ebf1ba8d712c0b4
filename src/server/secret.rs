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
use std::sync::Arc;

const SECRET_BYTES: usize = 32;

/// How the access keys of users and sessions start.
const USER_START: &str = "BWUK";
const SESSION_START: &str = "BWTK";

/// The key pair of the folder's owner, and the secret that all others come from.
#[derive(Clone)]
pub(super) struct Keys {
    access_key: String,
    secret_key: String,
    secret: Arc<[u8]>,
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
        Self {
            access_key: format!("BWAK{}", hex(&derived(secret, "access key")[..8])),
            secret_key: URL_SAFE_NO_PAD.encode(&derived(secret, "secret key")[..30]),
            secret: secret.into(),
        }
    }

    /// The permanent key pair of a user.
    pub(super) fn of_user(&self, name: &str) -> (String, String) {
        let digits = hex(&derived(&self.secret, &format!("user access key {name}"))[..8]);
        (format!("{USER_START}{digits}"), self.secret_of(&format!("user {name}")))
    }

    /// A new key pair for a session. The access key proves itself, so that nobody has to keep it.
    pub(super) fn of_new_session(&self) -> io::Result<(String, String)> {
        let mut number = [0; 4];
        getrandom::fill(&mut number).map_err(|error| io::Error::other(error.to_string()))?;
        let number = hex(&number);
        let access_key = format!("{SESSION_START}{number}{}", self.session_proof(&number));
        let secret_key = self.secret_of(&format!("session {access_key}"));
        Ok((access_key, secret_key))
    }

    /// The secret key of a session's access key; none if it was not made here.
    pub(super) fn of_session(&self, access_key: &str) -> Option<String> {
        let (number, proof) = access_key.strip_prefix(SESSION_START)?.split_at_checked(8)?;
        (proof == self.session_proof(number)).then(|| self.secret_of(&format!("session {access_key}")))
    }

    /// True for access keys that look like a user's.
    pub(super) fn is_users(access_key: &str) -> bool {
        access_key.starts_with(USER_START)
    }

    /// A text that nobody else can have written.
    pub(super) fn seal(&self, payload: &[u8]) -> String {
        let mac = sealed(&self.secret, payload).finalize().into_bytes();
        format!("{}.{}", URL_SAFE_NO_PAD.encode(payload), URL_SAFE_NO_PAD.encode(mac))
    }

    /// What was sealed; none if it was not sealed here.
    pub(super) fn unseal(&self, text: &str) -> Option<Vec<u8>> {
        let (payload, mac) = text.split_once('.')?;
        let (payload, mac) = (URL_SAFE_NO_PAD.decode(payload).ok()?, URL_SAFE_NO_PAD.decode(mac).ok()?);
        sealed(&self.secret, &payload).verify_slice(&mac).ok()?;
        Some(payload)
    }

    fn session_proof(&self, number: &str) -> String {
        hex(&derived(&self.secret, &format!("session access key {number}"))[..4])
    }

    fn secret_of(&self, owner: &str) -> String {
        URL_SAFE_NO_PAD.encode(&derived(&self.secret, &format!("secret key of {owner}"))[..30])
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// HMAC-SHA-256 of a text under the folder's secret.
fn mac_of(secret: &[u8], text: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any key length");
    mac.update(text);
    mac
}

/// What follows from the folder's secret for a purpose.
fn derived(secret: &[u8], purpose: &str) -> Vec<u8> {
    mac_of(secret, purpose.as_bytes()).finalize().into_bytes().to_vec()
}

/// Seals have a key of their own: what is sealed may be any bytes, also those of a purpose.
fn sealed(secret: &[u8], payload: &[u8]) -> Hmac<Sha256> {
    mac_of(&derived(secret, "seal"), payload)
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
    fn what_was_not_made_here_is_not_known() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(&folder.path().join("secret")).unwrap();
        let other = Keys::open(&folder.path().join("other")).unwrap();
        let (access, secret) = keys.of_new_session().unwrap();
        assert_eq!((access.len(), secret.len()), (20, 40));
        assert_eq!(keys.of_session(&access), Some(secret));
        for wrong in
            ["BWTK", "BWTKÄÄÄÄÄÄÄÄ", keys.access_key(), &access.to_lowercase(), &other.of_new_session().unwrap().0]
        {
            assert_eq!(keys.of_session(wrong), None, "{wrong}");
        }
        let text = keys.seal(b"payload");
        assert_eq!(keys.unseal(&text).as_deref(), Some(b"payload".as_slice()));
        for wrong in ["", ".", "a.b", &text[..text.len() - 1], &text.replacen('c', "d", 1), &other.seal(b"payload")] {
            assert_eq!(keys.unseal(wrong), None, "{wrong}");
        }
        assert_ne!(keys.of_user("alice"), keys.of_user("bob"));
    }

    #[test]
    fn a_damaged_secret_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "short").unwrap();
        assert!(Keys::open(&path).is_err());
    }
}
