//! The emulator against a small server of its own, and against MariaDB where that is installed.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod doors;
mod emulate;
mod mysql;
