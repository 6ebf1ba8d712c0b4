//! bucketwright builds S3 buckets for machine-learning projects from a layout file, fills them, and proves that it worked.
//!
//! The modules read from the vocabulary up: [`model`] and [`report`] are what everybody speaks, [`plan`] and [`layout`]
//! decide, the edges observe and act.

pub mod access;
pub mod apply;
pub mod audit;
pub mod aws;
pub mod cli;
pub mod cluster;
pub mod commands;
pub mod config;
pub mod directory;
pub mod doctor;
pub mod document;
pub mod error;
pub mod hashing;
pub mod infer;
pub mod kubernetes;
pub mod layout;
pub mod local;
pub mod model;
pub mod page;
pub mod plan;
pub mod policy;
pub mod report;
pub mod retire;
pub mod server;
pub mod sync;
pub mod tree;
pub mod ui;
pub mod verify;
pub mod world;
