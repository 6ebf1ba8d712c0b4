//! Policies as IAM and S3 understand them: documents read once, and every decision made from them, with its reasons.
//!
//! Nothing here talks to anybody. What AWS documents stands in the code with its source; where AWS is silent, nothing is
//! promised.

mod applies;
mod arn_pattern;
pub mod assertions;
pub mod backup;
mod caller;
pub mod cases;
mod catalog;
mod condition;
mod context;
mod decision;
pub mod diff;
mod document;
pub mod entitlement;
mod evaluate;
pub mod explain;
pub mod generate;
pub mod held;
mod json;
pub mod lint;
pub mod lockout;
pub mod matrix;
mod mistake;
pub mod operation;
mod operators;
mod parse;
mod path;
mod pattern;
mod principal;
mod public;
mod request;
mod session_policy;
pub mod sharing;
mod values;
mod variables;

pub use arn_pattern::ArnPattern;
pub use caller::{Caller, CallerError};
pub use condition::{ConditionBlock, ConditionKey, ConditionValue, ValueKind};
pub use context::{Context, Value};
pub use decision::{Because, Compared, Decision, Layer, Listed, Missed, Outcome, Verdict};
pub use document::{ActionPattern, CURRENT_VERSION, Document, Effect, Flaw, OneOrMany, Statement};
pub use evaluate::{Policies, Policy, evaluate, evaluate_with_trace};
pub use json::Json;
pub use mistake::{DocumentMistake, Fault};
pub use operators::{Operator, Order, Quantifier, Test};
pub use parse::MAX_DOCUMENT_BYTES;
pub use path::DocumentPath;
pub use pattern::Pattern;
pub use principal::{Named, PrincipalEntry, PrincipalGroup, Principals, Reach};
pub use request::{ActionError, Request};
pub use session_policy::{SessionPolicy, SessionPolicyError};
pub use variables::{Variable, VariableFault};
