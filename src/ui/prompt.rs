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

    /// Reads one line. The end of input, and input that cannot be read, is no answer.
    pub(super) fn read(&self) -> Confirmation {
        let mut line = String::new();
        match self {
            Self::Stdin => match io::stdin().read_line(&mut line) {
                Ok(0) | Err(_) => return Confirmation::No,
                Ok(_) => {}
            },
            Self::Typed(text) => line.clone_from(text),
        }
        match line.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Confirmation::Yes,
            _ => Confirmation::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Confirmation, Input};

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
            assert_eq!(Input::Typed(typed.to_owned()).read(), answer, "{typed:?}");
        }
    }
}
