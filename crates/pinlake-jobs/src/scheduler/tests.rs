//! The scheduler over real databases, a clock that tests own, and tasks that end as they are told.

mod alerts;
mod calls;
mod deaths;
mod defects;
mod definitions;
mod effects;
mod ends;
mod faults;
mod forget;
mod letters;
mod postgres;
mod receiver;
mod schedules;
mod world;
