//! AWS's own sentence: who is not authorized to perform what on what, and which kind of policy says so.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>

use super::{Denial, SaidBy};
use crate::policy::Layer;

/// What a sentence says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Sentence {
    pub(super) principal: Option<String>,
    pub(super) action: String,
    pub(super) resource: Option<String>,
    pub(super) said_by: Option<SaidBy>,
    pub(super) denial: Option<Denial>,
    pub(super) policy: Option<String>,
}

/// The words that every sentence has, behind `not`; they stand where the caller's name ends.
const MARK: [&str; 3] = ["authorized", "to", "perform"];
/// How far a resource in quotes may reach: a key has 1,024 bytes at most.
const MOST_RESOURCE_BYTES: usize = 1_200;
/// How far the reason may reach that follows.
const MOST_REASON_BYTES: usize = 600;

/// What AWS calls the kinds of policies in its sentences, the longer before those that they begin with.
const TYPES: &[(&str, SaidBy)] = &[
    ("identity-based polic", SaidBy::Layer(Layer::Identity)),
    ("resource-based polic", SaidBy::Layer(Layer::Resource)),
    ("permissions boundary", SaidBy::Layer(Layer::Boundary)),
    ("session polic", SaidBy::Layer(Layer::Session)),
    ("sessions polic", SaidBy::Layer(Layer::Session)),
    ("service control polic", SaidBy::Layer(Layer::Scp)),
    ("resource control polic", SaidBy::Layer(Layer::Rcp)),
    ("vpc endpoint polic", SaidBy::Layer(Layer::Endpoint)),
    ("role trust polic", SaidBy::Trust),
];

/// Every sentence in a text whose escapes are blanks already, with the offset at which each begins.
pub(super) fn sentences(text: &str) -> Vec<(usize, Sentence)> {
    let lower = text.to_ascii_lowercase();
    let marks = lower.match_indices(MARK[0]).filter_map(|(at, _)| mark(&lower, at));
    marks.filter_map(|(at, end)| Some((start_of(text, at), read(text, &lower, at, end)?))).collect()
}

/// Where the words of a sentence begin and end, the first of them at `at`. Logs of narrow windows break lines anywhere.
fn mark(lower: &str, at: usize) -> Option<(usize, usize)> {
    let start = lower[..at].trim_end().strip_suffix("not")?.len();
    let mut rest = lower[at..].strip_prefix(MARK[0])?;
    for word in &MARK[1..] {
        rest = rest.strip_prefix(char::is_whitespace)?.trim_start().strip_prefix(word)?;
    }
    Some((start, lower.len() - rest.len()))
}

/// Where the sentence begins whose mark is at `at`: at its `User:`, if that is near.
fn start_of(text: &str, at: usize) -> usize {
    user_before(text, at).unwrap_or(at)
}

/// The last `User:` before `at`, as far as a caller's name can reach. Nothing else of a long log is searched.
fn user_before(text: &str, at: usize) -> Option<usize> {
    let from = text.floor_char_boundary(at.saturating_sub(MOST_RESOURCE_BYTES));
    text[from..at].rfind("User:").map(|user| from + user)
}

fn read(text: &str, lower: &str, at: usize, end: usize) -> Option<Sentence> {
    let (action, mut here) = word(text, end)?;
    let action = action.trim_end_matches([',', '.', ';', ')', '<', '"', '\'']).to_owned();
    if !action.contains(':') {
        return None;
    }
    let mut sentence = Sentence { principal: principal(text, at), action, ..Sentence::default() };
    if let Some((resource, after)) = resource(text, lower, here) {
        sentence.resource = Some(resource);
        here = after;
    }
    let most = text.floor_char_boundary(here + MOST_REASON_BYTES);
    let end = text[here..most].find('<').map_or(most, |end| here + end);
    reason(&text[here..end], &mut sentence);
    Some(sentence)
}

/// The next word, behind blanks and one colon, with where it ends.
fn word(text: &str, from: usize) -> Option<(&str, usize)> {
    let rest = text.get(from..)?;
    let start =
        from + (rest.len() - rest.trim_start_matches(|letter: char| letter.is_whitespace() || letter == ':').len());
    let rest = &text[start..];
    let end = start + rest.find(|letter: char| letter.is_whitespace() || letter == '<').unwrap_or(rest.len());
    (end > start).then(|| (&text[start..end], end))
}

/// Who stands before `is not authorized`.
fn principal(text: &str, at: usize) -> Option<String> {
    let start = user_before(text, at)? + "User:".len();
    let name = text[start..at].split_whitespace().next()?.trim_matches(['"', '\'']);
    (!name.is_empty()).then(|| name.to_owned())
}

/// What follows `on resource:`, quoted or not, with where it ends. A quoted one may be broken over lines.
fn resource(text: &str, lower: &str, from: usize) -> Option<(String, usize)> {
    let rest = &lower[from..];
    let words =
        rest.trim_start().strip_prefix("on")?.trim_start().strip_prefix("resource")?.trim_start().strip_prefix(':')?;
    let blank = words.len() - words.trim_start().len();
    let start = from + (rest.len() - words.len()) + blank;
    if let Some(quoted) = text[start..].strip_prefix('"') {
        let end = quoted[..quoted.floor_char_boundary(MOST_RESOURCE_BYTES)].find('"')?;
        let joined: String = quoted[..end].split('\n').map(str::trim).collect();
        // A quote that is never closed would take in the next refusal.
        let within = &lower[start..start + 1 + end];
        let is_open = within.match_indices(MARK[0]).any(|(at, _)| mark(within, at).is_some());
        return (!is_open).then_some((joined, start + end + 2));
    }
    let (name, end) = word(text, start)?;
    Some((name.trim_end_matches([',', ';', '"']).to_owned(), end))
}

/// The kind of policy, and whether it denies or lacks an Allow.
fn reason(rest: &str, sentence: &mut Sentence) {
    let plain: String = rest.split_whitespace().collect::<Vec<_>>().join(" ");
    let lower = plain.to_ascii_lowercase();
    // Another refusal may follow on the next line of a log.
    let lower = lower.find("user: a").map_or(lower.as_str(), |next| &lower[..next]);
    let explicit = lower.find("with an explicit deny");
    let lacking = lower.find("because no ");
    let (denial, at) = match (explicit, lacking) {
        (Some(explicit), Some(lacking)) if lacking < explicit => (Denial::Implicit, lacking),
        (Some(explicit), _) => (Denial::Explicit, explicit),
        (None, Some(lacking)) => (Denial::Implicit, lacking),
        // What KMS says of keys that it will not even name.
        (None, None) if lower.contains("no resource-based policies allow access") => {
            sentence.denial = Some(Denial::Implicit);
            sentence.said_by = Some(SaidBy::Layer(Layer::Resource));
            return;
        }
        (None, None) => return,
    };
    let clause = &lower[at..];
    let nearest =
        TYPES.iter().filter_map(|(name, said_by)| Some((clause.find(name)?, *said_by))).min_by_key(|(at, _)| *at);
    sentence.denial = Some(denial);
    sentence.said_by = nearest.map(|(_, said_by)| said_by);
    if denial == Denial::Explicit {
        sentence.policy = plain[at..at + clause.len()]
            .split_whitespace()
            .find(|word| word.starts_with("arn:") && word.contains(":policy/"))
            .map(|arn| arn.trim_end_matches(['.', ',', ')', '"']).to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::{Sentence, sentences};
    use crate::doctor::message::{Denial, SaidBy};
    use crate::policy::Layer;

    fn only(text: &str) -> Sentence {
        let mut found = sentences(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        found.remove(0).1
    }

    #[test]
    fn every_kind_of_policy_is_told_apart() {
        let lead = "User: arn:aws:iam::111111111111:user/alice is not authorized to perform: s3:PutObject on resource: \
                    \"arn:aws:s3:::lake/a b.csv\"";
        for (tail, said_by, denial) in [
            ("because no identity-based policy allows the s3:PutObject action", Layer::Identity, Denial::Implicit),
            ("because no resource-based policy allows the s3:PutObject action", Layer::Resource, Denial::Implicit),
            ("because no permissions boundary allows the s3:PutObject action", Layer::Boundary, Denial::Implicit),
            ("because no session policy allows the s3:PutObject action", Layer::Session, Denial::Implicit),
            ("because no service control policy allows the s3:PutObject action", Layer::Scp, Denial::Implicit),
            ("because no resource control policy allows the s3:PutObject action", Layer::Rcp, Denial::Implicit),
            ("because no VPC endpoint policy allows the s3:PutObject action", Layer::Endpoint, Denial::Implicit),
            ("with an explicit deny in an identity-based policy", Layer::Identity, Denial::Explicit),
            ("with an explicit deny in a resource-based policy", Layer::Resource, Denial::Explicit),
            ("with an explicit deny in a permissions boundary", Layer::Boundary, Denial::Explicit),
            ("with an explicit deny in a sessions policy", Layer::Session, Denial::Explicit),
            ("with an explicit deny in the service control policy", Layer::Scp, Denial::Explicit),
            ("with an explicit deny in a resource control policy", Layer::Rcp, Denial::Explicit),
            (
                "with an explicit deny in a VPC endpoint policy transitively through a service control policy",
                Layer::Endpoint,
                Denial::Explicit,
            ),
        ] {
            let sentence = only(&format!("{lead} {tail}"));
            assert_eq!(sentence.said_by, Some(SaidBy::Layer(said_by)), "{tail}");
            assert_eq!(sentence.denial, Some(denial), "{tail}");
            assert_eq!(sentence.resource.as_deref(), Some("arn:aws:s3:::lake/a b.csv"));
            assert_eq!(sentence.action, "s3:PutObject");
            assert_eq!(sentence.principal.as_deref(), Some("arn:aws:iam::111111111111:user/alice"));
        }
    }

    #[test]
    fn parts_may_be_missing_or_broken_over_lines() {
        let bare = only("User: anonymous is not authorized to perform: s3:GetObject");
        assert_eq!((bare.principal.as_deref(), bare.resource, bare.denial), (Some("anonymous"), None, None));
        let broken = only(
            "User: arn:aws:sts::111111111111:assumed-role/trainer/run\n  is not authorized to perform: s3:PutObject\n  on \
             resource:\n  \"arn:aws:s3:::lake/team-a/\n   model.bin\"\n  with an explicit\n  deny in a resource-based policy",
        );
        assert_eq!(broken.resource.as_deref(), Some("arn:aws:s3:::lake/team-a/model.bin"));
        assert_eq!((broken.said_by, broken.denial), (Some(SaidBy::Layer(Layer::Resource)), Some(Denial::Explicit)));
        let narrow = only(
            "error: AccessDenied: User:\n  arn:aws:sts::111111111111:assumed-role/a/b is not\n  authorized to\n  perform: \
             s3:ListBucket on resource: \"arn:aws:s3:::lake\"\n  because no identity-based policy allows the action",
        );
        assert_eq!(narrow.principal.as_deref(), Some("arn:aws:sts::111111111111:assumed-role/a/b"));
        assert_eq!((narrow.action.as_str(), narrow.denial), ("s3:ListBucket", Some(Denial::Implicit)));
        assert!(sentences("a is not authorized topple; b is now authorized to perform: s3:GetObject").is_empty());
        let keyed = only("not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::lake/authorized/x\"");
        assert_eq!(keyed.resource.as_deref(), Some("arn:aws:s3:::lake/authorized/x"));
        let unnamed = only(
            "User: arn:aws:iam::111111111111:user/a is not authorized to perform: s3:GetObject with an explicit deny",
        );
        assert_eq!((unnamed.said_by, unnamed.denial), (None, Some(Denial::Explicit)));
        let web = only("Not authorized to perform sts:AssumeRoleWithWebIdentity");
        assert_eq!((web.principal, web.action.as_str()), (None, "sts:AssumeRoleWithWebIdentity"));
    }

    #[test]
    fn an_explicit_deny_may_name_its_policy() {
        let named = only(
            "User: arn:aws:iam::111111111111:user/a is not authorized to perform: s3:GetObject on resource: \
             \"arn:aws:s3:::lake/x\" with an explicit deny in an identity-based policy: \
             arn:aws:iam::111111111111:policy/guards/NoRaw",
        );
        assert_eq!(named.policy.as_deref(), Some("arn:aws:iam::111111111111:policy/guards/NoRaw"));
    }

    #[test]
    fn two_refusals_stay_apart() {
        let one = "User: arn:aws:iam::111111111111:user/a is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::lake/x\"";
        let found = sentences(&format!("{one}\n{one} with an explicit deny in a session policy"));
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].1.denial, found[1].1.denial), (None, Some(Denial::Explicit)));
    }
}
