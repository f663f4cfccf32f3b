//! The part of the settings that says which objects there are and what is in them.

use std::sync::Arc;

use pinlake_core::Offset;

use super::sample;
use crate::connect::settings::Settings;
use crate::convert::{Converter, Converters};
use crate::format::parquet::Codec;
use crate::format::{Compression, Format, Formats};
use crate::layout::{Folders, Words};
use crate::name::Naming;
use crate::place::{self, FieldPath, Pattern, Placement, TimeOf, TimePlaces};

const HOUR_MS: i64 = 3_600_000;
const DAY: [(&str, &str); 3] = [("year", "YYYY"), ("month", "MM"), ("day", "dd")];
const HOUR: [(&str, &str); 4] = [("year", "YYYY"), ("month", "MM"), ("day", "dd"), ("hour", "HH")];
const PARQUET: &str = "io.confluent.connect.s3.format.parquet.ParquetFormat";
/// What finds and what is wrong with a record, as the headers of Connect's dead letters say it.
const HEADERS_BY: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";
const TASK: &str = "io.confluent.connect.s3.S3SinkTask";
const DATA_ERROR: &str = "org.apache.kafka.connect.errors.DataException";
const PARTITION_ERROR: &str = "io.confluent.connect.storage.errors.PartitionException";

/// Which objects there are and what is in them.
pub(super) fn layout(settings: &mut Settings<'_>) -> Option<Folders> {
    let naming = naming(settings);
    let placement = placement(settings);
    let formats = formats(settings);
    let converters = converters(settings);
    let nulls = settings.text_or_empty("tombstone.encoded.partition").to_owned();
    if let Err(why) = Naming::default().check(&sample(), &nulls, Offset::ZERO) {
        settings.wrong("tombstone.encoded.partition", &why);
    }
    let (key_by, value_by) = (class_of(converters.key), class_of(converters.value));
    let words = Words {
        key_by,
        value_by,
        headers_by: HEADERS_BY,
        put_by: TASK,
        misfit: DATA_ERROR,
        misplaced: PARTITION_ERROR,
        unfit: DATA_ERROR,
    };
    let is_written = settings.text_or_empty("behavior.on.null.values").eq_ignore_ascii_case("write");
    let nulls = is_written.then_some(nulls);
    Some(Folders { converters, placement: placement?, naming, formats: Arc::new(formats?), nulls, words })
}

/// Whether records are placed by a time.
pub(super) fn is_by_time(settings: &Settings<'_>) -> bool {
    matches!(settings.class("partitioner.class"), Some("TimeBasedPartitioner" | "DailyPartitioner" | "HourlyPartitioner"))
}

fn naming(settings: &mut Settings<'_>) -> Naming {
    let naming = Naming {
        folder: settings.text_or_empty("topics.dir").to_owned(),
        folder_delimiter: settings.text_or_empty("directory.delim").to_owned(),
        file_delimiter: settings.text_or_empty("file.delim").to_owned(),
        offset_digits: u32::try_from(settings.number("filename.offset.zero.pad.width")).unwrap_or_default(),
    };
    if let Err(why) = naming.check(&sample(), "partition=0", Offset::ZERO) {
        settings.wrong("topics.dir", &why);
    }
    naming
}

fn placement(settings: &mut Settings<'_>) -> Option<Placement> {
    let class = settings.class("partitioner.class").unwrap_or_default().to_owned();
    let visible: &[&str] = match class.as_str() {
        "FieldPartitioner" => &["partition.field.name"],
        "TimeBasedPartitioner" => &["partition.duration.ms", "path.format", "locale", "timezone"],
        "DailyPartitioner" | "HourlyPartitioner" => &["locale", "timezone"],
        _ => &[],
    };
    for name in ["partition.field.name", "partition.duration.ms", "path.format", "locale", "timezone"] {
        settings.show(name, visible.contains(&name));
    }
    match class.as_str() {
        "FieldPartitioner" => fields(settings),
        "TimeBasedPartitioner" => {
            let duration_ms = settings.number("partition.duration.ms");
            if settings.is_good("partition.duration.ms") && duration_ms < 1 {
                settings.wrong("partition.duration.ms", "Partition duration needs to be a positive.");
            }
            let format = settings.text_or_empty("path.format").to_owned();
            by_time(settings, duration_ms, &format)
        }
        "DailyPartitioner" => {
            let format = preset(settings, &DAY);
            by_time(settings, 24 * HOUR_MS, &format)
        }
        "HourlyPartitioner" => {
            let format = preset(settings, &HOUR);
            by_time(settings, HOUR_MS, &format)
        }
        _ => Some(Placement::Partition),
    }
}

/// The pattern of these parts, a name and letters each, with the folders' delimiter between them.
fn preset(settings: &Settings<'_>, parts: &[(&str, &str)]) -> String {
    let delimiter = settings.text_or_empty("directory.delim").replace('\'', "''");
    let part = |(at, (name, letters)): (usize, &(&str, &str))| {
        let before = if at == 0 { "" } else { delimiter.as_str() };
        format!("'{before}{name}='{letters}")
    };
    parts.iter().enumerate().map(part).collect()
}

fn fields(settings: &mut Settings<'_>) -> Option<Placement> {
    const NAME: &str = "partition.field.name";
    let fields: Option<Vec<FieldPath>> = settings.list(NAME).into_iter().map(FieldPath::new).collect();
    let Some(fields) = fields.filter(|fields| !fields.is_empty()) else {
        settings.wrong(NAME, "FieldPartitioner takes the names of fields, one at least, with commas between them");
        return None;
    };
    Some(Placement::Fields { fields, delimiter: settings.text_or_empty("directory.delim").to_owned() })
}

fn by_time(settings: &mut Settings<'_>, duration_ms: i64, format: &str) -> Option<Placement> {
    let delimiter = settings.text_or_empty("directory.delim").to_owned();
    let format = if delimiter.is_empty() { format } else { format.strip_suffix(&delimiter).unwrap_or(format) };
    if format.is_empty() {
        settings.wrong("path.format", "Path format cannot be empty.");
    }
    for (name, what) in [("locale", "Locale"), ("timezone", "Timezone")] {
        if settings.text_or_empty(name).is_empty() {
            settings.wrong(name, &format!("{what} cannot be empty."));
        }
    }
    let pattern = Pattern::new(format).map_err(|e| settings.wrong("path.format", e.message())).ok()?;
    let locale = settings.text_or_empty("locale").to_ascii_lowercase();
    if pattern.has_names() && !locale.is_empty() && !locale.starts_with("en") {
        settings.wrong("locale", "names of days and months are written in English here: set en, or a path.format of numbers");
    }
    let time = time_of(settings)?;
    let zone = place::zone(settings.text_or_empty("timezone")).ok()?;
    Some(Placement::Time(TimePlaces { time, duration_ms, pattern, zone }))
}

fn time_of(settings: &mut Settings<'_>) -> Option<TimeOf> {
    const EXTRACTOR: &str = "timestamp.extractor";
    let extractor = settings.text_or_empty(EXTRACTOR).to_owned();
    let name = extractor.rsplit(['.', '$']).next().unwrap_or_default();
    match name.strip_suffix("TimestampExtractor").unwrap_or(name) {
        "Wallclock" => Some(TimeOf::Clock),
        "Record" => Some(TimeOf::Record),
        "RecordField" => {
            let field = FieldPath::new(settings.text_or_empty("timestamp.field"));
            if field.is_none() {
                settings.wrong("timestamp.field", "it takes the name of a field");
            }
            field.map(TimeOf::Field)
        }
        _ => {
            settings.wrong(EXTRACTOR, &format!("Invalid timestamp extractor: {extractor}"));
            None
        }
    }
}

fn formats(settings: &mut Settings<'_>) -> Option<Formats> {
    let (has_keys, has_headers) = (settings.flag("store.kafka.keys"), settings.flag("store.kafka.headers"));
    settings.show("keys.format.class", has_keys);
    settings.show("headers.format.class", has_headers);
    if settings.text_or_empty("behavior.on.null.values").eq_ignore_ascii_case("write") && !has_keys {
        for name in ["store.kafka.keys", "behavior.on.null.values"] {
            settings.refuse(name, "Writing Kafka record keys to storage is mandatory when tombstone writing is enabled.");
        }
    }
    let compression = match (settings.text("s3.compression.type"), settings.number("s3.compression.level")) {
        (Some("gzip"), level) => Compression::Gzip(u32::try_from(level).unwrap_or(6)),
        _ => Compression::None,
    };
    let mut one =
        |name: &str, what: &str, is_wanted: bool| if is_wanted { format(settings, name, what, compression) } else { None };
    let values = one("format.class", "data", true);
    let keys = one("keys.format.class", "keys", has_keys);
    let headers = one("headers.format.class", "headers", has_headers);
    Some(Formats { values: values?, keys, headers, compression })
}

fn format(settings: &mut Settings<'_>, name: &str, what: &str, compression: Compression) -> Option<Format> {
    let format = match settings.class(name)? {
        "JsonFormat" => Format::Json,
        "ByteArrayFormat" => Format::Bytes {
            extension: settings.text_or_empty("format.bytearray.extension").to_owned(),
            // Blanks and line breaks count.
            separator: settings.raw("format.bytearray.separator").unwrap_or("\n").to_owned(),
        },
        "ParquetFormat" => Format::Parquet(match settings.text("parquet.codec") {
            Some("none") => Codec::None,
            Some("lz4") => Codec::Lz4,
            Some("zstd") => Codec::Zstd,
            _ => Codec::Snappy,
        }),
        // The default for keys and headers is one that is not written; others were refused already.
        "AvroFormat" if settings.is_good(name) => {
            settings.wrong(name, "Avro is not written here: use JsonFormat or ParquetFormat");
            return None;
        }
        _ => return None,
    };
    if matches!(format, Format::Parquet(_)) && compression != Compression::None {
        let text = format!("Compression Type gzip not valid for {what} format class: ( {PARQUET} ).");
        settings.refuse(name, text.clone());
        settings.refuse("s3.compression.type", text);
    }
    Some(format)
}

fn converters(settings: &mut Settings<'_>) -> Converters {
    let is_bytes = settings.class("format.class") == Some("ByteArrayFormat");
    let key = converter(settings, "key.converter", Converter::Text);
    let value = converter(settings, "value.converter", if is_bytes { Converter::Bytes } else { Converter::Json });
    if is_bytes && value != Converter::Bytes && settings.is_good("value.converter") {
        let class = "org.apache.kafka.connect.converters.ByteArrayConverter";
        settings.wrong("value.converter", &format!("ByteArrayFormat writes bytes: set {class}"));
    }
    if value == Converter::JsonWithSchema
        && settings.text("schema.compatibility") != Some("NONE")
        && settings.is_good("schema.compatibility")
    {
        settings.wrong("schema.compatibility", "values are not brought into another schema here: set NONE");
    }
    Converters { key, value }
}

fn converter(settings: &mut Settings<'_>, name: &str, default: Converter) -> Converter {
    let Some(class) = settings.class(name).filter(|class| !class.is_empty()) else { return default };
    match class {
        "StringConverter" => Converter::Text,
        "ByteArrayConverter" => Converter::Bytes,
        "JsonConverter" => {
            let option = format!("{name}.schemas.enable");
            match settings.raw(&option).map(|text| text.trim().to_ascii_lowercase()).as_deref() {
                Some("false") => Converter::Json,
                None | Some("true") => Converter::JsonWithSchema,
                Some(_) => {
                    settings.refuse(
                        name,
                        format!("Invalid value of configuration {option}: Expected value to be either true or false"),
                    );
                    default
                }
            }
        }
        _ => default,
    }
}

fn class_of(converter: Converter) -> &'static str {
    match converter {
        Converter::Bytes => "org.apache.kafka.connect.converters.ByteArrayConverter",
        Converter::Text => "org.apache.kafka.connect.storage.StringConverter",
        Converter::Json | Converter::JsonWithSchema => "org.apache.kafka.connect.json.JsonConverter",
    }
}
