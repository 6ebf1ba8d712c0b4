//! Asks a person, and only a person: without a terminal on both ends nothing is asked.

use std::io::{self, IsTerminal as _};

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// A person said yes.
    Yes,
    /// A person said anything else, or ended the input.
    No,
    /// There was nobody to ask.
    NobodyThere,
}

/// Where answers come from.
#[derive(Debug)]
pub(super) enum Input {
    /// The process's stdin.
    Stdin,
    /// A fixed answer, as if a person had typed it.
    Typed(String),
}

impl Input {
    /// True if a person may be there.
    pub(super) fn is_terminal(&self) -> bool {
        match self {
            Self::Stdin => io::stdin().is_terminal(),
            Self::Typed(_) => true,
        }
    }

    /// Reads one line; none at the end of the input, or if it cannot be read.
    pub(super) fn read(&self) -> Option<String> {
        let mut line = String::new();
        match self {
            Self::Stdin => {
                io::stdin().read_line(&mut line).ok()?;
            }
            Self::Typed(text) => line.clone_from(text),
        }
        (!line.is_empty()).then_some(line)
    }
}

impl Confirmation {
    /// What a typed line means.
    pub(super) fn of(line: &str) -> Self {
        match line.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Self::Yes,
            _ => Self::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Confirmation;

    #[test]
    fn only_yes_is_yes() {
        for (typed, answer) in [
            ("y\n", Confirmation::Yes),
            (" YES \n", Confirmation::Yes),
            ("\n", Confirmation::No),
            ("", Confirmation::No),
            ("yess\n", Confirmation::No),
            ("n\n", Confirmation::No),
        ] {
            assert_eq!(Confirmation::of(typed), answer, "{typed:?}");
        }
    }
}
