//! The state machine by scripts: one event a line, and what came of it indented below. `UPDATE_EXPECT=1` renews what came of the events.
//!
//! Members are `join new=a` (no id yet, gets `a`) or `join a`. Callers have numbers, in their order. What is to be stored waits for `stored`
//! or `failed`. `pass 1s` lets time pass, with all that falls due in between.

mod races;
mod random;
mod script;
mod sizes;
mod statics;
mod transitions;

use script::{Script, check};
