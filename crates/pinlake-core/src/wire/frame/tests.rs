//! Frames from bytes that stand for a connection.

use super::*;

#[tokio::test]
async fn a_connection_may_end_between_two_frames_and_nowhere_else() {
    let mut stream: &[u8] = &[0, 0, 0, 3, b'a', b'b', b'c', 0, 0, 0, 0];
    assert_eq!(read_length(&mut stream).await.unwrap(), Some([0, 0, 0, 3]));
    assert_eq!(read_body(&mut stream, 3).await.unwrap(), "abc");
    assert_eq!(read_length(&mut stream).await.unwrap(), Some([0; 4]));
    assert_eq!(read_body(&mut stream, 0).await.unwrap(), "");
    assert_eq!(read_length(&mut stream).await.unwrap(), None);
    let mut stream: &[u8] = &[0, 0, 0];
    assert_eq!(read_length(&mut stream).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    let mut stream: &[u8] = b"ab";
    assert_eq!(read_body(&mut stream, 3).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_body_ends_where_the_next_frame_begins() {
    let mut stream: &[u8] = b"abcdef";
    assert_eq!(read_body(&mut stream, 4).await.unwrap(), "abcd");
    assert_eq!(stream, b"ef");
}
