//! What `policy prune` deletes: policies that nobody has, or versions that are not in force. A plan, made from what was
//! seen; whatever is in doubt stays.

use super::since;
use crate::model::{Arn, Attachments, ManagedPolicy, PolicyName, Seen, TagKey, VersionId};
use crate::report::{Finding, Severity, attachment_names};
use jiff::{SignedDuration, Timestamp};

/// What is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Whole policies that nobody has.
    Policies,
    /// Versions that are not in force, so that so many stay.
    Versions {
        /// How many versions of each policy stay, the one in force among them.
        keep: usize,
    },
}

/// What may go.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// What is to go.
    pub wish: Wish,
    /// Only what was last changed longer ago.
    pub older_than: Option<SignedDuration>,
    /// Whether the policies were named one by one; else what does not qualify is passed over without a word.
    pub is_named: bool,
    /// Whether a named policy may go that carries no owner tag.
    pub foreign: bool,
    /// The present.
    pub now: Timestamp,
}

/// One policy, and who has it.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The policy.
    pub policy: ManagedPolicy,
    /// Who has it.
    pub attachments: Seen<Attachments>,
    /// True if a layout still names it, and would make it again.
    pub is_wanted: bool,
}

/// One deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PruneStep {
    /// Of a version that is not in force.
    DeleteVersion {
        /// The policy.
        policy: Arn,
        /// The version.
        version: VersionId,
    },
    /// Of a policy whose only version is the one in force.
    DeletePolicy {
        /// The policy.
        policy: Arn,
    },
}

/// What is deleted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prune {
    /// The deletions in order, each with its reason: the versions of a policy before itself.
    pub steps: Vec<(PruneStep, String)>,
    /// What stays though it was meant. A finding of severity `error` refuses the whole plan.
    pub findings: Vec<Finding>,
    /// Policies that were looked at and stay.
    pub kept: u64,
}

impl PruneStep {
    /// The action's kind in output.
    pub const fn action(&self) -> &'static str {
        match self {
            Self::DeleteVersion { .. } => "delete-policy-version",
            Self::DeletePolicy { .. } => "delete-policy",
        }
    }

    /// What it deletes.
    pub fn target(&self) -> String {
        match self {
            Self::DeleteVersion { policy, version } => format!("{policy}@{version}"),
            Self::DeletePolicy { policy } => policy.to_string(),
        }
    }

    /// The policy that it is about.
    pub const fn policy(&self) -> &Arn {
        match self {
            Self::DeleteVersion { policy, .. } | Self::DeletePolicy { policy } => policy,
        }
    }
}

/// Plans the deletions, policy by policy.
pub fn plan(candidates: &[Candidate], rules: Rules) -> Prune {
    let mut prune = Prune::default();
    for candidate in candidates {
        let before = prune.steps.len();
        match rules.wish {
            Wish::Policies => prune.whole(candidate, rules),
            Wish::Versions { keep } => prune.versions(candidate, keep, rules),
        }
        prune.kept += u64::from(prune.steps.len() == before);
    }
    prune
}

impl Prune {
    /// Why a policy is not this tool's to delete; none if it is.
    fn refuses(&mut self, candidate: &Candidate, rules: Rules) -> bool {
        let name = &candidate.policy.name;
        if candidate.policy.tags.contains_key(&TagKey::owner()) || rules.is_named && rules.foreign {
            return false;
        }
        if rules.is_named {
            let message = format!("policy `{name}` carries no owner tag of this tool");
            let fix = "pass `--foreign` if it is yours to delete";
            self.error("not-ours", candidate, message, fix);
        }
        true
    }

    fn whole(&mut self, candidate: &Candidate, rules: Rules) {
        let policy = &candidate.policy;
        if self.refuses(candidate, rules) || self.is_in_use(candidate, rules) {
            return;
        }
        let Some(age) = self.age(candidate, policy.updated.max(policy.created), rules) else { return };
        let older = policy.versions.iter().map(|version| version.id).filter(|id| *id != policy.default_version);
        for version in older {
            let step = PruneStep::DeleteVersion { policy: policy.arn.clone(), version };
            self.steps.push((step, "goes before its policy".to_owned()));
        }
        let reason = format!("attached to nobody and nobody's boundary{age}");
        self.steps.push((PruneStep::DeletePolicy { policy: policy.arn.clone() }, reason));
    }

    /// True for a policy that somebody has, or may have.
    fn is_in_use(&mut self, candidate: &Candidate, rules: Rules) -> bool {
        let name = &candidate.policy.name;
        match &candidate.attachments {
            Seen::Here(found) => {
                let holders = attachment_names(found);
                if !holders.is_empty() && rules.is_named {
                    let message = format!("policy `{name}` is in use: {}", holders.join(", "));
                    let fix = format!("`bucketwright policy detach {name} --role ROLE` first; or `--keep-versions N`");
                    self.error("in-use", candidate, message, &fix);
                }
                if holders.is_empty() && candidate.is_wanted {
                    if rules.is_named {
                        let message = format!("policy `{name}` is named by the layout, which would make it again");
                        self.error("in-layout", candidate, message, "take the grant out of the layout first");
                    }
                    return true;
                }
                !holders.is_empty()
            }
            // Gone since it was listed.
            Seen::Absent => true,
            Seen::Hidden(why) => {
                let message = format!("to whom policy `{name}` is attached may not be read, so it stays: {why}");
                let finding = Finding::new(super::HIDDEN, Severity::Warning, &candidate.policy.arn, message);
                self.findings.push(finding.with_fix("use a profile with iam:ListEntitiesForPolicy"));
                true
            }
        }
    }

    fn versions(&mut self, candidate: &Candidate, keep: usize, rules: Rules) {
        let policy = &candidate.policy;
        if self.refuses(candidate, rules) {
            return;
        }
        let mut others: Vec<_> = policy.versions.iter().filter(|one| one.id != policy.default_version).collect();
        others.sort_by_key(|version| std::cmp::Reverse(version.id));
        for version in others.iter().skip(keep.saturating_sub(1)) {
            let Some(age) = self.age(candidate, version.created, rules) else { continue };
            let step = PruneStep::DeleteVersion { policy: policy.arn.clone(), version: version.id };
            self.steps.push((step, format!("{} is in force{age}", policy.default_version)));
        }
    }

    /// The age in words; none for what is too young, or of an age that nobody knows.
    fn age(&mut self, candidate: &Candidate, changed: Option<Timestamp>, rules: Rules) -> Option<String> {
        let words = changed.map(|at| format!(", last changed {}", since(at, rules.now)));
        let Some(limit) = rules.older_than else { return Some(words.unwrap_or_default()) };
        match changed {
            Some(at) if rules.now.duration_since(at) >= limit => words,
            Some(_) => None,
            None => {
                let message = format!("nobody knows how old policy `{}` is, so it stays", candidate.policy.name);
                let finding = Finding::new("age-unknown", Severity::Suggestion, &candidate.policy.arn, message);
                let fix = "leave `--older-than` out to have it go whatever its age";
                if !self.findings.iter().any(|known| known.target == finding.target && known.code == finding.code) {
                    self.findings.push(finding.with_fix(fix));
                }
                None
            }
        }
    }

    fn error(&mut self, code: &'static str, candidate: &Candidate, message: String, fix: &str) {
        self.findings.push(Finding::new(code, Severity::Error, &candidate.policy.arn, message).with_fix(fix));
    }
}

/// The name in the ARN that a step is about, for people.
pub fn name_of(step: &PruneStep) -> String {
    PolicyName::of_arn(step.policy()).map_or_else(|| step.policy().to_string(), |name| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::{Candidate, Prune, Rules, Wish, plan};
    use crate::model::{
        Attachments, ManagedPolicy, PolicyJson, PolicyVersion, Seen, TagKey, TagValue, Tags, VersionId,
    };
    use jiff::SignedDuration;

    const DAY: i64 = 24;

    /// A policy of the layout `ml` with versions 1 to 4, the third in force, made on four days in a row.
    fn candidate() -> Candidate {
        let created = |day: u32| format!("2026-10-0{day}T00:00:00Z").parse().ok();
        let version = |number| PolicyVersion {
            id: VersionId(number),
            created: created(number),
            document: PolicyJson("{}".to_owned()),
        };
        let policy = ManagedPolicy {
            arn: "arn:aws:iam::111122223333:policy/Old".parse().unwrap(),
            name: "Old".parse().unwrap(),
            id: None,
            description: None,
            default_version: VersionId(3),
            versions: [4, 3, 2, 1].map(version).to_vec(),
            attachments: 0,
            boundary_uses: 0,
            tags: Tags::from([(TagKey::owner(), TagValue::observed("ml"))]),
            created: created(1),
            updated: created(4),
        };
        Candidate { policy, attachments: Seen::Here(Attachments::default()), is_wanted: false }
    }

    fn rules(wish: Wish) -> Rules {
        let now = "2026-11-23T00:00:00Z".parse().unwrap();
        Rules { wish, older_than: None, is_named: true, foreign: false, now }
    }

    fn steps(prune: &Prune) -> Vec<String> {
        prune
            .steps
            .iter()
            .map(|(step, _)| {
                format!("{} {}", step.action(), step.target().replace("arn:aws:iam::111122223333:policy/", ""))
            })
            .collect()
    }

    fn codes(prune: &Prune) -> Vec<&'static str> {
        prune.findings.iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn a_policy_goes_after_its_versions() {
        let prune = plan(&[candidate()], rules(Wish::Policies));
        let versions = ["4", "2", "1"].map(|number| format!("delete-policy-version Old@v{number}"));
        assert_eq!(steps(&prune), [&versions[..], &["delete-policy Old".to_owned()]].concat());
        assert!(prune.steps[3].1.ends_with("last changed 2026-10-04 (50 days ago)"), "{}", prune.steps[3].1);
        assert_eq!((codes(&prune), prune.kept), (vec![], 0));
    }

    #[test]
    fn what_is_used_wanted_foreign_or_unseen_stays() {
        let used = |change: &dyn Fn(&mut Attachments)| {
            let mut attachments = Attachments::default();
            change(&mut attachments);
            Candidate { attachments: Seen::Here(attachments), ..candidate() }
        };
        let mut foreign = candidate();
        foreign.policy.tags.clear();
        let check = |candidate: Candidate, named: &[&str], unnamed: &[&str]| {
            for (is_named, expected) in [(true, named), (false, unnamed)] {
                let prune = plan(std::slice::from_ref(&candidate), Rules { is_named, ..rules(Wish::Policies) });
                assert_eq!((steps(&prune), codes(&prune), prune.kept), (vec![], expected.to_vec(), 1));
            }
        };
        check(used(&|to| to.roles.push("r".parse().unwrap())), &["in-use"], &[]);
        check(used(&|to| to.groups.push("g".to_owned())), &["in-use"], &[]);
        check(used(&|to| to.boundary_of.push("r".to_owned())), &["in-use"], &[]);
        check(Candidate { is_wanted: true, ..candidate() }, &["in-layout"], &[]);
        check(Candidate { attachments: Seen::Absent, ..candidate() }, &[], &[]);
        let hidden = Candidate { attachments: Seen::Hidden("no".to_owned()), ..candidate() };
        check(hidden, &["account-hidden"], &["account-hidden"]);
        check(foreign.clone(), &["not-ours"], &[]);
        let by_hand = plan(std::slice::from_ref(&foreign), Rules { foreign: true, ..rules(Wish::Policies) });
        assert_eq!(by_hand.steps.len(), 4);
        let unnamed = plan(&[foreign], Rules { foreign: true, is_named: false, ..rules(Wish::Policies) });
        assert_eq!(steps(&unnamed), [""; 0], "only a name makes a foreign policy fair game");
    }

    #[test]
    fn versions_go_from_the_oldest_on() {
        let mut attached = candidate();
        attached.attachments = Seen::Here(Attachments { roles: vec!["r".parse().unwrap()], ..Attachments::default() });
        for (keep, expected) in [(1, &["v4", "v2", "v1"][..]), (2, &["v2", "v1"]), (3, &["v1"]), (4, &[])] {
            let prune = plan(std::slice::from_ref(&attached), rules(Wish::Versions { keep }));
            let expected: Vec<String> = expected.iter().map(|id| format!("delete-policy-version Old@{id}")).collect();
            assert_eq!(steps(&prune), expected, "keep {keep}");
        }
    }

    #[test]
    fn what_is_young_or_of_unknown_age_stays() {
        let old =
            |days: i64| Rules { older_than: Some(SignedDuration::from_hours(days * DAY)), ..rules(Wish::Policies) };
        assert_eq!(plan(&[candidate()], old(50)).steps.len(), 4);
        assert_eq!(plan(&[candidate()], old(51)).steps.len(), 0);
        let versions = Rules { wish: Wish::Versions { keep: 1 }, ..old(52) };
        assert_eq!(
            steps(&plan(&[candidate()], versions)),
            ["delete-policy-version Old@v2", "delete-policy-version Old@v1"]
        );
        let mut undated = candidate();
        (undated.policy.created, undated.policy.updated) = (None, None);
        let prune = plan(&[undated], old(1));
        assert_eq!((steps(&prune), codes(&prune)), (vec![], vec!["age-unknown"]));
    }
}
