//! Configurations as they are posted to Connect: the classic one, and what is wrong with others, in Connect's words.

use std::time::Duration;

use expect_test::expect;
use pinlake_core::{Batch, Record, Timestamp, TopicName};

use super::*;
use crate::convert::Converter;
use crate::format::parquet::Codec;
use crate::format::{Compression, Format};
use crate::layout::{Folders, Object};
use crate::place::Placement;
use crate::plan::{OnNull, Topics, UNIT_OBJECTS};

/// The configuration that nearly everybody has, as it is.
const CLASSIC: &str = "connector.class=io.confluent.connect.s3.S3SinkConnector
s3.region=us-east-1
flush.size=1
schema.compatibility=NONE
tasks.max=3
topics.regex=0a1b2c3d4e5f.*
format.class=io.confluent.connect.s3.format.json.JsonFormat
partitioner.class=io.confluent.connect.storage.partitioner.DefaultPartitioner
value.converter.schemas.enable=false
value.converter=org.apache.kafka.connect.json.JsonConverter
storage.class=io.confluent.connect.s3.storage.S3Storage
key.converter=org.apache.kafka.connect.storage.StringConverter
s3.bucket.name=user-0a1b2c3d4e5f-bucket
";

struct Machine;

impl References for Machine {
    fn file(&self, path: &str, name: &str) -> Result<String> {
        match (path, name) {
            ("/run/secrets", name) => {
                property("key=hunter2\nsize=many\n", name).ok_or_else(|| Error::not_found("no such property"))
            }
            _ => Err(Error::not_found("no such file")),
        }
    }

    fn variable(&self, name: &str) -> Result<String> {
        if name == "FLUSH" { Ok("7".to_owned()) } else { Err(Error::not_found("no such variable")) }
    }
}

/// The classic configuration with other settings in place of some; an empty value takes a setting out.
fn config(other: &[(&str, &str)]) -> Config {
    let mut config: Config =
        CLASSIC.lines().filter_map(|line| line.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    config.insert("name".to_owned(), "sink".to_owned());
    for (name, value) in other {
        config.remove(*name);
        if !value.is_empty() {
            config.insert((*name).to_owned(), (*value).to_owned());
        }
    }
    config
}

fn planned(other: &[(&str, &str)]) -> Plan {
    plan(&config(other), &Machine).unwrap_or_else(|validation| panic!("{}", validation.message()))
}

fn folders(plan: &Plan) -> &Folders {
    let layout: &dyn std::any::Any = &*plan.layout;
    layout.downcast_ref().expect("a connector's objects are in folders")
}

/// All errors of the classic configuration with other settings, each behind its setting.
fn errors(other: &[(&str, &str)]) -> Vec<(String, String)> {
    let validation = plan(&config(other), &Machine).expect_err("it is wrong");
    let of = |one: Checked| one.errors.into_iter().map(move |error| (one.setting.name.to_owned(), error));
    validation.configs.into_iter().flat_map(of).collect()
}

/// The one error.
fn error(other: &[(&str, &str)]) -> String {
    let errors = errors(other);
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors[0].1.clone()
}

const BY_TIME: [(&str, &str); 5] = [
    ("partitioner.class", "io.confluent.connect.storage.partitioner.TimeBasedPartitioner"),
    ("path.format", "'year'=YYYY/'month'=MM"),
    ("partition.duration.ms", "3600000"),
    ("locale", "en-US"),
    ("timezone", "Europe/Berlin"),
];

fn by_time<'a>(other: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    BY_TIME.iter().chain(other).copied().collect()
}

#[test]
fn the_classic_configuration_passes_unchanged_and_names_its_objects_as_ever() {
    let plan = planned(&[("name", "")].map(|_| ("name", "x")));
    assert_eq!(plan.tasks, 3);
    assert_eq!(plan.rotation.records, 1);
    assert_eq!((plan.target.bucket.as_str(), plan.target.region.as_deref()), ("user-0a1b2c3d4e5f-bucket", Some("us-east-1")));
    assert!(plan.topics.matches(&TopicName::new("0a1b2c3d4e5f.pin").unwrap()));
    assert!(!plan.topics.matches(&TopicName::new("x0a1b2c3d4e5f.pin").unwrap()));
    assert_eq!(plan.on_null, OnNull::Fail);
    assert!(!plan.overwrite && !plan.on_error.tolerate);
    let of = TopicName::new("0a1b2c3d4e5f.pin").unwrap().partition(0);
    let batch = Batch::of(&[Record::of_key_value("k", "{ \"index\": 7528 }")], Timestamp(1)).unwrap();
    let view = batch.records().next().unwrap().unwrap();
    let placed = plan.layout.place(&of, &view, Timestamp(1)).unwrap().remove(0);
    let (first, end) = (pinlake_core::Offset(3), pinlake_core::Offset(4));
    let topic = pinlake_core::TopicId::of_name([1; 16]);
    let object = Object { of: &of, topic, folder: &placed.folder, first, end, time: placed.time, rows: placed.row };
    let file = plan.layout.files(object).unwrap().remove(0);
    assert_eq!(file.path.as_ref(), "topics/0a1b2c3d4e5f.pin/partition=0/0a1b2c3d4e5f.pin+0+0000000003.json");
    assert_eq!(file.content, "{\"index\":7528}\n");
}

#[test]
fn a_validation_says_what_connect_says() {
    let validation = validate(&config(&[("flush.size", ""), ("tasks.max", "x"), ("not.known", "1")]), &Machine).unwrap();
    assert_eq!(validation.error_count(), 2);
    let json = validation.to_json();
    assert_eq!(json["name"], S3_SINK);
    assert_eq!(json["error_count"], 2);
    expect![[
        r#"["Common","Transforms","Predicates","Error Handling","Connector","S3","Keys and Headers","Storage","Partitioner"]"#
    ]]
    .assert_eq(&json["groups"].to_string());
    let configs = json["configs"].as_array().unwrap();
    let of = |name: &str| configs.iter().find(|config| config["definition"]["name"] == name).unwrap();
    expect![[r#"{"definition":{"name":"flush.size","type":"INT","required":true,"default_value":null,"importance":"HIGH","documentation":"After how many records of a topic's partition their objects are written, all that are open for that partition together.","group":"Connector","width":"LONG","display_name":"Flush Size","dependents":[],"order":2},"value":{"name":"flush.size","value":null,"recommended_values":[],"errors":["Missing required configuration \"flush.size\" which has no default value."],"visible":true}}"#]]
        .assert_eq(&of("flush.size").to_string());
    expect![[r#"{"name":"tasks.max","value":"x","recommended_values":[],"errors":["Invalid value x for configuration tasks.max: Not a number of type INT"],"visible":true}"#]]
        .assert_eq(&of("tasks.max")["value"].to_string());
    assert_eq!(of("path.format")["value"]["visible"], false);
    expect![[r#"
        Connector configuration is invalid and contains the following 2 error(s):
        Invalid value x for configuration tasks.max: Not a number of type INT
        Missing required configuration "flush.size" which has no default value.
        You can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`"#]]
    .assert_eq(&validation.message());
    assert_eq!(validate(&config(&[]), &Machine).unwrap().error_count(), 0);
}

#[test]
fn a_configuration_must_name_the_connector() {
    for class in ["S3SinkConnector", "S3Sink", S3_SINK] {
        assert!(validate(&config(&[(CONNECTOR_CLASS, class)]), &Machine).is_ok());
    }
    let error = validate(&config(&[(CONNECTOR_CLASS, "")]), &Machine).unwrap_err();
    assert!(error.message().starts_with("Connector config contains no connector type"), "{error}");
    let error = validate(&config(&[(CONNECTOR_CLASS, "FileStreamSink")]), &Machine).unwrap_err();
    assert!(
        error.message().starts_with("Failed to find any class that implements Connector and which name matches FileStreamSink")
    );
    let many: Config = (0..=SETTINGS_MAX).map(|n| (format!("s{n}"), String::new())).collect();
    assert!(validate(&many, &Machine).is_err());
}

#[test]
fn values_are_checked_one_by_one() {
    for (name, value, expected) in [
        ("flush.size", "0", "Invalid value 0 for configuration flush.size: Value must be at least 1"),
        ("flush.size", "3000000000", "Invalid value 3000000000 for configuration flush.size: Not a number of type INT"),
        (
            "format.class",
            "JsonFormt",
            "Invalid value JsonFormt for configuration format.class: Class JsonFormt could not be found.",
        ),
        ("errors.tolerance", "some", "Invalid value some for configuration errors.tolerance: String must be one of: none, all"),
        (
            "store.kafka.keys",
            "yes",
            "Invalid value yes for configuration store.kafka.keys: Expected value to be either true or false",
        ),
        ("s3.part.size", "5", "Invalid value 5 for configuration s3.part.size: Value must be at least 5242880"),
        (
            "filename.offset.zero.pad.width",
            "101",
            "Invalid value 101 for configuration filename.offset.zero.pad.width: Value must be no more than 100",
        ),
        (
            "timezone",
            "Mars/Olympus",
            "Invalid value Mars/Olympus for configuration timezone: time zone 'Mars/Olympus' is not known",
        ),
        ("name", "a\u{7}b", "Invalid value a\u{7}b for configuration name: String may not contain control sequences"),
        ("topics.regex", "a(", "Invalid value a( for configuration topics.regex: Invalid regex: "),
        (
            "s3.bucket.name",
            "user-<id>-bucket",
            "Invalid value user-<id>-bucket for configuration s3.bucket.name: a bucket's name takes",
        ),
        ("s3.bucket.name", "../..", "Invalid value ../.. for configuration s3.bucket.name: a bucket's name takes"),
        ("store.url", "file:///etc", "Invalid value file:///etc for configuration store.url: it takes the address"),
        (
            "store.url",
            "http://a:b@store:9000",
            "Invalid value http://a:b@store:9000 for configuration store.url: it takes no name and password",
        ),
        ("topics.dir", "a/../b", "Invalid value a/../b for configuration topics.dir: no object can have the name"),
        ("transforms", "insert", "Invalid value insert for configuration transforms: records are not transformed"),
        ("s3.ssea.name", "AES256", "Invalid value AES256 for configuration s3.ssea.name: encryption is not asked for"),
        (
            "behavior.on.null.values",
            "drop",
            "Invalid value drop for configuration behavior.on.null.values: String must be one of (case insensitive): ignore, fail, write",
        ),
        ("aws.access.key.id", "AKIA", "aws.access.key.id and aws.secret.access.key go together"),
        (
            "errors.deadletterqueue.topic.name",
            "0a1b2c3d4e5f.dead",
            "Invalid value 0a1b2c3d4e5f.dead for configuration errors.deadletterqueue.topic.name: The DLQ topic \
             '0a1b2c3d4e5f.dead' may not be matched by the regex",
        ),
    ] {
        let error = error(&[(name, value)]);
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn what_is_known_elsewhere_only_is_refused_with_what_to_use() {
    for (name, value) in [
        ("format.class", "io.confluent.connect.s3.format.avro.AvroFormat"),
        ("value.converter", "io.confluent.connect.avro.AvroConverter"),
        ("value.converter", "io.confluent.connect.protobuf.ProtobufConverter"),
        ("partitioner.class", "io.confluent.connect.storage.partitioner.FieldAndTimeBasedPartitioner"),
        ("s3.credentials.provider.class", "com.example.MyCredentialsProvider"),
        ("store.kafka.keys", "true"),
    ] {
        let error = error(&[(name, value)]);
        assert!(error.contains(" here: "), "{error}");
    }
}

#[test]
fn topics_are_named_or_matched_and_not_both() {
    for (topics, pattern, text) in [
        ("", "", "Must configure one of topics or topics.regex"),
        ("a", "b", "topics and topics.regex are mutually exclusive options, but both are set."),
    ] {
        let errors = errors(&[("topics", topics), ("topics.regex", pattern)]);
        assert_eq!(errors, [("topics".to_owned(), text.to_owned()), ("topics.regex".to_owned(), text.to_owned())]);
    }
    let plan = planned(&[("topics", " a , b.c"), ("topics.regex", "")]);
    let Topics::Named(names) = &plan.topics else { panic!("{:?}", plan.topics) };
    assert_eq!(names.iter().map(TopicName::as_str).collect::<Vec<_>>(), ["a", "b.c"]);
    assert!(error(&[("topics", "a b"), ("topics.regex", "")]).contains("topic name 'a b' is not legal"));
}

#[test]
fn partitioners_by_time_want_all_that_they_need() {
    let plan = planned(&by_time(&[("rotate.interval.ms", "60000"), ("timestamp.extractor", "Record")]));
    assert!(matches!(folders(&plan).placement, Placement::Time(_)) && !plan.layout.by_wall_clock());
    assert_eq!(plan.rotation.record_time, Some(Duration::from_secs(60)));
    assert!(planned(&by_time(&[])).layout.by_wall_clock());
    assert_eq!(planned(&[("rotate.interval.ms", "60000")]).rotation.record_time, None);
    for (name, value, expected) in [
        ("path.format", "", "Invalid value  for configuration path.format: Path format cannot be empty."),
        ("path.format", "/", "Invalid value / for configuration path.format: Path format cannot be empty."),
        ("locale", "", "Invalid value  for configuration locale: Locale cannot be empty."),
        ("timezone", "", "Invalid value  for configuration timezone: Timezone cannot be empty."),
        (
            "partition.duration.ms",
            "",
            "Invalid value -1 for configuration partition.duration.ms: Partition duration needs to be a positive.",
        ),
        ("path.format", "bb", "Invalid value bb for configuration path.format: Illegal pattern component: bb"),
        (
            "timestamp.extractor",
            "com.example.Own",
            "Invalid value com.example.Own for configuration timestamp.extractor: Invalid timestamp extractor: com.example.Own",
        ),
    ] {
        assert_eq!(error(&by_time(&[(name, value)])), expected);
    }
    assert!(error(&by_time(&[("path.format", "MMMM"), ("locale", "de")])).contains("in English here"));
    planned(&by_time(&[("path.format", "YYYY/MM/"), ("locale", "de")]));
    planned(&by_time(&[(
        "timestamp.extractor",
        "io.confluent.connect.storage.partitioner.TimeBasedPartitioner$RecordFieldTimestampExtractor",
    )]));
    for class in ["DailyPartitioner", "HourlyPartitioner"] {
        let plan = planned(&[("partitioner.class", class), ("locale", "en"), ("timezone", "UTC"), ("directory.delim", "_x_")]);
        let Placement::Time(places) = &folders(&plan).placement else { panic!() };
        let at = "2024-05-01T12:00:00Z".parse::<jiff::Timestamp>().unwrap().to_zoned(jiff::tz::TimeZone::UTC);
        let hour = if class == "HourlyPartitioner" { "_x_hour=12" } else { "" };
        assert_eq!(places.pattern.format(&at), format!("year=2024_x_month=05_x_day=01{hour}"));
    }
}

#[test]
fn rotation_and_retries_are_as_configured() {
    let plan = planned(&[
        ("rotate.schedule.interval.ms", "60000"),
        ("timezone", "UTC"),
        ("errors.retry.timeout", "-1"),
        ("s3.part.retries", "9"),
        ("partitioner.max.open.files", "5"),
        ("enable.conditional.writes", "false"),
        ("tasks.max", "99999"),
    ]);
    assert_eq!(plan.rotation.schedule.unwrap().every, Duration::from_secs(60));
    assert_eq!((plan.retry.times, plan.retry.pause, plan.retry.at_least), (9, Duration::from_millis(200), None));
    assert_eq!((plan.rotation.objects, plan.tasks, plan.overwrite), (5, 256, true));
    assert_eq!(planned(&[]).rotation.objects, UNIT_OBJECTS);
    assert_eq!(planned(&[]).retry.at_least, Some(Duration::ZERO));
    let text = "timezone configuration must be set when using rotate.schedule.interval.ms";
    assert_eq!(error(&[("rotate.schedule.interval.ms", "60000")]), text);
}

#[test]
fn formats_and_converters_are_as_configured() {
    let bytes = planned(&[
        ("format.class", "io.confluent.connect.s3.format.bytearray.ByteArrayFormat"),
        ("value.converter", "org.apache.kafka.connect.converters.ByteArrayConverter"),
        ("format.bytearray.separator", " \r\n"),
        ("format.bytearray.extension", ".raw"),
        ("s3.compression.type", "gzip"),
    ]);
    let formats = &folders(&bytes).formats;
    assert_eq!(formats.values, Format::Bytes { extension: ".raw".to_owned(), separator: " \r\n".to_owned() });
    assert_eq!(formats.compression, Compression::Gzip(6));
    let parquet = planned(&[("format.class", "ParquetFormat"), ("parquet.codec", "zstd")]);
    assert_eq!(folders(&parquet).formats.values, Format::Parquet(Codec::Zstd));
    let class = "io.confluent.connect.s3.format.parquet.ParquetFormat";
    let both = errors(&[("format.class", class), ("s3.compression.type", "gzip")]);
    let text = format!("Compression Type gzip not valid for data format class: ( {class} ).");
    assert_eq!(
        both.iter().map(|(name, error)| (name.as_str(), error.as_str())).collect::<Vec<_>>(),
        [("format.class", text.as_str()), ("s3.compression.type", text.as_str())]
    );
    assert_eq!(folders(&planned(&[])).converters.value, Converter::Json);
    assert_eq!(folders(&planned(&[("value.converter.schemas.enable", "")])).converters.value, Converter::JsonWithSchema);
    assert_eq!(folders(&planned(&[("value.converter", ""), ("key.converter", "")])).converters.value, Converter::Json);
    assert_eq!(folders(&planned(&[("value.converter", "StringConverter")])).converters.value, Converter::Text);
    let with_keys = [("behavior.on.null.values", "write"), ("store.kafka.keys", "true"), ("keys.format.class", "JsonFormat")];
    let plan = planned(&with_keys);
    assert_eq!((plan.on_null, folders(&plan).formats.keys.as_ref()), (OnNull::Write, Some(&Format::Json)));
    let both = errors(&with_keys[..1]);
    assert_eq!(both.len(), 2);
    assert!(both.iter().all(|(_, error)| error.contains("is mandatory when tombstone writing is enabled")));
}

#[test]
fn references_are_resolved_for_plans_and_shown_as_they_are() {
    let secret = "${file:/run/secrets:key}";
    let config = config(&[("flush.size", "${env:FLUSH}"), ("aws.access.key.id", "AKIA"), ("aws.secret.access.key", secret)]);
    let plan = plan(&config, &Machine).unwrap();
    assert_eq!(plan.rotation.records, 7);
    assert_eq!(plan.target.keys.as_ref().unwrap().secret, "hunter2");
    assert!(!format!("{plan:?}").contains("hunter2"));
    let json = validate(&config, &Machine).unwrap().to_json().to_string();
    assert!(json.contains(secret) && json.contains("${env:FLUSH}") && !json.contains("hunter2"), "{json}");
}

#[test]
fn what_a_reference_stands_for_is_in_no_error() {
    let reference = "${file:/run/secrets:size}";
    assert_eq!(
        error(&[("flush.size", reference)]),
        format!("Invalid value {reference} for configuration flush.size: Not a number of type INT")
    );
    let gone = "${env:GONE}";
    assert_eq!(error(&[("flush.size", gone)]), format!("Invalid value {gone} for configuration flush.size: no such variable"));
    for name in ["format.class", "topics.regex", "topics.dir", "timezone", "timestamp.extractor", "s3.bucket.name", "store.url"] {
        let value = "${file:/run/secrets:key}";
        let validation = validate(&config(&by_time(&[(name, value)])), &Machine).unwrap();
        assert!(!validation.to_json().to_string().contains("hunter2"), "{name}: {}", validation.message());
    }
}

#[test]
fn logs_show_no_secret() {
    let given = [
        ("aws.secret.access.key", "hunter2"),
        ("s3.proxy.password", "${env:PROXY}"),
        ("value.converter.basic.auth.password", "hunter2"),
    ];
    let masked = masked(&config(&given));
    assert_eq!(masked["aws.secret.access.key"], HIDDEN);
    assert_eq!(masked["s3.proxy.password"], "${env:PROXY}");
    assert_eq!(masked["value.converter.basic.auth.password"], HIDDEN);
    assert_eq!(masked["flush.size"], "1");
}

#[test]
fn every_setting_is_defined_once_and_its_default_is_of_its_type() {
    let mut names = std::collections::BTreeSet::new();
    for setting in groups().iter().flat_map(|group| group.settings) {
        assert!(names.insert(setting.name), "{} is there twice", setting.name);
        assert!(!setting.documentation.is_empty() && !setting.display_name.is_empty());
    }
    for dependent in groups().iter().flat_map(|group| group.settings).flat_map(|setting| setting.dependents) {
        assert!(names.contains(dependent), "{dependent}");
    }
    assert_eq!(validate(&config(&[]), &Machine).unwrap().error_count(), 0);
}
