//! Frames as they come: a length of four bytes, and so many bytes. It must not open the streams that it reads, nor say how long a frame may be.
//!
//! Source: the Kafka protocol guide, "Protocol Primitive Types".

#[cfg(test)]
mod tests;

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Reads the length of the next frame, as it is on the wire: a big-endian `i32`. `None` when the other side has closed the connection between
/// two frames.
///
/// # Errors
/// The stream's own, and `UnexpectedEof` within the length.
pub async fn read_length(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<[u8; 4]>> {
    let mut length = [0; 4];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..]).await?;
    Ok(Some(length))
}

/// Reads a frame's bytes, which the caller has bounded. Memory is taken by what comes, not by what is claimed.
///
/// # Errors
/// The stream's own, and `UnexpectedEof` when it ends before the frame.
pub async fn read_body(stream: &mut (impl AsyncRead + Unpin), length: usize) -> io::Result<Bytes> {
    // Untouched memory costs nothing.
    let mut body = BytesMut::with_capacity(length);
    let mut limited = stream.take(length as u64);
    while body.len() < length {
        if limited.read_buf(&mut body).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(body.freeze())
}
