//! The emulator against a small server of its own, and against MariaDB where that is installed.

mod doors;
mod emulate;
mod mysql;
