//! The parts of a signature, by AWS's documents.

use super::*;

fn secret() -> Secret {
    Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
}

#[test]
fn the_documents_key_signs_as_in_the_documents() {
    // "Deriving the signing key", of which an empty text's signature is the next step: get-vanilla of the test suite.
    let scope = Scope { date: "20150830", region: "us-east-1", service: "service" };
    let headers = [("host", "example.amazonaws.com".to_owned()), ("x-amz-date", "20150830T123600Z".to_owned())];
    let payload = sha256_hex(b"");
    let request = Canonical {
        method: "GET",
        path: &canonical_path("/"),
        query: "",
        headers: &headers,
        signed_headers: "host;x-amz-date",
        payload: &payload,
    };
    let text = request.to_sign("20150830T123600Z", scope);
    let hash = "bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63";
    assert_eq!(text, format!("AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/service/aws4_request\n{hash}"));
    let signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    assert_eq!(scope.sign(&secret(), &text), signature);
    assert!(scope.derive(&secret()).is_signature(&text, signature));
    let wrong = [&signature.to_uppercase(), &signature[..63], &format!("{signature}0"), &format!("+{}", &signature[1..]), ""];
    for signature in wrong {
        assert!(!scope.derive(&secret()).is_signature(&text, signature), "{signature}");
    }
}

#[test]
fn paths_are_made_canonical() {
    let cases = [
        ("", "/"),
        ("/", "/"),
        ("//", "/"),
        ("/./", "/"),
        ("/a/..", "/"),
        ("/../../a", "/a"),
        ("//a//b/", "/a/b/"),
        ("/./a/../b", "/b"),
        ("/-._~/ä", "/-._~/%C3%A4"),
        ("/a%20b", "/a%2520b"),
    ];
    for (path, canonical) in cases {
        assert_eq!(canonical_path(path), canonical, "{path}");
    }
}

#[test]
fn queries_are_made_canonical() {
    let cases = [
        ("", ""),
        ("b=2&a=1", "a=1&b=2"),
        ("a=2&a=1&A=3", "A=3&a=1&a=2"),
        ("a&&b=", "a=&b="),
        ("a=b=c", "a=b%3Dc"),
        ("a=b+c&d=%2B%2f", "a=b%20c&d=%2B%2F"),
        ("%ff=%zz%", "%FF=%25zz%25"),
    ];
    for (query, canonical) in cases {
        assert_eq!(canonical_query(parameters(query)), canonical, "{query}");
    }
}

#[test]
fn values_lose_spaces_at_their_ends_and_doubled_ones() {
    assert_eq!(canonical_value("  a   b c "), "a b c");
    assert_eq!(canonical_value("\"a   b\""), "\"a b\"");
}

#[test]
fn times_are_read_and_written() {
    for text in ["20150830T123600Z", "19700101T000000Z", "20240229T235959Z", "99991230T000000Z"] {
        assert_eq!(time_text(parse_time(text).unwrap()).as_deref(), Some(text));
    }
    let wrong = [
        "",
        "20150830T123600",
        "20150830T123600z",
        "20150830 123600Z",
        "2015083 T123600Z",
        "20150230T123600Z",
        "20150830T243600Z",
        "+2150830T123600Z",
    ];
    for text in wrong {
        assert_eq!(parse_time(text), None, "{text}");
    }
    assert_eq!(time_text(Timestamp(i64::MAX)), None);
    assert_eq!(time_text(Timestamp(1_440_938_160_999)).as_deref(), Some("20150830T123600Z"));
}
