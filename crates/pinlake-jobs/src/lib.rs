//! The scheduler: when jobs run, which of their tasks may, and what became of them. Its state is in a database, and every step is written there before it is
//! acted on, so that a process may die at any time. Must not know how a task is carried out: whoever starts it hands in what does.

pub mod schedule;
