//! What making, deleting and loading topics does to the folders, so that any end of the process on the way leaves a topic whole, or
//! deleted with its end noted, or not yet made. It must not decide whether: that is the log's.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use futures::{StreamExt, TryStreamExt, stream};
use pinlake_core::{Error, ErrorKind, Result, TopicId, TopicName, TopicPartition, TopicSpec};
use serde::{Deserialize, Serialize};

use super::{Inner, PARTITIONS_AT_ONCE, Topic};
use crate::ends::Ends;
use crate::partition::{Partition, Spec};
use crate::recovery::{self, Found};

const SETTINGS_FILE: &str = "topic.json";

/// What a topic's file holds. What is not known here is passed over: a later version may have written it.
#[derive(Debug, Serialize, Deserialize)]
struct Settings {
    id: Option<TopicId>,
    #[serde(flatten)]
    spec: TopicSpec,
}

impl Inner {
    /// Recovers every topic of the folder, and clears away what a crash left half made or half deleted.
    pub(super) async fn load(&self) -> Result<()> {
        let disk = &self.context.disk;
        for name in disk.list(&self.dir).map_err(|error| failed("list", &self.dir, error))? {
            let path = self.dir.join(&name);
            if name.starts_with(['+', '~']) {
                disk.remove_dir(&path).map_err(|error| failed("clear away", &path, error))?;
            }
            let Ok(topic) = TopicName::new(&name) else { continue };
            if !self.load_topic(&topic).await? {
                tracing::warn!(folder = %path.display(), "a folder without a topic.json is left alone");
            }
        }
        Ok(())
    }

    /// Recovers a topic and takes it in: false if its folder has none. Damage stops no more than the partition it is in.
    pub(super) async fn load_topic(&self, topic: &TopicName) -> Result<bool> {
        let Some(Settings { id, spec }) = self.read_settings(topic)? else { return Ok(false) };
        let disk = &self.context.disk;
        let topic_id = id.unwrap_or_else(|| self.give_id(topic, &spec));
        // Only partitions without a segment start by the note: if it is damaged, the others are none the worse.
        let ends = match self.begins(topic) {
            Err(error) if error.kind() != ErrorKind::Corrupt => return Err(error),
            ends => ends,
        };
        let (count, spec) = (spec.partitions, Spec::new(RwLock::new(spec)));
        let partitions = stream::iter(0..count).map(|number| {
            let (disk, interval, now) = (disk.clone(), self.context.settings.index_interval_bytes, self.context.clock.now());
            let dir = self.partition_dir(topic, number);
            let begin = ends.as_ref().map(|ends| ends.of(number)).map_err(Error::clone);
            let (id, spec) = (topic.partition(number), spec.clone());
            async move {
                let find = {
                    let dir = dir.clone();
                    move || recovery::find(&disk, &dir, interval, now, begin)
                };
                let partition = match self.context.syncer.run(find).await?? {
                    Found::Whole(recovered) => Partition::start(&self.context, id, spec, dir, recovered),
                    Found::Damaged(error, end) => Partition::refused(&self.context, refusal(&id, &error), id, spec, end),
                };
                Ok::<_, Error>(Arc::new(partition))
            }
        });
        let partitions = partitions.buffered(PARTITIONS_AT_ONCE).try_collect().await?;
        self.take_in(topic, Topic { id: topic_id, spec, partitions });
        Ok(true)
    }

    /// Shows a topic to all, in place of what was shown of it.
    pub(super) fn take_in(&self, name: &TopicName, topic: Topic) {
        let topics = &mut self.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.insert(name.clone(), Arc::new(topic));
    }

    fn read_settings(&self, topic: &TopicName) -> Result<Option<Settings>> {
        let path = self.settings_path(topic);
        let bytes = self.context.disk.read_whole(&path).map_err(|error| failed("read", &path, error))?;
        let decode = |bytes: Vec<u8>| serde_json::from_slice(&bytes);
        let settings = bytes.map(decode).transpose();
        settings.map_err(|error| Error::corrupt(format!("{} does not read; restore it", path.display())).with_source(error))
    }

    /// An id for a topic of a version that gave none.
    fn give_id(&self, topic: &TopicName, spec: &TopicSpec) -> TopicId {
        let id = TopicId::random();
        if let Err(error) = self.write_settings(topic, id, spec) {
            tracing::warn!(%topic, %error, "the topic's new id was not written, it gets another at the next start");
        }
        id
    }

    /// Replaces the topic's settings, durably. After an error either may be there.
    pub(super) fn write_settings(&self, topic: &TopicName, id: TopicId, spec: &TopicSpec) -> Result<()> {
        let path = self.settings_path(topic);
        self.context.disk.replace(&path, &encode(id, spec), true).map_err(|error| match crate::disk::is_full(&error) {
            true => Error::retry("the disk is full: make room to change topics").with_source(error),
            false => failed("write", &path, error),
        })
    }

    /// Where the partitions of a topic begin that have not held anything.
    pub(super) fn begins(&self, topic: &TopicName) -> Result<Ends> {
        Ends::load(&self.context.disk, &self.dir, topic)
    }

    /// Makes the topic's folder beside its place, whole and synced, then moves it there. Answers where its partitions begin.
    pub(super) fn make_folder(&self, topic: &TopicName, id: TopicId, spec: &TopicSpec) -> Result<Ends> {
        let disk = &self.context.disk;
        let begins = self.begins(topic)?;
        let (new, place) = (self.dir.join(format!("+{topic}")), self.dir.join(topic.as_str()));
        let made = disk
            .remove_dir(&new)
            .and_then(|()| disk.create_dir(&new))
            .and_then(|()| disk.replace(&new.join(SETTINGS_FILE), &encode(id, spec), true))
            .and_then(|()| disk.rename(&new, &place));
        made.map_err(|error| match crate::disk::is_full(&error) {
            true => Error::retry("the disk is full: make room to create topics").with_source(error),
            false => failed("make", &place, error),
        })?;
        Ok(begins)
    }

    /// Notes where the topic ends, should it be deleted: of no effect before that.
    pub(super) fn note_ends(&self, topic: &TopicName, ends: &Ends) -> Result<()> {
        ends.note(&self.context.disk, &self.dir, topic)
    }

    /// Notes where the topic ends, and only then takes it out of its place. After an error it may still be there.
    pub(super) fn remove_folder(&self, topic: &TopicName, ends: &Ends) -> Result<()> {
        self.note_ends(topic, ends)?;
        let disk = &self.context.disk;
        let (place, old) = (self.dir.join(topic.as_str()), self.dir.join(format!("~{topic}")));
        let moved = disk.remove_dir(&old).and_then(|()| disk.rename(&place, &old));
        moved.map_err(|error| failed("remove", &place, error))?;
        if let Err(error) = disk.remove_dir(&old) {
            tracing::warn!(folder = %old.display(), %error, "a deleted topic's folder was not cleared away, the next start does it");
        }
        Ok(())
    }

    fn settings_path(&self, topic: &TopicName) -> PathBuf {
        self.dir.join(topic.as_str()).join(SETTINGS_FILE)
    }

    pub(super) fn partition_dir(&self, topic: &TopicName, number: u32) -> PathBuf {
        self.dir.join(topic.as_str()).join(number.to_string())
    }
}

fn encode(id: TopicId, spec: &TopicSpec) -> Vec<u8> {
    let settings = Settings { id: Some(id), spec: spec.clone() };
    serde_json::to_vec_pretty(&settings).expect("a topic's settings always encode")
}

/// What every call to a damaged partition answers.
fn refusal(id: &TopicPartition, error: &Error) -> Error {
    tracing::error!(partition = %id, %error, "a partition is damaged and is refused, the others work: repair it, then restart the server");
    Error::corrupt(format!("partition {id} is refused until it is repaired and the server is restarted: {error}"))
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    Error::internal(format!("can't {what} {}", path.display())).with_source(error)
}
