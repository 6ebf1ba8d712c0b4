//! Places in a document, so that whoever complains can say where: `Statement[2].Condition.StringLike`.

use std::fmt;

/// One step down into a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Name(String),
    Index(usize),
}

/// Where something stands in a JSON document. It reads as `Statement[2].Condition.StringLike`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct DocumentPath(Vec<Step>);

impl DocumentPath {
    /// The whole document.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// The element `name` of this place.
    #[must_use]
    pub fn name(&self, name: &str) -> Self {
        self.with(Step::Name(name.to_owned()))
    }

    /// The item `index` of this place, counted from zero.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    /// How many steps lead here from the whole document.
    pub const fn depth(&self) -> usize {
        self.0.len()
    }

    /// The same place as a JSON Pointer (RFC 6901): `/Statement/2/Condition/StringLike`; empty for the whole document.
    pub fn pointer(&self) -> String {
        let step = |step: &Step| match step {
            Step::Name(name) => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => format!("/{index}"),
        };
        self.0.iter().map(step).collect()
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for DocumentPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Name(name) if index == 0 => out.write_str(name)?,
                Step::Name(name) => write!(out, ".{name}")?,
                Step::Index(number) => write!(out, "[{number}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::DocumentPath;

    #[test]
    fn places_read_for_people_and_for_programs() {
        let place = DocumentPath::root().name("Statement").index(2).name("Condition").name("aws:PrincipalTag/a~b");
        assert_eq!(place.to_string(), "Statement[2].Condition.aws:PrincipalTag/a~b");
        assert_eq!(place.pointer(), "/Statement/2/Condition/aws:PrincipalTag~1a~0b");
        assert_eq!((DocumentPath::root().to_string(), DocumentPath::root().pointer()), (String::new(), String::new()));
    }
}
