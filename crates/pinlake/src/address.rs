//! The server's address: taken without being listened at, and what to do if it can't be.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow};
use tokio::net::TcpSocket;

/// Takes the address that `option` names; until it is listened at, connections are refused.
pub(crate) fn take(option: &str, listen: SocketAddr) -> Result<TcpSocket> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.context("making a socket")?;
    // As listeners are made: what an earlier server left in the system must not keep the next one waiting.
    let taken = socket.set_reuseaddr(true).and_then(|()| socket.bind(listen));
    taken.map(|()| socket).map_err(|error| refused(option, listen, &error))
}

/// Takes all addresses of `option`. Those of IPv6 may be missing on a machine that has none, as long as there is another.
pub(crate) fn take_all(option: &str, listen: &[SocketAddr]) -> Result<Vec<(SocketAddr, TcpSocket)>> {
    let mut taken = Vec::with_capacity(listen.len());
    for address in listen {
        match take(option, *address) {
            Ok(socket) => taken.push((*address, socket)),
            Err(_) if address.is_ipv6() && address.ip().is_loopback() && listen.len() > 1 && !has_ipv6() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}

/// Whether this machine has a loopback address of IPv6.
fn has_ipv6() -> bool {
    let loopback = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 0));
    TcpSocket::new_v6().and_then(|socket| socket.bind(loopback)).is_ok()
}

/// Why the address can't be used, and what to do.
pub(crate) fn refused(option: &str, listen: SocketAddr, error: &Error) -> anyhow::Error {
    let variable = format!("PINLAKE_{}", option.replace('.', "_").to_uppercase());
    let advice = match error.kind() {
        ErrorKind::AddrInUse => format!("end the other server, or set {option} ({variable}) to another port"),
        ErrorKind::AddrNotAvailable => format!("this machine has no such address, set {option} to one of its own"),
        ErrorKind::PermissionDenied => format!("set {option} to a port from 1024 on"),
        _ => format!("set {option} to another address"),
    };
    anyhow!("{listen} can't be used ({error}): {advice}")
}
