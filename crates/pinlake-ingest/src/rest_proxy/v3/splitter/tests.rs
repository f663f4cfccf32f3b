//! Streams cut at every byte.

use super::*;

const STREAM: &str = " {\"a\":1}{}\n{\"b\":\"}\\\"{\\\\\",\"c\":[{},[\"]\"]]} \t";

fn objects(parts: &[&[u8]]) -> (Vec<String>, Splitter) {
    let (mut splitter, mut found) = (Splitter::default(), Vec::new());
    for part in parts {
        splitter.push(part);
        while let Some(object) = splitter.next().unwrap() {
            found.push(String::from_utf8(object.to_vec()).unwrap());
        }
    }
    (found, splitter)
}

#[test]
fn objects_come_out_whole_however_they_come_in() {
    let whole = ["{\"a\":1}", "{}", "{\"b\":\"}\\\"{\\\\\",\"c\":[{},[\"]\"]]}"];
    let bytes = STREAM.as_bytes();
    for cut in 0..bytes.len() {
        let (found, splitter) = objects(&[&bytes[..cut], &bytes[cut..]]);
        assert_eq!(found, whole, "{cut}");
        assert!(splitter.is_between());
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(objects(&single).0, whole);
}

#[test]
fn what_is_no_object_is_told() {
    for (text, before) in [("1", 0), ("{}]", 1), ("{} , {}", 1), ("[{}]", 0), ("\"", 0)] {
        let mut splitter = Splitter::default();
        splitter.push(text.as_bytes());
        for _ in 0..before {
            assert!(splitter.next().unwrap().is_some(), "{text}");
        }
        assert_eq!(splitter.next(), Err(NoObject), "{text}");
    }
}

#[test]
fn a_stream_that_ends_within_an_object_is_not_between_two() {
    let (found, splitter) = objects(&[b"{}{\"a\":"]);
    assert_eq!((found.len(), splitter.is_between(), splitter.len()), (1, false, 5));
}
