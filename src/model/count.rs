//! Counts as people read them: `12,431`.

use std::fmt;

/// Shows a count with a comma between thousands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HumanCount(pub u64);

impl fmt::Display for HumanCount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::with_capacity(digits.len() + digits.len() / 3);
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        out.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::HumanCount;

    #[test]
    fn commas() {
        let texts = [0, 7, 999, 1000, 12_431, 1_234_567].map(|count| HumanCount(count).to_string());
        assert_eq!(texts, ["0", "7", "999", "1,000", "12,431", "1,234,567"]);
        assert_eq!(format!("{:>6}", HumanCount(1000)), " 1,000");
    }
}
