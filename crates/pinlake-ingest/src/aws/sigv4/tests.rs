//! AWS's own test suite: signed requests, in both forms.

use axum::http::Request;
use pinlake_core::secret::Secret;

use super::*;

/// `v4` of `aws-signing-test-suite`, which AWS publishes with its SDKs (Apache License 2.0), without paths that no request of today can
/// have, nor such as are signed as they are.
const SUITE: &str = include_str!("suite.txt");
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

struct Case {
    name: &'static str,
    parts: Parts,
    body: &'static str,
}

fn suite() -> Vec<Case> {
    SUITE.split("=== ").skip(1).map(case).collect()
}

fn case(text: &'static str) -> Case {
    let (name, request) = text.split_once('\n').unwrap();
    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ');
    let mut built = Request::builder().method(first.next().unwrap()).uri(first.next().unwrap());
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        built = built.header(name, value.trim());
    }
    let (parts, ()) = built.body(()).unwrap_or_else(|error| panic!("{name}: {error}")).into_parts();
    Case { name, parts, body: body.strip_suffix('\n').unwrap_or(body) }
}

#[test]
fn the_suites_signatures_are_right() {
    let cases = suite();
    assert!(cases.len() > 50);
    for Case { name, parts, body } in cases {
        let stated = read(&parts).unwrap().unwrap_or_else(|| panic!("{name}: not signed"));
        let credential = stated.credential().unwrap();
        assert_eq!(credential.key_id, "AKIDEXAMPLE", "{name}");
        let is_signed = |secret: &str, body: &str| {
            let key = credential.scope().derive(&Secret::new(secret));
            stated.is_signed_with(&key, &credential, &parts, body.as_bytes())
        };
        assert!(is_signed(SECRET, body), "{name}: {:?}", stated.to_sign(&credential, &parts, body.as_bytes()));
        assert!(!is_signed("another", body), "{name}");
        assert!(!is_signed(SECRET, &format!("{body} ")), "{name}");
    }
}

#[test]
fn the_suites_requests_are_good_for_their_time() {
    for Case { name, parts, .. } in suite() {
        let stated = read(&parts).unwrap().unwrap();
        let at = stated.time().unwrap().0;
        let (early, late) = if stated.sent == Sent::Signed { (300, 300) } else { (300, 3600) };
        let is_good = |seconds: i64| stated.check_age(Timestamp(at + seconds * 1000)).is_ok();
        assert_eq!([-early - 1, -early, 0, late, late + 1].map(is_good), [false, true, true, true, false], "{name}");
    }
}

fn is_signed(stated: &Stated, parts: &Parts, body: &[u8]) -> bool {
    let credential = stated.credential().unwrap();
    stated.is_signed_with(&credential.scope().derive(&Secret::new(SECRET)), &credential, parts, body)
}

#[test]
fn the_host_of_http_2_is_signed_too() {
    let first = suite().into_iter().find(|case| case.name == "get-vanilla header").unwrap();
    let mut parts = first.parts;
    parts.headers.remove("host");
    parts.uri = "http://example.amazonaws.com/".parse().unwrap();
    let stated = read(&parts).unwrap().unwrap();
    assert!(is_signed(&stated, &parts, b""));
    parts.uri = "http://example.org/".parse().unwrap();
    assert!(!is_signed(&stated, &parts, b""));
}

#[test]
fn a_date_header_will_do() {
    let mut parts = suite().into_iter().find(|case| case.name == "get-vanilla header").unwrap().parts;
    parts.headers.remove("x-amz-date");
    for date in ["Sun, 30 Aug 2015 12:36:00 GMT", "20150830T123600Z"] {
        parts.headers.insert("date", date.parse().unwrap());
        assert_eq!(read(&parts).unwrap().unwrap().time().unwrap(), Timestamp(1_440_938_160_000), "{date}");
    }
}
