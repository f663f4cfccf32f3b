//! The requests and answers of both doors, byte for byte.

use super::*;

fn record(key: Option<i64>, json: &str) -> SourceRecord {
    SourceRecord { kind: Kind::Pin, key, json: json.to_owned() }
}

#[test]
fn a_kafka_rest_request_is_the_classic_one() {
    let (one, other) = (record(Some(7_528), "{\"index\":7528}"), record(None, "{}"));
    let form = Door::KafkaRest.form("0a1b2c3d4e5f.pin", &[&one, &other]);
    assert_eq!(form.method, Method::POST);
    assert_eq!(form.path, ["topics", "0a1b2c3d4e5f.pin"]);
    assert_eq!(form.content_type, "application/vnd.kafka.json.v2+json");
    assert_eq!(form.body, r#"{"records":[{"value":{"index":7528}},{"value":{}}]}"#);
}

#[test]
fn a_single_record_goes_to_the_streams_record() {
    let form = Door::Kinesis.form("streaming-x-pin", &[&record(Some(5), "{\"index\":5}")]);
    assert_eq!(form.method, Method::PUT);
    assert_eq!(form.path, ["streams", "streaming-x-pin", "record"]);
    assert_eq!(form.content_type, "application/json");
    assert_eq!(form.body, r#"{"StreamName":"streaming-x-pin","Data":{"index":5},"PartitionKey":"5"}"#);
}

#[test]
fn several_records_go_to_the_streams_records() {
    let form = Door::Kinesis.form("s", &[&record(Some(5), "{}"), &record(None, "[]")]);
    assert_eq!(form.path, ["streams", "s", "records"]);
    let entries = r#"[{"Data":{},"PartitionKey":"5"},{"Data":[],"PartitionKey":"partition-1"}]"#;
    assert_eq!(form.body, format!(r#"{{"StreamName":"s","Records":{entries}}}"#));
}

#[test]
fn offsets_are_read_with_their_errors() {
    let answer = br#"{"offsets":[
        {"partition":2,"offset":41,"error_code":null,"error":null},
        {"partition":null,"offset":null,"error_code":2,"error":"leader is away"},
        {"partition":null,"offset":null,"error_code":50003,"error":"the disk is full"},
        {"partition":null,"offset":null,"error_code":1,"error":"too large"}],"key_schema_id":null}"#;
    let verdicts = Door::KafkaRest.verdicts(answer, 4).unwrap();
    assert_eq!(
        verdicts,
        [
            Verdict::Acked { partition: 2, place: Place::Offset(41) },
            Verdict::Again("leader is away".to_owned()),
            Verdict::Again("the disk is full".to_owned()),
            Verdict::Refused("too large".to_owned()),
        ]
    );
}

#[test]
fn sequence_numbers_are_read_with_their_errors() {
    let one = br#"{"SequenceNumber":"4965","ShardId":"shardId-000000000003"}"#;
    let acked = || Verdict::Acked { partition: 3, place: Place::SequenceNumber("4965".to_owned()) };
    assert_eq!(Door::Kinesis.verdicts(one, 1).unwrap(), [acked()]);
    let several = br#"{"FailedRecordCount":1,"Records":[
        {"SequenceNumber":"4965","ShardId":"shardId-000000000003"},
        {"ErrorCode":"ProvisionedThroughputExceededException","ErrorMessage":"slow down"},
        {"ErrorCode":"ValidationException","ErrorMessage":"no"}]}"#;
    let verdicts = Door::Kinesis.verdicts(several, 3).unwrap();
    let again = Verdict::Again("ProvisionedThroughputExceededException: slow down".to_owned());
    assert_eq!(verdicts, [acked(), again, Verdict::Refused("ValidationException: no".to_owned())]);
}

#[test]
fn an_answer_of_something_else_is_an_error() {
    let error = Door::KafkaRest.verdicts(b"<html>welcome</html>", 1).unwrap_err();
    assert!(error.to_string().contains("is it the right address?"), "{error}");
    let short = br#"{"offsets":[{"partition":0,"offset":1}]}"#;
    assert!(Door::KafkaRest.verdicts(short, 2).is_err());
}
