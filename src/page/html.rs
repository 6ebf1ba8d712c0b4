//! A report as one HTML file: no script, nothing from elsewhere, and a policy that lets the browser hold it to that.

use super::blocks::{Block, Code, Inline, Standing, Table};
use super::grid::{COLUMNS, Grid, Mark};
use super::markup::Markup;
use super::picture;
use crate::hashing;
use crate::model::Algorithm;

/// The whole look of the page.
const STYLE: &str = include_str!("style.css");

/// How every page begins: `sign` stands where readers of the page do not see it.
pub(super) fn start(sign: &str) -> String {
    opened(sign).into_text()
}

fn opened(sign: &str) -> Markup {
    let mut out = Markup::default();
    out.raw(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"generator\" content=\"",
    );
    out.text(sign).raw("\">\n");
    out
}

/// The page.
pub(super) fn page(sign: &str, title: &str, blocks: &[Block]) -> String {
    let mut out = opened(sign);
    out.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; base-uri 'none'; ");
    out.raw("form-action 'none'; style-src 'sha256-").text(&style_digest()).raw("'\">\n");
    out.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    out.raw("<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n");
    out.element("title", title).raw("\n<style>").raw(STYLE).raw("</style>\n</head>\n<body>\n<main>\n");
    let mut body = Body { out, pictures: 0 };
    let mut rest = blocks;
    while let Some((block, after)) = rest.split_first() {
        rest = match block {
            Block::Matrix(_) => body.matrices(rest),
            block => {
                body.write(block);
                after
            }
        };
    }
    body.out.raw("</main>\n</body>\n</html>\n");
    body.out.into_text()
}

/// What the browser holds the style against before it uses it.
///
/// Source: <https://www.w3.org/TR/CSP3/#grammardef-hash-source>
fn style_digest() -> String {
    hashing::digest(Algorithm::Sha256, STYLE.as_bytes()).base64()
}

struct Body {
    out: Markup,
    pictures: usize,
}

impl Body {
    fn write(&mut self, block: &Block) {
        match block {
            Block::Heading(level, text) => {
                self.out.element(["h1", "h2", "h3"][(*level).clamp(1, 3) - 1], text).raw("\n");
            }
            Block::Text(line) => {
                self.out.raw("<p>");
                self.inlines(line);
                self.out.raw("</p>\n");
            }
            Block::List(items) => {
                self.out.raw("<ul>\n");
                for item in items {
                    self.out.raw("<li>");
                    self.inlines(item);
                    self.out.raw("</li>\n");
                }
                self.out.raw("</ul>\n");
            }
            Block::Table(table) => self.table(table),
            Block::Code(code) => self.code(code),
            Block::Matrix(grid) => self.matrix(grid),
            Block::Closing(text) => {
                self.out.raw("<footer>").element("p", text).raw("</footer>\n");
            }
        }
    }

    fn inlines(&mut self, line: &[Inline]) {
        for inline in line {
            match inline {
                Inline::Plain(text) => self.out.text(text),
                Inline::Code(text) => self.out.element("code", text),
                Inline::Standing(standing, text) => self
                    .out
                    .raw("<span class=\"")
                    .raw(class(*standing))
                    .raw("\"><span aria-hidden=\"true\">")
                    .raw(standing.sign())
                    .raw("</span> ")
                    .text(text)
                    .raw("</span>"),
            };
        }
    }

    /// A table whose rows become cards on a phone; the roles keep it a table for those who listen to it.
    fn table(&mut self, table: &Table) {
        self.out.raw("<table class=\"cards\" role=\"table\">\n").element("caption", &table.caption);
        self.out.raw("\n<thead role=\"rowgroup\"><tr role=\"row\">");
        for head in table.head {
            self.out.raw("<th role=\"columnheader\" scope=\"col\">").raw(head).raw("</th>");
        }
        self.out.raw("</tr></thead>\n<tbody role=\"rowgroup\">\n");
        for row in &table.rows {
            self.out.raw("<tr role=\"row\">");
            for (head, cell) in table.head.iter().zip(row) {
                self.out.raw("<td role=\"cell\" data-label=\"").raw(head).raw("\">");
                self.inlines(cell);
                self.out.raw("</td>");
            }
            self.out.raw("</tr>\n");
        }
        self.out.raw("</tbody>\n</table>\n");
    }

    fn code(&mut self, code: &Code) {
        self.out.raw("<pre tabindex=\"0\" role=\"region\" aria-label=\"").text(&code.label).raw("\"><code>");
        self.out.lines(code.text.trim_end_matches('\n')).raw("</code></pre>\n");
    }

    /// The grids that follow one another, side by side where there is room; returns what comes after them.
    fn matrices<'page>(&mut self, blocks: &'page [Block]) -> &'page [Block] {
        let count = blocks.iter().take_while(|block| matches!(block, Block::Matrix(_))).count();
        let (grids, after) = blocks.split_at(count);
        self.out.raw("<div class=\"matrices\">\n");
        grids.iter().for_each(|grid| self.write(grid));
        self.out.raw("</div>\n");
        after
    }

    fn matrix(&mut self, grid: &Grid) {
        self.pictures += 1;
        self.out.raw("<figure>\n<figcaption>").text(&grid.title).raw("</figcaption>\n");
        picture::draw(&mut self.out, grid, self.pictures);
        self.out.raw("<details><summary>The same in words</summary>\n<table>\n<caption>Access of ").text(&grid.title);
        self.out.raw("</caption>\n<thead><tr><th scope=\"col\">folder</th>");
        for (word, _) in COLUMNS {
            self.out.raw("<th scope=\"col\">").raw(word).raw("</th>");
        }
        self.out.raw("</tr></thead>\n<tbody>\n");
        for row in &grid.rows {
            self.out.raw("<tr><th scope=\"row\">").text(&row.label).raw("</th>");
            for mark in row.marks {
                self.out.element("td", mark.map_or("", Mark::words));
            }
            self.out.raw("</tr>\n");
        }
        self.out.raw("</tbody>\n</table>\n</details>\n</figure>\n");
    }
}

const fn class(standing: Standing) -> &'static str {
    match standing {
        Standing::Good => "good",
        Standing::Bad => "bad",
        Standing::Odd => "odd",
        Standing::Open | Standing::Apart => "open",
    }
}
