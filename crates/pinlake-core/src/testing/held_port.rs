//! Ports for servers that a test starts: one that listens at an address which the test knows before, or again and again at the same.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// A port of the loopback that nobody else gets while this lives, whether as a server or as a client. A server that reuses addresses, as all do, may
/// listen at it, end, and listen again.
#[derive(Debug)]
pub struct HeldPort {
    address: SocketAddr,
    /// Bound and not listening: the system gives the port to no one who asks for any.
    _socket: TcpSocket,
}

impl HeldPort {
    /// A port that was free.
    ///
    /// # Panics
    /// If there is none.
    #[expect(clippy::new_without_default, reason = "two of them differ")]
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        Self { address: socket.local_addr().unwrap(), _socket: socket }
    }

    /// Where a server may listen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
