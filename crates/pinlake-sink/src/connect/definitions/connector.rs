//! What is written, and when.

use crate::connect::setting::Type::{Boolean, Class, Int, Long, String};
use crate::connect::setting::{Check, Group, Width, setting};

pub(super) const FORMATS: &[&str] = &[
    "io.confluent.connect.s3.format.json.JsonFormat",
    "io.confluent.connect.s3.format.bytearray.ByteArrayFormat",
    "io.confluent.connect.s3.format.parquet.ParquetFormat",
];

pub(super) const CONNECTOR: Group = Group {
    name: "Connector",
    settings: &[
        setting("format.class", Class, "Format class", "How values are written: JSON with one value a line, bytes, or Parquet.")
            .high()
            .checked(Check::Class(FORMATS))
            .wide(Width::None),
        setting(
            "flush.size",
            Int,
            "Flush Size",
            "After how many records of a topic's partition their objects are written, all that are open for that partition \
                 together.",
        )
        .high()
        .checked(Check::AtLeast(1)),
        setting(
            "rotate.interval.ms",
            Long,
            "Rotate Interval (ms)",
            "When a record's time is so many milliseconds after that of the first, the objects before it are written, and \
                 likewise when it belongs to another place. For partitioners by time only; -1 for never.",
        )
        .or("-1")
        .high()
        .wide(Width::Medium),
        setting(
            "rotate.schedule.interval.ms",
            Long,
            "Rotate Schedule Interval (ms)",
            "Every so many milliseconds from midnight in timezone on, what has come is written. Here each record is written \
                 once with this too. -1 for never.",
        )
        .or("-1")
        .medium()
        .wide(Width::Medium),
        setting("schema.cache.size", Int, "Schema Cache Size", "Ignored: it is for Avro.").or("1000"),
        setting("enhanced.avro.schema.support", Boolean, "Enhanced Avro Support", "Ignored: it is for Avro.")
            .or("true")
            .wide(Width::Short),
        setting("connect.meta.data", Boolean, "Connect Metadata", "Ignored: it is for Avro.").or("true").wide(Width::Short),
        setting("retry.backoff.ms", Long, "Retry Backoff (ms)", "Ignored: s3.retry.backoff.ms is the first pause.")
            .or("5000")
            .wide(Width::Medium),
        setting("shutdown.timeout.ms", Long, "Shutdown Timeout (ms)", "Ignored: it is for Hive.")
            .or("3000")
            .medium()
            .wide(Width::Medium),
        setting(
            "filename.offset.zero.pad.width",
            Int,
            "Filename Offset Zero Pad Width",
            "How many digits an offset has at least in an object's name, so that names sort as offsets do.",
        )
        .or("10")
        .checked(Check::Between(0, 100)),
        setting("avro.codec", String, "Avro Compression Codec", "Ignored: it is for Avro.")
            .or("null")
            .checked(Check::OneOf(&["null", "deflate", "snappy", "bzip2"]))
            .wide(Width::Medium),
        setting("parquet.codec", String, "Parquet Compression Codec", "How Parquet is compressed.")
            .or("snappy")
            .checked(Check::OneOf(&["none", "snappy", "lz4", "zstd"]))
            .wide(Width::Medium),
        setting(
            "schema.compatibility",
            String,
            "Schema Compatibility",
            "With schemas beside their values, records of another schema begin the next object, which is NONE. Without \
                 schemas it does not matter.",
        )
        .or("NONE")
        .high()
        .checked(Check::OneOf(&["NONE", "BACKWARD", "FORWARD", "FULL"])),
        setting("allow.optional.map.keys", Boolean, "Allow optional map keys", "Ignored: it is for Avro.")
            .or("false")
            .wide(Width::Short),
        setting("flat.map.allow", Boolean, "Flat maps", "Ignored: it is for Avro.").or("true").wide(Width::Short),
    ],
};
