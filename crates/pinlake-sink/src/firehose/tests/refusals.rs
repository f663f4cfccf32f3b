//! What is wrong with a definition, and what it means for the engine.

use std::time::Duration;

use super::*;
use crate::plan::Start;

#[test]
fn a_definition_says_when_units_end_and_where_they_go() {
    let plan = plan_of(&json!({}));
    assert_eq!((plan.rotation.bytes, plan.rotation.age), (5 << 20, Some(Duration::from_secs(300))));
    assert_eq!((plan.target.bucket.as_str(), plan.start), ("bucket", Start::First));
    assert!(plan.reads(&TopicName::new("firehose.orders").unwrap()) && !plan.reads(&TopicName::new("firehose.order").unwrap()));
    let plan = plan_of(&json!({ "BufferingHints": { "SizeInMBs": 128, "IntervalInSeconds": 0 } }));
    assert_eq!((plan.rotation.bytes, plan.rotation.open_bytes), (128 << 20, 128 << 20));
    assert_eq!(plan.rotation.age, Some(Duration::from_secs(1)));
    let mut source = definition(&json!({}));
    (source["DeliveryStreamType"], source["DeliveryStartTimestamp"]) = (json!("KinesisStreamAsSource"), json!(77));
    assert_eq!(planned(&source).unwrap().start, Start::At(Timestamp(77)));
}

#[test]
fn what_cant_be_used_is_said() {
    let conversion = |serializer: Value, table: &str| {
        json!({ "DataFormatConversionConfiguration": {
            "SchemaConfiguration": { "TableName": table },
            "OutputFormatConfiguration": { "Serializer": serializer },
        }})
    };
    let errors = "e/!{firehose:error-output-type}/";
    let cases = [
        (json!({ "BucketARN": "bucket" }), "BucketARN 'bucket' is none"),
        (json!({ "BucketARN": "arn:aws:s3:::../x" }), "is none: it takes arn:aws:s3:::NAME"),
        (json!({ "BufferingHints": { "SizeInMBs": 129 } }), "SizeInMBs takes 1 to 128"),
        (json!({ "BufferingHints": { "IntervalInSeconds": 901 } }), "IntervalInSeconds takes 0 to 900"),
        (json!({ "CompressionFormat": "LZ4" }), "CompressionFormat 'LZ4' is not known"),
        (json!({ "CustomTimeZone": "Mars/Base" }), "CustomTimeZone can't be used: time zone 'Mars/Base' is not known"),
        (json!({ "FileExtension": "gz" }), "FileExtension takes a dot"),
        (json!({ "FileExtension": ".GZ" }), "FileExtension takes a dot"),
        (json!({ "S3BackupMode": "Enabled" }), "S3BackupMode Enabled is not served"),
        (json!({ "Prefix": "!{timestamp:yyyy}/" }), "ErrorOutputPrefix must be specified when Prefix contains expressions"),
        (json!({ "Prefix": "a//b" }), "Prefix can't be used: no object can have the name 'a//b"),
        (json!({ "Prefix": "/a" }), "Prefix can't be used"),
        (json!({ "Prefix": "../" }), "Prefix can't be used"),
        (json!({ "Prefix": "!{timestamp:yyyy", "ErrorOutputPrefix": errors }), "the sequence !{ has no closing }"),
        (json!({ "Prefix": "!{timestamp:YYYY}", "ErrorOutputPrefix": errors }), "the year of weeks, which is not served: use y"),
        (json!({ "Prefix": "!{timestamp:yyyy[}", "ErrorOutputPrefix": errors }), "'[' is not served in the pattern"),
        (json!({ "Prefix": "!{timestamp:VV}", "ErrorOutputPrefix": errors }), "'VV' in the pattern 'VV' is not served"),
        (json!({ "Prefix": "!{firehose:x}", "ErrorOutputPrefix": errors }), "!{firehose:x} is not known"),
        (json!({ "Prefix": errors, "ErrorOutputPrefix": errors }), "Prefix must not contain !{firehose:error-output-type}"),
        (
            json!({ "ErrorOutputPrefix": "e/!{timestamp:yyyy}/" }),
            "must contain at least one instance of !{firehose:error-output-type}",
        ),
        (json!({ "Prefix": "!{partitionKeyFromLambda:k}", "ErrorOutputPrefix": errors }), "wants a Lambda function"),
        (
            json!({ "Prefix": "!{partitionKeyFromQuery:k}", "ErrorOutputPrefix": errors }),
            "partition keys want DynamicPartitioningConfiguration",
        ),
        (json!({ "ProcessingConfiguration": processing(&[("Lambda", &[])]) }), "processor 'Lambda' is not served"),
        (json!({ "ProcessingConfiguration": processing(&[("RecordDeAggregation", &[])]) }), "wants the parameter SubRecordType"),
        (conversion(json!({ "OrcSerDe": {} }), "orders"), "OrcSerDe is not served: use ParquetSerDe"),
        (conversion(json!({}), "orders"), "OutputFormatConfiguration wants a ParquetSerDe"),
        (conversion(json!({ "ParquetSerDe": {} }), "pins"), "names the table 'pins', which the pipeline does not have"),
        (json!({ "BucketARN": null }), "the definition can't be read"),
    ];
    for (destination, expected) in cases {
        let text = refused(&destination);
        assert!(text.contains(expected), "{destination}: {text}");
    }
    let mut compressed = conversion(json!({ "ParquetSerDe": {} }), "orders");
    compressed["CompressionFormat"] = json!("GZIP");
    assert!(refused(&compressed).contains("CompressionFormat must be UNCOMPRESSED"));
    let mut tagged = definition(&json!({}));
    tagged["Tags"] = json!([{ "Key": DELIMITER_TAG, "Value": "tab" }]);
    assert!(planned(&tagged).unwrap_err().message().contains("takes newline or exact"));
}

#[test]
fn what_is_switched_off_is_not_looked_at() {
    let mut off = processing(&[("Lambda", &[])]);
    off["Enabled"] = json!(false);
    plan_of(&json!({ "ProcessingConfiguration": off, "DataFormatConversionConfiguration": { "Enabled": false } }));
}

#[test]
fn queries_are_paths_and_no_more() {
    let of = |query: &str| {
        super::super::query::Query::new(query)
            .map(|query| query.evaluate(&json!({ "a": { "b c": [1, { "d": "x" }] }, "n": 1.5, "t": true, "z": null })))
    };
    let good = |query: &str, expected: &str| assert_eq!(of(query).unwrap().unwrap()["k"], expected, "{query}");
    good("{k: .a[\"b c\"][1].d}", "x");
    good("{ \"k\" : .a.\"b c\"[-2] }", "1");
    good("{k:.n}", "1.5");
    good("{k: .t}", "true");
    good("{k: (.a | tostring)}", "{\"b c\":[1,{\"d\":\"x\"}]}");
    good("{k: .z | tostring}", "null");
    assert_eq!(of("{n}").unwrap().unwrap()["n"], "1.5");
    assert_eq!(of("{k: .z}").unwrap().unwrap_err(), "key 'k' is null or not there");
    assert_eq!(of("{k: .a}").unwrap().unwrap_err(), "key 'k' is no text, number or boolean");
    assert_eq!(of("{k: .n.x}").unwrap().unwrap_err(), "key 'k' has no object of which 'x' could be a field");
    for (query, why) in [
        (".a", "'{' is missing before '.a'"),
        ("{k: .a | strftime(\"%Y\")}", "'| strftime' is not served"),
        ("{k: .a[]}", "'[]}' is no index"),
        ("{k: 1}", "'1}' is no path"),
        ("{k: .a, k: .b}", "key 'k' is there twice"),
        ("{k: .a} | .k", "stands behind its object"),
        ("{k: .a", "'}' is missing"),
    ] {
        let text = of(query).unwrap_err().message().to_owned();
        assert!(text.contains(why) && text.contains("an object of paths is served"), "{query}: {text}");
    }
}
