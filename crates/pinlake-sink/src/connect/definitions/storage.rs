//! Where objects stand and what they are called.

use crate::connect::setting::Type::{Class, Int, List, Long, String};
use crate::connect::setting::{Check, Group, Width, setting};

pub(super) const STORAGE: Group = Group {
    name: "Storage",
    settings: &[
        setting("storage.class", Class, "Storage Class", "What keeps the objects: io.confluent.connect.s3.storage.S3Storage.")
            .high()
            .checked(Check::Class(&["io.confluent.connect.s3.storage.S3Storage"]))
            .wide(Width::None),
        setting("topics.dir", String, "Topics directory", "The folder above all objects; nothing for none.")
            .or("topics")
            .high()
            .wide(Width::None),
        setting(
            "store.url",
            String,
            "Store URL",
            "The address of a store that speaks S3, if it is not AWS's own or the server's.",
        )
        .or_null()
        .high()
        .wide(Width::None),
        setting("directory.delim", String, "Directory Delimiter", "What stands between the folders in an object's name.")
            .or("/")
            .medium(),
        setting("file.delim", String, "File Delimiter", "What stands between topic, partition and offset in an object's name.")
            .or("+")
            .medium(),
    ],
};

const PARTITIONERS: &[&str] = &[
    "io.confluent.connect.storage.partitioner.DefaultPartitioner",
    "io.confluent.connect.storage.partitioner.HourlyPartitioner",
    "io.confluent.connect.storage.partitioner.DailyPartitioner",
    "io.confluent.connect.storage.partitioner.TimeBasedPartitioner",
    "io.confluent.connect.storage.partitioner.FieldPartitioner",
];

pub(super) const PARTITIONER: Group = Group {
    name: "Partitioner",
    settings: &[
        setting(
            "partitioner.class",
            Class,
            "Partitioner Class",
            "By what records are put into folders: the topic's partition, fields of the value, or a time.",
        )
        .or("io.confluent.connect.storage.partitioner.DefaultPartitioner")
        .high()
        .checked(Check::Class(PARTITIONERS))
        .over(&["partition.field.name", "partition.duration.ms", "path.format", "locale", "timezone"]),
        setting(
            "partition.field.name",
            List,
            "Partition Field Name",
            "The fields for FieldPartitioner, with commas between them; a.b is the field b within a. Here values without a \
                 schema have fields too.",
        )
        .or("")
        .medium()
        .wide(Width::None),
        setting(
            "partition.duration.ms",
            Long,
            "Partition Duration (ms)",
            "How long a folder of TimeBasedPartitioner lasts, milliseconds.",
        )
        .or("-1")
        .medium(),
        setting(
            "path.format",
            String,
            "Path Format",
            "How TimeBasedPartitioner writes a folder's time, in Joda-Time's letters: 'year'=YYYY/'month'=MM/'day'=dd makes \
                 year=2024/month=05/day=01.",
        )
        .or("")
        .medium(),
        setting(
            "locale",
            String,
            "Locale",
            "The language of names in path.format, which is English; any for formats that are numbers.",
        )
        .or("")
        .medium(),
        setting(
            "timezone",
            String,
            "Timezone",
            "Where it is the time that path.format writes, and where it is midnight for rotate.schedule.interval.ms: a name \
                 such as Europe/Paris, UTC, or +hh:mm.",
        )
        .or("")
        .medium()
        .checked(Check::Zone),
        setting(
            "timestamp.extractor",
            String,
            "Timestamp Extractor",
            "Which time a partitioner by time goes by: Wallclock, Record or RecordField.",
        )
        .or("Wallclock")
        .medium(),
        setting(
            "timestamp.field",
            String,
            "Record Field for Timestamp Extractor",
            "The field for RecordField: milliseconds since 1970 or ISO 8601; a.b is the field b within a.",
        )
        .or("timestamp")
        .medium(),
        setting(
            "partitioner.max.open.files",
            Int,
            "Max open files per partitioner",
            "How many objects of a topic's partition may be open at a time: at so many all are written. -1 for the server's \
                 own bound.",
        )
        .or("-1")
        .checked(Check::AtLeast(-1)),
    ],
};
