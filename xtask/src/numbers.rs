//! `cargo xtask numbers`: the size of the code against its budget, measured the same way each time.

use crate::source::{self, Source};
use anyhow::Result;
use std::path::Path;

/// Prints one row for each part of the project, and what stands out.
pub(crate) fn run(root: &Path) -> Result<()> {
    let rust = source::rust(&source::files(root)?)?;
    println!(
        "| part | files | lines | tests | file med / p90 / max | fn | fn med / p90 / max | doc lines | own traits |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for part in ["src/", "tests/", "xtask/"] {
        let files: Vec<&Source> = rust.iter().filter(|file| file.path.starts_with(part)).collect();
        println!("{}", row(part, &files));
    }
    let src = rust.iter().filter(|file| file.path.starts_with("src/"));
    let functions = src.clone().flat_map(|file| file.functions().map(move |function| (file, function)));
    if let Some((file, function)) = functions.max_by_key(|(_, function)| function.length) {
        println!("\nLongest function: `{}` in {}, {} lines.", function.name, file.path, function.length);
    }
    if let Some(file) = src.max_by_key(|file| file.lines()) {
        println!("Longest file: {}, {} lines.", file.path, file.lines());
    }
    println!("Lines are without test modules; `tests` are theirs. A function's lines are those of code in its braces.");
    Ok(())
}

fn row(part: &str, files: &[&Source]) -> String {
    let lines: Vec<usize> = files.iter().filter(|file| !file.test).map(|file| file.lines()).collect();
    let functions: Vec<usize> =
        files.iter().flat_map(|file| file.functions()).map(|function| function.length).collect();
    let (docs, written) = files
        .iter()
        .map(|file| file.documentation())
        .fold((0, 0), |sum, (docs, written)| (sum.0 + docs, sum.1 + written));
    format!(
        "| `{}` | {} | {} | {} | {} | {} | {} | {} % | {} |",
        part.trim_end_matches('/'),
        lines.len(),
        lines.iter().sum::<usize>(),
        files.iter().map(|file| file.test_lines()).sum::<usize>(),
        spread(lines),
        functions.len(),
        spread(functions),
        docs * 100 / written.max(1),
        files.iter().map(|file| file.code.traits.len()).sum::<usize>(),
    )
}

/// Median, 90th percentile and maximum.
fn spread(mut values: Vec<usize>) -> String {
    values.sort_unstable();
    let at = |percent: usize| values.get(values.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default();
    format!("{} / {} / {}", at(50), at(90), at(100))
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn spread_is_median_p90_and_maximum() {
        assert_eq!(spread((1..=11).rev().collect()), "6 / 10 / 11");
        assert_eq!(spread(Vec::new()), "0 / 0 / 0");
    }
}
