//! HTML that cannot be broken out of: markup is text of this program, everything else goes in escaped.

use super::blocks::visible;

/// HTML in the making.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

impl Markup {
    /// Markup: only what this program's own source says can be given here.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text, shown as it is whatever it holds. Safe in elements and in quoted attributes.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.escaped(&visible(text, false))
    }

    /// Text whose line breaks count.
    pub(super) fn lines(&mut self, text: &str) -> &mut Self {
        self.escaped(&visible(text, true))
    }

    /// A number, as markup takes it.
    pub(super) fn number(&mut self, number: usize) -> &mut Self {
        self.0.push_str(&number.to_string());
        self
    }

    /// An element around a text.
    pub(super) fn element(&mut self, name: &'static str, text: &str) -> &mut Self {
        self.raw("<").raw(name).raw(">").text(text).raw("</").raw(name).raw(">")
    }

    fn escaped(&mut self, text: &str) -> &mut Self {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                letter => self.0.push(letter),
            }
        }
        self
    }

    /// The text so far.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}
