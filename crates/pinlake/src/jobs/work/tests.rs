//! The words of errors.

use pinlake_core::{Error, ErrorKind};

use super::of;

#[test]
fn an_error_says_each_thing_once() {
    let error = Error::invalid("the query can't be answered").with_source(Error::invalid("there is no column 'x'"));
    let named = of("top", &error);
    assert_eq!(named.to_string(), "top: the query can't be answered: there is no column 'x'");
    assert_eq!((named.kind(), named.message()), (ErrorKind::Invalid, named.to_string().as_str()));
}
