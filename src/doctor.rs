//! `doctor`: why a request was refused, at which layer, by which statement, and the smallest change that would help.
//!
//! A message is read, the request is decided once more over everything that may be seen, and each proposed change is tried on
//! the same evaluator before it is shown. Nothing here looks at anything: what was seen comes in as values.

mod alone;
mod causes;
mod diagnosis;
mod fix;
pub mod message;
mod question;
mod record;
mod rows;
pub mod seen;
mod suspects;
mod trouble;
mod words;

pub use alone::{asides, explain};
pub use causes::place_findings;
pub use diagnosis::{Case, Diagnosis, diagnose};
pub use message::{Denial, Reading, SaidBy, Symptom};
pub use question::{Known, Question, QuestionError};
pub use trouble::Trouble;
