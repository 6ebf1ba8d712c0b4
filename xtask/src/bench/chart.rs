//! The results as a picture: one bar a program, as a share of the fastest peer's wall time. Pure: results in, SVG out.
//! Nothing is loaded from elsewhere; colours follow the reader's scheme, and every bar says its figure in words.

use super::page::figure;
use super::results::{Measured, Quantity, Role, Row};
use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 230.0;
const BAR: f64 = 16.0;
const GAP: f64 = 5.0;
/// Bars end here, however slow the program is; their text says how slow.
const MOST: f64 = 3.0;
/// Width of the fastest peer's bar.
const UNIT: f64 = 150.0;

const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #1f2328 } .title { font-weight: 600; font-size: 13px } \
.ours { fill: #0969da } .peer { fill: #afb8c1 } .reference { fill: none; stroke: #8c959f } \
.one { stroke: #8c959f; stroke-dasharray: 3 3 } .paper { fill: #ffffff } \
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .ours { fill: #4493f8 } .peer { fill: #484f58 } \
.reference { stroke: #7d8590 } .one { stroke: #7d8590 } .paper { fill: #0d1117 } }";

/// The picture; workloads without a peer are left out.
pub(super) fn chart(results: &[Measured]) -> String {
    let mut body = String::new();
    let mut top = 20.0;
    for measured in results {
        let Some(fastest) = measured.fastest_peer().map(|row| row.median(Quantity::Wall)) else { continue };
        let _ = writeln!(body, r#"<text class="title" x="10" y="{:.0}">{}</text>"#, top + 4.0, title(measured));
        top += 14.0;
        let first = top;
        for row in measured.rows.iter().filter(|row| !row.samples.is_empty()) {
            bar(&mut body, row, fastest, top);
            top += BAR + GAP;
        }
        let one = LEFT + UNIT;
        let _ = writeln!(body, r#"<line class="one" x1="{one}" x2="{one}" y1="{first:.0}" y2="{:.0}"/>"#, top - GAP);
        top += 22.0;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {top:.0}\" width=\"{WIDTH}\" height=\"{top:.0}\" \
         role=\"img\" aria-label=\"Wall time as a share of the fastest peer's; shorter is better\">\n\
         <style>{STYLE}</style>\n<rect class=\"paper\" width=\"{WIDTH}\" height=\"{top:.0}\"/>\n{body}</svg>\n"
    )
}

fn title(measured: &Measured) -> String {
    escape(&format!("{}: {}", measured.id, measured.title.replace('`', "")))
}

fn bar(body: &mut String, row: &Row, fastest: f64, top: f64) {
    let wall = row.median(Quantity::Wall);
    let share = wall / fastest;
    let width = (share.min(MOST) * UNIT).max(1.0);
    let class = match row.role {
        Role::Ours => "ours",
        Role::Peer => "peer",
        Role::Reference => "reference",
    };
    let (text_y, name) = (top + BAR - 4.0, escape(&row.name));
    let more = if share > MOST { " →" } else { "" };
    let label = format!("{} s, {}×{more}", figure(wall), figure(share));
    let _ = writeln!(body, r#"<text x="{:.0}" y="{text_y:.0}" text-anchor="end">{name}</text>"#, LEFT - 8.0);
    let _ = writeln!(body, r#"<rect class="{class}" x="{LEFT}" y="{top:.0}" width="{width:.1}" height="{BAR}"/>"#);
    let _ = writeln!(body, r#"<text x="{:.1}" y="{text_y:.0}">{label}</text>"#, LEFT + width + 6.0);
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::results::{Role, tests::measured};
    use super::chart;

    #[test]
    fn bars_are_shares_of_the_fastest_peer() {
        let rows: [(&str, Role, &[f64]); 4] = [
            ("bucketwright", Role::Ours, &[0.5]),
            ("fast", Role::Peer, &[1.0]),
            ("slow & <late>", Role::Peer, &[20.0]),
            ("cat", Role::Reference, &[0.25]),
        ];
        let svg = chart(&[measured(&rows)]);
        for part in [
            r#"<rect class="ours" x="230" y="34" width="75.0" height="16"/>"#,
            r#"<rect class="peer" x="230" y="55" width="150.0" height="16"/>"#,
            r#"<rect class="peer" x="230" y="76" width="450.0" height="16"/>"#,
            r#"<rect class="reference" x="230" y="97" width="37.5" height="16"/>"#,
            "0.50 s, 0.50×<",
            "20.0 s, 20.0× →<",
            "slow &amp; &lt;late&gt;",
            "prefers-color-scheme: dark",
        ] {
            assert!(svg.contains(part), "`{part}` is not in\n{svg}");
        }
        assert!(!svg.contains("href"), "nothing is loaded from elsewhere");
    }

    #[test]
    fn without_peers_there_is_nothing_to_compare() {
        assert!(!chart(&[measured(&[("bucketwright", Role::Ours, &[0.5])])]).contains("bucketwright"));
    }
}
