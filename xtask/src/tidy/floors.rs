//! The floors: which module may import which. Read from the top floor down; imports only go down, siblings only as listed.

use Kind::{Edge, Pure, Shell};

/// What a module is allowed to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Runs the program: may be async, reaches the world through edges.
    Shell,
    /// Talks to disk, network or processes, and decides nothing.
    Edge,
    /// Values in, values out: no I/O, no clock, no environment, no async, no printing.
    Pure,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Floor {
    /// The module, a direct child of the crate root.
    pub(crate) module: &'static str,
    /// What it is allowed to be.
    pub(crate) kind: Kind,
    /// The modules it may import. Its own submodules are always allowed.
    pub(crate) imports: &'static [&'static str],
}

/// The import table. A module that is not here is an error, and so is an import that its row does not name.
#[rustfmt::skip]
pub(crate) const FLOORS: &[Floor] = &[
    floor("main",     Shell, &["cli"]),
    floor("cli",      Shell, &["commands", "error", "world", "ui", "local", "config", "report", "model"]),
    floor("commands", Shell, &["error", "apply", "world", "ui", "server", "local", "aws", "kubernetes", "audit", "cluster", "retire", "infer", "page",
                               "access",
                               "verify", "doctor", "policy", "tree", "layout", "sync", "document", "plan", "report", "config", "hashing",
                               "model"]),
    floor("error",    Shell, &["apply", "world", "server", "local", "aws", "kubernetes", "audit", "verify", "policy", "layout", "sync", "document",
                               "plan",
                               "report", "config", "model"]),
    floor("apply",    Shell, &["world", "local", "aws", "verify", "policy", "sync", "document", "plan", "report", "hashing", "model"]),
    floor("world",    Shell, &["server", "directory", "local", "aws", "policy", "layout", "report", "config", "model"]),
    floor("ui",       Shell, &["verify", "tree", "layout", "sync", "document", "plan", "report", "config", "model"]),
    floor("server",   Edge,  &["directory", "policy", "document", "hashing", "model"]),
    floor("directory", Edge, &["local", "policy", "model"]),
    floor("local",    Edge,  &["hashing", "model"]),
    floor("aws",      Edge,  &["model"]),
    floor("kubernetes", Edge, &["model"]),
    floor("audit",    Pure,  &["access", "verify", "policy", "layout", "plan", "report", "model"]),
    floor("cluster",  Pure,  &["access", "policy", "layout", "report", "model"]),
    floor("infer",    Pure,  &["access", "policy", "layout", "document", "plan", "report", "model"]),
    floor("page",     Pure,  &["access", "policy", "tree", "layout", "document", "report", "hashing", "model"]),
    floor("retire",   Pure,  &["access", "policy", "layout", "document", "plan", "report", "model"]),
    floor("access",   Pure,  &["policy", "layout", "document", "plan", "report", "model"]),
    floor("verify",   Pure,  &["policy", "layout", "document", "plan", "report", "hashing", "model"]),
    floor("doctor",   Pure,  &["policy", "layout", "document", "report", "model"]),
    floor("policy",   Pure,  &["layout", "document", "plan", "report", "hashing", "model"]),
    floor("tree",     Pure,  &["layout", "report", "model"]),
    floor("layout",   Pure,  &["document", "plan", "report", "hashing", "model"]),
    floor("sync",     Pure,  &["plan", "report", "hashing", "model"]),
    floor("document", Pure,  &["plan", "report", "model"]),
    floor("plan",     Pure,  &["report", "model"]),
    floor("report",   Pure,  &["model"]),
    floor("config",   Pure,  &["model"]),
    floor("hashing",  Pure,  &["model"]),
    floor("model",    Pure,  &[]),
];

const fn floor(module: &'static str, kind: Kind, imports: &'static [&'static str]) -> Floor {
    Floor { module, kind, imports }
}

/// The row of a module.
pub(crate) fn of(module: &str) -> Option<&'static Floor> {
    FLOORS.iter().find(|floor| floor.module == module)
}

#[cfg(test)]
mod tests {
    use super::{FLOORS, Kind};

    #[test]
    fn imports_only_go_down_the_table() {
        for (row, floor) in FLOORS.iter().enumerate() {
            for import in floor.imports {
                let below = FLOORS.iter().position(|other| other.module == *import);
                assert!(below.is_some_and(|below| below > row), "`{}` may not import `{import}`", floor.module);
            }
        }
    }

    #[test]
    fn decisions_and_screens_know_no_edge() {
        for floor in FLOORS.iter().filter(|floor| floor.kind == Kind::Pure || floor.module == "ui") {
            let impure = floor.imports.iter().find(|import| super::of(import).is_none_or(|row| row.kind != Kind::Pure));
            assert_eq!(impure, None, "import of `{}`", floor.module);
        }
    }
}
