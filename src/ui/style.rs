//! Colour as decoration: every line says the same without it.

/// What a piece of text is, and so how it is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Comes into being, or passed.
    Good,
    /// Is changed, or deserves a look.
    Change,
    /// Is wrong, or goes.
    Bad,
    /// Matters less.
    Dim,
    /// Heads what follows.
    Head,
}

/// Paints, or leaves text as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Paint {
    /// Whether there is colour at all.
    pub on: bool,
}

impl Paint {
    /// The text in its role's colour. Widths are to be taken before.
    pub(super) fn paint(self, role: Role, text: &str) -> String {
        if !self.on || text.is_empty() {
            return text.to_owned();
        }
        // Select Graphic Rendition, ECMA-48 section 8.3.117. Only the eight basic colours, which every theme makes legible.
        let code = match role {
            Role::Good => "32",
            Role::Change => "33",
            Role::Bad => "31",
            Role::Dim => "2",
            Role::Head => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}
