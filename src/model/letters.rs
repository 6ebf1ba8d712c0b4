//! Letters that change how others are shown, or that nobody sees. Names from outside may hold them; what this program shows
//! or writes down spells them out.

use std::fmt::Write as _;

/// True for letters that change how what follows is shown: the controls C0 and C1, DEL, the separators of lines and
/// paragraphs, and the controls of bidirectional text.
///
/// Source: <https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>
pub fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// True for those, and for letters without a shape, by which two names can look alike.
pub fn is_hidden(letter: char) -> bool {
    steers(letter) || matches!(letter, '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{feff}')
}

/// JSON with escapes for all of these. They stand inside of strings only, so the value is the same.
pub fn spell_out(json: &str) -> String {
    let mut safe = String::with_capacity(json.len() + 16);
    for letter in json.chars() {
        if is_hidden(letter) {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(letter);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::{is_hidden, spell_out, steers};

    #[test]
    fn what_steers_is_hidden_and_is_spelled_out() {
        for letter in
            ['\u{0}', '\n', '\u{1b}', '\u{7f}', '\u{85}', '\u{61c}', '\u{200e}', '\u{2028}', '\u{202e}', '\u{2069}']
        {
            assert!(steers(letter) && is_hidden(letter), "{letter:?}");
        }
        for letter in ['\u{200b}', '\u{200d}', '\u{2060}', '\u{feff}'] {
            assert!(!steers(letter) && is_hidden(letter), "{letter:?}");
        }
        for letter in ['a', ' ', 'ü', '\u{2027}', '\u{202f}', '\u{1f600}'] {
            assert!(!is_hidden(letter), "{letter:?}");
        }
        let json = serde_json::to_string("a\u{202e}\u{200d}\u{1f600}\u{85}\n").unwrap();
        let safe = spell_out(&json);
        assert_eq!(safe, "\"a\\u202e\\u200d\u{1f600}\\u0085\\n\"");
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), serde_json::from_str::<String>(&json).unwrap());
    }
}
