//! What can be set about the wire protocol: plain data with documented defaults.

use std::time::Duration;

use pinlake_core::TopicSpec;

use crate::auth::Principals;
use crate::tls::Tls;

/// Limits and habits of the wire protocol's listener.
#[derive(Debug, Clone)]
pub struct KafkaSettings {
    /// What topics are created with where a client says nothing else. Default: as [`TopicSpec::default`].
    pub topic_defaults: TopicSpec,
    /// Who may connect, if clients must say who they are. Default: nobody is asked.
    pub principals: Option<Principals>,
    /// Certificate and key, if connections are encrypted. Default: they are not.
    pub tls: Option<Tls>,
    /// Host and port that clients are told to connect to. Default none: the address that a client has connected to itself, which is right
    /// wherever no proxy or container stands between.
    pub advertised: Option<(String, u16)>,
    /// Connections at once; one more is closed. Default 1,024.
    pub connections_max: usize,
    /// The largest produce request, bytes; a client that sends more is cut off. Default 100 MiB.
    pub produce_bytes_max: usize,
    /// The largest of all other requests, bytes. Default 8 MiB.
    pub request_bytes_max: usize,
    /// Bytes of all requests that are being read or answered; over it connections wait. As many again may be on their way out as what
    /// fetches have read. Default 256 MiB.
    pub inflight_bytes_max: usize,
    /// Produce requests of one connection that are appended at the same time; more wait. Default 64.
    pub pipelined_max: usize,
    /// Bytes of all batches that the log has and not yet acknowledged; more wait, in their clients' order. Less than the log's own bound, which
    /// refuses. Default 32 MiB.
    pub appending_bytes_max: usize,
    /// What one fetch answers at most, bytes, whatever the client asks for; one batch at least. Default 50 MiB.
    pub fetch_bytes_max: usize,
    /// How long one fetch waits at most. Default 30 s.
    pub fetch_wait_max: Duration,
    /// How long a client may take for its handshake: encryption, and saying who it is. Default 10 s.
    pub handshake_timeout: Duration,
    /// How long a connection may be idle. Default 10 min.
    pub idle_timeout: Duration,
    /// The longest pause within a request. Default 30 s.
    pub read_timeout: Duration,
    /// How long a client may take nothing of an answer. Default 30 s.
    pub write_stall_timeout: Duration,
    /// How long requests under way may go on after the shutdown began. Default 10 s.
    pub drain_timeout: Duration,
}

impl Default for KafkaSettings {
    fn default() -> Self {
        Self {
            topic_defaults: TopicSpec::default(),
            principals: None,
            tls: None,
            advertised: None,
            connections_max: 1024,
            produce_bytes_max: 100 << 20,
            request_bytes_max: 8 << 20,
            inflight_bytes_max: 256 << 20,
            pipelined_max: 64,
            appending_bytes_max: 32 << 20,
            fetch_bytes_max: 50 << 20,
            fetch_wait_max: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(600),
            read_timeout: Duration::from_secs(30),
            write_stall_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
        }
    }
}
