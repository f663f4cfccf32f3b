//! What making, deleting and loading topics does to the folders, so that any end of the process on the way leaves a topic whole, or
//! deleted with its end noted, or not yet made. It must not decide whether: that is the log's.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use futures::{StreamExt, TryStreamExt, stream};
use pinlake_core::{Error, ErrorKind, Result, TopicId, TopicName, TopicPartition, TopicSpec};

use super::{Inner, PARTITIONS_AT_ONCE, Topic};
use crate::ends::Ends;
use crate::partition::Partition;
use crate::recovery::{self, Found};

const SPEC_FILE: &str = "topic.json";

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
        let Some(spec) = self.read_spec(topic)? else { return Ok(false) };
        let disk = &self.context.disk;
        // Only partitions without a segment start by the note: if it is damaged, the others are none the worse.
        let ends = match Ends::load(disk, &self.dir, topic) {
            Err(error) if error.kind() != ErrorKind::Corrupt => return Err(error),
            ends => ends,
        };
        let partitions = stream::iter(0..spec.partitions).map(|number| {
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
        self.take_in(topic, spec, partitions);
        Ok(true)
    }

    /// Shows a topic to all.
    pub(super) fn take_in(&self, topic: &TopicName, spec: TopicSpec, partitions: Vec<Arc<Partition>>) {
        let topics = &mut self.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.insert(topic.clone(), Arc::new(Topic { id: TopicId::random(), spec, partitions }));
    }

    fn read_spec(&self, topic: &TopicName) -> Result<Option<TopicSpec>> {
        let path = self.dir.join(topic.as_str()).join(SPEC_FILE);
        let bytes = self.context.disk.read_whole(&path).map_err(|error| failed("read", &path, error))?;
        let decode = |bytes: Vec<u8>| serde_json::from_slice(&bytes);
        let spec = bytes.map(decode).transpose();
        spec.map_err(|error| Error::corrupt(format!("{} does not read; restore it", path.display())).with_source(error))
    }

    /// Makes the topic's folder beside its place, whole and synced, then moves it there. Answers where its partitions begin.
    pub(super) fn make_folder(&self, topic: &TopicName, spec: &TopicSpec) -> Result<Ends> {
        let disk = &self.context.disk;
        let begins = Ends::load(disk, &self.dir, topic)?;
        let (new, place) = (self.dir.join(format!("+{topic}")), self.dir.join(topic.as_str()));
        let body = serde_json::to_vec_pretty(spec).expect("a topic's settings always encode");
        let made = disk
            .remove_dir(&new)
            .and_then(|()| disk.create_dir(&new))
            .and_then(|()| disk.replace(&new.join(SPEC_FILE), &body, true))
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

    pub(super) fn partition_dir(&self, topic: &TopicName, number: u32) -> PathBuf {
        self.dir.join(topic.as_str()).join(number.to_string())
    }
}

/// What every call to a damaged partition answers.
fn refusal(id: &TopicPartition, error: &Error) -> Error {
    tracing::error!(partition = %id, %error, "a partition is damaged and is refused, the others work: repair it, then restart the server");
    Error::corrupt(format!("partition {id} is refused until it is repaired and the server is restarted: {error}"))
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    Error::internal(format!("can't {what} {}", path.display())).with_source(error)
}
