//! Does reality match the layout? Observations in, checks and cells out.

pub mod access;
pub mod settings;
