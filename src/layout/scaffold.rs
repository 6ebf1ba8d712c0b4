//! Compares a layout with what was found.
