//! The settings of a topic, under Kafka's names: what they are, and what may be set. What can't be changed here is shown as it is.
//! Setting it to anything else is refused where records would be other than promised, and passed over where it says only how a broker keeps
//! them. It must not know a protocol.

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

impl Kind {
    /// Whether a value is of this type.
    fn takes(self, value: &str) -> bool {
        match self {
            Self::Boolean => ["true", "false"].contains(&value),
            Self::Text | Self::List => !value.is_empty(),
            Self::Int => value.parse::<i32>().is_ok(),
            Self::Long => value.parse::<i64>().is_ok(),
            Self::Double => value.parse::<f64>().is_ok_and(f64::is_finite),
        }
    }
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

/// Settings that promise something about records, and are as they are.
const FIXED: [(&str, &str, Kind); 2] = [("cleanup.policy", "delete", Kind::List), ("min.insync.replicas", "1", Kind::Int)];

/// Settings about how a broker keeps records. Tools set them along with others; they are passed over and shown as they are.
const PASSED_OVER: [(&str, &str, Kind); 17] = [
    ("compression.type", "producer", Kind::Text),
    ("delete.retention.ms", "86400000", Kind::Long),
    ("file.delete.delay.ms", "0", Kind::Long),
    ("flush.messages", "1", Kind::Long),
    ("flush.ms", "0", Kind::Long),
    ("index.interval.bytes", "4096", Kind::Int),
    ("max.compaction.lag.ms", "9223372036854775807", Kind::Long),
    ("message.downconversion.enable", "false", Kind::Boolean),
    ("message.format.version", "3.0-IV1", Kind::Text),
    ("min.cleanable.dirty.ratio", "0.5", Kind::Double),
    ("min.compaction.lag.ms", "0", Kind::Long),
    ("preallocate", "false", Kind::Boolean),
    ("segment.bytes", "268435456", Kind::Int),
    ("segment.index.bytes", "10485760", Kind::Int),
    ("segment.jitter.ms", "0", Kind::Long),
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
    let fixed = FIXED.iter().chain(&PASSED_OVER).map(|&(name, value, kind)| {
        let value = value.to_owned();
        Entry { name, value, source: Source::Default, read_only: true, kind }
    });
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
    changeable().any(|known| known == name) || FIXED.iter().chain(&PASSED_OVER).any(|(known, _, _)| *known == name)
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
    if let Some((_, _, kind)) = PASSED_OVER.iter().find(|(passed_over, _, _)| *passed_over == name) {
        return match value {
            Some(value) if !kind.takes(value) => {
                Err(format!("'{name}' takes a value of type {kind:?}, not '{}'", value.escape_debug()))
            }
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
            spec.batch_bytes_max =
                number.ok_or_else(|| wrong(&format!("{least} to {most} bytes, as many as a request can carry")))?;
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
