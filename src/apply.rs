//! Runs plans: async on the outside, one limiter, one cancellation, events out.

pub mod dataset;
pub mod transfer;
