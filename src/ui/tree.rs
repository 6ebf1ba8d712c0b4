//! Draws a tree with box-drawing characters, the marks in brackets behind the names.

use super::style::{Paint, Role};
use super::text::{counted, escape};
use crate::model::HumanBytes;
use crate::report::{Mark, NodeKind};
use crate::tree::{Count, Node, Tree};

/// How a tree is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drawing {
    /// Colour for the marks.
    pub paint: Paint,
    /// Whether objects show their size.
    pub sizes: bool,
}

impl Drawing {
    /// Hands every line of the drawing to `line`.
    pub(super) fn draw(self, tree: &Tree, line: &mut dyn FnMut(&str)) {
        let head = format!("s3://{}/{}", tree.bucket, escape(tree.prefix.as_str()));
        line(&format!("{head}{}", self.remarks(&tree.root, None)));
        self.draw_children(&tree.root, "", line);
    }

    fn draw_children(self, node: &Node, indent: &str, line: &mut dyn FnMut(&str)) {
        let more = (!node.children.is_empty() && node.more.objects > 0).then(|| more(node.more));
        let last = node.children.len() + usize::from(more.is_some());
        for (index, child) in node.children.iter().enumerate() {
            let (branch, below) = if index + 1 == last { ("└── ", "    ") } else { ("├── ", "│   ") };
            let name = match (child.kind, child.name.as_str()) {
                (NodeKind::Object, "") => self.paint.paint(Role::Dim, "(an object with the folder's own key)"),
                (_, name) => escape(name).into_owned(),
            };
            line(&format!("{indent}{branch}{name}{}", self.remarks(child, node.mark)));
            self.draw_children(child, &format!("{indent}{below}"), line);
        }
        if let Some(more) = more {
            line(&format!("{indent}└── {}", self.paint.paint(Role::Dim, &more)));
        }
    }

    /// What stands behind a node's name. A mark that the parent shows already is not repeated.
    fn remarks(self, node: &Node, parent: Option<Mark>) -> String {
        let mut remarks = Vec::new();
        if let Some(mark) = node.mark.filter(|mark| Some(*mark) != parent) {
            let role = if mark == Mark::Missing { Role::Bad } else { Role::Change };
            remarks.push(self.paint.paint(role, &format!("({mark})")));
        }
        if self.sizes && node.kind == NodeKind::Object && node.mark != Some(Mark::Missing) {
            remarks.push(self.paint.paint(Role::Dim, &format!("({})", HumanBytes(node.total.bytes))));
        } else if node.children.is_empty() && node.more.objects > 0 {
            remarks.push(self.paint.paint(Role::Dim, &format!("({})", amount(node.more))));
        }
        remarks.iter().map(|remark| format!(" {remark}")).collect()
    }
}

fn amount(count: Count) -> String {
    format!("{}, {}", counted(count.objects, "object"), HumanBytes(count.bytes))
}

fn more(count: Count) -> String {
    amount(count).replacen(" object", " more object", 1).replacen("", "... and ", 1)
}

#[cfg(test)]
mod tests {
    use super::Drawing;
    use crate::model::Prefix;
    use crate::tree::tests::{ALL, add, key, seed_bucket};
    use crate::tree::{Tree, TreeBuilder, TreeOptions};
    use crate::ui::style::Paint;

    fn draw(tree: &Tree, sizes: bool) -> String {
        let mut text = String::new();
        let drawing = Drawing { paint: Paint { on: false }, sizes };
        drawing.draw(tree, &mut |line| text = format!("{text}{line}\n"));
        text
    }

    /// The block "Bucket Structure" of the page that the project grew from.
    const SEED: &str = "\
s3://bsingh-ml-workflows/
├── credit-scoring/
│   ├── data/
│   │   └── CleanCreditScoring.csv
│   ├── models/
│   └── results/
├── fraud-detection/
│   ├── data/
│   ├── models/
│   └── results/
└── customer-segmentation/
    ├── data/
    ├── models/
    └── results/
";

    #[test]
    fn the_seed_is_drawn_byte_for_byte() {
        let bucket = seed_bucket();
        let csv = key("credit-scoring/data/CleanCreditScoring.csv");
        let mut markers: Vec<&str> = bucket.folders.iter().map(|folder| folder.prefix.as_str()).collect();
        markers.extend(["credit-scoring/data/CleanCreditScoring.csv=1215506"]);
        markers.sort_unstable();
        let mut builder = TreeBuilder::wanted(&bucket, [&csv], ALL);
        add(&mut builder, &markers);
        let tree = builder.finish();
        assert_eq!((draw(&tree, false).as_str(), tree.differs()), (SEED, false));
        assert!(draw(&tree, true).contains("└── CleanCreditScoring.csv (1.2 MiB)\n"));
    }

    #[test]
    fn differences_are_marked_where_they_begin() {
        let bucket = seed_bucket();
        let csv = key("credit-scoring/data/CleanCreditScoring.csv");
        let mut builder = TreeBuilder::wanted(&bucket, [&csv], ALL);
        add(&mut builder, &["credit-scoring/data/", "credit-scoring/results/x\u{1b}[31m", "scratch/a/b"]);
        assert_eq!(
            draw(&builder.finish(), false),
            "\
s3://bsingh-ml-workflows/
├── credit-scoring/
│   ├── data/
│   │   └── CleanCreditScoring.csv (missing)
│   ├── models/ (missing)
│   └── results/
│       └── x\\x1b[31m
├── fraud-detection/ (missing)
│   ├── data/
│   ├── models/
│   └── results/
├── customer-segmentation/ (missing)
│   ├── data/
│   ├── models/
│   └── results/
└── scratch/ (not in the layout)
    └── a/
        └── b
"
        );
    }

    #[test]
    fn what_is_too_much_is_told_in_numbers() {
        let options = TreeOptions { limit: 2, depth: Some(2) };
        let mut builder = TreeBuilder::found("bucket".parse().unwrap(), Prefix::root(), options);
        add(&mut builder, &["a/1=1024", "a/2=1024", "a/3=1024", "a/4=2048", "b/", "b/=7", "b/c/d/e=10"]);
        assert_eq!(
            draw(&builder.finish(), false),
            "\
s3://bucket/
├── a/
│   ├── 1
│   ├── 2
│   └── ... and 2 more objects, 3.0 KiB
└── b/
    ├── (an object with the folder's own key)
    └── c/ (1 object, 10 B)
"
        );
        let mut builder = TreeBuilder::found("bucket".parse().unwrap(), "p/q/".parse().unwrap(), ALL);
        builder.bucket_is_absent();
        assert_eq!(draw(&builder.finish(), false), "s3://bucket/p/q/ (missing)\n");
    }
}
