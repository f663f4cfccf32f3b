//! What a sink must have written of given records, found in another way: one loop over the records of a partition, without log, store or crash.

use std::collections::BTreeMap;

use pinlake_core::TopicPartition;

use crate::world::Rec;

/// When units are closed.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) records: u64,
    pub(crate) bytes: Option<u64>,
    pub(crate) objects: Option<u64>,
    pub(crate) record_time: Option<i64>,
    /// Whether the field `k` says which folder a record belongs to.
    pub(crate) by_field: bool,
}

/// What there must be of a partition.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) objects: BTreeMap<String, String>,
    /// What stands before is written; the records behind, up to what waits for the end of its unit, are nothing to write.
    pub(crate) positions: (i64, i64),
    pub(crate) letters: Vec<i64>,
}

#[derive(Default)]
struct Open {
    objects: BTreeMap<String, (i64, String)>,
    records: u64,
    bytes: u64,
    first: Option<(String, i64)>,
}

impl Rules {
    /// As a sink's configuration says it.
    pub(crate) fn options(&self) -> Vec<(&'static str, String)> {
        let mut options = vec![("records", self.records.to_string()), ("dead", "dead".to_owned())];
        options.extend(self.bytes.map(|bytes| ("bytes", bytes.to_string())));
        options.extend(self.objects.map(|objects| ("objects", objects.to_string())));
        options.extend(self.record_time.map(|time| ("record_time", time.to_string())));
        options.extend(self.by_field.then(|| ("place", "k".to_owned())));
        options
    }

    /// What must be written of a partition's records.
    pub(crate) fn written(&self, of: &TopicPartition, records: &[Rec]) -> Written {
        let (mut written, mut open) = (Written::default(), Open::default());
        for (offset, (time, value)) in (0..).zip(records) {
            let Some(value) = value else { continue };
            let Some(folder) = self.folder(of, value) else {
                written.letters.push(offset);
                continue;
            };
            if open.first.as_ref().is_some_and(|first| self.ends(&open, first, &folder, *time)) {
                written.close(of, &mut open, offset);
            }
            if open.first.is_none() {
                open.first = Some((folder.clone(), *time));
                written.positions.1 = offset;
            }
            let (_, lines) = open.objects.entry(folder).or_insert((offset, String::new()));
            lines.push_str(value);
            lines.push('\n');
            open.records += 1;
            // One byte says that there are no headers.
            open.bytes += value.len() as u64 + 1;
            if open.records >= self.records || self.bytes.is_some_and(|most| open.bytes >= most) {
                written.close(of, &mut open, offset + 1);
            }
        }
        if open.first.is_none() {
            let end = i64::try_from(records.len()).unwrap();
            written.positions = (end, end);
        }
        written
    }

    fn ends(&self, open: &Open, (first_folder, first_time): &(String, i64), folder: &String, time: i64) -> bool {
        let by_time = self.record_time.is_some_and(|most| folder != first_folder || time - first_time >= most);
        let by_objects = self.objects.is_some_and(|most| !open.objects.contains_key(folder) && open.objects.len() as u64 >= most);
        by_time || by_objects
    }

    fn folder(&self, of: &TopicPartition, value: &str) -> Option<String> {
        let value: serde_json::Value = serde_json::from_str(value).ok()?;
        Some(if self.by_field { format!("k={}", value["k"].as_str()?) } else { format!("partition={}", of.partition) })
    }
}

impl Written {
    fn close(&mut self, of: &TopicPartition, open: &mut Open, end: i64) {
        for (folder, (first, lines)) in std::mem::take(open).objects {
            let (topic, partition) = (&of.topic, of.partition);
            self.objects.insert(format!("topics/{topic}/{folder}/{topic}+{partition}+{first:010}.json"), lines);
        }
        self.positions = (end, end);
    }
}
