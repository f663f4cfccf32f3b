//! What a server and a client of Kafka's wire protocol have in common, where bytes are nobody's yet: frames, and the shapes of messages. It
//! must not know what a message means, nor name a codec.

pub mod frame;
pub mod shape;
