//! The file edge: walks sources in key order, reads files without tearing them, replaces files by rename.
//!
//! Everything here blocks; async callers run it on blocking threads. Nothing here decides what is sent.

mod backup;
mod blocks;
mod descriptors;
mod digest;
mod hash_cache;
mod ignore_file;
mod journal;
mod overflow;
mod replace;
mod sealed;
mod sink;
mod source_file;
mod spill;
mod text_file;
mod walk;

pub use backup::{backups_below, write_backup};
pub use descriptors::descriptor_limit;
pub use digest::{DigestsWanted, FileDigests, digest_file};
pub use hash_cache::{CacheError, CachePlace, CacheReader, Learner, Saved, Visited};
pub use ignore_file::ignore_file_below;
pub use journal::{Claim, Found, Journal, JournalError, absolute};
pub use overflow::{Overflow, Ticket};
pub use replace::{read_text, remove_file, replace_file, temporary_file};
pub use sealed::{Draft, SealedLines};
pub use sink::{PartFile, TargetTree, WriteError};
pub use source_file::{ReadError, SourceFile, fingerprint};
pub use spill::{Record, Sorted, Sorter, SpillError};
pub use text_file::{exists, read_at_most, read_stdin_at_most, write_new};
pub use walk::{SourceKind, Told, Walk, explain, source_kind, walk};
