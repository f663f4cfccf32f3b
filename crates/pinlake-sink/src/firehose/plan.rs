//! From a definition to a plan: what is wrong with it, or not served, is said here, before anything is written by it.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use pinlake_core::{Error, Result, Timestamp, TopicName};

use super::columns::Columns;
use super::compression::Compression;
use super::definition::{Conversion, Definition, Destination, Kind, OpenX, Step};
use super::delivery::{Behind, Content, Delivery};
use super::failure;
use super::name::{Names, Which};
use super::prefix::Prefix;
use super::query::Query;
use super::records::{Parts, Rest};
use super::{DELIMITER_TAG, Defaults, Delimiter};
use crate::format::parquet::Codec;
use crate::place;
use crate::plan::{OnError, OnNull, Plan, Retry, Rotation, Start, Target, Topics};

const BUCKET_ARN: &str = "arn:aws:s3:::";
const SIZE_MB_DEFAULT: u64 = 5;
const SIZE_MB_MAX: u64 = 128;
const INTERVAL_DEFAULT: u64 = 300;
const INTERVAL_MAX: u64 = 900;
/// An object is not older than that where it is to be written at once.
const INTERVAL_LEAST: Duration = Duration::from_secs(1);
/// Bytes that wait in all shards of a stream together, unless one object alone may be larger.
const OPEN_BYTES: u64 = 64 << 20;
const RETRY_PAUSE: Duration = Duration::from_secs(1);
const EXTENSION_LEN_MAX: usize = 128;
/// The longest delimiter, bytes.
const DELIMITER_LEN_MAX: usize = 256;

/// The plan of a delivery stream.
///
/// # Errors
/// `Invalid` with what is wrong.
pub(super) fn plan(definition: &Definition, defaults: &Defaults) -> Result<Plan> {
    let destination = &definition.destination;
    if destination.s3_backup_mode == "Enabled" {
        return Err(Error::invalid(
            "S3BackupMode Enabled is not served: the records stay in the topic for its retention, use Disabled",
        ));
    }
    let topic: TopicName = definition.topic.parse()?;
    let delivery = delivery(definition, defaults)?;
    let start = match definition.kind {
        Kind::DirectPut => Start::First,
        Kind::KinesisStreamAsSource => {
            Start::At(Timestamp(definition.delivery_start_timestamp.unwrap_or(definition.create_timestamp)))
        }
    };
    Ok(Plan {
        topics: Topics::Named(vec![topic]),
        start,
        tasks: 1,
        target: target(&destination.bucket_arn)?,
        layout: Arc::new(delivery),
        rotation: rotation(destination)?,
        // One that holds no others leaves nothing to be delivered.
        on_null: OnNull::Ignore,
        on_error: OnError { tolerate: true, dead_letters: None, log: true },
        // For ever: no time ends it.
        retry: Retry { pause: RETRY_PAUSE, times: 0, at_least: None },
        // No other records have these names, and a bucket's policy may allow to write and not to read.
        overwrite: true,
    })
}

fn target(arn: &str) -> Result<Target> {
    let name = arn.strip_prefix(BUCKET_ARN).filter(|name| Target::is_bucket(name));
    let shown = || arn.chars().take(200).collect::<String>().escape_debug().to_string();
    let name = name.ok_or_else(|| Error::invalid(format!("BucketARN '{}' is none: it takes {BUCKET_ARN}NAME", shown())))?;
    Ok(Target { bucket: name.to_owned(), ..Target::default() })
}

fn rotation(destination: &Destination) -> Result<Rotation> {
    let hints = &destination.buffering_hints;
    let (size, interval) = (hints.size_mb.unwrap_or(SIZE_MB_DEFAULT), hints.interval_seconds.unwrap_or(INTERVAL_DEFAULT));
    if !(1..=SIZE_MB_MAX).contains(&size) {
        return Err(Error::invalid(format!("SizeInMBs takes 1 to {SIZE_MB_MAX}")));
    }
    if interval > INTERVAL_MAX {
        return Err(Error::invalid(format!("IntervalInSeconds takes 0 to {INTERVAL_MAX}")));
    }
    Ok(Rotation {
        bytes: size << 20,
        open_bytes: OPEN_BYTES.max(size << 20),
        age: Some(Duration::from_secs(interval).max(INTERVAL_LEAST)),
        ..Rotation::by_records(u64::MAX)
    })
}

fn delivery(definition: &Definition, defaults: &Defaults) -> Result<Delivery> {
    let destination = &definition.destination;
    let compression = Compression::of(&destination.compression_format)?;
    let conversion = destination.data_format_conversion_configuration.as_ref().filter(|conversion| conversion.is_on());
    let (content, extension) = match conversion {
        Some(_) if compression != Compression::None => {
            return Err(Error::invalid("CompressionFormat must be UNCOMPRESSED when data format conversion is enabled"));
        }
        Some(conversion) => (Content::Parquet(columns(conversion, defaults)?), ".parquet"),
        None => (Content::Bytes(compression), compression.extension()),
    };
    let zone = match destination.custom_time_zone.as_str() {
        "" => TimeZone::UTC,
        name => place::zone(name).map_err(|e| Error::invalid(format!("CustomTimeZone can't be used: {}", e.message())))?,
    };
    let (prefix, errors) = Prefix::both(&destination.prefix, &destination.error_output_prefix)?;
    let names = Names {
        stream: definition.name.clone(),
        version: definition.version,
        created: definition.create_timestamp,
        zone,
        prefix,
        errors,
    };
    let mut delivery = Delivery {
        names,
        parts: Parts { aggregated: definition.kind == Kind::KinesisStreamAsSource, rest: None },
        query: None,
        behind: behind(definition, defaults)?,
        content,
        extension: extension_of(&destination.file_extension, extension)?,
    };
    let processing = &destination.processing_configuration;
    for step in processing.processors.iter().filter(|_| processing.enabled) {
        add(&mut delivery, step)?;
    }
    check_keys(&delivery, destination.dynamic_partitioning_configuration.enabled)?;
    check_names(&delivery)?;
    Ok(delivery)
}

fn behind(definition: &Definition, defaults: &Defaults) -> Result<Behind> {
    let tag = definition.tags.iter().find(|tag| tag.key == DELIMITER_TAG).map(|tag| tag.value.as_str());
    match (tag, defaults.delimiter) {
        (Some("newline"), _) | (None, Delimiter::Newline) => Ok(Behind::Newline),
        (Some("exact"), _) | (None, Delimiter::Exact) => Ok(Behind::Nothing),
        (Some(_), _) => Err(Error::invalid(format!("the tag {DELIMITER_TAG} takes newline or exact"))),
    }
}

fn extension_of(given: &str, default: &str) -> Result<String> {
    let is_part = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase() || b"!-_.*'()".contains(&byte);
    match given.strip_prefix('.') {
        None if given.is_empty() => Ok(default.to_owned()),
        Some(rest) if !rest.is_empty() && given.len() <= EXTENSION_LEN_MAX && rest.bytes().all(is_part) => Ok(given.to_owned()),
        _ => Err(Error::invalid("FileExtension takes a dot and 1 to 127 of 0-9, a-z and !-_.*'()")),
    }
}

/// Adds what a processor does.
fn add(delivery: &mut Delivery, step: &Step) -> Result<()> {
    match step.kind.as_str() {
        "AppendDelimiterToRecord" => {
            let delimiter = step.parameter("Delimiter").unwrap_or("\\n");
            if delimiter.len() > DELIMITER_LEN_MAX {
                return Err(Error::invalid(format!("Delimiter takes {DELIMITER_LEN_MAX} bytes at most")));
            }
            delivery.behind = Behind::Always(unescaped(delimiter).into_bytes());
        }
        "RecordDeAggregation" => match step.parameter("SubRecordType") {
            Some("JSON") => delivery.parts.rest = Some(Rest::Json),
            Some("DELIMITED") => delivery.parts.rest = Some(Rest::Delimited(delimiter_between(step)?)),
            Some("KPL") => delivery.parts.aggregated = true,
            _ => return Err(Error::invalid("RecordDeAggregation wants the parameter SubRecordType: JSON, DELIMITED or KPL")),
        },
        "MetadataExtraction" => {
            if step.parameter("JsonParsingEngine").is_some_and(|engine| engine != "JQ-1.6") {
                return Err(Error::invalid("JsonParsingEngine takes JQ-1.6"));
            }
            let query = step.parameter("MetadataExtractionQuery");
            let missing = || Error::invalid("MetadataExtraction wants the parameter MetadataExtractionQuery");
            delivery.query = Some(Query::new(query.ok_or_else(missing)?)?);
        }
        other => {
            let other: String = other.chars().take(100).collect();
            let served = "AppendDelimiterToRecord, RecordDeAggregation and MetadataExtraction are";
            return Err(Error::invalid(format!("processor '{}' is not served: {served}", other.escape_debug())));
        }
    }
    Ok(())
}

/// In base64, as AWS has it.
fn delimiter_between(step: &Step) -> Result<Vec<u8>> {
    let delimiter = step.parameter("Delimiter").and_then(|text| STANDARD.decode(text).ok());
    let delimiter = delimiter.filter(|delimiter| (1..=DELIMITER_LEN_MAX).contains(&delimiter.len()));
    delimiter.ok_or_else(|| Error::invalid("RecordDeAggregation of DELIMITED wants the parameter Delimiter, in base64"))
}

/// `\n`, `\r`, `\t` and `\\` as what they stand for.
fn unescaped(text: &str) -> String {
    let (mut out, mut chars) = (String::new(), text.chars().peekable());
    while let Some(c) = chars.next() {
        let escaped = match chars.peek().filter(|_| c == '\\') {
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('\\') => Some('\\'),
            _ => None,
        };
        if escaped.is_some() {
            chars.next();
        }
        out.push(escaped.unwrap_or(c));
    }
    out
}

/// Each key that is taken from records stands in the prefix, and no other.
fn check_keys(delivery: &Delivery, is_enabled: bool) -> Result<()> {
    let taken: Vec<&str> = delivery.query.iter().flat_map(Query::keys).collect();
    let named: Vec<&str> = delivery.names.prefix.keys().collect();
    if !is_enabled && (!taken.is_empty() || !named.is_empty()) {
        return Err(Error::invalid("partition keys want DynamicPartitioningConfiguration with Enabled true"));
    }
    if let Some(key) = named.iter().find(|key| !taken.contains(key)) {
        return Err(Error::invalid(format!(
            "Prefix names the partition key '{key}', which MetadataExtractionQuery does not have"
        )));
    }
    if let Some(key) = taken.iter().find(|key| !named.contains(key)) {
        return Err(Error::invalid(format!("MetadataExtractionQuery has the partition key '{key}', which Prefix does not name")));
    }
    Ok(())
}

/// Tries the names: those with partition keys with a short one.
fn check_names(delivery: &Delivery) -> Result<()> {
    let keys = delivery.names.prefix.keys().map(|key| (key.to_owned(), "k".to_owned())).collect();
    let tries = [("Prefix", Which::Keys(&keys)), ("ErrorOutputPrefix", Which::Errors(failure::CONVERSION))];
    for (what, which) in tries {
        let tried = delivery.names.check(which, Timestamp(0), &delivery.extension);
        tried.map_err(|why| Error::invalid(format!("{what} can't be used: {why}")))?;
    }
    Ok(())
}

fn columns(conversion: &Conversion, defaults: &Defaults) -> Result<Columns> {
    let serializer = &conversion.output.serializer;
    if serializer.orc.is_some() {
        return Err(Error::invalid("OrcSerDe is not served: use ParquetSerDe"));
    }
    let parquet = serializer.parquet.as_ref().ok_or_else(|| Error::invalid("OutputFormatConfiguration wants a ParquetSerDe"))?;
    let codec = match parquet.compression.as_str() {
        "" | "SNAPPY" => Codec::Snappy,
        "GZIP" => Codec::Gzip,
        "UNCOMPRESSED" => Codec::None,
        _ => return Err(Error::invalid("ParquetSerDe.Compression takes UNCOMPRESSED, GZIP or SNAPPY")),
    };
    let deserializer = &conversion.input.deserializer;
    let default = OpenX::default();
    let input = match (&deserializer.open_x, &deserializer.hive) {
        (Some(_), Some(_)) => return Err(Error::invalid("Deserializer takes either OpenXJsonSerDe or HiveJsonSerDe")),
        (Some(open_x), None) => open_x,
        _ => &default,
    };
    let name = conversion.schema.table_name.as_deref().unwrap_or_default();
    let columns = (defaults.tables)(name).ok_or_else(|| {
        let name: String = name.chars().take(255).collect();
        Error::invalid(format!(
            "SchemaConfiguration names the table '{}', which the pipeline does not have: there is no Glue here, and a table of the pipeline \
             says which columns there are",
            name.escape_debug()
        ))
    })?;
    Ok(Columns::new(conversion.schema.clone(), columns, input, codec))
}
