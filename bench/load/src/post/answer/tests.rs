//! Whole, cut, refused and half-refused answers.

use super::{check, len};

const TAKEN: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Length: 57\r\n\r\n{\"offsets\":[{\"partition\":0,\"offset\":1,\"error_code\":null}]}";

#[test]
fn an_answer_ends_where_its_length_says() {
    assert_eq!(len(TAKEN).unwrap(), Some(96));
    assert_eq!(len(&TAKEN[..30]).unwrap(), None);
    let two = [TAKEN, TAKEN].concat();
    assert_eq!(len(&two).unwrap(), Some(96));
}

#[test]
fn an_answer_without_a_length_is_an_error() {
    assert!(len(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    assert!(len(b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n").is_err());
}

#[test]
fn only_a_whole_success_is_one() {
    check(TAKEN).unwrap();
    let refused = check(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy").unwrap_err();
    assert_eq!(refused.to_string(), "HTTP/1.1 503 Service Unavailable: busy");
    let half = b"HTTP/1.1 200 OK\r\n\r\n{\"offsets\":[{\"error_code\":null},{\"error_code\":50003}]}";
    assert!(check(half).is_err());
    let refused = b"HTTP/1.1 200 OK\r\n\r\n{\"FailedRecordCount\":1,\"Records\":[{\"ErrorCode\":\"InternalFailure\"}]}";
    assert!(check(refused).is_err());
}
