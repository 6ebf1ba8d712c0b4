//! The AWS edge: one place for Region, endpoint, credentials, retries and certificates.

pub mod s3;
