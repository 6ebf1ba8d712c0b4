//! The tree of a bucket: the folders a layout wants beside the objects a listing shows, as one value to draw or to check.
//!
//! The builder takes a listing object by object and keeps at most [`MAX_NODES`] nodes, so a bucket of any size fits; what
//! gets no node of its own is counted in the folder where it lies.

mod build;

pub use build::TreeBuilder;
#[cfg(test)]
pub(crate) use build::tests;

use crate::model::{BucketName, Prefix};
use crate::report::{Mark, NodeKind, NodeRecord};

/// The most nodes that one tree holds besides the declared ones.
pub const MAX_NODES: usize = 100_000;

/// How much of a bucket gets nodes of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeOptions {
    /// The most children of one folder that the layout does not name.
    pub limit: usize,
    /// The deepest level that is shown, where 1 is the top level; none means all.
    pub depth: Option<usize>,
}

/// The tree of one bucket, or of one prefix in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The bucket.
    pub bucket: BucketName,
    /// Where in the bucket the root lies.
    pub prefix: Prefix,
    /// The root: the bucket itself or the prefix.
    pub root: Node,
    /// Declared folders and wanted objects that are not there; also the bucket, if it is not.
    pub missing: u64,
    /// Folders and objects outside of all that the layout declares, each counted where it leaves the layout.
    pub extra: u64,
}

/// One folder or object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name as it stands in the key, a folder's with its final `/`. Empty for the root, and for an object with
    /// content whose key is the folder's own prefix.
    pub name: String,
    /// How found and wanted differ, if they do.
    pub mark: Option<Mark>,
    /// The object, or all objects beneath, shown or not.
    pub total: Count,
    /// What lies in this folder and has no node of its own.
    pub more: Count,
    /// Declared folders in layout order, then the rest by name.
    pub children: Vec<Self>,
    /// What it is.
    pub kind: NodeKind,
}

/// A number of objects and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Objects, without the empty ones that only make a folder visible.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Count {
    const fn add(&mut self, other: Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
    }
}

impl Tree {
    /// True if something is missing or lies outside of the layout.
    pub const fn differs(&self) -> bool {
        self.missing > 0 || self.extra > 0
    }

    /// Hands every node to `visit`, parents before children, as output shows it.
    pub fn visit(&self, visit: &mut dyn FnMut(NodeRecord)) {
        self.visit_below(&self.root, self.prefix.as_str(), visit);
    }

    fn visit_below(&self, node: &Node, parent: &str, visit: &mut dyn FnMut(NodeRecord)) {
        let path = format!("{parent}{}", node.name);
        let folder = node.kind == NodeKind::Folder;
        let cut = node.more.objects > 0;
        visit(NodeRecord {
            bucket: self.bucket.to_string(),
            path: path.clone(),
            kind: node.kind,
            mark: node.mark,
            bytes: node.total.bytes,
            objects: folder.then_some(node.total.objects),
            more_objects: cut.then_some(node.more.objects),
            more_bytes: cut.then_some(node.more.bytes),
        });
        for child in &node.children {
            self.visit_below(child, &path, visit);
        }
    }
}
