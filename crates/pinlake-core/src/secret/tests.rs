//! What is shown of a URL.

use super::*;

#[test]
fn a_password_is_masked_whatever_is_in_it() {
    for (url, shown) in [
        ("mysql://me:secret@host:3306/data", "mysql://me:***@host:3306/data"),
        ("mysql://me:sec@ret@host/data", "mysql://me:***@host/data"),
        ("mysql://me:sec/ret@host/data", "mysql://me:***@host/data"),
        ("mysql://me:s@c/ret@host/data", "mysql://me:***@host/data"),
        ("mysql://me:sec?re#t@host/data", "mysql://me:***@host/data"),
        ("mysql://me:3306/ret@host/data", "mysql://me:***@host/data"),
        ("mysql://me@host/data", "mysql://me:***@host/data"),
    ] {
        assert_eq!(mask_url(url), shown, "{url}");
    }
}

#[test]
fn what_holds_no_password_stays() {
    for url in ["http://127.0.0.1:8082/prod", "s3://bucket/a@b", "file:///data/a@b", "a/b:c@d", "mysql://host:3306/data"] {
        assert_eq!(mask_url(url), url);
    }
}
