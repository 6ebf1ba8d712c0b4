//! `doctor`: why a request was refused, at which layer, by which statement, and the smallest change that would help.
//!
//! A message is read, the request is decided once more over everything that may be seen, and each proposed change is tried on
//! the same evaluator before it is shown. Nothing here looks at anything: what was seen comes in as values.

mod alone;
pub mod message;
mod trouble;
mod words;

pub use alone::{asides, explain};
pub use message::{Denial, Reading, SaidBy, Symptom};
pub use trouble::Trouble;
