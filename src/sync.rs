//! The pure heart of a sync: which file goes where, what differs, and what must be known to tell.
//!
//! Values in, values out. The edges walk, list, hash and ask; the modules here decide.

pub mod arrival;
pub mod compare;
pub mod content_type;
pub mod decide;
pub mod deletes;
pub mod diff;
pub mod item;
pub mod keys;
pub mod parts;
pub mod paths;
pub mod proof;
pub mod remembered;
pub mod resume;
pub mod saved;
pub mod shard;
pub mod split;
