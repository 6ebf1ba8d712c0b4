//! Makes a case that differs smaller, piece by piece, as long as it still differs without explanation.

use super::{Comparison, Simulator, compare};
use anyhow::Result;
use serde_json::Value;

/// No case has more pieces than this that can be left out one after the other.
const MOST_ROUNDS: usize = 60;

/// A case none of whose pieces can be left out.
pub(super) fn smallest(simulator: &Simulator<'_>, case: &Value) -> Result<Value> {
    let mut small = case.clone();
    for _ in 0..MOST_ROUNDS {
        let smaller: Vec<Value> = pieces(&small).iter().filter_map(|pointer| without(&small, pointer)).collect();
        let mut next = None;
        for (case, answer) in smaller.iter().zip(simulator.ask(&smaller)?) {
            if compare(case, &answer).is_ok_and(|compared| matches!(compared, Comparison::Unexplained { .. })) {
                next = Some(case.clone());
                break;
            }
        }
        match next {
            Some(case) => small = case,
            None => break,
        }
    }
    Ok(small)
}

/// JSON pointers to what may be left out, larger pieces first.
fn pieces(case: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for place in ["/policies", "/request/context"] {
        if let Some(value) = case.pointer(place) {
            below(place, value, &mut found);
        }
    }
    found.sort_by_key(|pointer| pointer.matches('/').count());
    found
}

fn below(place: &str, value: &Value, found: &mut Vec<String>) {
    let mut add = |name: &str, value: &Value| {
        let pointer = format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
        below(&pointer, value, found);
        found.push(pointer);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| add(name, value)),
        Value::Array(list) => list.iter().enumerate().for_each(|(index, value)| add(&index.to_string(), value)),
        _ => {}
    }
}

/// The case without one piece; none where an empty list or a broken document would be left.
fn without(case: &Value, pointer: &str) -> Option<Value> {
    let mut smaller = case.clone();
    let (parent, name) = pointer.rsplit_once('/')?;
    let name = name.replace("~1", "/").replace("~0", "~");
    match smaller.pointer_mut(parent)? {
        Value::Object(fields) => {
            let needed = [
                "identity",
                "Version",
                "Statement",
                "Effect",
                "Action",
                "NotAction",
                "Resource",
                "NotResource",
                "Principal",
                "NotPrincipal",
            ];
            let only = parent.contains("/Condition") && fields.len() == 1;
            if only || needed.contains(&name.as_str()) {
                return None;
            }
            fields.shift_remove(&name)?;
        }
        Value::Array(list) => {
            if list.len() == 1 && parent != "/policies/identity" {
                return None;
            }
            list.remove(name.parse().ok()?);
        }
        _ => return None,
    }
    Some(smaller)
}
