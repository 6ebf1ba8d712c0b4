//! The users of the directory, each with the permanent key that the endpoint derives from its name.

use super::account::LocalAccount;
use super::{DirectoryError, Kind};
use crate::model::{AccessKey, Seen, User};

impl LocalAccount {
    /// All users. Nobody keeps a record of what they sign.
    pub fn users(&self) -> Result<Vec<User>, DirectoryError> {
        let mut users = Vec::new();
        for name in self.directory.names(Kind::User)? {
            let Some(sheet) = self.directory.sheet(Kind::User, name.as_str())? else { continue };
            let key = AccessKey { id: None, is_active: true, created: sheet.created, last_use: Seen::Absent };
            users.push(User {
                arn: self.arn("user", &sheet.path, name.as_str())?,
                name: name.as_str().to_owned(),
                created: sheet.created,
                keys: Seen::Here(vec![key]),
            });
        }
        Ok(users)
    }
}
