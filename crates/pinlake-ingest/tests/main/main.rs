//! The doors from outside: through the router, and over a socket.

mod cases;
mod concurrency;
mod faults;
mod limits;
mod properties;
mod server;
mod setup;
