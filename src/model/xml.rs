//! A small XML tree, for documents that no library here knows whole: some of S3, and what EC2 answers.

use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_xml_entity};
use quick_xml::events::Event;

/// How deep a document may nest; S3's go six deep, EC2's ten.
const MAX_DEPTH: usize = 16;

/// An element with its text and its children, namespaces left off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name.
    pub name: String,
    /// The text in it, without that of its children.
    pub text: String,
    /// The elements in it.
    pub children: Vec<Self>,
}

impl Element {
    /// Reads a document; none if it is not well-formed.
    pub fn parse(document: &[u8]) -> Option<Self> {
        let mut reader = Reader::from_reader(document);
        // The bottom of the stack collects the root.
        let mut stack = vec![Self::default()];
        loop {
            match reader.read_event().ok()? {
                Event::Start(start) => stack.push(Self::named(start.local_name().as_ref())?),
                Event::Empty(start) => {
                    let child = Self::named(start.local_name().as_ref())?;
                    stack.last_mut()?.children.push(child);
                }
                Event::End(_) => {
                    let done = stack.pop()?;
                    stack.last_mut()?.children.push(done);
                }
                Event::Text(text) => stack.last_mut()?.text.push_str(&text.decode().ok()?),
                Event::CData(text) => stack.last_mut()?.text.push_str(std::str::from_utf8(&text).ok()?),
                Event::GeneralRef(reference) => match reference.resolve_char_ref().ok()? {
                    Some(letter) => stack.last_mut()?.text.push(letter),
                    None => stack.last_mut()?.text.push_str(resolve_xml_entity(&reference.decode().ok()?)?),
                },
                Event::DocType(_) => return None,
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
            if stack.len() > MAX_DEPTH {
                return None;
            }
        }
        let [bottom] = stack.as_mut_slice() else { return None };
        if bottom.children.len() == 1 { bottom.children.pop() } else { None }
    }

    fn named(name: &[u8]) -> Option<Self> {
        Some(Self { name: String::from_utf8(name.to_vec()).ok()?, ..Self::default() })
    }

    /// The first child of that name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of that name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of that name.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }

    /// True if every child has one of these names: what is not known must not be dropped in silence.
    pub fn only_has(&self, names: &[&str]) -> bool {
        self.children.iter().all(|child| names.contains(&child.name.as_str()))
    }
}

/// `<name>text</name>`, the text escaped.
pub fn tag(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

#[cfg(test)]
mod tests {
    use super::{Element, tag};

    #[test]
    fn reads_what_clients_send() {
        let document = b"<?xml version=\"1.0\"?><A xmlns=\"urn:x\"><B>1 &lt; 2 &#233;</B><C/><B>x</B></A>";
        let root = Element::parse(document).unwrap();
        assert_eq!(root.name, "A");
        assert_eq!(root.text_of("B"), Some("1 < 2 é"));
        assert_eq!(root.all("B").count(), 2);
        assert!(root.only_has(&["B", "C"]) && !root.only_has(&["B"]));
        assert_eq!(tag("T", "a<b"), "<T>a&lt;b</T>");
    }

    #[test]
    fn refuses_what_is_no_document() {
        let deep = "<a>".repeat(40) + &"</a>".repeat(40);
        for bad in ["", "text", "<A>", "<A></B>", "<A/><B/>", "<!DOCTYPE a><a/>", &deep] {
            assert_eq!(Element::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
