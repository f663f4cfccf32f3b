//! The server's address: taken without being listened at, and what to do if it can't be.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow};
use tokio::net::TcpSocket;

/// Takes the address; until it is listened at, connections are refused.
pub(crate) fn take(listen: SocketAddr) -> Result<TcpSocket> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.context("making a socket")?;
    // As listeners are made: what an earlier server left in the system must not keep the next one waiting.
    let taken = socket.set_reuseaddr(true).and_then(|()| socket.bind(listen));
    taken.map(|()| socket).map_err(|error| refused(listen, &error))
}

/// Why the address can't be used, and what to do.
pub(crate) fn refused(listen: SocketAddr, error: &Error) -> anyhow::Error {
    let advice = match error.kind() {
        ErrorKind::AddrInUse => "end the other server, or set http.listen (PINLAKE_HTTP_LISTEN) to another port",
        ErrorKind::AddrNotAvailable => "this machine has no such address, set http.listen to one of its own",
        ErrorKind::PermissionDenied => "set http.listen to a port from 1024 on",
        _ => "set http.listen to another address",
    };
    anyhow!("{listen} can't be used ({error}): {advice}")
}
