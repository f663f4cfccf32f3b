//! The form of requests to AWS's services and of their answers: each way to be refused before an operation says anything.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use pinlake_ingest::DoorSettings;
use tower::ServiceExt;

use crate::setup::open;

const JSON: &str = "application/x-amz-json-1.1";
const CBOR: &str = "application/x-amz-cbor-1.1";
const PLAIN: &str = "application/json";
const LIST_STREAMS: &str = "Kinesis_20131202.ListStreams";
const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AKID/20200913/eu-west-1/kinesis/aws4_request, SignedHeaders=host, Signature=0";

const DENIED: &[u8] = b"<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be \
                        authorized</Message>\n</AccessDeniedException>\n";
const UNKNOWN_XML: &[u8] = b"<UnknownOperationException/>\n";
const UNKNOWN: &[u8] = br#"{"__type":"UnknownOperationException"}"#;
const UNKNOWN_CBOR: &[u8] = b"\xa1\x66__type\x78\x19UnknownOperationException";
const UNKNOWN_PLAIN: &[u8] = br#"{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}"#;
const UNREADABLE: &[u8] = br#"{"__type":"SerializationException"}"#;
const UNREADABLE_CBOR: &[u8] = b"\xa1\x66__type\x76SerializationException";
const UNREADABLE_PLAIN: &[u8] = br#"{"Output":{"__type":"com.amazon.coral.service#SerializationException"},"Version":"1.0"}"#;

/// Method, content type, target, body; status, content type and body of the answer. An empty text is a header that is not there.
type Row = (&'static str, &'static str, &'static str, &'static [u8], u16, &'static str, &'static [u8]);

const ROWS: &[Row] = &[
    ("PUT", JSON, LIST_STREAMS, b"{}", 403, "", DENIED),
    ("DELETE", "", LIST_STREAMS, b"", 403, "", DENIED),
    ("OPTIONS", "", LIST_STREAMS, b"", 403, "", DENIED),
    ("POST", "text/plain", "", b"{}", 403, "", DENIED),
    ("POST", "", "", b"{}", 403, "", DENIED),
    ("POST", "application/x-amz-json-1.0", "Kinesis_20131202", b"{}", 403, "", DENIED),
    ("POST", "text/plain", LIST_STREAMS, b"{}", 404, "", UNKNOWN_XML),
    ("POST", "", LIST_STREAMS, b"{}", 404, "", UNKNOWN_XML),
    ("POST", "application/x-amz-json-1.0", "Any.Thing", b"{}", 404, "", UNKNOWN_XML),
    ("POST", JSON, LIST_STREAMS, b"", 400, JSON, UNREADABLE),
    ("POST", CBOR, LIST_STREAMS, b"", 400, CBOR, UNREADABLE_CBOR),
    ("POST", "", LIST_STREAMS, b"", 400, CBOR, UNREADABLE_CBOR),
    ("POST", PLAIN, LIST_STREAMS, b"", 400, PLAIN, UNREADABLE_PLAIN),
    ("POST", JSON, "", b"", 400, JSON, UNKNOWN),
    ("POST", CBOR, "Kinesis_20131202.ListStream", b"", 400, CBOR, UNKNOWN_CBOR),
    ("POST", "", "", b"", 400, CBOR, UNKNOWN_CBOR),
    ("POST", PLAIN, "", b"", 404, PLAIN, UNKNOWN_PLAIN),
    ("POST", JSON, LIST_STREAMS, b"hello", 400, JSON, UNREADABLE),
    ("POST", JSON, LIST_STREAMS, b"null", 400, JSON, UNREADABLE),
    ("POST", JSON, LIST_STREAMS, b"\"a\"", 400, JSON, UNREADABLE),
    ("POST", JSON, LIST_STREAMS, b"\xa0", 400, JSON, UNREADABLE),
    ("POST", JSON, "No.Operation", b"hello", 400, JSON, UNREADABLE),
    ("POST", CBOR, LIST_STREAMS, b"{}", 400, CBOR, UNREADABLE_CBOR),
    ("POST", CBOR, LIST_STREAMS, b"\xa0\xa0", 400, CBOR, UNREADABLE_CBOR),
    ("POST", PLAIN, LIST_STREAMS, b"hello", 400, PLAIN, UNREADABLE_PLAIN),
    ("POST", PLAIN, LIST_STREAMS, b"{}", 404, PLAIN, UNKNOWN_PLAIN),
    ("POST", JSON, "", b"{}", 400, JSON, UNKNOWN),
    ("POST", JSON, "Kinesis_20131202", b"{}", 400, JSON, UNKNOWN),
    ("POST", JSON, "Kinesis_20131202.ListStream", b"{}", 400, JSON, UNKNOWN),
    ("POST", JSON, "Kinesis_20131202.CreateChannel", b"{}", 400, JSON, UNKNOWN),
    ("POST", JSON, "DynamoDB_20120810.ListTables", b"{}", 400, JSON, UNKNOWN),
    ("POST", JSON, "Firehose_20150804.PutRecords", b"{}", 400, JSON, UNKNOWN),
    ("POST", CBOR, "Firehose_20150804.PutRecords", b"\xa0", 400, CBOR, UNKNOWN_CBOR),
    ("POST", JSON, "Kinesis_20131202.PutRecordBatch", b"{}", 400, JSON, UNKNOWN),
    (
        "POST",
        "Application/X-Amz-Json-1.1; charset=utf-8",
        LIST_STREAMS,
        br#"{"Limit":"1"}"#,
        400,
        JSON,
        br#"{"__type":"SerializationException","Message":"class java.lang.String can not be converted to an Integer"}"#,
    ),
    (
        "POST",
        JSON,
        LIST_STREAMS,
        b"[]",
        400,
        JSON,
        br#"{"__type":"SerializationException","Message":"Start of list found where not expected"}"#,
    ),
    (
        "POST",
        CBOR,
        LIST_STREAMS,
        b"\xa1\x65Limit\xf5",
        400,
        CBOR,
        b"\xa2\x66__type\x76SerializationException\x67Message\x78\x3aclass java.lang.Boolean can not be converted to an Integer",
    ),
    (
        "POST",
        JSON,
        LIST_STREAMS,
        br#"{"Limit":0}"#,
        400,
        JSON,
        br#"{"__type":"ValidationException","message":"1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"}"#,
    ),
    (
        "POST",
        CBOR,
        LIST_STREAMS,
        b"\xbf\x65Limit\x00\xff",
        400,
        CBOR,
        b"\xa2\x66__type\x73ValidationException\x67message\x78\x81\x31 validation error detected: Value '0' at 'limit' failed to \
          satisfy constraint: Member must have value greater than or equal to 1",
    ),
];

#[tokio::test]
async fn each_form_has_its_answer() {
    let (_, router) = open(DoorSettings::default());
    for row @ &(method, sent_as, target, body, status, told_as, told) in ROWS {
        let signed = [("authorization", SIGNED), ("x-amz-date", "20200913T122640Z")];
        let headers = [("content-type", sent_as), ("x-amz-target", target), signed[0], signed[1]];
        let (found, headers, answer) = send(&router, method, &headers, body).await;
        let found_as = headers.get("content-type").map_or("", |value| value.to_str().unwrap());
        let expected = (status, told_as, String::from_utf8_lossy(told));
        assert_eq!((found.as_u16(), found_as, String::from_utf8_lossy(&answer)), expected, "{row:?}");
        assert_eq!(answer, told, "{row:?}");
        check_ids(&headers);
    }
}

#[tokio::test]
async fn requests_are_known_by_any_of_their_signs() {
    let (_, router) = open(DoorSettings::default());
    for sign in [("x-amz-target", "Any.Thing"), ("content-type", CBOR), ("authorization", SIGNED)] {
        let (_, headers, _) = send(&router, "POST", &[sign], b"{}").await;
        check_ids(&headers);
    }
    let request = Request::post("//?X-Amz-Algorithm=AWS4-HMAC-SHA256").body(Body::from("{}")).unwrap();
    check_ids(&exchange(&router, request).await.1);
    for other in [("content-type", PLAIN), ("authorization", "Basic eDp5")] {
        let (status, headers, _) = send(&router, "POST", &[other], b"{}").await;
        assert_eq!((status, headers.get("x-amz-id-2")), (StatusCode::NOT_FOUND, None), "{other:?} says nothing of AWS");
    }
    let elsewhere = Request::post("/topics").header("x-amz-target", LIST_STREAMS).body(Body::empty()).unwrap();
    assert_eq!(exchange(&router, elsewhere).await.1.get("x-amz-id-2"), None, "a path is another door's");
}

#[tokio::test]
async fn ids_differ() {
    let (_, router) = open(DoorSettings::default());
    let mut seen = std::collections::HashSet::new();
    for _ in 0..10 {
        let (_, headers, _) = send(&router, "POST", &[("content-type", JSON)], b"{}").await;
        assert!(seen.insert(headers["x-amzn-requestid"].clone()) && seen.insert(headers["x-amz-id-2"].clone()));
    }
}

#[tokio::test]
async fn pages_of_other_origins_may_ask_and_are_told() {
    let (_, router) = open(DoorSettings::default());
    let asked = [
        ("origin", "https://a.example"),
        ("access-control-request-headers", "authorization, x-amz-target"),
        ("access-control-request-method", "POST"),
    ];
    let (status, headers, body) = send(&router, "OPTIONS", &asked, b"").await;
    assert_eq!((status, body), (StatusCode::OK, Vec::new()));
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-headers", "authorization, x-amz-target"),
        ("access-control-allow-methods", "POST"),
        ("access-control-max-age", "172800"),
    ] {
        assert_eq!(headers[name], value);
    }
    assert!(headers.contains_key("x-amzn-requestid") && !headers.contains_key("x-amz-id-2"));

    let (_, headers, _) = send(&router, "POST", &[("origin", "https://a.example"), ("x-amz-target", "A.B")], b"{}").await;
    assert_eq!(headers["access-control-allow-origin"], "*");
    assert!(headers["access-control-expose-headers"].to_str().unwrap().contains("x-amzn-RequestId"));
    check_ids(&headers);
}

#[tokio::test]
async fn bodies_are_bounded_and_refused_in_the_codec_of_the_request() {
    let answer = async |settings: DoorSettings, headers: &[(&str, &str)]| {
        let (_, router) = open(settings);
        let (status, headers, body) = send(&router, "POST", headers, &[b' '; 100]).await;
        (status.as_u16(), headers.contains_key("retry-after"), String::from_utf8_lossy(&body).into_owned())
    };
    let default = DoorSettings::default;
    let json = ("content-type", JSON);
    assert_eq!(
        answer(DoorSettings { aws_body_bytes_max: 99, ..default() }, &[json]).await,
        (
            413,
            false,
            r#"{"__type":"RequestEntityTooLargeException","message":"A request's body takes at most 99 bytes."}"#.to_owned()
        )
    );
    let cbor = answer(DoorSettings { aws_body_bytes_max: 99, ..default() }, &[("content-type", CBOR)]).await;
    assert!(cbor.0 == 413 && cbor.2.contains("RequestEntityTooLargeException") && !cbor.2.contains('{'), "{cbor:?}");
    assert_eq!(
        answer(DoorSettings { inflight_requests_max: 0, ..default() }, &[json]).await,
        (
            400,
            false,
            r#"{"__type":"LimitExceededException","message":"As many requests as may be are under way, try again later."}"#
                .to_owned()
        )
    );
    // 100 bytes to read, and as many for what is made of them.
    assert_eq!(answer(DoorSettings { inflight_bytes_max: 200, ..default() }, &[json]).await.0, 400);
    let full = answer(DoorSettings { inflight_bytes_max: 199, ..default() }, &[json]).await;
    assert!(full.0 == 503 && full.1 && full.2.contains("ServiceUnavailableException"), "{full:?}");
    let compressed = answer(default(), &[json, ("content-encoding", "gzip")]).await;
    assert!(compressed.0 == 400 && compressed.2.contains("SerializationException\",\"Message\":\"The body is compressed"));
    let signed_encoding = answer(default(), &[json, ("content-encoding", "amz-1.0")]).await;
    assert_eq!(signed_encoding.2.as_bytes(), UNREADABLE, "clients state encodings that mean nothing");
}

async fn send(router: &Router, method: &str, headers: &[(&str, &str)], body: &[u8]) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut request = Request::builder().method(method).uri("/");
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(*name, *value);
    }
    exchange(router, request.body(Body::from(body.to_vec())).unwrap()).await
}

async fn exchange(router: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, Vec<u8>) {
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

fn check_ids(headers: &HeaderMap) {
    uuid::Uuid::parse_str(headers["x-amzn-requestid"].to_str().unwrap()).unwrap();
    assert_eq!(STANDARD.decode(&headers["x-amz-id-2"]).unwrap().len(), 72);
}
