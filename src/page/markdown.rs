//! A report as GitHub's Markdown, in which no name can be more than a name.

use super::blocks::{Block, Code, Inline, Table, visible};
use super::grid::{COLUMNS, Grid};

/// How every page begins: `sign` stands where readers of the page do not see it.
pub(super) fn start(sign: &str) -> String {
    format!("<!-- {sign} -->\n")
}

/// The page.
pub(super) fn page(sign: &str, blocks: &[Block]) -> String {
    let mut out = start(sign);
    for block in blocks {
        out.push('\n');
        write(&mut out, block);
    }
    out
}

fn write(out: &mut String, block: &Block) {
    match block {
        Block::Heading(level, text) => out.extend(["#".repeat(*level).as_str(), " ", &escaped(text), "\n"]),
        Block::Text(line) => out.extend([&inlines(line), "\n"]),
        Block::List(items) => items.iter().for_each(|item| out.extend(["- ", &inlines(item), "\n"])),
        Block::Table(table) => self::table(out, table),
        Block::Code(code) => fenced(out, code),
        Block::Matrix(grid) => matrix(out, grid),
        Block::Closing(text) => out.extend(["---\n\n*", &escaped(text), "*\n"]),
    }
}

fn table(out: &mut String, table: &Table) {
    row(out, table.head.iter().map(|head| escaped(head)));
    row(out, table.head.iter().map(|_| "---".to_owned()));
    for cells in &table.rows {
        row(out, cells.iter().map(|cell| inlines(cell)));
    }
}

fn matrix(out: &mut String, grid: &Grid) {
    out.extend([escaped(&grid.title).as_str(), ":\n\n"]);
    row(out, std::iter::once("folder".to_owned()).chain(COLUMNS.iter().map(|(word, _)| (*word).to_owned())));
    row(out, std::iter::repeat_n("---".to_owned(), 1 + COLUMNS.len()));
    for line in &grid.rows {
        let marks = line.marks.iter().map(|mark| mark.map_or_else(String::new, |mark| escaped(mark.sign())));
        row(out, std::iter::once(code(&line.label)).chain(marks));
    }
}

fn row(out: &mut String, cells: impl Iterator<Item = String>) {
    out.push('|');
    for cell in cells {
        out.extend([" ", if cell.is_empty() { " " } else { &cell }, " |"]);
    }
    out.push('\n');
}

/// A fence longer than any in the text.
fn fenced(out: &mut String, code: &Code) {
    let text = visible(&code.text, true);
    let mut longest = 2;
    let mut run = 0;
    for letter in text.chars() {
        run = if letter == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    out.extend([fence.as_str(), code.language, "\n", text.trim_end_matches('\n'), "\n", &fence, "\n"]);
}

fn inlines(line: &[Inline]) -> String {
    let one = |inline: &Inline| match inline {
        Inline::Plain(text) => escaped(text),
        Inline::Code(text) => code(text),
        Inline::Standing(standing, text) => format!("{} {}", standing.sign(), escaped(text)),
    };
    line.iter().map(one).collect()
}

/// A name letter by letter, unless it holds what would end that; then its letters are escaped one by one.
fn code(text: &str) -> String {
    let text = visible(text, false);
    let plain = !text.is_empty() && !text.contains(['`', '|', '\\']) && text.trim() == text;
    if plain { format!("`{text}`") } else { escaped(&text) }
}

/// Words whose letters mean nothing to Markdown.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in visible(text, false).chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '!' | '~' | '$' => out.extend(['\\', letter]),
            letter => out.push(letter),
        }
    }
    unlinked(&out).replace("www.", "www&#46;")
}

/// Names that look like addresses of the web must not become links, however they are spelled.
fn unlinked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        let scheme = before.to_ascii_lowercase();
        let is_address = ["http", "https", "ftp"].iter().any(|known| scheme.ends_with(known));
        out.extend([before, if is_address { ":&#47;&#47;" } else { "://" }]);
        rest = after;
    }
    out + rest
}
