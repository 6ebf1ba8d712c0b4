//! The twelve digits that name an AWS account, kept as text because leading zeros count.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An AWS account id: exactly twelve ASCII digits.
///
/// Source: <https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-identifiers.html>
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(String);

/// Why a text is no account id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an account id: it has twelve digits")]
pub struct AccountIdError(String);

impl AccountId {
    /// The account that the embedded endpoint answers for when the layout names none.
    pub fn local() -> Self {
        Self("000000000000".to_owned())
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountId {
    type Err = AccountIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(AccountIdError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for AccountId {
    type Error = AccountIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<AccountId> for String {
    fn from(account: AccountId) -> Self {
        account.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::AccountId;

    #[test]
    fn twelve_digits_and_nothing_else() {
        assert_eq!("245966534215".parse::<AccountId>().unwrap().as_str(), "245966534215");
        for bad in ["", "24596653421", "2459665342150", "24596653421a", "٢٤٥٩٦٦٥٣٤٢١٥"] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad}");
        }
    }
}
