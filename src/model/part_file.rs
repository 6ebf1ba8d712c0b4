//! The names of files that are still being received: hidden, not to be guessed, and known as ours by their form alone.
//!
//! A killed run leaves such a file behind. Its form is narrow enough that nothing else is taken for one when the next
//! run clears it away, and walks leave it out, so that it is never sent anywhere.

const START: &str = ".bucketwright-";
const END: &str = ".part";
const DIGITS: usize = 32;

/// A name for a file that is being received, from 128 random bits.
pub fn part_file_name(random: u128) -> String {
    format!("{START}{random:032x}{END}")
}

/// True if `name` has the form that [`part_file_name`] gives.
pub fn is_part_file_name(name: &[u8]) -> bool {
    let digits = name.strip_prefix(START.as_bytes()).and_then(|rest| rest.strip_suffix(END.as_bytes()));
    digits.is_some_and(|digits| {
        digits.len() == DIGITS && digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::{is_part_file_name, part_file_name};

    #[test]
    fn only_our_own_names_are_ours() {
        for random in [0, 1, u128::MAX] {
            assert!(is_part_file_name(part_file_name(random).as_bytes()));
        }
        let ours = part_file_name(7);
        for other in [&ours[1..], &ours[..ours.len() - 1], &ours.to_uppercase(), &ours.replace('7', "g"), "x.part"] {
            assert!(!is_part_file_name(other.as_bytes()), "{other}");
        }
        assert!(!is_part_file_name(format!("{ours}.part").as_bytes()));
    }
}
