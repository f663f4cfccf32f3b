//! Names and contents, unpacked again.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest, Md5};
use parquet::record::RowAccessor;
use proptest::prelude::*;

use super::*;

const UUID_LEN: usize = 36;

/// A name without its UUID, which is checked to be one.
fn without_uuid(name: &str, extension: &str) -> String {
    let rest = name.strip_suffix(extension).unwrap();
    let (rest, uuid) = rest.split_at(rest.len() - UUID_LEN);
    assert!(TopicId::try_from(uuid.to_owned()).is_ok_and(|uuid| uuid.0.get_version_num() == 3), "{name}");
    rest.to_owned()
}

#[test]
fn an_object_has_the_documented_name_and_a_newline_behind_each_record() {
    let (name, content) = object(&plan_of(&json!({})), &["a", "b\n", ""]);
    assert_eq!(without_uuid(&name, ""), "2026/03/04/05/orders-3-2026-03-04-05-06-07-");
    assert_eq!(content, b"a\nb\n\n");
}

#[test]
fn the_same_records_have_the_same_name_and_others_have_another() {
    let name = |definition: &Value, records: &[&str]| object(&planned(definition).unwrap(), records).0;
    let plain = definition(&json!({}));
    assert_eq!(name(&plain, &["a"]), name(&plain, &["a"]));
    let mut again = plain.clone();
    again["CreateTimestamp"] = json!(2);
    assert_ne!(
        name(&plain, &["a"]),
        name(&again, &["a"]),
        "a stream that is made again never writes over the objects of the first"
    );
    assert_ne!(name(&plain, &["a"]), name(&plain, &["a", "b"]));
}

#[test]
fn prefixes_are_evaluated_as_documented() {
    let cases = [
        (json!({ "Prefix": "raw/" }), "raw/2026/03/04/05/"),
        (json!({ "Prefix": "raw-" }), "raw-2026/03/04/05/"),
        (json!({ "CustomTimeZone": "Asia/Tokyo" }), "2026/03/04/14/"),
        (json!({ "Prefix": "dt=!{timestamp:yyyy'-'MM'-'dd}/h=!{timestamp:HH}/" }), "dt=2026-03-04/h=05/"),
        (json!({ "Prefix": "!{timestamp:uuuu/DDD/EEE/}" }), "2026/063/Wed/"),
    ];
    for (mut destination, expected) in cases {
        destination["ErrorOutputPrefix"] = json!("errors/!{firehose:error-output-type}/");
        let (name, _) = object(&plan_of(&destination), &["a"]);
        let at = if expected.contains("/14/") { "14" } else { "05" };
        assert_eq!(without_uuid(&name, ""), format!("{expected}orders-3-2026-03-04-{at}-06-07-"));
    }
    let random = json!({ "Prefix": "!{firehose:random-string}/!{firehose:random-string}/", "ErrorOutputPrefix": "e/!{firehose:error-output-type}" });
    let (name, _) = object(&plan_of(&random), &["a"]);
    let parts: Vec<&str> = name.split('/').collect();
    assert!(parts[0].len() == 11 && parts[1].len() == 11 && parts[0] != parts[1], "{name}");
    assert_eq!(parts[2..6], ["2026", "03", "04", "05"], "no time is named");
}

#[test]
fn errors_have_a_prefix_of_their_own() {
    let cases = [
        (json!({}), "processing-failed/2026/03/04/05/"),
        (json!({ "Prefix": "raw/" }), "raw/processing-failed/2026/03/04/05/"),
        (json!({ "ErrorOutputPrefix": "bad/" }), "bad/processing-failed/2026/03/04/05/"),
        (json!({ "ErrorOutputPrefix": "bad/!{timestamp:yyyy}/!{firehose:error-output-type}/" }), "bad/2026/processing-failed/"),
    ];
    for (mut destination, expected) in cases {
        destination["ProcessingConfiguration"] = processing(&[("RecordDeAggregation", &[("SubRecordType", "JSON")])]);
        let (name, content) = object(&plan_of(&destination), &["{]"]);
        assert_eq!(without_uuid(&name, ""), format!("{expected}orders-3-2026-03-04-05-06-07-"));
        let line: Value = serde_json::from_slice(content.strip_suffix(b"\n").unwrap()).unwrap();
        assert_eq!(line["rawData"], STANDARD.encode("{]"));
        assert_eq!((&line["arrivalTimestamp"], &line["attemptEndingTimestamp"]), (&json!(ARRIVAL.0), &json!(AT.0)));
        assert_eq!((&line["attemptsMade"], &line["errorCode"]), (&json!(1), &json!("RecordDeAggregation.Failed")));
    }
}

#[test]
fn what_stands_behind_a_record_is_said_by_setting_tag_or_step() {
    let of = |tag: Option<&str>, default, processors: &[(&str, &[(&str, &str)])]| {
        let mut definition = definition(&json!({ "ProcessingConfiguration": processing(processors) }));
        if let Some(tag) = tag {
            definition["Tags"] = json!([{ "Key": "team", "Value": "x" }, { "Key": "pinlake:delimiter", "Value": tag }]);
        }
        let plan = make_plan(&config(definition.to_string()), &Defaults { delimiter: default, ..defaults() }).unwrap();
        String::from_utf8(object(&plan, &["a", "b\n"]).1).unwrap()
    };
    assert_eq!(of(None, Delimiter::Exact, &[]), "ab\n", "not a byte");
    assert_eq!(of(Some("exact"), Delimiter::Newline, &[]), "ab\n");
    assert_eq!(of(Some("newline"), Delimiter::Exact, &[]), "a\nb\n");
    assert_eq!(of(Some("exact"), Delimiter::Exact, &[("AppendDelimiterToRecord", &[])]), "a\nb\n\n", "AWS's own appends always");
    assert_eq!(of(None, Delimiter::Newline, &[("AppendDelimiterToRecord", &[("Delimiter", "\\r\\n|")])]), "a\r\n|b\n\r\n|");
}

fn unzipped(bytes: &[u8]) -> (String, Vec<u8>) {
    let at = |from: usize| u32::from_le_bytes(bytes[from..from + 4].try_into().unwrap()) as usize;
    let end = bytes.len() - 22;
    assert_eq!(&bytes[end..end + 4], b"PK\x05\x06");
    let directory = at(end + 16);
    assert_eq!((&bytes[directory..directory + 4], at(end + 12)), (&b"PK\x01\x02"[..], end - directory));
    let (packed, size) = (at(directory + 20), at(directory + 24));
    let name_len = usize::from(u16::from_le_bytes([bytes[26], bytes[27]]));
    assert_eq!(&bytes[..4], b"PK\x03\x04");
    assert_eq!(bytes[4..30], bytes[directory + 6..directory + 32], "both headers say the same");
    let name = String::from_utf8(bytes[30..30 + name_len].to_vec()).unwrap();
    assert_eq!(&bytes[directory + 46..end], name.as_bytes());
    let mut content = Vec::new();
    flate2::read::DeflateDecoder::new(&bytes[30 + name_len..30 + name_len + packed]).read_to_end(&mut content).unwrap();
    let mut crc = flate2::Crc::new();
    crc.update(&content);
    assert_eq!((content.len(), crc.sum() as usize), (size, at(14)));
    (name, content)
}

fn from_hadoop(mut bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    while !bytes.is_empty() {
        let len = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let block = snap::raw::Decoder::new().decompress_vec(&bytes[8..8 + len(4)]).unwrap();
        assert_eq!(block.len(), len(0));
        content.extend(block);
        bytes = &bytes[8 + len(4)..];
    }
    content
}

#[test]
fn compressed_objects_unpack_to_what_came_in() {
    // More than one block of Hadoop's.
    let records: Vec<String> = (0..60_000).map(|number| format!("record {number}")).collect();
    let expected: String = records.iter().map(|record| format!("{record}\n")).collect();
    for (format, extension) in [("GZIP", ".gz"), ("ZIP", ".zip"), ("Snappy", ".snappy"), ("HADOOP_SNAPPY", ".hsnappy")] {
        let plan = plan_of(&json!({ "CompressionFormat": format }));
        let (name, packed) = object(&plan, &records);
        without_uuid(&name, extension);
        assert!(packed.len() < expected.len() / 2, "{format}");
        let mut content = Vec::new();
        match format {
            "GZIP" => drop(flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut content).unwrap()),
            "ZIP" => {
                let (inner, unpacked) = unzipped(&packed);
                assert!(name.ends_with(&inner));
                content = unpacked;
            }
            "Snappy" => drop(snap::read::FrameDecoder::new(&packed[..]).read_to_end(&mut content).unwrap()),
            _ => content = from_hadoop(&packed),
        }
        assert!(content == expected.as_bytes(), "{format}");
        assert_eq!(object(&plan, &records).1, packed, "{format} makes the same bytes again");
    }
    let plan = plan_of(&json!({ "CompressionFormat": "GZIP", "FileExtension": ".json.gz" }));
    without_uuid(&object(&plan, &["a"]).0, ".json.gz");
}

/// An aggregated record, as the Kinesis Producer Library makes it.
fn aggregated(data: &[&[u8]]) -> Vec<u8> {
    fn chunk(field: u8, bytes: &[u8]) -> Vec<u8> {
        let (mut out, mut len) = (vec![field << 3 | 2], bytes.len());
        while len >= 0x80 {
            out.push(u8::try_from(len & 0x7f).unwrap() | 0x80);
            len >>= 7;
        }
        out.push(u8::try_from(len).unwrap());
        [&out, bytes].concat()
    }
    let mut message = chunk(1, b"key");
    for data in data {
        // Its key is the first of the table.
        message.extend(chunk(3, &[&[8, 0][..], &chunk(3, data)].concat()));
    }
    [&b"\xf3\x89\x9a\xc2"[..], &message, &Md5::digest(&message)[..]].concat()
}

#[test]
fn aggregated_records_are_taken_apart_where_they_come_from_kinesis_or_it_is_asked() {
    let long = vec![b'x'; 300];
    let whole = aggregated(&[b"a", &long, b"c"]);
    let expected = [&b"a\n"[..], &long, b"\nc\n"].concat();
    let asked =
        plan_of(&json!({ "ProcessingConfiguration": processing(&[("RecordDeAggregation", &[("SubRecordType", "KPL")])]) }));
    assert_eq!(object(&asked, &[whole.clone()]).1, expected);
    let mut source = definition(&json!({}));
    source["DeliveryStreamType"] = json!("KinesisStreamAsSource");
    assert_eq!(object(&planned(&source).unwrap(), &[whole.clone()]).1, expected);
    assert_eq!(object(&plan_of(&json!({})), &[whole.clone()]).1, [&whole[..], b"\n"].concat());
    // Its checksum says that it is none.
    let mut other = whole;
    *other.last_mut().unwrap() ^= 1;
    assert_eq!(object(&asked, &[other.clone()]).1, [&other[..], b"\n"].concat());
}

#[test]
fn json_and_delimited_records_are_taken_apart() {
    let split = |parameters: &[(&str, &str)], record: &str| {
        let plan = plan_of(&json!({ "ProcessingConfiguration": processing(&[("RecordDeAggregation", parameters)]) }));
        String::from_utf8(object(&plan, &[record]).1).unwrap()
    };
    assert_eq!(
        split(&[("SubRecordType", "JSON")], "{\"a\":1}{\"a\": 2}\n[{\"a\":3},4]"),
        "{\"a\":1}\n{\"a\": 2}\n{\"a\":3}\n4\n"
    );
    let delimited = [("SubRecordType", "DELIMITED"), ("Delimiter", "Iw==")];
    assert_eq!(split(&delimited, "a#b##c#"), "a\nb\n\nc\n");
}

fn by_keys(query: &str) -> Value {
    json!({
        "Prefix": "c=!{partitionKeyFromQuery:c}/first=!{partitionKeyFromQuery:first}/!{timestamp:yyyy}/",
        "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/",
        "DynamicPartitioningConfiguration": { "Enabled": true },
        "ProcessingConfiguration": processing(&[("MetadataExtraction", &[("MetadataExtractionQuery", query), ("JsonParsingEngine", "JQ-1.6")])]),
    })
}

#[test]
fn records_are_placed_by_their_partition_keys_and_those_without_go_to_the_errors() {
    let plan = plan_of(&by_keys("{c: .customer.id, \"first\": (.list[0] | tostring)}"));
    let good = |id: u32| format!("{{\"customer\":{{\"id\":{id}}},\"list\":[\"x\"]}}");
    let bad = ["{\"customer\":{}}", "no", "{\"customer\":{\"id\":\"..\"},\"list\":[1]}"];
    let records = [good(1), good(2), bad[0].into(), good(1), bad[1].into(), bad[2].replace("..", "x/../y")];
    let found: Vec<(String, String)> = objects(&plan, &records)
        .into_iter()
        .map(|(path, content)| {
            let folder = path.as_ref().rsplit_once('/').unwrap().0.to_owned();
            (folder, String::from_utf8(content).unwrap())
        })
        .collect();
    assert_eq!(
        found.iter().map(|(folder, _)| folder.as_str()).collect::<Vec<_>>(),
        ["c=1/first=x/2026", "c=2/first=x/2026", "errors/processing-failed"]
    );
    assert_eq!(found[0].1, format!("{}\n{}\n", good(1), good(1)));
    let errors: Vec<Value> = found[2].1.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(errors.iter().all(|error| error["errorCode"] == "DynamicPartitioning.MetadataExtractionFailed"));
    let messages =
        ["key 'c' is null or not there", "the record is no JSON: expected ident", "no object can have the name 'c=x/../y/"];
    for (error, message) in errors.iter().zip(messages) {
        assert!(error["errorMessage"].as_str().unwrap().starts_with(message), "{error}");
    }
}

#[test]
fn a_record_goes_to_500_partitions_at_most() {
    let mut destination = by_keys("{c: .c, first: .c}");
    destination["ProcessingConfiguration"]["Processors"]
        .as_array_mut()
        .unwrap()
        .push(processing(&[("RecordDeAggregation", &[("SubRecordType", "JSON")])])["Processors"][0].clone());
    let record: String = (0..502).map(|number| format!("{{\"c\":{number}}}")).collect();
    let all = objects(&plan_of(&destination), &[record]);
    assert_eq!(all.len(), 501);
    let errors = all.iter().find(|(path, _)| path.as_ref().starts_with("errors/")).unwrap().1;
    assert_eq!(errors.iter().filter(|byte| **byte == b'\n').count(), 2);
}

fn to_parquet(input: &Value, codec: &str) -> Value {
    json!({ "DataFormatConversionConfiguration": {
        "SchemaConfiguration": { "DatabaseName": "pinlake", "TableName": "orders", "RoleARN": "r" },
        "InputFormatConfiguration": { "Deserializer": input },
        "OutputFormatConfiguration": { "Serializer": { "ParquetSerDe": { "Compression": codec } } },
    }})
}

#[test]
fn records_become_rows_of_the_tables_columns() {
    for codec in ["UNCOMPRESSED", "SNAPPY", "GZIP"] {
        let open_x = json!({ "OpenXJsonSerDe": { "ColumnToJsonKeyMappings": { "note": "the.note" } } });
        let plan = plan_of(&to_parquet(&open_x, codec));
        let records = [
            "{\"ID\": 1, \"price\": \"2.5\", \"paid\": true, \"the.note\": {\"x\":1}, \"other\": 0}{\"id\":2}",
            "{\"id\":\"x\"}",
        ];
        let all = objects(&plan, &records);
        let (path, file) = all.iter().find(|(path, _)| path.as_ref().ends_with(".parquet")).unwrap();
        assert!(path.as_ref().starts_with("2026/03/04/05/orders-3-"), "{path}");
        let reader = parquet::file::serialized_reader::SerializedFileReader::new(Bytes::from(file.clone())).unwrap();
        let rows: Vec<_> = parquet::file::reader::FileReader::get_row_iter(&reader, None).unwrap().map(Result::unwrap).collect();
        assert_eq!((rows.len(), rows[0].get_long(0).unwrap(), rows[0].get_double(1).unwrap()), (2, 1, 2.5));
        assert_eq!((rows[0].get_bool(2).unwrap(), rows[0].get_string(3).unwrap().as_str()), (true, "{\"x\":1}"));
        assert_eq!(rows[1].to_string(), "{id: 2, price: null, paid: null, note: null}");
        let (path, errors) = all.iter().find(|(path, _)| !path.as_ref().ends_with(".parquet")).unwrap();
        assert!(path.as_ref().starts_with("format-conversion-failed/2026/03/04/05/orders-3-"), "{path}");
        let error: Value = serde_json::from_slice(errors).unwrap();
        assert_eq!(error["lastErrorMessage"], "the field 'id' is no bigint");
        assert_eq!((&error["sequenceNumber"], &error["subSequenceNumber"]), (&json!("11"), &json!(0)));
        assert_eq!(error["dataCatalogTable"]["tableName"], "orders");
    }
}

#[test]
fn a_batch_that_cant_be_read_is_among_the_errors() {
    let plan = plan_of(&json!({}));
    let batch = Batch::of(&[Record::of_value("raw")], ARRIVAL).unwrap();
    let record = batch.records().next().unwrap().unwrap();
    let placed = plan.layout.place_unreadable(&of(), &record, &pinlake_core::Error::corrupt("cut"), AT).unwrap();
    assert_eq!((placed.len(), placed[0].folder.as_str()), (1, "processing-failed"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_bytes_become_rows_or_errors(mut bytes: Vec<u8>, is_aggregated: bool, json: bool) {
        if is_aggregated {
            bytes = [&b"\xf3\x89\x9a\xc2"[..], &bytes, &Md5::digest(&bytes)[..]].concat();
        }
        let kind = if json { "JSON" } else { "KPL" };
        let processors = processing(&[("RecordDeAggregation", &[("SubRecordType", "KPL")]), ("RecordDeAggregation", &[("SubRecordType", kind)])]);
        objects(&plan_of(&json!({ "ProcessingConfiguration": processors })), &[bytes]);
    }

    #[test]
    fn any_records_stay_together_in_an_aggregated_one(records in proptest::collection::vec(any::<Vec<u8>>(), 1..20)) {
        let whole = aggregated(&records.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let found = super::aggregated::data_of(&whole, 20).unwrap().unwrap();
        prop_assert_eq!(found, records);
        prop_assert!(super::aggregated::data_of(&whole, 0).unwrap().is_err());
    }

    #[test]
    fn any_query_is_taken_or_refused(text in "\\PC{0,60}|[{}:.\\[\\]|\"a-c0-9, -]{0,40}") {
        if let Ok(query) = super::query::Query::new(&text) {
            let _ = query.evaluate(&json!({ "a": { "b": [1, "x"] } }));
        }
    }

    #[test]
    fn any_prefix_is_taken_or_refused(text in "\\PC{0,60}|(!\\{timestamp:|!\\{|\\}|[a-zA-Z'/]){0,20}") {
        let definition = definition(&json!({ "Prefix": text, "ErrorOutputPrefix": "e/!{firehose:error-output-type}/" }));
        if let Ok(plan) = planned(&definition) {
            object(&plan, &["a"]);
        }
    }
}
