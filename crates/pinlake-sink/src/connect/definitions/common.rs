//! The settings that all sink connectors have.

use crate::connect::setting::Type::{Boolean, Class, Int, List, Long, String};
use crate::connect::setting::{Check, Group, Width, setting};

const CONVERTERS: &[&str] = &[
    "org.apache.kafka.connect.json.JsonConverter",
    "org.apache.kafka.connect.storage.StringConverter",
    "org.apache.kafka.connect.converters.ByteArrayConverter",
];
const HEADER_CONVERTERS: &[&str] =
    &["org.apache.kafka.connect.storage.SimpleHeaderConverter", "org.apache.kafka.connect.storage.StringConverter"];

pub(super) const COMMON: Group = Group {
    name: "Common",
    settings: &[
        setting("name", String, "Connector name", "The connector's name; no two have the same.")
            .high()
            .checked(Check::Name)
            .wide(Width::Medium),
        setting(
            "connector.class",
            String,
            "Connector class",
            "The connector's class: io.confluent.connect.s3.S3SinkConnector, or S3SinkConnector.",
        )
        .high(),
        setting("tasks.max", Int, "Tasks max", "Among how many tasks the partitions are dealt, 256 at most.")
            .or("1")
            .high()
            .checked(Check::AtLeast(1))
            .wide(Width::Short),
        setting("topics", List, "Topics", "The topics to read, with commas between them. Either this or topics.regex is set.")
            .or("")
            .high(),
        setting(
            "topics.regex",
            String,
            "Topics regex",
            "A regular expression of which each topic's whole name must be a match. Topics that are made later are read too. \
                 Either this or topics is set.",
        )
        .or("")
        .high(),
        setting(
            "key.converter",
            Class,
            "Key converter class",
            "What the bytes of keys are. Without it they are text, as by StringConverter. Whether JSON has a schema beside it \
                 says key.converter.schemas.enable, which is true unless it is set.",
        )
        .or_null()
        .checked(Check::Class(CONVERTERS))
        .wide(Width::Short),
        setting(
            "value.converter",
            Class,
            "Value converter class",
            "What the bytes of values are. Without it they are JSON without a schema, or bytes for ByteArrayFormat. Whether \
                 JSON has a schema beside it says value.converter.schemas.enable, which is true unless it is set.",
        )
        .or_null()
        .checked(Check::Class(CONVERTERS))
        .wide(Width::Short),
        setting("header.converter", Class, "Header converter class", "What the bytes of headers are: text.")
            .or_null()
            .checked(Check::Class(HEADER_CONVERTERS))
            .wide(Width::Short),
        setting(
            "config.action.reload",
            String,
            "Reload Action",
            "Ignored: a file or variable that a configuration refers to is read when the connector starts.",
        )
        .or("restart")
        .checked(Check::OneOf(&["none", "restart"]))
        .wide(Width::Medium),
        setting("tasks.max.enforce", Boolean, "Enforce tasks max", "Ignored: there are never more tasks than tasks.max.")
            .or("true")
            .wide(Width::Short),
    ],
};

pub(super) const TRANSFORMS: Group = Group {
    name: "Transforms",
    settings: &[setting("transforms", List, "Transforms", "Transformations of records, of which there are none here.")
        .or("")
        .refused("records are not transformed on their way here: take it out, and clean them by a pipeline's SQL")],
};

pub(super) const PREDICATES: Group = Group {
    name: "Predicates",
    settings: &[setting("predicates", List, "Predicates", "Conditions of transformations, of which there are none here.")
        .or("")
        .refused("records are not transformed on their way here: take it out")],
};

pub(super) const ERRORS: Group = Group {
    name: "Error Handling",
    settings: &[
        setting(
            "errors.retry.timeout",
            Long,
            "Retry Timeout for Errors",
            "How long a store that fails is asked again, milliseconds, beside s3.part.retries; -1 for ever.",
        )
        .or("0")
        .medium()
        .checked(Check::AtLeast(-1))
        .wide(Width::Medium),
        setting(
            "errors.retry.delay.max.ms",
            Long,
            "Maximum Delay Between Retries for Errors",
            "Ignored: pauses grow to ten seconds.",
        )
        .or("60000")
        .medium()
        .wide(Width::Medium),
        setting(
            "errors.tolerance",
            String,
            "Error Tolerance",
            "What becomes of a record that can't be written: with none its task fails, with all it is passed over, and put \
                 into the dead letter queue if there is one.",
        )
        .or("none")
        .medium()
        .checked(Check::OneOf(&["none", "all"]))
        .wide(Width::Short),
        setting("errors.log.enable", Boolean, "Log Errors", "Whether each record that is passed over is logged.")
            .or("false")
            .medium()
            .wide(Width::Short),
        setting("errors.log.include.messages", Boolean, "Log Error Details", "Ignored: what records hold is never logged.")
            .or("false")
            .medium()
            .wide(Width::Short),
        setting(
            "errors.deadletterqueue.topic.name",
            String,
            "DLQ Topic Name",
            "The topic that takes records which can't be written, as they are.",
        )
        .or("")
        .medium()
        .wide(Width::Medium),
        setting(
            "errors.deadletterqueue.topic.replication.factor",
            Int,
            "DLQ Topic Replication Factor",
            "Ignored: topics are made as the server makes them.",
        )
        .or("3")
        .medium()
        .wide(Width::Medium),
        setting(
            "errors.deadletterqueue.context.headers.enable",
            Boolean,
            "Enable Error Context Headers",
            "Whether headers of a record in the dead letter queue, __connect.errors.*, say where it came from and what was \
                 wrong.",
        )
        .or("false")
        .medium()
        .wide(Width::Medium),
    ],
};
