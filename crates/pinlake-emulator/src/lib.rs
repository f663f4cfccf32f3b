//! User posts without users: the built-in generator, the raw lake and the MySQL dump written from it, and the emulator
//! that posts them as the classic scripts do.
//!
//! This crate stands outside the server. It speaks HTTP, MySQL and files, and must know nothing of log or lake.

mod disk;
pub mod dump;
pub mod emulate;
pub mod kind;
pub mod lake;
pub mod posts;
pub mod source;

pub use dump::{DumpOptions, DumpSummary, write_mysql_dump};
pub use emulate::{Acked, EmulateOptions, Mode, Place, Summary, emulate};
pub use kind::Kind;
pub use lake::{LakeOptions, LakeSummary, write_lake};
pub use posts::{Datetimes, Post, Posts, PostsOptions};
pub use source::Source;
