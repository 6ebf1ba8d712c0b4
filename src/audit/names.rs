//! Names that say nothing of what a policy is for.

use crate::layout::placeholder;

/// Words that every policy could have in its name.
const EMPTY: [&str; 44] = [
    "a",
    "access",
    "allow",
    "aws",
    "bar",
    "baz",
    "bucket",
    "buckets",
    "changeme",
    "copy",
    "custom",
    "default",
    "demo",
    "doc",
    "document",
    "draft",
    "example",
    "final",
    "foo",
    "for",
    "full",
    "iam",
    "json",
    "managed",
    "my",
    "name",
    "new",
    "of",
    "old",
    "permission",
    "permissions",
    "policies",
    "policy",
    "role",
    "s3",
    "sample",
    "temp",
    "test",
    "the",
    "tmp",
    "untitled",
    "user",
    "v",
    "your",
];

/// True if no word of a name tells whose, what or how: `YourPolicyName`, `s3-access-policy`, `test2`.
pub(super) fn says_nothing(name: &str) -> bool {
    placeholder(name).is_some() || words(name).iter().all(|word| EMPTY.contains(&word.as_str()))
}

/// The words of a name, in lower case: cut at signs, at numbers, and where capitals begin a word. `S3` is one word.
fn words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words = Vec::new();
    let mut word = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let next = letters.get(at + 1);
        let begins = letter.is_ascii_uppercase()
            && (before.is_some_and(|before| !before.is_ascii_uppercase())
                || next.is_some_and(|next| next.is_ascii_lowercase()));
        let is_of_s3 = *letter == '3' && word.eq_ignore_ascii_case("s");
        if begins || !letter.is_ascii_alphabetic() && !is_of_s3 {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        }
        if letter.is_ascii_alphabetic() || is_of_s3 {
            word.push(letter.to_ascii_lowercase());
        }
        if is_of_s3 {
            words.push(std::mem::take(&mut word));
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

#[cfg(test)]
mod tests {
    use super::says_nothing;

    #[test]
    fn names_that_say_nothing() {
        for name in [
            "YourPolicyName",
            "s3-access-policy",
            "test",
            "Test2",
            "policy_1",
            "MyS3Policy",
            "S3FullAccess",
            "tmp.json",
            "new-policy-final",
            "123",
            "AWSPolicy",
            "TODO",
        ] {
            assert!(says_nothing(name), "{name}");
        }
        for name in [
            "FlyteMLS3Access",
            "credit-scoring-read",
            "Reader",
            "TeamA",
            "ml-operator",
            "S3Replication",
            "testing",
            "ByHand",
            "Policies4Lake",
            "GrafanaPolicy",
        ] {
            assert!(!says_nothing(name), "{name}");
        }
    }
}
