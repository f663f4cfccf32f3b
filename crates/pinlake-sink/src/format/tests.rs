//! Objects of JSON and of bytes.

use std::io::Read;

use flate2::read::GzDecoder;
use pinlake_core::{Offset, Timestamp};

use super::*;

fn record<'a>(key: Datum<'a>, value: Datum<'a>) -> Converted<'a> {
    let headers = vec![(Cow::Borrowed("h"), Some(&b"1"[..])), (Cow::Borrowed("i"), None)];
    Converted { offset: Offset(5), timestamp: Timestamp(0), key, value, headers, schema: 0 }
}

fn text(text: &str) -> Datum<'_> {
    Datum::Text(Cow::Borrowed(text))
}

fn in_json(text: &str) -> Datum<'_> {
    Datum::Json(Cow::Borrowed(text))
}

fn bytes_format() -> Format {
    Format::Bytes { extension: ".bin".to_owned(), separator: "\r\n".to_owned() }
}

fn row(format: &Format, value: Datum<'_>) -> Result<String, String> {
    let formats = Formats { values: format.clone(), keys: None, headers: None, compression: Compression::None };
    let rows = formats.rows(&record(Datum::Null, value))?;
    assert_eq!((rows.keys, rows.headers), (None, None));
    Ok(String::from_utf8(rows.values.unwrap()).unwrap())
}

#[test]
fn json_is_one_value_a_line() {
    assert_eq!(row(&Format::Json, in_json("{\"a\":1.10}")).unwrap(), "{\"a\":1.10}\n");
    assert_eq!(row(&Format::Json, text("a\n\"b\"")).unwrap(), "\"a\\n\\\"b\\\"\"\n");
    assert_eq!(row(&Format::Json, Datum::Bytes(b"\x00\xff")).unwrap(), "\"AP8=\"\n");
}

#[test]
fn bytes_stand_before_their_separator() {
    assert_eq!(row(&bytes_format(), Datum::Bytes(b"a")).unwrap(), "a\r\n");
    for value in [text("a"), in_json("1")] {
        assert!(row(&bytes_format(), value).unwrap_err().contains("ByteArrayConverter"));
    }
}

#[test]
fn parquet_takes_objects() {
    let parquet = Format::Parquet(parquet::Codec::None);
    assert_eq!(row(&parquet, in_json("{\"a\":1}")).unwrap(), "{\"a\":1}\n");
    for value in [in_json("1"), in_json("[{}]"), text("{}"), Datum::Bytes(b"{}"), in_json("{\"a\":1e999}")] {
        assert!(row(&parquet, value).is_err());
    }
}

#[test]
fn keys_and_headers_have_files_of_their_own() {
    let formats = |keys, headers| Formats { values: Format::Json, keys, headers, compression: Compression::None };
    let both = formats(Some(Format::Json), Some(Format::Json));
    let rows = both.rows(&record(text("k"), in_json("1"))).unwrap();
    assert_eq!(rows.keys.unwrap(), b"\"k\"\n");
    assert_eq!(rows.headers.unwrap(), b"{\"headers\":[{\"key\":\"h\",\"value\":\"1\"},{\"key\":\"i\",\"value\":null}]}\n");
    let rows = both.rows(&record(text("k"), Datum::Null)).unwrap();
    assert_eq!((rows.values, rows.keys.is_some()), (None, true));
    let why = both.rows(&record(Datum::Null, in_json("1"))).unwrap_err();
    assert_eq!(why, "the record at offset 5 has no key, and keys are to be stored");
    let bare = Converted { headers: Vec::new(), ..record(text("k"), in_json("1")) };
    assert!(both.rows(&bare).unwrap_err().contains("no headers"));
    let parquet = formats(Some(Format::Parquet(parquet::Codec::None)), None);
    assert_eq!(parquet.rows(&record(text("k"), in_json("1"))).unwrap().keys.unwrap(), b"{\"key\":\"k\"}\n");
}

#[test]
fn names_end_as_the_s3_sinks() {
    for (format, plain, packed) in [
        (Format::Json, ".json", ".json.gz"),
        (bytes_format(), ".bin", ".bin.gz"),
        (Format::Parquet(parquet::Codec::Snappy), ".snappy.parquet", ".snappy.parquet"),
        (Format::Parquet(parquet::Codec::None), ".parquet", ".parquet"),
        (Format::Parquet(parquet::Codec::Zstd), ".zstd.parquet", ".zstd.parquet"),
    ] {
        assert_eq!(format.extension(Compression::None), plain);
        assert_eq!(format.extension(Compression::Gzip(6)), packed);
    }
}

#[test]
fn gzip_packs_the_same_rows_into_the_same_bytes() {
    let rows = b"{\"a\":1}\n".repeat(1000);
    for level in [0, 1, 6, 9, 99] {
        let packed = Format::Json.finish(rows.clone(), Compression::Gzip(level)).unwrap();
        assert_eq!(packed, Format::Json.finish(rows.clone(), Compression::Gzip(level)).unwrap());
        let mut unpacked = Vec::new();
        GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, rows);
    }
    assert_eq!(Format::Json.finish(rows.clone(), Compression::None).unwrap(), rows);
}
