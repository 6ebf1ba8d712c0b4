//! Keys as policies write them: what would be a wildcard or a variable stands for itself.

use super::GenerateError;
use crate::policy::entitlement::Entitlement;

/// A key's text where wildcards and variables count.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>
pub(super) fn pattern(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '*' | '?' | '$' => escaped.extend(["${", letter.encode_utf8(&mut [0; 4]), "}"]),
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// A key's text under `StringEquals`, where variables count and wildcards do not.
pub(super) fn exact(text: &str) -> String {
    text.replace('$', "${$}")
}

/// Refuses names that no document can hold.
pub(super) fn check(entitlement: &Entitlement) -> Result<(), GenerateError> {
    for place in &entitlement.places {
        writable(place.prefix.as_str())?;
        let folders = entitlement.grounds.get(&place.bucket).into_iter();
        for (folder, _) in folders.flat_map(|ground| ground.folders_below(&place.prefix)) {
            writable(folder.as_str())?;
        }
    }
    Ok(())
}

fn writable(text: &str) -> Result<(), GenerateError> {
    let is_legal = |letter: char| matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{ff}');
    match text.chars().find(|letter| !is_legal(*letter)) {
        Some(letter) => Err(GenerateError::Unwritable { text: text.to_owned(), letter }),
        None => Ok(()),
    }
}
