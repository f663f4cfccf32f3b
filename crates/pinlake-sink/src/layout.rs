//! Which objects there are, what they are named and what is in them. It must not write them, or decide when one is closed.

use bytes::Bytes;
use object_store::path::Path;
use pinlake_core::{Error, Offset, RecordView, Result, Timestamp, TopicPartition};

use crate::problem::{Problem, Stage};

/// Which objects there are and what is in them.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The folder above all objects; may be empty.
    pub prefix: String,
}

/// A record that was understood, and where it goes.
#[derive(Debug)]
pub struct Placed {
    /// The folder of its object within the topic's, such as `partition=0`.
    pub folder: String,
    /// The record's time, as the layout takes it.
    pub time: Timestamp,
    /// An object holds records of one number; another begins the next unit. 0 where that does not matter.
    pub schema: u64,
    /// What is put into the object.
    pub row: Row,
}

/// A record as an object takes it.
#[derive(Debug)]
pub struct Row(Bytes);

/// An object that fills.
#[derive(Debug)]
pub struct Object(Vec<u8>);

/// What an object becomes: a file, or several beside each other.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    /// The end of its name, from the dot on: `.json`.
    pub extension: String,
    /// Its bytes.
    pub content: Bytes,
}

impl Layout {
    /// What becomes of a record; `at` is the wall clock's time, which may be an earlier one when a unit is done again.
    ///
    /// # Errors
    /// What is wrong with the record.
    pub fn place(&self, of: &TopicPartition, record: &RecordView<'_>, at: Timestamp) -> Result<Placed, Problem> {
        let _ = at;
        let row = Row(Bytes::copy_from_slice(record.value.unwrap_or(b"null")));
        Ok(Placed { folder: format!("partition={}", of.partition), time: record.timestamp, schema: 0, row })
    }

    /// What is wrong with a record that has no value, where such are not written.
    pub fn no_value(&self) -> Problem {
        let (found_by, class) = ("io.confluent.connect.s3.S3SinkTask", "org.apache.kafka.connect.errors.ConnectException");
        let message = "Null valued records are not writeable with current behavior.on.null.values 'fail' setting.".to_owned();
        Problem { stage: Stage::Put, found_by, class, message }
    }

    /// What is wrong with a batch that can't be unpacked.
    pub fn unreadable(&self, error: &Error) -> Problem {
        let (found_by, class) =
            ("org.apache.kafka.clients.consumer.KafkaConsumer", "org.apache.kafka.common.errors.CorruptRecordException");
        Problem { stage: Stage::Read, found_by, class, message: error.to_string() }
    }

    /// Whether it goes by the wall clock: places or times are those of `at`.
    pub fn by_wall_clock(&self) -> bool {
        false
    }

    /// For a layout that goes by the wall clock: until when (exclusive) the records taken at `at` go into the same folders.
    pub fn until(&self, at: Timestamp) -> Option<Timestamp> {
        let _ = at;
        None
    }

    /// An empty object.
    pub fn open(&self) -> Object {
        Object(Vec::new())
    }

    /// The name of an object's file.
    pub fn path(&self, of: &TopicPartition, folder: &str, first: Offset, extension: &str) -> Path {
        let Self { prefix } = self;
        let TopicPartition { topic, partition } = of;
        Path::from(format!("{prefix}/{topic}/{folder}/{topic}+{partition}+{:010}{extension}", first.0))
    }
}

impl Object {
    /// Puts a record in.
    pub fn push(&mut self, row: Row) {
        self.0.extend_from_slice(&row.0);
        self.0.push(b'\n');
    }

    /// Its files, the same bytes for the same rows. May compute for long: not for a thread that must not block.
    ///
    /// # Errors
    /// `Internal` if the format's library fails; rows that can't be written are refused by [`Layout::place`].
    pub fn finish(self) -> Result<Vec<File>, Error> {
        Ok(vec![File { extension: ".json".to_owned(), content: Bytes::from(self.0) }])
    }
}
