//! The access matrix as a picture: one strip of cells a folder, narrow enough for a phone.
//!
//! Every mark has a sign and a shape of its own, so that nothing rests on colour, and the table beside the picture says
//! the same in words.

use super::grid::{COLUMNS, Grid, Mark};
use super::markup::Markup;

/// Units of the picture: one is a pixel unless it is scaled.
const WIDTH: usize = 336;
const CELL: usize = 56;
const BOX_WIDTH: usize = 48;
const BOX_HEIGHT: usize = 22;
const HEAD: usize = 22;
const ROW: usize = 46;
/// The most letters of a folder's name.
const MOST_LETTERS: usize = 44;

/// Draws one grid. `id` tells the pictures of a page apart.
pub(super) fn draw(out: &mut Markup, grid: &Grid, id: usize) {
    let height = HEAD + ROW * grid.rows.len() + 4;
    out.raw("<svg class=\"matrix\" role=\"img\" viewBox=\"0 0 ").number(WIDTH).raw(" ").number(height);
    out.raw("\" width=\"").number(WIDTH).raw("\" height=\"").number(height);
    out.raw("\" aria-labelledby=\"matrix-").number(id).raw("\"><title id=\"matrix-").number(id).raw("\">Access of ");
    out.text(&grid.title).raw("</title>");
    for (column, (_, word)) in COLUMNS.iter().enumerate() {
        out.raw("<text class=\"col\" x=\"")
            .number(column * CELL + CELL / 2)
            .raw("\" y=\"14\">")
            .text(word)
            .raw("</text>");
    }
    for (place, row) in grid.rows.iter().enumerate() {
        let top = HEAD + ROW * place;
        out.raw("<text class=\"row\" x=\"4\" y=\"")
            .number(top + 13)
            .raw("\">")
            .text(&shortened(&row.label))
            .raw("</text>");
        for (column, mark) in row.marks.iter().enumerate() {
            if let Some(mark) = mark {
                cell(out, *mark, column * CELL + (CELL - BOX_WIDTH) / 2, top + 19);
            }
        }
    }
    out.raw("</svg>\n");
}

fn cell(out: &mut Markup, mark: Mark, left: usize, top: usize) {
    out.raw("<g class=\"").raw(mark.class()).raw("\"><rect x=\"").number(left).raw("\" y=\"").number(top);
    out.raw("\" width=\"").number(BOX_WIDTH).raw("\" height=\"").number(BOX_HEIGHT);
    // What is open has round corners, what is shut has square ones.
    out.raw("\" rx=\"").number(if matches!(mark, Mark::Allowed | Mark::Opened) { 11 } else { 2 });
    out.raw("\"/><text x=\"").number(left + BOX_WIDTH / 2).raw("\" y=\"").number(top + 16).raw("\">");
    out.text(mark.sign()).raw("</text></g>");
}

/// A long name without its middle, which says least.
fn shortened(label: &str) -> String {
    let letters: Vec<char> = label.chars().collect();
    if letters.len() <= MOST_LETTERS {
        return label.to_owned();
    }
    let (start, end) = (MOST_LETTERS / 3, MOST_LETTERS - MOST_LETTERS / 3 - 1);
    let tail: String = letters[letters.len() - end..].iter().collect();
    format!("{}…{tail}", letters[..start].iter().collect::<String>())
}
