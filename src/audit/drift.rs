//! Grants that are not in force as the layout says: what its planner would do about them.

use crate::access::AccountPlan;
use crate::plan::{AccountAction, AccountStep, Effect};
use crate::report::{Finding, Severity, Words};

/// What tells of a plan and not of the account: it would be said of the drift itself again.
const OF_THE_PLAN: [&str; 1] = ["change-impact"];

/// A finding for each step that is left to do, and what the planner itself found.
pub(super) fn judge(plan: &AccountPlan, findings: &mut Vec<Finding>) {
    let steps = plan.actions.iter().filter(|action| action.effect() != Effect::Skip);
    findings.extend(steps.map(drifted));
    let own = plan.findings.iter().filter(|finding| {
        // Suggestions such as an annotation to set stand whether it is set or not.
        finding.severity > Severity::Suggestion && !OF_THE_PLAN.contains(&finding.code)
    });
    findings.extend(own.cloned());
}

fn drifted(action: &AccountAction) -> Finding {
    let severity = match action.step {
        AccountStep::TagPolicy { .. } | AccountStep::TagRole { .. } => Severity::Warning,
        _ => Severity::Error,
    };
    let object = action.object();
    let message = format!("not as the layout says: `apply` would {} {object} ({})", verb(action), action.reason);
    let fix = "`bucketwright apply LAYOUT --only grants` makes it so; or write what is meant into the layout";
    let place = format!("{} {object}", action.kind());
    Finding::new("audit-drift", severity, action.target(), message).with_fix(fix).with_grounds(place, Vec::new())
}

fn verb(action: &AccountAction) -> &'static str {
    Words::of(action.kind()).plain
}
