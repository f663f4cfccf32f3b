//! The settings of a topic, under Kafka's names: what they are, and what may be set. What can't be changed here is shown as it is, and
//! setting it to anything else is refused. It must not know a protocol.

use pinlake_core::TopicSpec;
use pinlake_core::log::TimestampType;

/// Who has set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Somebody, for this topic.
    Topic,
    /// The server's configuration.
    Broker,
    /// Nobody.
    Default,
}

/// Types as Kafka numbers them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Boolean = 1,
    Text = 2,
    Int = 3,
    Long = 5,
    Double = 6,
    List = 7,
}

/// One setting as it stands.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) source: Source,
    pub(crate) read_only: bool,
    pub(crate) kind: Kind,
}

/// Settings of a topic that are as they are.
const FIXED: [(&str, &str, Kind); 14] = [
    ("cleanup.policy", "delete", Kind::List),
    ("compression.type", "producer", Kind::Text),
    ("delete.retention.ms", "86400000", Kind::Long),
    ("file.delete.delay.ms", "0", Kind::Long),
    ("flush.messages", "1", Kind::Long),
    ("index.interval.bytes", "4096", Kind::Int),
    ("max.compaction.lag.ms", "9223372036854775807", Kind::Long),
    ("min.cleanable.dirty.ratio", "0.5", Kind::Double),
    ("min.compaction.lag.ms", "0", Kind::Long),
    ("min.insync.replicas", "1", Kind::Int),
    ("preallocate", "false", Kind::Boolean),
    ("segment.bytes", "268435456", Kind::Int),
    ("segment.ms", "604800000", Kind::Long),
    ("unclean.leader.election.enable", "false", Kind::Boolean),
];

const CHANGEABLE: [(&str, Kind); 4] = [
    ("max.message.bytes", Kind::Int),
    ("message.timestamp.type", Kind::Text),
    ("retention.bytes", Kind::Long),
    ("retention.ms", Kind::Long),
];

/// All settings of a topic, by name.
pub(crate) fn of_topic(spec: &TopicSpec, defaults: &TopicSpec) -> Vec<Entry> {
    let changeable = CHANGEABLE.map(|(name, kind)| {
        let (value, default) = (value_of(spec, name), value_of(defaults, name));
        let source = if value == default { Source::Default } else { Source::Topic };
        Entry { name, value, source, read_only: false, kind }
    });
    let fixed =
        FIXED.map(|(name, value, kind)| Entry { name, value: value.to_owned(), source: Source::Default, read_only: true, kind });
    let mut entries: Vec<Entry> = changeable.into_iter().chain(fixed).collect();
    entries.sort_by_key(|entry| entry.name);
    entries
}

/// The value of one that can be changed.
pub(crate) fn value_of(spec: &TopicSpec, name: &str) -> String {
    let or_unlimited = |value: Option<u64>| value.map_or_else(|| "-1".to_owned(), |value| value.to_string());
    match name {
        "max.message.bytes" => spec.batch_bytes_max.to_string(),
        "retention.bytes" => or_unlimited(spec.retention_bytes),
        "retention.ms" => or_unlimited(spec.retention_ms),
        _ => match spec.timestamps {
            TimestampType::Create => "CreateTime".to_owned(),
            TimestampType::Append => "LogAppendTime".to_owned(),
        },
    }
}

/// Whether a topic has such a setting.
pub(crate) fn is_known(name: &str) -> bool {
    changeable().any(|known| known == name) || FIXED.iter().any(|(known, _, _)| *known == name)
}

/// The settings that can be changed, by name.
pub(crate) fn changeable() -> impl Iterator<Item = &'static str> {
    CHANGEABLE.iter().map(|(name, _)| *name)
}

/// Sets one setting of a topic; no value sets the default.
pub(crate) fn set(spec: &mut TopicSpec, name: &str, value: Option<&str>, defaults: &TopicSpec) -> Result<(), String> {
    if let Some((_, fixed, _)) = FIXED.iter().find(|(fixed, _, _)| *fixed == name) {
        return match value {
            Some(value) if value != *fixed => Err(format!("'{name}' is {fixed} here and can't be '{}'", value.escape_debug())),
            _ => Ok(()),
        };
    }
    let default = value_of(defaults, name);
    let value = value.unwrap_or(&default);
    let wrong = |takes: &str| format!("'{name}' takes {takes}, not '{}'", value.escape_debug());
    let limit = |value: &str| match value.parse::<i64>() {
        Ok(-1) => Ok(None),
        Ok(number) => u64::try_from(number).map(Some).map_err(|_| wrong("a number from 0 on, or -1 for no limit")),
        Err(_) => Err(wrong("a number from 0 on, or -1 for no limit")),
    };
    match name {
        "retention.ms" => spec.retention_ms = limit(value)?,
        "retention.bytes" => spec.retention_bytes = limit(value)?,
        "max.message.bytes" => {
            let (least, most) = (pinlake_core::log::BATCH_BYTES_MAX.start(), pinlake_core::log::BATCH_BYTES_MAX.end());
            let number = value.parse().ok().filter(|number| pinlake_core::log::BATCH_BYTES_MAX.contains(number));
            spec.batch_bytes_max = number.ok_or_else(|| wrong(&format!("{least} to {most}")))?;
        }
        "message.timestamp.type" => {
            spec.timestamps = match value {
                "CreateTime" => TimestampType::Create,
                "LogAppendTime" => TimestampType::Append,
                _ => return Err(wrong("CreateTime or LogAppendTime")),
            }
        }
        _ => return Err(format!("'{}' is no setting of a topic", name.escape_debug())),
    }
    Ok(())
}
