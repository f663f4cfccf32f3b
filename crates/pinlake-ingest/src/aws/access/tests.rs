//! Requests that are let in, and all that are not.

mod botocore;

use axum::http::Request;
use proptest::prelude::*;

use super::*;
use crate::aws::signing::{
    Canonical, canonical_path, canonical_query, canonical_value, escaped, parameters, sha256_hex, time_text,
};
use crate::settings::AccessSettings;

/// 2020-09-13T12:26:40Z.
const NOW: Timestamp = Timestamp(1_600_000_000_000);
const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const BODY: &[u8] = br#"{"StreamName":"s","Data":"AA==","PartitionKey":"k"}"#;

fn key(id: &str, allow: &[(&str, &str)]) -> AccessKey {
    let grant = |(actions, streams): &(&str, &str)| Grant { actions: vec![(*actions).into()], streams: vec![(*streams).into()] };
    AccessKey {
        id: id.to_owned(),
        secret: Secret::new(SECRET),
        session_token: None,
        expires: None,
        allow: allow.iter().map(grant).collect(),
    }
}

/// A server with keys: one that may do everything, and others with less or a session token.
fn access(mode: AccessMode) -> Access {
    let all = [("*", "*")];
    let session = AccessKey { session_token: Some(Secret::new("a token/+=")), expires: Some(NOW), ..key("SESSION", &all) };
    let keys = vec![
        key(ID, &all),
        key("READER", &[("kinesis:Get*", "*"), ("ListStreams", "orders")]),
        key("NOBODY", &[]),
        AccessKey { expires: Some(Timestamp(NOW.0 + 1)), ..session.clone() },
        AccessKey { id: "ENDED".to_owned(), ..session },
    ];
    Access::new(&KinesisSettings { access: AccessSettings { mode, keys }, ..KinesisSettings::default() })
}

/// A request that a test signs, and may then change.
#[derive(Debug, Clone)]
struct Sent {
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Sent {
    fn put() -> Self {
        let headers = [
            ("host", "kinesis.example:8082"),
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", "Kinesis_20131202.PutRecord"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { method: "POST".to_owned(), uri: "/".to_owned(), headers, body: BODY.to_vec() }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(found, _)| found != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(found, _)| found != name);
        self
    }

    fn header(&self, name: &str) -> &str {
        &self.headers.iter().find(|(found, _)| found == name).unwrap().1
    }

    fn replaced(self, header: &str, from: &str, to: &str) -> Self {
        let value = self.header(header).to_owned();
        assert!(value.contains(from), "{value}");
        self.with(header, &value.replace(from, to))
    }

    fn in_uri(mut self, from: &str, to: &str) -> Self {
        assert!(self.uri.contains(from), "{}", self.uri);
        self.uri = self.uri.replace(from, to);
        self
    }

    /// Signed by its headers, all of them.
    fn signed(self, id: &str, at: Timestamp) -> Self {
        let time = time_text(at).unwrap();
        let sent = self.with("x-amz-date", &time);
        let scope = Scope { date: &time[..8], region: "eu-west-1", service: "kinesis" };
        let mut names: Vec<&str> = sent.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let names = names.join(";");
        let signature = sent.signature(&names, &time, scope);
        let credential = format!("{id}/{}", scope.text());
        sent.with(
            "authorization",
            &format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"),
        )
    }

    /// Signed by its query.
    fn presigned(mut self, id: &str, at: Timestamp, more: &[(&str, &str)]) -> Self {
        let time = time_text(at).unwrap();
        let scope = Scope { date: &time[..8], region: "eu-west-1", service: "kinesis" };
        let credential = format!("{id}/{}", scope.text());
        let names = "host;x-amz-target";
        let mut pairs = vec![
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &time),
            ("X-Amz-SignedHeaders", names),
        ];
        pairs.extend(more);
        let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", escaped(value.as_bytes()))).collect();
        self.uri = format!("/?{}", pairs.join("&"));
        let signature = self.signature(names, &time, scope);
        self.uri = format!("{}&X-Amz-Signature={signature}", self.uri);
        self
    }

    fn signature(&self, names: &str, time: &str, scope: Scope<'_>) -> String {
        let headers: Vec<_> = names.split(';').map(|name| (name, canonical_value(self.header(name)))).collect();
        let (path, query) = self.uri.split_once('?').unwrap_or((&self.uri, ""));
        let stated = self.headers.iter().find(|(name, _)| name == "x-amz-content-sha256").map(|(_, value)| value.clone());
        let request = Canonical {
            method: &self.method,
            path: &canonical_path(path),
            query: &canonical_query(parameters(query)),
            headers: &headers,
            signed_headers: names,
            payload: &stated.unwrap_or_else(|| sha256_hex(&self.body)),
        };
        scope.sign(&Secret::new(SECRET), &request.to_sign(time, scope))
    }

    /// `None` if no such request can come.
    fn parts(&self) -> Option<Parts> {
        let mut request = Request::builder().method(self.method.as_bytes()).uri(self.uri.as_bytes());
        for (name, value) in &self.headers {
            request = request.header(name.as_bytes(), value.as_bytes());
        }
        Some(request.body(()).ok()?.into_parts().0)
    }

    fn check(&self, mode: AccessMode) -> Result<Caller, AwsError> {
        let body = Bytes::from(self.body.clone());
        check(&access(mode), NOW, &self.parts().unwrap(), "kinesis", "PutRecord", &body)
    }
}

fn by(id: &str) -> Caller {
    Caller { key_id: Some(id.to_owned()), region: "eu-west-1".to_owned() }
}

fn after(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 + seconds * 1000)
}

#[test]
fn signed_requests_are_let_in() {
    let with_token = |sent: Sent| sent.with("x-amz-security-token", "a token/+=");
    let token = [("X-Amz-Security-Token", "a token/+=")];
    let spaced = Sent::put().signed(ID, NOW).replaced("authorization", ", ", " ");
    let cases = [
        (Sent::put().signed(ID, NOW), ID),
        (Sent::put().signed(ID, after(300)), ID),
        (Sent::put().signed(ID, after(-300)), ID),
        (spaced.clone(), ID),
        (spaced.replaced("authorization", " S", ",S"), ID),
        (Sent::put().signed(ID, NOW).with("user-agent", "unsigned"), ID),
        (Sent { uri: "/a/../b%20c//?y=1&x=%C3%A4+b".to_owned(), ..Sent::put() }.signed(ID, NOW), ID),
        (Sent::put().with("x-amz-content-sha256", "UNSIGNED-PAYLOAD").signed(ID, NOW), ID),
        (Sent::put().with("x-amz-content-sha256", &sha256_hex(BODY)).signed(ID, NOW), ID),
        (with_token(Sent::put()).signed("SESSION", NOW), "SESSION"),
        (with_token(Sent::put().signed("SESSION", NOW)), "SESSION"),
        (Sent::put().presigned(ID, NOW, &[]), ID),
        (Sent::put().presigned(ID, after(-604_800), &[("X-Amz-Expires", "604800")]), ID),
        (Sent::put().presigned("SESSION", NOW, &token), "SESSION"),
    ];
    for (sent, id) in cases {
        assert_eq!(sent.check(AccessMode::Signed), Ok(by(id)), "{sent:?}");
    }
}

#[test]
fn a_payload_that_is_not_signed_may_change() {
    let mut sent = Sent::put().with("x-amz-content-sha256", "UNSIGNED-PAYLOAD").signed(ID, NOW);
    sent.body.clear();
    assert!(sent.check(AccessMode::Signed).is_ok());
}

const MISSING: &str = "MissingAuthenticationTokenException";
const INCOMPLETE: &str = "IncompleteSignatureException";
const INVALID: &str = "InvalidSignatureException";
const UNRECOGNIZED: &str = "UnrecognizedClientException";
const UNKNOWN: &str = "The security token included in the request is invalid.";

fn put() -> Sent {
    Sent::put().signed(ID, NOW)
}

fn presigned() -> Sent {
    Sent::put().presigned(ID, NOW, &[("X-Amz-Expires", "60")])
}

/// The kind and the words with which each request is refused.
#[track_caller]
fn refused(cases: impl IntoIterator<Item = (Sent, &'static str, impl AsRef<str>)>) {
    for (sent, kind, message) in cases {
        let error = sent.check(AccessMode::Signed).unwrap_err();
        assert_eq!((error.kind.as_ref(), error.message.as_deref()), (kind, Some(message.as_ref())), "{sent:?}");
        assert_eq!(error.status, 400, "{sent:?}");
    }
}

#[test]
fn a_request_without_a_signature_is_refused() {
    let basic = "Basic YTpi";
    let both = "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.";
    refused([
        (Sent::put(), MISSING, "Missing Authentication Token"),
        (Sent::put().with("authorization", basic), MISSING, "Missing Authentication Token"),
        (presigned().with("authorization", basic), INVALID, both),
    ]);
}

#[test]
fn what_is_missing_is_named() {
    let header = put().header("authorization").to_owned();
    let (no_parameter, no_signature) =
        ("AWS4-HMAC-SHA256 Credential", "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=b, Signature=");
    refused([
        (
            put().with("authorization", no_parameter),
            INCOMPLETE,
            format!("'Credential' not a valid key=value pair (missing equal-sign) in Authorization header: '{no_parameter}'."),
        ),
        (
            Sent::put().with("authorization", "AWS4-HMAC-SHA256"),
            INCOMPLETE,
            "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization \
             header requires 'SignedHeaders' parameter. Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' \
             header. Authorization=AWS4-HMAC-SHA256"
                .to_owned(),
        ),
        (
            put().with("authorization", no_signature),
            INCOMPLETE,
            format!("Authorization header requires 'Signature' parameter. Authorization={no_signature}"),
        ),
        (
            put().without("x-amz-date"),
            INCOMPLETE,
            format!("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization={header}"),
        ),
        (
            Sent { uri: "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=".to_owned(), ..Sent::put() },
            INCOMPLETE,
            "AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string parameters must include 'X-Amz-Signature'. \
             AWS query-string parameters must include 'X-Amz-SignedHeaders'. AWS query-string parameters must include 'X-Amz-Date'. \
             Re-examine the query-string parameters."
                .to_owned(),
        ),
    ]);
}

#[test]
fn a_time_that_is_none_or_past_or_to_come_is_refused() {
    refused([
        (
            put().with("x-amz-date", "201"),
            INCOMPLETE,
            "Date must be in ISO-8601 'basic format'. Got '201'. See http://en.wikipedia.org/wiki/ISO_8601",
        ),
        (presigned().in_uri("Expires=60", "Expires=1h"), INCOMPLETE, "X-Amz-Expires should be a number"),
        (presigned().in_uri("Expires=60", "Expires=-1"), INCOMPLETE, "X-Amz-Expires must be non-negative"),
        (
            presigned().in_uri("Expires=60", "Expires=604801"),
            INCOMPLETE,
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
        ),
        (
            Sent::put().signed("X", after(-301)),
            INVALID,
            "Signature expired: 20200913T122139Z is now earlier than 20200913T122140Z (20200913T122640Z - 5 min.)",
        ),
        (
            Sent::put().signed("X", after(301)),
            INVALID,
            "Signature not yet current: 20200913T123141Z is still later than 20200913T123140Z (20200913T122640Z + 5 min.)",
        ),
        (
            Sent::put().presigned("X", after(-91), &[("X-Amz-Expires", "90")]),
            INVALID,
            "Signature expired: 20200913T122509Z is now earlier than 20200913T122510Z (20200913T122640Z - 90 sec.)",
        ),
    ]);
}

/// In the order in which they are looked for: most are wrong in what follows too.
#[test]
fn a_signature_for_something_else_is_refused() {
    let sha_1 = |sent: Sent| sent.replaced("authorization", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1");
    let whole = "AKIDEXAMPLE/20200913/eu-west-1/kinesis/aws4_request";
    refused([
        (
            sha_1(put().replaced("authorization", "host;", "")),
            INVALID,
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ),
        (
            put().replaced("authorization", ";x-amz-target", ""),
            INVALID,
            "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization.",
        ),
        (
            sha_1(put().replaced("authorization", "AKIDEXAMPLE/", "")),
            INCOMPLETE,
            "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA1' (only AWS4-HMAC-SHA256 for now). ",
        ),
        (
            put().replaced("authorization", "AKIDEXAMPLE/", ""),
            INCOMPLETE,
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got \
             '20200913/eu-west-1/kinesis/aws4_request'",
        ),
        (
            put().replaced("authorization", whole, "X/20200912/EU/s3/aws5_request"),
            INVALID,
            "Credential should be scoped to a valid region, not 'EU'. Credential should be scoped to correct service: 'kinesis'. \
             Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'. Date in Credential scope does \
             not match YYYYMMDD from ISO-8601 version of date from HTTP: '20200912' != '20200913', from '20200913T122640Z'.",
        ),
    ]);
}

#[test]
fn another_key_signature_or_token_is_refused() {
    let with_token = |token: &str| Sent::put().with("x-amz-security-token", token);
    refused([
        (put().replaced("authorization", ID, "UNKNOWN"), UNRECOGNIZED, UNKNOWN),
        (Sent { body: b"{}".to_vec(), ..put() }, INVALID, NOT_SIGNED),
        (put().without("content-type"), INVALID, NOT_SIGNED),
        (put().with("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), INVALID, NOT_SIGNED),
        (Sent::put().with("x-amz-content-sha256", &sha256_hex(b"")).signed(ID, NOW), INVALID, NOT_SIGNED),
        (presigned().in_uri("Expires=60", "Expires=61"), INVALID, NOT_SIGNED),
        (Sent::put().signed("SESSION", NOW), UNRECOGNIZED, UNKNOWN),
        (put().with("x-amz-security-token", "a token/+="), UNRECOGNIZED, UNKNOWN),
        (with_token("another").signed("SESSION", NOW), UNRECOGNIZED, UNKNOWN),
        (
            with_token("a token/+=").signed("ENDED", NOW),
            "ExpiredTokenException",
            "The security token included in the request is expired",
        ),
    ]);
}

#[test]
fn an_operation_that_a_key_does_not_allow_is_refused() {
    let words = |id: &str| {
        format!(
            "User: arn:aws:iam::123456789012:user/{id} is not authorized to perform: kinesis:PutRecord on resource: \
             arn:aws:kinesis:eu-west-1:123456789012:stream/* because no identity-based policy allows the kinesis:PutRecord action"
        )
    };
    let denied = |id: &str| (Sent::put().signed(id, NOW), "AccessDeniedException", words(id));
    refused([denied("READER"), denied("NOBODY")]);
}

#[test]
fn two_authorization_headers_are_refused() {
    let mut sent = Sent::put().signed(ID, NOW);
    sent.headers.push(("authorization".to_owned(), "AWS4-HMAC-SHA256 Credential=x".to_owned()));
    assert_eq!(sent.check(AccessMode::Signed).unwrap_err().kind, "InvalidSignatureException");
}

#[test]
fn where_it_is_open_nobody_looks_whose_a_signature_is_but_it_must_be_one() {
    let open = |sent: Sent| sent.check(AccessMode::Open);
    let nobody = Caller { key_id: None, region: "us-east-1".to_owned() };
    assert_eq!(open(Sent::put()), Ok(nobody.clone()));
    assert_eq!(open(Sent::put().with("authorization", "Basic YTpi")), Ok(nobody));
    assert_eq!(open(Sent::put().signed("anything", after(-9_999_999))), Ok(by("anything")));
    assert_eq!(open(Sent { body: Vec::new(), ..Sent::put().presigned("anything", NOW, &[]) }), Ok(by("anything")));
    let kind = |sent: Sent| open(sent).unwrap_err().kind;
    assert_eq!(kind(Sent::put().with("authorization", "AWS4-HMAC-SHA256 Credential=a")), "IncompleteSignatureException");
    assert_eq!(kind(Sent::put().signed("a/b", NOW)), "IncompleteSignatureException");
    assert_eq!(kind(Sent::put().signed(ID, NOW).with("x-amz-date", "x")), "IncompleteSignatureException");
    assert_eq!(kind(Sent::put().signed(ID, NOW).replaced("authorization", "eu-west-1", "\"'")), "InvalidSignatureException");
    assert_eq!(kind(Sent::put().signed(ID, NOW).in_uri("/", "/?X-Amz-Algorithm")), "InvalidSignatureException");
}

#[test]
fn where_it_is_closed_nobody_comes_in() {
    let error = Sent::put().signed(ID, NOW).check(AccessMode::Closed).unwrap_err();
    assert_eq!((error.kind.as_ref(), error.status.as_u16()), ("AccessDeniedException", 400));
    assert!(error.message.unwrap().contains("kinesis.access.mode"));
    assert!(access(AccessMode::Closed).may(&by(ID), "kinesis:PutRecord", Some("s")).is_err());
}

#[test]
fn a_key_is_good_for_what_it_allows() {
    let access = Access::new(&KinesisSettings {
        access: AccessSettings {
            mode: AccessMode::Signed,
            keys: vec![key("K", &[("kinesis:Get*", "orders-*"), ("PutRecord", "in"), ("List*", "*"), ("firehose:*", "d")])],
        },
        ..KinesisSettings::default()
    });
    let may = |action: &str, stream| access.may(&by("K"), action, stream).is_ok();
    let allowed = [
        ("kinesis:GetRecords", Some("orders-1")),
        ("kinesis:PutRecord", Some("in")),
        ("kinesis:ListStreams", None),
        ("kinesis:ListShards", Some("any")),
        ("firehose:PutRecord", Some("d")),
    ];
    for (action, stream) in allowed {
        assert!(may(action, stream), "{action} {stream:?}");
    }
    let refused = [
        ("kinesis:GetRecords", Some("orders")),
        ("kinesis:GetRecords", None),
        ("kinesis:PutRecords", Some("in")),
        ("kinesis:PutRecord", Some("orders-1")),
        ("firehose:PutRecord", Some("e")),
        ("kinesis:DeleteStream", Some("d")),
    ];
    for (action, stream) in refused {
        assert!(!may(action, stream), "{action} {stream:?}");
    }
    assert!(access.may(&by("other"), "kinesis:ListStreams", None).is_err());
    let nobody = Caller { key_id: None, region: "us-east-1".to_owned() };
    let error = access.may(&nobody, "kinesis:PutRecord", Some("s")).unwrap_err();
    let expected = "User: arn:aws:iam::123456789012:user/anonymous is not authorized to perform: kinesis:PutRecord on resource: \
        arn:aws:kinesis:us-east-1:123456789012:stream/s because no identity-based policy allows the kinesis:PutRecord action";
    assert_eq!((error.kind.as_ref(), error.message.as_deref()), ("AccessDeniedException", Some(expected)));
}

/// Every bit of every byte that is signed, in both forms.
#[test]
fn a_request_that_was_changed_anywhere_is_refused() {
    let long = Sent { uri: "/a%20b/?y=1&x=%C3%A4".to_owned(), ..Sent::put() };
    let requests = [long.signed(ID, NOW), Sent::put().presigned(ID, NOW, &[("X-Amz-Expires", "60")])];
    let access = access(AccessMode::Signed);
    for sent in requests {
        let body = Bytes::from(sent.body.clone());
        assert!(check(&access, NOW, &sent.parts().unwrap(), "kinesis", "PutRecord", &body).is_ok());
        let mut changed = 0;
        for changes in 0..8 * sent.bytes() {
            let other = sent.changed(changes / 8, 1 << (changes % 8));
            let Some(parts) = other.parts().filter(|_| !other.means_the_same_as(&sent)) else { continue };
            let body = Bytes::from(other.body.clone());
            let checked = check(&access, NOW, &parts, "kinesis", "PutRecord", &body);
            assert!(checked.is_err(), "{other:?}");
            changed += 1;
        }
        assert!(changed > 2000, "{changed}");
    }
}

impl Sent {
    /// How many bytes of it there are to change: those of the names of headers too.
    fn bytes(&self) -> usize {
        let headers: usize = self.signed_headers().iter().map(|(name, value)| name.len() + value.len()).sum();
        self.method.len() + self.uri.len() + self.body.len() + headers
    }

    fn signed_headers(&self) -> Vec<&(String, String)> {
        let is_signed = |name: &str| self.uri.len() < 100 || ["host", "x-amz-target"].contains(&name);
        self.headers.iter().filter(|(name, _)| is_signed(name)).collect()
    }

    fn changed(&self, at: usize, bit: u8) -> Self {
        let mut other = self.clone();
        let mut at = at;
        let mut texts: Vec<&mut String> = vec![&mut other.method, &mut other.uri];
        let is_signed = |name: &str| self.uri.len() < 100 || ["host", "x-amz-target"].contains(&name);
        for (name, value) in other.headers.iter_mut().filter(|(name, _)| is_signed(name)) {
            texts.extend([name, value]);
        }
        for text in texts {
            if at < text.len() {
                let mut bytes = std::mem::take(text).into_bytes();
                bytes[at] ^= bit;
                *text = String::from_utf8_lossy(&bytes).into_owned();
                return other;
            }
            at -= text.len();
        }
        other.body[at] ^= bit;
        other
    }

    /// By rules of HTTP: names of headers have no case, nor have the digits of escapes; and those between the words of a signature, of which a
    /// space is as good as a comma.
    fn means_the_same_as(&self, other: &Self) -> bool {
        let (path, query) = self.uri.split_once('?').unwrap_or((&self.uri, ""));
        let (other_path, other_query) = other.uri.split_once('?').unwrap_or((&other.uri, ""));
        let parameters = |query: &str| parameters(query).map(|(a, b)| (a.into_owned(), b.into_owned())).collect::<Vec<_>>();
        let headers = |sent: &Self| {
            let words =
                |value: &str| value.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
            sent.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), words(value))).collect::<Vec<_>>()
        };
        self.method == other.method
            && path == other_path
            && parameters(query) == parameters(other_query)
            && headers(self) == headers(other)
            && self.body == other.body
    }
}

proptest! {
    #[test]
    fn nothing_that_is_sent_makes_it_panic(
        authorization in "(AWS4-HMAC-SHA256 )?[ -~]{0,200}",
        query in "(X-Amz-(Algorithm|Credential|Date|Expires|SignedHeaders|Signature)=[!-~]{0,20}&){0,7}",
        date in "([0-9]{8}T[0-9]{6}Z|[ -~]{0,40})",
    ) {
        let forms = [
            Sent::put().with("authorization", &authorization).with("x-amz-date", &date),
            Sent { uri: format!("/?{query}"), ..Sent::put() },
        ];
        for mode in [AccessMode::Open, AccessMode::Signed] {
            for sent in forms.iter().filter(|sent| sent.parts().is_some()) {
                let checked = sent.check(mode);
                prop_assert!(mode == AccessMode::Open || checked.is_err());
            }
        }
    }
}

#[test]
fn a_key_signs_for_every_scope_whichever_was_asked_for_last() {
    let (key, secret) = (Key::of(&key(ID, &[])), Secret::new(SECRET));
    let scope = |region| Scope { date: "20150830", region, service: "kinesis" };
    for region in ["eu-west-1", "eu-west-1", "us-east-1", "eu-west-1"] {
        let signature = scope(region).sign(&secret, "text");
        assert!(key.of_scope(scope(region)).is_signature("text", &signature), "{region}");
        assert!(!key.of_scope(scope("eu-north-1")).is_signature("text", &signature), "{region}");
    }
}
