//! What is kept of a delivery stream: one JSON object in AWS's own spelling, which whoever delivers reads too. It must not decide what may stand in
//! it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use pinlake_core::{Error, Result, Timestamp};

use crate::aws::read::{self, Node};
use crate::aws::value::Value;

/// The most bytes of a definition. A processor's parameter takes 5 KiB, so this is some fifty of them.
pub(crate) const DEFINITION_BYTES_MAX: usize = 256 << 10;
/// Its type where nothing else is said.
pub(crate) const DIRECT_PUT: &str = "DirectPut";
/// The type of one that reads a Kinesis stream.
pub(crate) const KINESIS_SOURCE: &str = "KinesisStreamAsSource";

/// A delivery stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Definition {
    pub(crate) name: String,
    /// [`DIRECT_PUT`] or [`KINESIS_SOURCE`].
    pub(crate) kind: String,
    /// The topic that is read.
    pub(crate) topic: String,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    /// Records from then on are delivered.
    pub(crate) starts: Timestamp,
    /// From 1, one more for each change of the destination.
    pub(crate) version: i64,
    /// An `ExtendedS3DestinationConfiguration` with all defaults.
    pub(crate) destination: Value,
    pub(crate) tags: BTreeMap<String, Option<String>>,
    /// A `DeliveryStreamEncryptionConfiguration`.
    pub(crate) encryption: Value,
    /// The source's configuration, as the call that made the stream gave it; `Null` if it gave none.
    pub(crate) source: Value,
}

impl Definition {
    /// Reads what [`Self::to_text`] wrote.
    ///
    /// # Errors
    /// `Corrupt` if it is something else.
    pub(crate) fn parse(text: String) -> Result<Self> {
        let corrupt = || Error::corrupt("the definition of a delivery stream is not what was written: look at who keeps it");
        let body = Bytes::from(text);
        let all = value(read::json(&body).ok_or_else(corrupt)?);
        let text = |name| all.text(name).map(str::to_owned).ok_or_else(corrupt);
        let time = |name| all.int(name).map(Timestamp).ok_or_else(corrupt);
        let tag = |tag: &Value| Some((tag.text("Key")?.to_owned(), tag.text("Value").map(str::to_owned)));
        Ok(Self {
            name: text("DeliveryStreamName")?,
            kind: text("DeliveryStreamType")?,
            topic: text("Topic")?,
            created: time("CreateTimestamp")?,
            updated: time("LastUpdateTimestamp")?,
            starts: time("DeliveryStartTimestamp")?,
            version: all.int("VersionId").ok_or_else(corrupt)?,
            destination: all.get("Destination").cloned().ok_or_else(corrupt)?,
            tags: all.items("Tags").iter().filter_map(tag).collect(),
            encryption: all.get("Encryption").cloned().ok_or_else(corrupt)?,
            source: all.get("Source").cloned().unwrap_or(Value::Null),
        })
    }

    /// The JSON text.
    pub(crate) fn to_text(&self) -> String {
        let all = Value::map([
            ("DeliveryStreamName", self.name.as_str().into()),
            ("DeliveryStreamType", self.kind.as_str().into()),
            ("Topic", self.topic.as_str().into()),
            ("CreateTimestamp", self.created.0.into()),
            ("LastUpdateTimestamp", self.updated.0.into()),
            ("DeliveryStartTimestamp", self.starts.0.into()),
            ("VersionId", self.version.into()),
            ("Destination", self.destination.clone()),
            ("Tags", Value::List(self.tags().collect())),
            ("Encryption", self.encryption.clone()),
            ("Source", self.source.clone()),
        ]);
        String::from_utf8(all.to_json()).expect("JSON is UTF-8")
    }

    /// The tags in AWS's form, by key.
    pub(crate) fn tags(&self) -> impl Iterator<Item = Value> {
        self.tags.iter().map(|(key, value)| Value::map([("Key", key.as_str().into()), ("Value", value.as_deref().into())]))
    }

    /// Whether records may be put to it.
    pub(crate) fn takes_records(&self) -> bool {
        self.kind == DIRECT_PUT
    }

    /// Whether its records are said to be encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.encryption.text("Status") == Some("ENABLED")
    }
}

/// A value of JSON as it stands there.
fn value(node: Node<'_>) -> Value {
    match node {
        Node::Null => Value::Null,
        Node::Bool(flag) => Value::Bool(flag),
        Node::Int(number) => Value::Int(number),
        Node::Float(number) => Value::Float(number),
        Node::Text(text) => Value::Text(text.into_owned()),
        Node::Blob(bytes) => Value::Blob(bytes),
        Node::Time(ms) => Value::Time(Timestamp(ms as i64)),
        Node::List(items) => Value::List(items.into_iter().map(value).collect()),
        Node::Map(members) => {
            Value::Map(members.into_iter().map(|(name, node)| (Cow::Owned(name.into_owned()), value(node))).collect())
        }
    }
}
