//! Grows a tree from a layout's folders and a listing, in bounded memory and for any key that S3 takes.

use super::{Count, MAX_NODES, Node, Tree, TreeOptions};
use crate::layout::{Bucket, MarkerStyle};
use crate::model::{BucketName, ObjectEntry, ObjectKey, Prefix};
use crate::report::{Mark, NodeKind};
use std::collections::BTreeMap;

/// Takes the wanted folders first, then the listing in any order, and yields the tree.
#[derive(Debug)]
pub struct TreeBuilder {
    bucket: BucketName,
    prefix: Prefix,
    options: TreeOptions,
    root: Item,
    found: bool,
    nodes: usize,
    hidden_extra: u64,
}

/// A node while it grows.
#[derive(Debug, Default)]
struct Item {
    /// What the layout says of it.
    wanted: Wanted,
    /// Whether a listed key is it or starts with it.
    found: bool,
    total: Count,
    more: Count,
    /// Declared children in layout order, then the others as they came.
    children: Vec<(String, Self)>,
    by_name: BTreeMap<String, usize>,
    /// How many of the children the layout does not name.
    unnamed: usize,
}

/// What the layout says of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Wanted {
    /// Nothing.
    #[default]
    No,
    /// It only leads to a declared folder: what else lies here is extra.
    Leads,
    /// A folder. In a `free` one anything may lie; one that is not `marked` exists once it holds something and is
    /// never missing.
    Folder { free: bool, marked: bool },
    /// An object of a dataset.
    Object,
}

impl TreeBuilder {
    /// The tree of what is found below `prefix`, beside nothing wanted.
    pub fn found(bucket: BucketName, prefix: Prefix, options: TreeOptions) -> Self {
        let free = Item { wanted: Wanted::Folder { free: true, marked: false }, ..Item::default() };
        Self { bucket, prefix, options, root: free, found: true, nodes: 0, hidden_extra: 0 }
    }

    /// The tree of a bucket beside what the layout wants there: its folders, and `objects` that its datasets bring.
    pub fn wanted<'keys>(
        bucket: &Bucket,
        objects: impl IntoIterator<Item = &'keys ObjectKey>,
        options: TreeOptions,
    ) -> Self {
        let mut builder = Self::found(bucket.name.clone(), Prefix::root(), options);
        if bucket.folders.is_empty() {
            return builder;
        }
        builder.root.wanted = Wanted::Leads;
        for folder in &bucket.folders {
            // A project's own folder is only free for all if the project declares nothing inside it.
            let own = folder.project.is_some() && folder.path.is_empty();
            let inside = |other: &Prefix| *other != folder.prefix && other.as_str().starts_with(folder.prefix.as_str());
            let free = !own || !bucket.folders.iter().any(|other| inside(&other.prefix));
            let marked = bucket.marker_style(folder) != MarkerStyle::None;
            builder.root.declare(folder.prefix.as_str()).wanted = Wanted::Folder { free, marked };
        }
        for key in objects {
            builder.root.declare(key.as_str()).wanted = Wanted::Object;
        }
        builder
    }

    /// The bucket is not there, so all that is wanted in it is missing.
    pub const fn bucket_is_absent(&mut self) {
        self.found = false;
    }

    /// Takes one listed object. Keys outside of the tree's prefix are passed over.
    pub fn add(&mut self, entry: &ObjectEntry) {
        let Some(path) = self.prefix.strip(&entry.key) else { return };
        let (folder, name) = path.split_at(path.rfind('/').map_or(0, |slash| slash + 1));
        // A slash marker or a `.keep` without content says that its folder exists, and is nothing to show itself.
        if entry.size_bytes == 0 && matches!(name, "" | ".keep") {
            self.insert(folder.split_inclusive('/'), Count::default());
        } else {
            let count = Count { objects: 1, bytes: entry.size_bytes };
            self.insert(folder.split_inclusive('/').chain([name]), count);
        }
    }

    /// Follows `names` from the root, making nodes while there is room, and counts the object on the way.
    fn insert<'path>(&mut self, names: impl Iterator<Item = &'path str>, count: Count) {
        let mut item = &mut self.root;
        let mut rule = Rule::Strict.inside(item.wanted);
        item.visit(count);
        for (level, name) in names.enumerate() {
            let known = item.by_name.contains_key(name);
            let deep = self.options.depth.is_some_and(|depth| level >= depth);
            if !known && (deep || item.unnamed >= self.options.limit || self.nodes >= MAX_NODES) {
                // A hidden folder that only its marker makes counts as one object.
                item.more.add(Count { objects: 1, bytes: count.bytes });
                self.hidden_extra += u64::from(rule == Rule::Strict);
                return;
            }
            if !known {
                self.nodes += 1;
                item.unnamed += 1;
            }
            item = item.child(name);
            item.visit(count);
            rule = rule.inside(item.wanted);
        }
    }

    /// The finished tree.
    pub fn finish(self) -> Tree {
        let mut tally = Tally { missing: u64::from(!self.found), extra: self.hidden_extra };
        let rule = if self.found { Rule::Strict.inside(self.root.wanted) } else { Rule::Absent };
        let mut root = self.root.finish(String::new(), rule, self.options.depth, &mut tally);
        root.mark = (!self.found).then_some(Mark::Missing);
        let Tally { missing, extra } = tally;
        Tree { bucket: self.bucket, prefix: self.prefix, root, missing, extra }
    }
}

/// What holds for things that the layout does not name, at one place of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Anything may lie here.
    Free,
    /// What lies here leaves the layout.
    Strict,
    /// Here is outside of the layout already.
    Outside,
    /// The bucket is not there, so nothing can be.
    Absent,
}

impl Rule {
    /// The rule inside a child that the layout wants like this.
    const fn inside(self, wanted: Wanted) -> Self {
        match (self, wanted) {
            (Self::Absent, _) => Self::Absent,
            (_, Wanted::Folder { free: true, .. }) => Self::Free,
            (_, Wanted::Folder { free: false, .. }) => Self::Strict,
            (Self::Strict, Wanted::No) => Self::Outside,
            (rule, Wanted::No | Wanted::Leads | Wanted::Object) => rule,
        }
    }
}

/// What the finished nodes add up to.
#[derive(Debug)]
struct Tally {
    missing: u64,
    extra: u64,
}

impl Item {
    fn visit(&mut self, count: Count) {
        self.found = true;
        self.total.add(count);
    }

    /// The child of that name, made if it is not there yet.
    fn child(&mut self, name: &str) -> &mut Self {
        let index = match self.by_name.get(name) {
            Some(index) => *index,
            None => {
                self.children.push((name.to_owned(), Self::default()));
                self.by_name.insert(name.to_owned(), self.children.len() - 1);
                self.children.len() - 1
            }
        };
        &mut self.children[index].1
    }

    /// The node at `path`, made with all that lead to it.
    fn declare(&mut self, path: &str) -> &mut Self {
        let mut item = self;
        for name in path.split_inclusive('/') {
            item = item.child(name);
            if item.wanted == Wanted::No {
                item.wanted = Wanted::Leads;
            }
        }
        item
    }

    /// The node with its children, down to `levels` more levels; `rule` is that inside of it.
    fn finish(self, name: String, rule: Rule, levels: Option<usize>, tally: &mut Tally) -> Node {
        let total = self.total;
        let mut node = Node {
            kind: if name.is_empty() || name.ends_with('/') { NodeKind::Folder } else { NodeKind::Object },
            name,
            mark: None,
            total,
            more: self.more,
            children: Vec::new(),
        };
        let leads = |item: &Self| matches!(item.wanted, Wanted::Leads | Wanted::Folder { .. });
        let (declared, mut others): (Vec<_>, Vec<_>) = self.children.into_iter().partition(|(_, item)| leads(item));
        others.sort_by(|(left, _), (right, _)| left.cmp(right));
        for (name, item) in declared.into_iter().chain(others) {
            let child = item.finish_child(name, rule, levels.map(|levels| levels.saturating_sub(1)), tally);
            if levels == Some(0) {
                node.more.add(child.total);
            } else {
                node.children.push(child);
            }
        }
        node
    }

    /// A child of a place where `rule` holds, with its mark.
    fn finish_child(self, name: String, rule: Rule, levels: Option<usize>, tally: &mut Tally) -> Node {
        let (wanted, found) = (self.wanted, self.found);
        let inside = rule.inside(wanted);
        let missing_before = tally.missing;
        let own_object = name.is_empty();
        let mut node = self.finish(name, inside, levels, tally);
        if own_object {
            node.kind = NodeKind::Object;
        }
        node.mark = match wanted {
            Wanted::Folder { marked, .. } if !found && (marked || rule == Rule::Absent) => Some(Mark::Missing),
            Wanted::Object if !found => Some(Mark::Missing),
            Wanted::Leads if !found && tally.missing > missing_before => Some(Mark::Missing),
            Wanted::No if inside == Rule::Outside => Some(Mark::Extra),
            _ => None,
        };
        tally.missing += u64::from(node.mark == Some(Mark::Missing) && wanted != Wanted::Leads);
        tally.extra += u64::from(node.mark == Some(Mark::Extra) && rule == Rule::Strict);
        node
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{TreeBuilder, TreeOptions};
    use crate::layout::{Bucket, Folder, FolderAccess, Manage, MarkerStyle, Purpose};
    use crate::model::{BucketName, ObjectEntry, ObjectKey, Prefix};
    use crate::report::{Mark, NodeKind};
    use crate::tree::{Count, Node, Tree};
    use proptest::collection::hash_set;
    use proptest::option;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
    use std::collections::{BTreeMap, BTreeSet};

    pub(crate) const ALL: TreeOptions = TreeOptions { limit: usize::MAX, depth: None };

    /// A bucket with these folders: `project:path`, or a path alone.
    pub(crate) fn bucket(folders: &[&str]) -> Bucket {
        let folder = |text: &&str| {
            let (project, path) = match text.split_once(':') {
                Some((project, path)) => (Some(project.to_owned()), path),
                None => (None, *text),
            };
            let names = project.as_deref().into_iter().chain((!path.is_empty()).then_some(path));
            let prefix: Prefix = names.map(|name| format!("{name}/")).collect::<String>().parse().unwrap();
            let (path, access) = (path.to_owned(), FolderAccess::ReadWrite);
            Folder { project, path, prefix, access, noncurrent_days: None, markers: None }
        };
        Bucket {
            name: "bsingh-ml-workflows".parse().unwrap(),
            purpose: Purpose::Declared,
            template: None,
            folders: folders.iter().map(folder).collect(),
            markers: MarkerStyle::Slash,
            versioning: true,
            kms_key: None,
            public_access_blocked: true,
            access_log: None,
            logs_from: Vec::new(),
            noncurrent_days: None,
            tags: BTreeMap::new(),
            adopt: false,
            manage: Manage::All,
            waive: BTreeMap::new(),
        }
    }

    /// The seed's three projects.
    pub(crate) fn seed_bucket() -> Bucket {
        let projects = ["credit-scoring", "fraud-detection", "customer-segmentation"];
        let folders: Vec<String> = projects
            .iter()
            .flat_map(|project| ["data", "models", "results"].map(|path| format!("{project}:{path}")))
            .collect();
        bucket(&folders.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub(crate) fn key(text: &str) -> ObjectKey {
        text.parse().unwrap()
    }

    /// Takes keys, each optionally with its size: `a/b=12`; a key ending in `/` has none otherwise, another one byte.
    pub(crate) fn add(builder: &mut TreeBuilder, keys: &[&str]) {
        for text in keys {
            let (name, size_bytes) = match text.split_once('=') {
                Some((name, size)) => (name, size.parse().unwrap()),
                None => (*text, u64::from(!text.ends_with('/'))),
            };
            builder.add(&ObjectEntry { key: key(name), size_bytes, etag: None, modified: None });
        }
    }

    /// The tree in one line a node: path, mark, and what is counted but not shown.
    fn lines(tree: &Tree) -> String {
        let mut lines = Vec::new();
        tree.visit(&mut |node| {
            let mark = match node.mark {
                Some(Mark::Missing) => " -",
                Some(Mark::Extra) => " +",
                None => "",
            };
            let own = if node.kind == NodeKind::Object && node.path.ends_with('/') { "(object)" } else { "" };
            let more = node.more_objects.map(|more| format!(" ...{more}")).unwrap_or_default();
            lines.push(format!("{}{own}{mark}{more}", node.path));
        });
        lines.join("|")
    }

    fn check(bucket: &Bucket, objects: &[&str], keys: &[&str], expected: &str, counts: (u64, u64)) {
        let objects: Vec<ObjectKey> = objects.iter().map(|text| key(text)).collect();
        let mut builder = TreeBuilder::wanted(bucket, &objects, ALL);
        add(&mut builder, keys);
        let tree = builder.finish();
        assert_eq!((lines(&tree).as_str(), (tree.missing, tree.extra)), (expected, counts));
    }

    #[test]
    fn wanted_beside_found() {
        let two = bucket(&["p:data", "p:models"]);
        check(&two, &[], &["p/data/", "p/models/.keep=0"], "|p/|p/data/|p/models/", (0, 0));
        check(&two, &[], &["p/data/x"], "|p/|p/data/|p/data/x|p/models/ -", (1, 0));
        check(&two, &[], &[], "|p/ -|p/data/ -|p/models/ -", (2, 0));
        let keys = ["p/data/a", "p/models/", "p/notes/deep/x", "p/stray", "q/"];
        check(
            &two,
            &[],
            &keys,
            "|p/|p/data/|p/data/a|p/models/|p/notes/ +|p/notes/deep/ +|p/notes/deep/x +|p/stray +|q/ +",
            (0, 3),
        );
        let wanted = ["p/data/b.csv", "p/data/d.csv"];
        let keys = ["p/data/a", "p/data/b.csv", "p/data/c", "p/models/"];
        let tree = "|p/|p/data/|p/data/a|p/data/b.csv|p/data/c|p/data/d.csv -|p/models/";
        check(&two, &wanted, &keys, tree, (1, 0));
    }

    #[test]
    fn what_may_lie_where() {
        check(&bucket(&[]), &[], &["a/b"], "|a/|a/b", (0, 0));
        check(&bucket(&["p:"]), &[], &["p/x", "y"], "|p/|p/x|y +", (0, 1));
        check(&bucket(&["p:", "p:data"]), &[], &["p/data/", "p/x"], "|p/|p/data/|p/x +", (0, 1));
        check(&bucket(&["data", "data/raw"]), &[], &["data/raw/", "data/x"], "|data/|data/raw/|data/x", (0, 0));
        check(&bucket(&["data/raw"]), &[], &["data/raw/", "data/x"], "|data/|data/raw/|data/x +", (0, 1));
        let mut unmarked = bucket(&["data", "models"]);
        unmarked.markers = MarkerStyle::None;
        check(&unmarked, &[], &["data/x"], "|data/|data/x|models/", (0, 0));
    }

    #[test]
    fn an_absent_bucket_misses_everything() {
        let mut builder = TreeBuilder::wanted(&bucket(&["p:data"]), [], ALL);
        builder.bucket_is_absent();
        let tree = builder.finish();
        assert_eq!((lines(&tree).as_str(), tree.missing, tree.differs()), (" -|p/ -|p/data/ -", 2, true));
    }

    fn check_found(options: TreeOptions, prefix: &str, keys: &[&str], expected: &str) -> Tree {
        let name: BucketName = "bucket".parse().unwrap();
        let mut builder = TreeBuilder::found(name, prefix.parse().unwrap(), options);
        add(&mut builder, keys);
        let tree = builder.finish();
        assert_eq!(lines(&tree), expected);
        tree
    }

    #[test]
    fn odd_keys_keep_their_place() {
        check_found(ALL, "", &["/", "/x", "a", "a-1", "a/", "a//b", "a/c"], "|/|/x|a|a-1|a/|a//|a//b|a/c");
        check_found(ALL, "", &["d/=12", "d/x"], "|d/|d/(object)|d/x");
        check_found(ALL, "", &["../up", ".keep=0", "d/.keep=3"], "|../|../up|d/|d/.keep");
        check_found(ALL, "", &["b/x", "a/y", "b/w", "a/x"], "|a/|a/x|a/y|b/|b/w|b/x");
        check_found(ALL, "p/q/", &["p/q/", "p/q/a", "p/qq", "z"], "p/q/|p/q/a");
    }

    #[test]
    fn what_is_not_shown_is_counted() {
        let keys = ["d/1=5", "d/2=6", "d/3=7", "d/e/4=8", "e/", "f/"];
        let limited = TreeOptions { limit: 2, depth: None };
        let tree = check_found(limited, "", &keys, " ...1|d/ ...2|d/1|d/2|e/");
        assert_eq!(tree.root.total, Count { objects: 4, bytes: 26 });
        assert_eq!(tree.root.children[0].more, Count { objects: 2, bytes: 15 });
        let shallow = TreeOptions { limit: usize::MAX, depth: Some(1) };
        check_found(shallow, "", &keys, "|d/ ...4|e/|f/");
        let mut builder = TreeBuilder::wanted(&bucket(&["p:data"]), [], TreeOptions { limit: 1, depth: Some(1) });
        add(&mut builder, &["p/x", "p/y/z", "q", "r"]);
        let tree = builder.finish();
        assert_eq!((lines(&tree).as_str(), tree.missing, tree.extra), (" ...1|p/ ...2|q +", 1, 4));
    }

    #[test]
    fn the_deepest_key_is_no_trouble() {
        let deep = "/".repeat(1023) + "x";
        let mut builder = TreeBuilder::found("bucket".parse().unwrap(), Prefix::root(), ALL);
        add(&mut builder, &[&deep]);
        let mut nodes = 0;
        builder.finish().visit(&mut |_| nodes += 1);
        assert_eq!(nodes, 1025);
    }

    /// Objects with nodes of their own, and those counted in place of one.
    fn counted(node: &Node) -> u64 {
        let own = u64::from(node.kind == NodeKind::Object && node.mark != Some(Mark::Missing));
        own + node.more.objects + node.children.iter().map(counted).sum::<u64>()
    }

    proptest! {
        /// Keys of few letters, so that `a`, `a/`, `a//` and `a/.keep` meet.
        #[test]
        fn every_object_is_counted_once(
            mut keys in hash_set("(a|b|/|-|\\.keep|/\\.keep){1,6}=[01]", 0..40),
            limit in 0_usize..6,
            depth in option::of(1_usize..4),
        ) {
            // A key is listed once, whatever its size.
            let mut seen = BTreeSet::new();
            keys.retain(|text| seen.insert(text.split('=').next().unwrap().to_owned()));
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let is_marker = |text: &&&str| text.ends_with("/=0") || *text == &".keep=0" || text.ends_with("/.keep=0");
            let markers = keys.iter().filter(is_marker).count();
            let objects = (keys.len() - markers) as u64;
            let all = || TreeBuilder::wanted(&bucket(&["a", "b/a"]), [], ALL);
            let mut whole = all();
            add(&mut whole, &keys);
            let whole = whole.finish();
            prop_assert_eq!((whole.root.total.objects, counted(&whole.root)), (objects, objects));
            let mut backwards = all();
            add(&mut backwards, &keys.iter().rev().copied().collect::<Vec<_>>());
            prop_assert_eq!(&whole, &backwards.finish(), "the order of the listing does not matter");
            let mut cut = TreeBuilder::wanted(&bucket(&["a", "b/a"]), [], TreeOptions { limit, depth });
            add(&mut cut, &keys);
            let cut = cut.finish();
            prop_assert_eq!((cut.missing, cut.root.total), (whole.missing, whole.root.total));
            prop_assert_eq!(cut.differs(), whole.differs(), "what is not shown is still judged");
            let shown = counted(&cut.root);
            prop_assert!((objects..=objects + markers as u64).contains(&shown), "{shown} of {objects}");
        }
    }
}
