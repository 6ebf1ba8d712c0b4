//! Placeholders that somebody forgot to fill in: `your-bucket-name`, `<account-id>`, `CHANGE_ME` and their like.
//!
//! Two of the usual styles are legal bucket or policy names, so no other check would catch them.

/// The placeholder that `text` holds, if any.
pub(crate) fn placeholder(text: &str) -> Option<&str> {
    angled(text).or_else(|| text.split(is_break).find_map(in_word))
}

/// True if a bucket's name is one that documentation uses: `your-` and anything.
pub(super) fn is_placeholder_bucket(name: &str) -> bool {
    name.starts_with("your-")
}

/// True if an account is one of those that AWS's documentation uses in examples.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>
pub(super) fn is_example_account(digits: &str) -> bool {
    ["111122223333", "123456789012"].contains(&digits)
}

/// `<account-id>`: angle brackets around something that starts with a letter.
fn angled(text: &str) -> Option<&str> {
    let start = text.find('<')?;
    let length = text[start..].find('>')?;
    let named = text[start + 1..].starts_with(|letter: char| letter.is_ascii_alphabetic());
    named.then(|| &text[start..=start + length])
}

/// Dots and hyphens belong to words, so that a file called `TODO.csv` is none.
fn is_break(letter: char) -> bool {
    !(letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.'))
}

fn in_word(word: &str) -> Option<&str> {
    if word.starts_with("your-")
        && let Some(end) = word.find("-name")
    {
        return Some(&word[..end + "-name".len()]);
    }
    if word.starts_with("example-bucket") {
        return Some("example-bucket");
    }
    word.split('-').find(|part| {
        matches!(*part, "TODO" | "FIXME" | "YourPolicyName")
            || ["changeme", "change_me"].iter().any(|mark| part.eq_ignore_ascii_case(mark))
    })
}

#[cfg(test)]
mod tests {
    use super::placeholder;

    #[test]
    fn found_and_left_alone() {
        for (text, expected) in [
            ("your-bucket-name", Some("your-bucket-name")),
            ("your-bucket-name-logs", Some("your-bucket-name")),
            ("arn:aws:iam::<account-id>:role/x", Some("<account-id>")),
            ("YourPolicyName", Some("YourPolicyName")),
            ("changeme-data", Some("changeme")),
            ("CHANGE_ME", Some("CHANGE_ME")),
            ("TODO: say why", Some("TODO")),
            ("example-bucket/data", Some("example-bucket")),
            ("TODO.csv", None),
            ("yourself", None),
            ("a < b > c", None),
            ("team-example-bucket", None),
            ("bsingh-ml-workflows", None),
            ("", None),
        ] {
            assert_eq!(placeholder(text), expected, "{text}");
        }
    }
}
