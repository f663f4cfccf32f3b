//! From the log to answers: decode, clean, de-duplicate, commit to Delta tables, archive, rebuild, query, prove.
//!
//! The only crate that names Arrow, Parquet, DataFusion or Delta. It knows the log as a trait and never speaks HTTP.

pub mod answers;
pub mod archive;
pub mod aws_keys;
mod backoff;
pub mod batch;
pub mod clean;
pub mod decode;
mod error;
pub mod follow;
pub mod gold;
pub mod keys;
pub mod lake;
pub mod live;
mod local_store;
mod maintain;
mod meters;
pub mod parquet_file;
pub mod quarantine;
pub mod raw;
mod readers;
pub mod records;
pub mod rows;
pub mod runs;
pub mod schema;
pub mod sql;
pub mod store;
pub mod stream;
pub mod table;
