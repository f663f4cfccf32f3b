//! Accepts that fail.

use std::future::ready;

use super::*;

/// The errors by which accept(2) may fail on Linux for a listener that is well.
#[tokio::test(start_paused = true)]
async fn no_failed_accept_is_the_last() {
    const ERRORS: [(&str, i32); 18] = [
        ("EPERM", 1),
        ("EINTR", 4),
        ("ENOMEM", 12),
        ("ENFILE", 23),
        ("EMFILE", 24),
        ("ENONET", 64),
        ("EPROTO", 71),
        ("ENOPROTOOPT", 92),
        ("EPROTONOSUPPORT", 93),
        ("EOPNOTSUPP", 95),
        ("ENETDOWN", 100),
        ("ENETUNREACH", 101),
        ("ECONNABORTED", 103),
        ("ECONNRESET", 104),
        ("ENOBUFS", 105),
        ("ETIMEDOUT", 110),
        ("EHOSTDOWN", 112),
        ("EHOSTUNREACH", 113),
    ];
    let mut errors = ERRORS.iter();
    let accept = || ready(errors.next().map_or(Ok("a connection"), |(_, code)| Err(io::Error::from_raw_os_error(*code))));
    assert_eq!(accepted(accept).await, "a connection");
    assert!(errors.next().is_none());
}
