//! Settings as clients send them.

use super::*;

fn parsed(body: &str) -> Result<InstanceSettings, u16> {
    InstanceSettings::parse(body.as_bytes()).map_err(|error| error.code())
}

#[test]
fn nothing_is_said_and_the_defaults_are_confluents() {
    for body in ["", " ", "{}", r#"{"unknown":{"a":1},"format":null}"#] {
        let settings = parsed(body).unwrap();
        assert!(settings.name.starts_with("rest-consumer-") && settings.name.len() == 50, "{}", settings.name);
        let InstanceSettings { format, reset, auto_commit, response_bytes_min, request_wait, .. } = settings;
        assert_eq!((format, reset, auto_commit, response_bytes_min), (Format::Binary, Reset::Latest, false, None));
        assert_eq!(request_wait, Duration::from_secs(1));
    }
}

#[test]
fn everything_can_be_set_as_text_or_as_it_is() {
    let expected = InstanceSettings {
        name: "i".to_owned(),
        format: Format::Json,
        reset: Reset::Earliest,
        auto_commit: true,
        response_bytes_min: Some(7),
        request_wait: Duration::from_millis(50),
    };
    let text = r#"{"name":"n","id":"i","format":"JSON","auto.offset.reset":"earliest","auto.commit.enable":"true",
        "fetch.min.bytes":"7","consumer.request.timeout.ms":"50"}"#;
    assert_eq!(parsed(text).unwrap(), expected);
    let values = r#"{"id":"i","format":"json","auto.offset.reset":"earliest","auto.commit.enable":true,"responseMinBytes":7,
        "requestWaitMs":50}"#;
    assert_eq!(parsed(values).unwrap(), expected);
}

#[test]
fn what_is_wrong_has_its_code() {
    for (body, code) in [
        ("{", 400),
        ("[]", 422),
        (r#"{"name":""}"#, 42204),
        (r#"{"name":"a\nb"}"#, 42204),
        (r#"{"format":"avro"}"#, 42204),
        (r#"{"format":"csv"}"#, 42204),
        (r#"{"auto.offset.reset":"largest"}"#, 42204),
        (r#"{"auto.commit.enable":"yes"}"#, 42204),
        (r#"{"fetch.min.bytes":"x"}"#, 42204),
        (r#"{"fetch.min.bytes":"0"}"#, 40001),
        (r#"{"fetch.min.bytes":10000001}"#, 40001),
        (r#"{"fetch.min.bytes":-2}"#, 40001),
        (r#"{"consumer.request.timeout.ms":0}"#, 40001),
        (r#"{"consumer.request.timeout.ms":1.5}"#, 42204),
    ] {
        assert_eq!(parsed(body).unwrap_err(), code, "{body}");
    }
    assert_eq!(parsed(r#"{"fetch.min.bytes":-1}"#).unwrap().response_bytes_min, None);
}

#[test]
fn a_read_waits_as_long_as_both_allow() {
    let mut settings = parsed("{}").unwrap();
    assert_eq!(settings.wait_of(None), Duration::from_secs(1));
    assert_eq!(settings.wait_of(Some(20)), Duration::from_millis(20));
    assert_eq!(settings.wait_of(Some(20_000)), Duration::from_secs(1));
    settings.request_wait = Duration::from_secs(600);
    assert_eq!(settings.wait_of(Some(u64::MAX)), REQUEST_WAIT_MAX);
}
