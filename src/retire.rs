//! Retiring a project or a bucket: what the layout is without it, whose access goes, what it holds, and what may be deleted.
//!
//! Access goes first. Of what is there only that goes which is empty: markers of folders that hold nothing else, and a
//! bucket of ours in which nothing is left. What holds data goes only if it is named by hand. Nothing here asks or writes.

mod decide;
mod inventory;
mod reach;
mod revoke;
mod target;
mod without;

pub use decide::{Options, Retirement, decide, foreign, may_log_into};
pub use inventory::{Amount, Holdings, Inventory};
pub use reach::{Reaching, access_that_remains, let_in_by_bucket, others_unread, reaching};
pub use revoke::revoke;
pub use target::{Target, TargetError};
pub use without::{Without, without};

#[cfg(test)]
mod tests;
