//! A filter for names that come from a listing: what a walk knows from the directories it is in, found out from the names.

use super::{Filter, IgnoreFile, Judgement, Rule, Scope};
use std::fmt;
use std::sync::Arc;

/// Judges names below a root. Names in the order of a listing cost least, any order is right.
pub struct Trail<Load> {
    filter: Filter,
    /// Gives the ignore file of a directory below the root; the path is empty or ends in `/`.
    load: Load,
    /// The directories on the way to the last name, outermost first.
    levels: Vec<Level>,
}

impl<Load> fmt::Debug for Trail<Load> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Trail").field("filter", &self.filter).field("levels", &self.levels).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Level {
    /// Its path below the root: empty, or ending in `/`.
    directory: String,
    scope: Result<Scope, Arc<Rule>>,
}

impl<Load: FnMut(&str) -> Option<IgnoreFile>> Trail<Load> {
    /// Judges by `filter`, and by the ignore files that `load` finds.
    pub const fn new(filter: Filter, load: Load) -> Self {
        Self { filter, load, levels: Vec::new() }
    }

    /// Decides about a name, and says what was decided about: the name itself, or the outermost directory above it that
    /// is left out with all that is in it. A name that ends in `/` is a directory; the empty one is the root.
    pub fn judge<'name>(&mut self, name: &'name str) -> (&'name str, Judgement) {
        if self.filter.is_empty() || name.is_empty() {
            return (name, Judgement::Selected(None));
        }
        while self.levels.pop_if(|level| !name.starts_with(&level.directory)).is_some() {}
        if self.levels.is_empty() {
            self.enter("", Ok(Scope::default()));
        }
        let path = name.strip_suffix('/').unwrap_or(name);
        loop {
            let Some(level) = self.levels.last() else { return (name, Judgement::Selected(None)) };
            let start = level.directory.len();
            let scope = match &level.scope {
                Err(rule) => return (&name[..start], Judgement::Excluded(Arc::clone(rule))),
                Ok(scope) => scope,
            };
            match path.get(start..).and_then(|rest| rest.find('/')) {
                None => return (name, self.filter.judge(scope, path, path.len() < name.len())),
                Some(slash) => {
                    let end = start + slash;
                    let inside = self.filter.inside(scope, &path[..end]);
                    self.enter(&path[..=end], inside);
                }
            }
        }
    }

    fn enter(&mut self, directory: &str, scope: Result<Scope, Arc<Rule>>) {
        let scope = scope.map(|scope| {
            let file = if self.filter.wants_ignore_file(&scope) { (self.load)(directory) } else { None };
            match file {
                Some(file) => scope.with_ignore_file(directory, file),
                None => scope,
            }
        });
        self.levels.push(Level { directory: directory.to_owned(), scope });
    }
}
