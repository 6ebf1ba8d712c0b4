//! The tree of a bucket with sizes, drawn line by line.

use super::blocks::visible;
use crate::model::{HumanBytes, HumanCount};
use crate::report::{Mark, NodeKind};
use crate::tree::{Count, Node, Tree};

/// The drawing.
pub(super) fn tree(tree: &Tree) -> String {
    let mut out =
        format!("s3://{}/{}{}\n", tree.bucket, visible(tree.prefix.as_str(), false), remark(&tree.root, None));
    below(&tree.root, "", &mut out);
    out
}

fn below(node: &Node, indent: &str, out: &mut String) {
    let has_more = node.more.objects > 0 && !node.children.is_empty();
    let last = node.children.len() + usize::from(has_more);
    for (index, child) in node.children.iter().enumerate() {
        let (branch, inner) = if index + 1 == last { ("└── ", "    ") } else { ("├── ", "│   ") };
        let name = match (child.kind, child.name.as_str()) {
            (NodeKind::Object, "") => "(an object with the folder's own key)".to_owned(),
            (_, name) => visible(name, false),
        };
        out.extend([indent, branch, &name, &remark(child, node.mark), "\n"]);
        below(child, &format!("{indent}{inner}"), out);
    }
    if has_more {
        out.extend([indent, "└── ... and ", &amount(node.more), " more\n"]);
    }
}

/// Size and mark behind a name. A mark that the parent shows already is not repeated.
fn remark(node: &Node, parent: Option<Mark>) -> String {
    let mut out = String::new();
    if let Some(mark) = node.mark.filter(|mark| Some(*mark) != parent) {
        out.extend([" (", &mark.to_string(), ")"]);
    }
    match node.kind {
        NodeKind::Object if node.mark != Some(Mark::Missing) => {
            out.extend(["  ", &HumanBytes(node.total.bytes).to_string()]);
        }
        NodeKind::Folder if node.total.objects > 0 => out.extend(["  ", &amount(node.total)]),
        _ => {}
    }
    out
}

/// `3 objects, 1.2 MiB`
pub(super) fn amount(count: Count) -> String {
    let plural = if count.objects == 1 { "" } else { "s" };
    format!("{} object{plural}, {}", HumanCount(count.objects), HumanBytes(count.bytes))
}
