//! Defaults, merges, and what is refused, through the table that calls are read by.

use bytes::Bytes;
use expect_test::expect;
use serde_json::{Value as Json, json};

use super::*;
use crate::aws::read;
use crate::firehose::MODEL;

const ROLE: &str = "arn:aws:iam::123456789012:role/r";

/// What a CreateDeliveryStream with this destination keeps of it, or what it tells.
fn made(destination: &Json) -> Result<Value, String> {
    let mut whole = json!({"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::b"});
    whole.as_object_mut().unwrap().extend(destination.as_object().unwrap().clone());
    made_by(&json!({"ExtendedS3DestinationConfiguration": whole}))
}

fn made_by(members: &Json) -> Result<Value, String> {
    let mut body = json!({"DeliveryStreamName": "s"});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let body = Bytes::from(body.to_string());
    let input = MODEL.operation("CreateDeliveryStream").unwrap().read(read::json(&body).unwrap()).unwrap();
    new(&input).map_err(|error| error.message.unwrap())
}

/// The same after an update.
fn changed(before: &Value, update: &Json) -> Result<Value, String> {
    let body = json!({
        "DeliveryStreamName": "s", "CurrentDeliveryStreamVersionId": "1", "DestinationId": DESTINATION_ID,
        "ExtendedS3DestinationUpdate": update
    });
    let body = Bytes::from(body.to_string());
    let input = MODEL.operation("UpdateDestination").unwrap().read(read::json(&body).unwrap()).unwrap();
    updated(before, &input).map_err(|error| error.message.unwrap())
}

fn text(value: &Value) -> String {
    String::from_utf8(value.to_json()).unwrap()
}

fn partitioned(size: i64) -> Json {
    json!({
        "Prefix": "k=!{partitionKeyFromQuery:k}/", "ErrorOutputPrefix": "e/!{firehose:error-output-type}/",
        "BufferingHints": {"SizeInMBs": size, "IntervalInSeconds": 60},
        "DynamicPartitioningConfiguration": {"Enabled": true},
        "ProcessingConfiguration": {"Enabled": true, "Processors": [{"Type": "MetadataExtraction", "Parameters": [
            {"ParameterName": "MetadataExtractionQuery", "ParameterValue": "{k:.k}"},
            {"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"}
        ]}]}
    })
}

fn converted() -> Json {
    json!({"DataFormatConversionConfiguration": {
        "SchemaConfiguration": {"DatabaseName": "d", "TableName": "t"},
        "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
        "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}}
    }})
}

fn with(mut base: Json, path: &str, value: Json) -> Json {
    let (above, name) = path.rsplit_once('/').unwrap();
    let above = if above.is_empty() { Some(&mut base) } else { base.pointer_mut(above) };
    above.unwrap()[name] = value;
    base
}

#[test]
fn defaults_are_filled_in() {
    let plain = made(&json!({})).unwrap();
    expect![[r#"{"RoleARN":"arn:aws:iam::123456789012:role/r","BucketARN":"arn:aws:s3:::b","Prefix":"","BufferingHints":{"SizeInMBs":5,"IntervalInSeconds":300},"CompressionFormat":"UNCOMPRESSED","EncryptionConfiguration":{"NoEncryptionConfig":"NoEncryption"},"CloudWatchLoggingOptions":{"Enabled":false},"S3BackupMode":"Disabled","CustomTimeZone":"UTC"}"#]]
    .assert_eq(&text(&plain));
    let older = json!({"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::b"});
    assert_eq!(made_by(&json!({"S3DestinationConfiguration": older})).unwrap(), plain, "the older form is the same");
    let rearranged = made(&converted()).unwrap();
    assert_eq!(text(rearranged.get("BufferingHints").unwrap()), r#"{"SizeInMBs":128,"IntervalInSeconds":300}"#);
    assert_eq!(rearranged.get("DataFormatConversionConfiguration").unwrap().flag("Enabled"), Some(true));
    let off = with(converted(), "/DataFormatConversionConfiguration/Enabled", json!(false));
    assert_eq!(text(made(&off).unwrap().get("BufferingHints").unwrap()), r#"{"SizeInMBs":5,"IntervalInSeconds":300}"#);
    let partitioning = made(&partitioned(64)).unwrap().get("DynamicPartitioningConfiguration").unwrap().clone();
    assert_eq!(text(&partitioning), r#"{"Enabled":true,"RetryOptions":{"DurationInSeconds":300}}"#);
}

#[test]
fn what_an_update_does_not_name_stays() {
    let hints = json!({"SizeInMBs": 1, "IntervalInSeconds": 0});
    let before = made(&json!({"Prefix": "a/", "CompressionFormat": "GZIP", "BufferingHints": hints})).unwrap();
    let after = changed(&before, &json!({"Prefix": "b/", "FileExtension": ".gz"})).unwrap();
    assert_eq!((after.text("Prefix"), after.text("CompressionFormat")), (Some("b/"), Some("GZIP")));
    assert_eq!((after.get("BufferingHints"), after.text("FileExtension")), (before.get("BufferingHints"), Some(".gz")));
    assert_eq!(changed(&before, &json!({})).unwrap(), before);
    let backup = json!({"S3BackupMode": "Enabled", "S3BackupUpdate": {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::c"}});
    let backed = changed(&before, &backup).unwrap();
    let moved = changed(&backed, &json!({"S3BackupUpdate": {"Prefix": "p/"}})).unwrap();
    let backup = moved.get("S3BackupConfiguration").unwrap();
    assert_eq!((backup.text("BucketARN"), backup.text("Prefix")), (Some("arn:aws:s3:::c"), Some("p/")));
    let told = changed(&before, &json!({"S3BackupUpdate": {"Prefix": "p/"}})).unwrap_err();
    assert_eq!(told, "S3BackupUpdate needs RoleARN: there is no backup yet");
    let told = changed(&before, &converted()).unwrap_err();
    assert_eq!(told, "CompressionFormat must be UNCOMPRESSED when data format conversion is enabled.", "the whole is checked");
}

#[test]
fn one_destination_in_s3_is_taken() {
    let one = json!({"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::b"});
    let exactly = "Exactly one destination configuration is supported for a Firehose";
    let told = |members: Json| made_by(&members).unwrap_err();
    assert_eq!(told(json!({})), exactly);
    assert_eq!(told(json!({"S3DestinationConfiguration": one, "ExtendedS3DestinationConfiguration": one})), exactly);
    for other in ["Redshift", "Splunk", "HttpEndpoint", "Iceberg", "Snowflake", "Elasticsearch"] {
        let name = format!("{other}DestinationConfiguration");
        assert_eq!(
            told(json!({(name.as_str()): {"any": 1}})),
            format!("{name} is not served: this server delivers to S3, give ExtendedS3DestinationConfiguration")
        );
    }
}

#[test]
fn rules_of_aws_are_held() {
    let processor = |kind: &str| json!({"ProcessingConfiguration": {"Enabled": true, "Processors": [{"Type": kind}]}});
    let conversion = "/DataFormatConversionConfiguration";
    let partition = |path: &str, value: Json| with(partitioned(64), path, value);
    let convert = |path: &str, value: Json| with(converted(), &format!("{conversion}{path}"), value);
    let rows = [
        (json!({"BufferingHints": {"SizeInMBs": 5}}), "takes both SizeInMBs and IntervalInSeconds"),
        (json!({"BufferingHints": {"IntervalInSeconds": 5}}), "takes both SizeInMBs and IntervalInSeconds"),
        (json!({"S3BackupMode": "Enabled"}), "S3BackupConfiguration must be given"),
        (json!({"Prefix": "!{timestamp:yyyy}"}), "ErrorOutputPrefix cannot be null or empty"),
        (
            json!({"S3BackupConfiguration": {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::c", "Prefix": "!{timestamp:yyyy}"}}),
            "ErrorOutputPrefix cannot be null or empty",
        ),
        (processor("Lambda"), "the processor Lambda is not served"),
        (processor("Decompression"), "the processor Decompression is not served"),
        (processor("MetadataExtraction"), "needs the parameter MetadataExtractionQuery"),
        (partition("/DynamicPartitioningConfiguration/Enabled", json!(false)), "need Dynamic Partitioning to be enabled"),
        (partition("/Prefix", json!("plain/")), "Prefix must contain partition keys"),
        (partition("/ProcessingConfiguration/Enabled", json!(false)), "needs the processor MetadataExtraction"),
        (partition("/ProcessingConfiguration/Processors/0/Parameters/1/ParameterValue", json!("JQ-1.7")), "which is JQ-1.6"),
        (partitioned(63), "BufferingHints.SizeInMBs must be at least 64 when Dynamic Partitioning is enabled."),
        (convert("/SchemaConfiguration", Json::Null), "SchemaConfiguration is required"),
        (convert("/InputFormatConfiguration", Json::Null), "InputFormatConfiguration.Deserializer is required"),
        (convert("/InputFormatConfiguration/Deserializer/HiveJsonSerDe", json!({})), "either OpenXJsonSerDe or HiveJsonSerDe"),
        (convert("/OutputFormatConfiguration/Serializer", json!({"OrcSerDe": {}})), "takes ParquetSerDe"),
        (with(converted(), "/CompressionFormat", json!("GZIP")), "CompressionFormat must be UNCOMPRESSED"),
        (
            with(converted(), "/BufferingHints", json!({"SizeInMBs": 5, "IntervalInSeconds": 60})),
            "BufferingHints.SizeInMBs must be at least 64 when data format conversion is enabled.",
        ),
    ];
    for (sent, expected) in rows {
        let told = made(&sent).unwrap_err();
        assert!(told.contains(expected), "{sent}: {told}");
    }
    for kind in ["AppendDelimiterToRecord", "RecordDeAggregation"] {
        made(&processor(kind)).unwrap();
        let two = json!({"ProcessingConfiguration": {"Enabled": true, "Processors": [{"Type": kind}, {"Type": kind}]}});
        assert_eq!(made(&two).unwrap_err(), format!("the processor {kind} stands there twice"));
    }
    let off = json!({"ProcessingConfiguration": {"Enabled": false, "Processors": [{"Type": "Lambda"}]}});
    made(&off).unwrap();
}

#[test]
fn both_forms_are_described() {
    let backup = json!({"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::c"});
    let made = made(&json!({"S3BackupConfiguration": backup, "FileExtension": ".json"})).unwrap();
    let described: Json = serde_json::from_slice(&described(&made).to_json()).unwrap();
    assert_eq!(described["DestinationId"], DESTINATION_ID);
    let (older, extended) = (&described["S3DestinationDescription"], &described["ExtendedS3DestinationDescription"]);
    assert_eq!((&older["FileExtension"], &extended["FileExtension"]), (&Json::Null, &json!(".json")));
    assert_eq!((&older["BucketARN"], &older["Prefix"]), (&json!("arn:aws:s3:::b"), &json!("")));
    assert_eq!(extended["S3BackupDescription"]["BucketARN"], "arn:aws:s3:::c");
    assert_eq!(extended["S3BackupConfiguration"], Json::Null);
}
