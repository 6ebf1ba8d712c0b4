//! Wildcards that reach further than the name before them: `lake*`, `lake/team-a*`.

use super::PolicyType;
use super::Report;
use super::codes::{BW_BUCKET_OVERMATCH, BW_PREFIX_OVERMATCH};
use super::s3_arn::{BucketPart, Entry, head, is_all_of_s3, is_open};
use super::scope::Scope;
use crate::policy::path::DocumentPath;

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    if !scope.grants() || scope.s3_actions().is_empty() {
        return;
    }
    let on_objects = scope.s3_actions().iter().any(|action| action.is_on_objects());
    for (path, arn) in scope.listed("Resource", scope.statement.resource.as_ref()) {
        if is_all_of_s3(arn) {
            if on_objects && scope.subject.kind != PolicyType::Bucket {
                every_bucket(scope, &path, report);
            }
        } else if let Some(part) = Entry::new(arn).bucket_part() {
            // A bucket policy is about its own bucket, whatever it names.
            if scope.subject.kind != PolicyType::Bucket {
                bucket(scope, part, &path, report);
            }
            if !scope.is_about_services() && overmatches(part.key.unwrap_or_default()) {
                prefix(part.key.unwrap_or_default(), &path, report);
            }
        }
    }
}

/// True if the statement asks whose bucket it is, which no wildcard can get around.
fn asks_for_owner(scope: &Scope<'_>) -> bool {
    const OWNER: [&str; 4] = ["aws:resourceaccount", "s3:resourceaccount", "aws:resourceorgid", "aws:resourceorgpaths"];
    scope.keys().iter().any(|at| {
        let positive = at.block.operator.is_some_and(|operator| !operator.when_missing());
        positive && OWNER.contains(&at.key.name.to_ascii_lowercase().as_str())
    })
}

fn every_bucket(scope: &Scope<'_>, path: &DocumentPath, report: &mut Report) {
    // Whoever may do everything has been told so already.
    let told = scope.s3_actions() == crate::policy::catalog::ActionSet::all() || limits_only(scope);
    if !told && !asks_for_owner(scope) {
        let message = "this means the objects of every bucket, other accounts' included";
        let fix = "name the bucket: `arn:aws:s3:::BUCKET/*`";
        report.add(BW_BUCKET_OVERMATCH, path, message, fix);
    }
}

const fn limits_only(scope: &Scope<'_>) -> bool {
    matches!(scope.subject.kind, PolicyType::Boundary)
}

fn bucket(scope: &Scope<'_>, part: BucketPart<'_>, path: &DocumentPath, report: &mut Report) {
    if part.bucket.contains(['*', '?']) && !asks_for_owner(scope) {
        let message = match head(part.bucket) {
            "" => format!("`{}` also means buckets of other accounts", part.bucket),
            start => {
                let example = format!("{start}{}", if start.ends_with('-') { "other" } else { "-other" });
                format!("`{}` also means `{example}`, and anybody can make a bucket of such a name", part.bucket)
            }
        };
        let fix = match part.key {
            Some(_) => "name the bucket and put a slash behind it, or add a condition on `aws:ResourceAccount`",
            None => "name the bucket, and its objects as `BUCKET/*`, or add a condition on `aws:ResourceAccount`",
        };
        report.add(BW_BUCKET_OVERMATCH, path, message, fix);
    }
}

/// True for `team-a*`: a name that goes on behind its end. A key that ends in the middle of a name, such as `part-*`,
/// is meant to.
pub(super) fn overmatches(pattern: &str) -> bool {
    let Some(start) = pattern.strip_suffix('*') else { return false };
    let last = start.rsplit('/').next().unwrap_or_default();
    !start.ends_with('*') && last.ends_with(|letter: char| letter.is_alphanumeric() || letter == '}')
}

/// Says so at `path`, for a key or prefix.
pub(super) fn prefix(pattern: &str, path: &DocumentPath, report: &mut Report) {
    let start = pattern.trim_end_matches('*');
    let neighbour = if is_open(start) { "names that go on behind it".to_owned() } else { format!("`{start}b/`") };
    let message = format!("`{pattern}` also means {neighbour}");
    report.add(BW_PREFIX_OVERMATCH, path, message, format!("write `{start}/*`"));
}

#[cfg(test)]
mod tests {
    use super::overmatches;

    #[test]
    fn names_that_go_on() {
        for (pattern, expected) in [
            ("team-a*", true),
            ("x/team-a*", true),
            ("home/${aws:username}*", true),
            ("team-a/*", false),
            ("*", false),
            ("part-*", false),
            ("*.csv", false),
            ("team-a/*/x", false),
            ("dt=*", false),
            ("", false),
        ] {
            assert_eq!(overmatches(pattern), expected, "{pattern}");
        }
    }
}
