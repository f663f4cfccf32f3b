//! Definitions, and what they make of records.

mod objects;
mod refusals;

use std::collections::BTreeMap;

use object_store::path::Path;
use pinlake_core::pipeline::{RawColumn, RawType};
use pinlake_core::{Batch, Offset, Record, Timestamp, TopicId, TopicName, TopicPartition};
use serde_json::{Value, json};

use super::*;
use crate::layout::{Object, Row};

/// 2026-03-04T05:06:07.089Z.
const ARRIVAL: Timestamp = Timestamp(1_772_600_767_089);
const AT: Timestamp = Timestamp(ARRIVAL.0 + 5_000);

fn of() -> TopicPartition {
    TopicName::new("firehose.orders").unwrap().partition(0)
}

fn defaults() -> Defaults {
    let column = |name: &str, kind| RawColumn { name: name.to_owned(), kind };
    let tables: Tables = Arc::new(move |name| {
        let kinds = [("id", RawType::Bigint), ("price", RawType::Double), ("paid", RawType::Boolean), ("note", RawType::String)];
        (name == "orders").then(|| kinds.map(|(name, kind)| column(name, kind)).to_vec())
    });
    Defaults { delimiter: Delimiter::Newline, tables }
}

/// A definition with these parts of its destination.
fn definition(destination: &Value) -> Value {
    let mut definition = json!({
        "DeliveryStreamName": "orders",
        "DeliveryStreamType": "DirectPut",
        "Topic": "firehose.orders",
        "CreateTimestamp": 1,
        "LastUpdateTimestamp": null,
        "DeliveryStartTimestamp": 1,
        "VersionId": 3,
        "Destination": {
            "BucketARN": "arn:aws:s3:::bucket",
            "RoleARN": "arn:aws:iam::123456789012:role/firehose",
            "Prefix": null,
            "BufferingHints": { "SizeInMBs": 5, "IntervalInSeconds": 300 },
            "CompressionFormat": "UNCOMPRESSED",
            "CloudWatchLoggingOptions": { "Enabled": false },
            "S3BackupMode": "Disabled",
        },
        "Tags": [],
    });
    let all = definition["Destination"].as_object_mut().unwrap();
    all.extend(destination.as_object().unwrap().clone());
    definition
}

fn planned(definition: &Value) -> Result<Plan> {
    make_plan(&config(definition.to_string()), &defaults())
}

fn plan_of(destination: &Value) -> Plan {
    planned(&definition(destination)).unwrap()
}

/// What is wrong with a destination.
fn refused(destination: &Value) -> String {
    planned(&definition(destination)).expect_err("it is wrong").message().to_owned()
}

fn processing(processors: &[(&str, &[(&str, &str)])]) -> Value {
    let parameter = |(name, value): &(&str, &str)| json!({ "ParameterName": name, "ParameterValue": value });
    let processor = |(kind, parameters): &(&str, &[(&str, &str)])| json!({ "Type": kind, "Parameters": parameters.iter().map(parameter).collect::<Vec<_>>() });
    json!({ "Enabled": true, "Processors": processors.iter().map(processor).collect::<Vec<_>>() })
}

/// The objects of records that arrived one millisecond after the other and stand from offset 10 on.
fn objects<V: AsRef<[u8]>>(plan: &Plan, records: &[V]) -> BTreeMap<Path, Vec<u8>> {
    let mut open: BTreeMap<String, (Offset, Row)> = BTreeMap::new();
    for (number, value) in (0..).zip(records) {
        let record = Record::of_value(value.as_ref().to_vec());
        let batch = Batch::of(&[record], Timestamp(ARRIVAL.0 + number)).unwrap().at(Offset(10 + number));
        for placed in plan.layout.place(&of(), &batch.records().next().unwrap().unwrap(), AT).unwrap() {
            open.entry(placed.folder).or_insert((Offset(10 + number), Row::default())).1.push(placed.row);
        }
    }
    let (topic, end) = (TopicId::of_name([7; 16]), Offset(10 + i64::try_from(records.len()).unwrap()));
    let files = open.into_iter().flat_map(|(folder, (first, rows))| {
        let object = Object { of: &of(), topic, folder: &folder, first, end, time: ARRIVAL, rows };
        plan.layout.files(object).unwrap()
    });
    files.map(|file| (file.path, file.content.to_vec())).collect()
}

/// The one object of records.
fn object<V: AsRef<[u8]>>(plan: &Plan, records: &[V]) -> (String, Vec<u8>) {
    let all = objects(plan, records);
    assert_eq!(all.len(), 1, "{all:?}");
    let (path, content) = all.into_iter().next().unwrap();
    (path.to_string(), content)
}
