//! Where access is tried, and what is expected there: every folder of every grant, what lies around it, and a bucket of
//! the layout that nobody granted.

use super::PROBE_FOLDER;
use crate::layout::{Assertion, Bucket, Layout, Purpose};
use crate::model::{BucketName, ObjectKey, Prefix};
use crate::policy::assertions;
use crate::policy::held::Held;
use crate::policy::matrix::{Answer as Decided, Operation, Question};
use std::collections::BTreeMap;

/// One place in a bucket with all that is expected there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// The bucket.
    pub bucket: BucketName,
    /// The place in it.
    pub ground: Ground,
    /// What is expected of each operation, in the order of output.
    pub expected: Vec<Expected>,
}

/// A kind of place; in the order of output.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ground {
    /// A folder, or the root: everything is tried in it, by keys that the run makes.
    Folder(Prefix),
    /// Names that begin so, or a listing without any prefix: it is listed and nothing else.
    Names(Option<String>),
    /// One object by its key, which is somebody's: nothing is tried there.
    Object(String),
}

/// What is expected of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// What is tried.
    pub operation: Operation,
    /// Whether it ought to work.
    pub allowed: bool,
    /// The statement of the grants' policies, or the assertion, that says so.
    pub because: String,
}

impl Spot {
    /// The place as output shows it.
    pub fn target(&self) -> String {
        match &self.ground {
            Ground::Folder(prefix) => format!("s3://{}/{prefix}", self.bucket),
            Ground::Names(Some(text)) | Ground::Object(text) => format!("s3://{}/{text}", self.bucket),
            Ground::Names(None) => format!("s3://{}", self.bucket),
        }
    }

    /// True if this is tried here.
    pub fn wants(&self, operation: Operation) -> bool {
        self.expected.iter().any(|expected| expected.operation == operation)
    }

    /// A key of the run's own in the folder; none where nothing is written, or where it would be too long.
    pub fn key(&self, name: &str) -> Option<ObjectKey> {
        let Ground::Folder(prefix) = &self.ground else { return None };
        let folder: Prefix = format!("{prefix}{PROBE_FOLDER}").parse().ok()?;
        folder.key(name).ok()
    }
}

/// What is known so far of a bucket's places.
type Known = BTreeMap<Ground, BTreeMap<usize, Expected>>;

/// Every place where `held` is tried: granted buckets in their order, then one that is not granted.
pub fn spots(layout: &Layout, held: &Held) -> Vec<Spot> {
    let mut buckets = held.buckets();
    let granted = buckets.len();
    buckets.extend(stranger(layout, &buckets));
    let asserted = asserted_of(layout, held);
    // A bucket that only assertions speak of.
    for assertion in &asserted {
        let bucket = bucket_of(layout, assertion).map(|bucket| &bucket.name);
        buckets.extend(bucket.filter(|bucket| !buckets.contains(bucket)));
    }
    let mut spots = Vec::new();
    for (index, bucket) in buckets.into_iter().enumerate() {
        let mut known = Known::new();
        let folders = if index < granted { held.folders_of(bucket) } else { [Prefix::root()].into() };
        for folder in folders {
            for operation in Operation::ALL {
                if operation == Operation::HeadBucket && !folder.is_root() {
                    continue;
                }
                let answer = held.expects_in(operation, bucket, &folder);
                note(&mut known, Ground::Folder(folder.clone()), operation, answer);
            }
        }
        for assertion in asserted.iter().filter(|one| bucket_of(layout, one).is_some_and(|own| own.name == *bucket)) {
            add(&mut known, layout, held, assertion);
        }
        spots.extend(known.into_iter().map(|(ground, expected)| Spot {
            bucket: bucket.clone(),
            ground,
            expected: expected.into_values().collect(),
        }));
    }
    spots
}

fn note(known: &mut Known, ground: Ground, operation: Operation, answer: Decided) {
    let expected = Expected { operation, allowed: answer.allowed, because: answer.because };
    let place = Operation::ALL.iter().position(|one| *one == operation).unwrap_or_default();
    known.entry(ground).or_default().insert(place, expected);
}

/// A bucket of the layout that nobody granted: one that holds data rather than logs, if there is one.
fn stranger<'here>(layout: &'here Layout, granted: &[&BucketName]) -> Option<&'here BucketName> {
    let others = || layout.buckets.iter().filter(|bucket| !granted.contains(&&bucket.name));
    let declared = others().find(|bucket| bucket.purpose == Purpose::Declared);
    declared.or_else(|| others().next()).map(|bucket| &bucket.name)
}

/// The assertions about somebody. What is said of a policy holds for who has it and no other.
fn asserted_of<'here>(layout: &'here Layout, held: &Held) -> Vec<&'here Assertion> {
    let own_name = held.name.rsplit('/').next().unwrap_or_default();
    let is_about = |principal: &str| match held.grants.as_slice() {
        [only] if only.entitlement.name == principal => true,
        _ => principal.eq_ignore_ascii_case(own_name),
    };
    layout.asserts.iter().filter(|assertion| is_about(&assertion.principal)).collect()
}

fn split(target: &str) -> (&str, Option<&str>) {
    target.split_once('/').map_or((target, None), |(bucket, rest)| (bucket, Some(rest)))
}

fn bucket_of<'here>(layout: &'here Layout, assertion: &Assertion) -> Option<&'here Bucket> {
    let name = split(&assertion.target).0;
    layout.buckets.iter().find(|bucket| bucket.name.as_str() == name)
}

/// What an assertion expects, in the place of what the grants say there.
fn add(known: &mut Known, layout: &Layout, held: &Held, assertion: &Assertion) {
    let (Some(operation), Some(bucket)) = (Operation::parse(&assertion.operation), bucket_of(layout, assertion)) else {
        return;
    };
    for ground in grounds(bucket, operation, split(&assertion.target).1) {
        let policies = match &ground {
            Ground::Folder(folder) => held.expects_in(operation, &bucket.name, folder),
            Ground::Names(text) => held.expects(&Question::new(operation, &bucket.name, text.as_deref())),
            Ground::Object(key) => held.expects(&Question::new(operation, &bucket.name, Some(key))),
        };
        let because = format!("the layout asserts it; {}", policies.because);
        note(known, ground, operation, Decided { allowed: assertion.expect_allow, because });
    }
}

/// The places that stand for all that an assertion's target means.
fn grounds(bucket: &Bucket, operation: Operation, rest: Option<&str>) -> Vec<Ground> {
    let folder = |text: &str| text.parse::<Prefix>().ok().map(Ground::Folder);
    let listed = operation == Operation::List;
    match (operation, rest) {
        (Operation::HeadBucket, _) => vec![Ground::Folder(Prefix::root())],
        (Operation::List, None) => vec![Ground::Names(None)],
        (_, None) => Vec::new(),
        (_, Some(rest)) => match rest.strip_suffix('*') {
            None if listed => vec![folder(rest).unwrap_or_else(|| Ground::Names(Some(rest.to_owned())))],
            None => vec![Ground::Object(rest.to_owned())],
            Some(start) => {
                let ground = |text: &str| match folder(text) {
                    Some(ground) => ground,
                    None if listed => Ground::Names(Some(text.to_owned())),
                    None => Ground::Object(rest.to_owned()),
                };
                assertions::starts(bucket, start).map(ground).collect()
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Ground, Spot, spots};
    use crate::layout::{Layout, ParseOptions, parse};
    use crate::policy::held::Held;
    use crate::policy::matrix::Operation;
    use std::collections::BTreeMap;

    const LAYOUT: &str = r#"
version = 1
[[bucket]]
name = "lake"
template = "t"
projects = ["p"]
access_log = { bucket = "lake-logs" }
[[bucket]]
name = "other"
[[grant]]
policy = "Train"
access = "read-write"
on = ["lake/p"]
attach = [{ role = "trainer" }, { role = "reader" }]
[[grant]]
policy = "Read"
access = "read"
on = ["lake"]
attach = [{ role = "reader" }]
[[assert]]
principal = "Train"
operation = "delete"
target = "lake/p/data/*"
expect = "deny"
[[assert]]
principal = "trainer"
operation = "list"
target = "lake"
expect = "deny"
[[assert]]
principal = "trainer"
operation = "get"
target = "lake/p/data/exactly-this"
expect = "allow"
[template.t]
folders = [{ path = "data", access = "append" }, { path = "models" }]
"#;

    fn layout() -> Layout {
        let (set, env_vars) = (BTreeMap::new(), BTreeMap::new());
        let options = ParseOptions { file_stem: "l", environment: None, set: &set, env_vars: &env_vars };
        parse(LAYOUT.as_bytes(), &options).unwrap()
    }

    /// `s3://lake/p/data/ LGPm-`: a capital or `+` for what is expected to work, in the order of output.
    fn shown(spot: &Spot) -> String {
        let letter = |operation: Operation| match operation {
            Operation::List => 'l',
            Operation::Get => 'g',
            Operation::Put => 'p',
            Operation::Multipart => 'm',
            Operation::Delete => 'd',
            Operation::HeadBucket => 'h',
        };
        let cells = spot
            .expected
            .iter()
            .map(|one| if one.allowed { letter(one.operation).to_ascii_uppercase() } else { letter(one.operation) });
        format!("{} {}", spot.target(), cells.collect::<String>())
    }

    fn check(role: &str, wanted: &[&str]) {
        let layout = layout();
        let held = Held::of_role(&layout, role, role).unwrap().unwrap();
        let found: Vec<String> = spots(&layout, &held).iter().map(shown).collect();
        assert_eq!(found, wanted, "{role}");
    }

    #[test]
    fn granted_folders_their_neighbours_and_a_stranger() {
        check(
            "trainer",
            &[
                "s3://lake/ lgpmdh",
                "s3://lake/p-sibling/ lgpmd",
                "s3://lake/p/ LGpmd",
                "s3://lake/p/data/ LGPMd",
                "s3://lake/p/models/ LGPMD",
                "s3://lake l",
                "s3://lake/p/data/exactly-this G",
                "s3://other/ lgpmdh",
            ],
        );
    }

    #[test]
    fn grants_of_one_role_are_taken_together() {
        check(
            "Reader",
            &[
                "s3://lake/ LGpmdH",
                "s3://lake/p-sibling/ LGpmd",
                "s3://lake/p/ LGpmd",
                "s3://lake/p/data/ LGPMd",
                "s3://lake/p/models/ LGPMD",
                "s3://other/ lgpmdh",
            ],
        );
        assert!(Held::of_role(&layout(), "nobody", "nobody").unwrap().is_none());
    }

    #[test]
    fn keys_lie_in_a_folder_of_our_own() {
        let layout = layout();
        let held = Held::of_role(&layout, "trainer", "trainer").unwrap().unwrap();
        let key = |ground| Spot { bucket: "lake".parse().unwrap(), ground, expected: Vec::new() }.key("k");
        assert_eq!(key(Ground::Folder("p/".parse().unwrap())).unwrap().as_str(), "p/.bucketwright/k");
        assert_eq!(key(Ground::Names(None)), None);
        let because = spots(&layout, &held).into_iter().flat_map(|spot| spot.expected);
        assert!(because.filter(|one| !one.allowed).all(|one| !one.because.is_empty()));
    }
}
