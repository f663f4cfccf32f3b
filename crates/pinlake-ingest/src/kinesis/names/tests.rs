//! What is understood of names.

use super::*;

fn words() -> Words {
    Words { account: "123456789012".into(), region: "eu-west-1".into() }
}

fn of(name: Option<&str>, arn: Option<&str>) -> Result<String, String> {
    let input = Value::map([("StreamName", name.into()), ("StreamARN", arn.into())]);
    stream_of(&words(), &input)
        .map(|name| name.to_string())
        .map_err(|error| format!("{}: {}", error.kind, error.message.unwrap()))
}

#[test]
fn a_stream_is_named_or_has_an_arn_or_both() {
    let arn = stream_arn(&words(), &TopicName::new("s").unwrap());
    assert_eq!(arn, "arn:aws:kinesis:eu-west-1:123456789012:stream/s");
    assert_eq!(of(Some("s"), None).as_deref(), Ok("s"));
    assert_eq!(of(None, Some(&arn)).as_deref(), Ok("s"));
    assert_eq!(of(Some("s"), Some(&arn)).as_deref(), Ok("s"));
    assert_eq!(of(None, Some("arn:aws-cn:kinesis:cn-north-1:123456789012:stream/s")).as_deref(), Ok("s"), "whatever the region");
}

#[test]
fn what_names_no_stream_or_two_is_refused() {
    let arn = |rest: &str| format!("arn:aws:kinesis:eu-west-1:{rest}");
    let wrong = [
        (of(None, None), "InvalidArgumentException: Either StreamName or StreamARN should be provided."),
        (of(Some("t"), Some(&arn("123456789012:stream/s"))), "InvalidArgumentException: StreamName t is not the stream of"),
        (of(None, Some(&arn("123456789012:stream/s/consumer/c:1"))), "InvalidArgumentException: arn:aws:kinesis:eu-west-1"),
        (of(None, Some(&arn("123456789012:queue/s"))), "InvalidArgumentException: arn:aws:kinesis:eu-west-1"),
        (of(None, Some("arn:aws:s3:::bucket")), "InvalidArgumentException: arn:aws:s3:::bucket is not"),
        (
            of(None, Some(&arn("999999999999:stream/s"))),
            "ResourceNotFoundException: Stream s under account 999999999999 not found.",
        ),
        (of(Some(".."), None), "ResourceNotFoundException: Stream .. under account 123456789012 not found."),
    ];
    for (answer, expected) in wrong {
        assert!(answer.as_ref().is_err_and(|text| text.starts_with(expected)), "{answer:?}, not {expected}");
    }
}

#[test]
fn a_consumer_has_an_arn_of_its_own() {
    let arn = consumer_arn(&words(), &TopicName::new("s").unwrap(), "c", Timestamp(1_600_000_000_999));
    assert_eq!(arn, "arn:aws:kinesis:eu-west-1:123456789012:stream/s/consumer/c:1600000000");
    let consumer = Some(("c".to_owned(), 1_600_000_000));
    assert_eq!(Resource::parse(&arn), Some(Resource { account: "123456789012".to_owned(), stream: "s".to_owned(), consumer }));
    assert_eq!(Resource::parse(&arn.replace(":1600000000", "")), None);
}

#[test]
fn the_number_of_a_shard_is_what_counts() {
    for (id, number) in [
        ("shardId-000000000005", Some(5)),
        ("5", Some(5)),
        ("a-00002147483647", Some(i32::MAX.cast_unsigned())),
        ("-7", Some(7)),
        ("2147483648", None),
        ("shardId-002147483648", None),
        ("shardId-", None),
        ("2.14E4", None),
        ("shardId-+5", None),
        ("ABKLFD8", None),
        ("", None),
        ("99999999999999999999999", None),
    ] {
        assert_eq!(shard_number(id), number, "{id}");
    }
}
