//! The wire protocol over a real socket, request by request; the client is Kafka's messages and nothing else.

mod client;
mod hostile;
mod logins;
mod records;
mod topics;
mod transactions;
