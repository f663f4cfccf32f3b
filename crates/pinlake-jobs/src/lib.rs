//! The scheduler: when jobs run, which of their tasks may, and what became of them. Its state is in a database, and every step is written there before it is
//! acted on, so that a process may die at any time. Must not know how a task is carried out: whoever starts it hands in what does.

mod lineage;
mod order;
mod outbox;
mod progress;
pub mod schedule;
mod scheduler;
mod store;
mod task;

pub use lineage::Lineage;
pub use outbox::{Mail, Notice, NoticeState, Receiver, Way};
pub use scheduler::{Scheduler, Settings};
pub use store::Store;
pub use task::{AttemptLog, Condition, Done, Effect, Runner, TaskCall};
