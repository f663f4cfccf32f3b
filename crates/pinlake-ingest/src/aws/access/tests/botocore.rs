//! Requests that AWS's own library for Python has signed. `PINLAKE_TEST_AWS_PYTHON` names a python that has botocore.

use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::*;
use crate::aws::signing::parse_time;

const PYTHON: &str = "PINLAKE_TEST_AWS_PYTHON";

#[derive(Deserialize)]
struct Signed {
    name: String,
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
    /// In base64.
    body: String,
    /// As it was signed.
    time: String,
    key: String,
}

#[test]
fn requests_that_botocore_signs_are_let_in() {
    let Some(requests) = signed() else { return };
    assert_eq!(requests.len(), 6);
    for Signed { name, method, uri, headers, body, time, key } in requests {
        let sent = Sent { method, uri, headers, body: STANDARD.decode(body).unwrap() };
        let now = parse_time(&time).unwrap();
        let parts = sent.parts().unwrap();
        let later = Access {
            keys: access(AccessMode::Signed).keys.into_iter().map(|(id, key)| (id, Key { expires: None, ..key })).collect(),
            ..access(AccessMode::Signed)
        };
        let check = |body: Vec<u8>| check(&later, now, &parts, "kinesis", "PutRecord", &Bytes::from(body));
        assert_eq!(check(sent.body.clone()), Ok(by(&key)), "{name}");
        let changed = check([sent.body.as_slice(), b" "].concat());
        assert_eq!(changed.is_ok(), name == "unsigned payload", "{name}");
    }
}

/// `None`, and a word about it, where there is no such python.
fn signed() -> Option<Vec<Signed>> {
    let Some(python) = std::env::var_os(PYTHON) else {
        eprintln!("skipped: {PYTHON} names no python that has botocore");
        return None;
    };
    let done = Command::new(python).args(["-B", "-c", include_str!("sign.py"), SECRET]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(serde_json::from_slice(&done.stdout).unwrap())
}
