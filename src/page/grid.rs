//! The access matrix of one principal in one bucket: folders down, operations across.

use crate::policy::matrix::Operation;
use crate::report::{Access, Cell};

/// The operations, in the order of output, with the short words of a picture.
pub(super) const COLUMNS: [(&str, &str); 6] = [
    ("list", "list"),
    ("get", "get"),
    ("put", "put"),
    ("multipart", "parts"),
    ("delete", "delete"),
    ("head-bucket", "head"),
];

/// What is known of one principal in one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grid {
    /// Who, and in which bucket: `FlyteMLS3Access in s3://bucket`.
    pub(super) title: String,
    pub(super) rows: Vec<Row>,
}

/// One folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// The folder below the bucket; `/` for its root.
    pub(super) label: String,
    /// One for each of [`COLUMNS`]; none where nothing was asked.
    pub(super) marks: [Option<Mark>; 6],
}

/// How one cell stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Allowed, as it should be.
    Allowed,
    /// Refused, as it should be.
    Refused,
    /// Allowed, and should be refused.
    Opened,
    /// Refused, and should be allowed.
    Closed,
    /// It failed, or could not be tried.
    Unknown,
}

impl Mark {
    /// Every mark, for the legend.
    pub(super) const ALL: [Self; 5] = [Self::Allowed, Self::Refused, Self::Opened, Self::Closed, Self::Unknown];

    pub(super) fn of(cell: &Cell) -> Self {
        match (cell.expected, cell.observed) {
            (Access::Allow, Access::Allow) => Self::Allowed,
            (Access::Deny, Access::Deny) => Self::Refused,
            (Access::Deny, Access::Allow) => Self::Opened,
            (Access::Allow, Access::Deny) => Self::Closed,
            _ => Self::Unknown,
        }
    }

    /// True if the cell is not as the grants say.
    pub(super) const fn is_wrong(self) -> bool {
        matches!(self, Self::Opened | Self::Closed)
    }

    /// The graver of two.
    const fn or_graver(self, other: Self) -> Self {
        match (self, other) {
            (wrong, _) if wrong.is_wrong() => wrong,
            (_, wrong) if wrong.is_wrong() => wrong,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (first, _) => first,
        }
    }

    /// A sign that no other mark has.
    pub(super) const fn sign(self) -> &'static str {
        match self {
            Self::Allowed => "✓",
            Self::Refused => "–",
            Self::Opened => "!+",
            Self::Closed => "!–",
            Self::Unknown => "?",
        }
    }

    /// What it means.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
            Self::Opened => "allowed, should be refused",
            Self::Closed => "refused, should be allowed",
            Self::Unknown => "not known",
        }
    }

    /// The name of its look.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Allowed => "m-allowed",
            Self::Refused => "m-refused",
            Self::Opened | Self::Closed => "m-wrong",
            Self::Unknown => "m-unknown",
        }
    }
}

/// The grids of some cells, in the order in which principals, buckets and folders come. Of two cells in one place the graver
/// is shown, so that none hides the other.
pub(super) fn grids(cells: &[Cell]) -> Vec<Grid> {
    debug_assert!(COLUMNS.iter().all(|(word, _)| Operation::parse(word).is_some()));
    let mut grids: Vec<Grid> = Vec::new();
    for cell in cells {
        let path = cell.target.strip_prefix("s3://").unwrap_or(&cell.target);
        let (bucket, folder) = path.split_once('/').unwrap_or((path, ""));
        let title = format!("{} in s3://{bucket}", cell.principal);
        let label = if folder.is_empty() { "/".to_owned() } else { folder.to_owned() };
        let grid = match grids.iter().rposition(|grid| grid.title == title) {
            Some(place) => &mut grids[place],
            None => {
                grids.push(Grid { title, rows: Vec::new() });
                let last = grids.len() - 1;
                &mut grids[last]
            }
        };
        // Cells of one row come together, and pages have thousands of rows.
        let row = match grid.rows.iter().rposition(|row| row.label == label) {
            Some(place) => &mut grid.rows[place],
            None => {
                grid.rows.push(Row { label, marks: [None; 6] });
                let last = grid.rows.len() - 1;
                &mut grid.rows[last]
            }
        };
        if let Some(column) = COLUMNS.iter().position(|(word, _)| *word == cell.operation) {
            let mark = Mark::of(cell);
            row.marks[column] = Some(row.marks[column].map_or(mark, |known| known.or_graver(mark)));
        }
    }
    grids
}
