//! Generated documents as values.
