//! Policies as IAM and S3 understand them: documents read once, and later every decision made from them, with reasons.
//!
//! Nothing here talks to anybody. What AWS documents stands in the code with its source; where AWS is silent, nothing is
//! promised.
#![expect(dead_code, reason = "matching is used by the evaluator, which lands next")]

mod arn_pattern;
mod caller;
mod condition;
mod context;
mod document;
pub mod entitlement;
pub mod generate;
mod json;
mod mistake;
mod operators;
mod parse;
mod path;
mod pattern;
mod principal;
mod values;
mod variables;

pub use arn_pattern::ArnPattern;
pub use caller::{Caller, CallerError};
pub use condition::{ConditionBlock, ConditionKey, ConditionValue, ValueKind};
pub use context::{Context, Value};
pub use document::{ActionPattern, CURRENT_VERSION, Document, Effect, Flaw, OneOrMany, Statement};
pub use json::Json;
pub use mistake::{DocumentMistake, Fault};
pub use operators::{Operator, Order, Quantifier, Test};
pub use parse::MAX_DOCUMENT_BYTES;
pub use path::DocumentPath;
pub use pattern::Pattern;
pub use principal::{Named, PrincipalEntry, PrincipalGroup, Principals, Reach};
pub use variables::{Variable, VariableFault};
