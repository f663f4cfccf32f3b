//! A raw lake on disk: objects with the names and content that the Confluent S3 sink gives them, for tests and benchmarks.
//!
//! One thread makes posts, one writes. Must not write into a folder that holds anything already.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use flate2::Compression;
use flate2::write::GzEncoder;
use pinlake_core::{Error, Result, TopicName};

use crate::disk::{cannot, claim_folder, create_file, create_folder};
use crate::kind::Kind;
use crate::posts::{Datetimes, Post, Posts, PostsOptions};

/// Posts that go to one partition before the next one's turn, and the unit that the two threads hand over.
const BLOCK_POSTS: usize = 100;

/// Blocks that may wait for the writing thread.
const BLOCKS_WAITING_MAX: usize = 64;

/// What a raw lake is to hold, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct LakeOptions {
    /// Posts, repeats included. Default 11,000.
    pub posts: u64,
    /// Seed of the generator. Default 42.
    pub seed: u64,
    /// Which share of the posts repeats an earlier one. Default 0.1.
    pub duplicates: f64,
    /// How dates with times are written. Default [`Datetimes::T`], which every reader of raw lakes takes.
    pub datetimes: Datetimes,
    /// Records an object, at least 1. Default 10,000.
    pub flush: u64,
    /// Partitions a topic, 1 to 1,000. Default 2.
    pub partitions: u32,
    /// What the topics' names begin with: `<prefix>.pin` and so on. Default `u0`.
    pub prefix: String,
    /// Whether the objects are compressed and end in `.json.gz`. Default no.
    pub gzip: bool,
}

impl Default for LakeOptions {
    fn default() -> Self {
        Self {
            posts: 11_000,
            seed: 42,
            duplicates: 0.1,
            datetimes: Datetimes::T,
            flush: 10_000,
            partitions: 2,
            prefix: "u0".to_owned(),
            gzip: false,
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LakeSummary {
    /// Posts, repeats included; each is one record in each of the three topics.
    pub posts: u64,
    /// Different posts.
    pub unique: u64,
    /// Objects.
    pub objects: u64,
    /// Bytes of JSON lines, before compression.
    pub bytes: u64,
}

/// Writes a raw lake to the folder `out`, which must be empty or not exist. `progress` is told of posts written and of all
/// posts, now and then and at the end.
pub fn write_lake(out: &Path, options: &LakeOptions, progress: &dyn Fn(u64, u64)) -> Result<LakeSummary> {
    if options.flush == 0 {
        return Err(Error::invalid("an object cannot hold 0 records: give a flush of 1 or more"));
    }
    if !(1..=1_000).contains(&options.partitions) {
        return Err(Error::invalid(format!("{} partitions are not possible: give 1 to 1000", options.partitions)));
    }
    TopicName::new(&Kind::User.topic(&options.prefix))?;
    let posts = PostsOptions { posts: options.posts, duplicates: options.duplicates, datetimes: options.datetimes };
    let posts = Posts::new(options.seed, &posts)?;
    claim_folder(out)?;
    let unique = posts.unique();
    let mut lake = Lake::create(out, options)?;
    std::thread::scope(|scope| {
        let (sender, blocks) = sync_channel(BLOCKS_WAITING_MAX);
        scope.spawn(move || make_blocks(posts, &sender));
        lake.write_all(&blocks, options.posts, progress)
    })?;
    lake.close()?;
    Ok(LakeSummary { posts: options.posts, unique, objects: lake.objects, bytes: lake.bytes })
}

/// The generator's thread: ends when all posts are made, or when the writer has gone.
fn make_blocks(mut posts: Posts, blocks: &SyncSender<Vec<Post>>) {
    loop {
        let block: Vec<Post> = posts.by_ref().take(BLOCK_POSTS).collect();
        if block.is_empty() || blocks.send(block).is_err() {
            return;
        }
    }
}

/// The objects being written: for each partition its three topics' logs, in the order of [`Kind::ALL`].
struct Lake {
    partitions: Vec<[ObjectLog; 3]>,
    objects: u64,
    bytes: u64,
}

impl Lake {
    fn create(out: &Path, options: &LakeOptions) -> Result<Self> {
        let mut partitions = Vec::with_capacity(options.partitions as usize);
        for partition in 0..options.partitions {
            let [pin, geo, user] = Kind::ALL.map(|kind| ObjectLog::create(out, options, kind, partition));
            partitions.push([pin?, geo?, user?]);
        }
        Ok(Self { partitions, objects: 0, bytes: 0 })
    }

    fn write_all(&mut self, blocks: &Receiver<Vec<Post>>, total: u64, progress: &dyn Fn(u64, u64)) -> Result<()> {
        let mut done = 0;
        for (number, block) in blocks.iter().enumerate() {
            let count = self.partitions.len();
            let logs = &mut self.partitions[number % count];
            for post in &block {
                for (log, line) in logs.iter_mut().zip([&post.pin, &post.geo, &post.user]) {
                    self.objects += u64::from(log.push(line)?);
                    self.bytes += line.len() as u64 + 1;
                }
            }
            done += block.len() as u64;
            progress(done, total);
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.partitions.iter_mut().flatten().try_for_each(ObjectLog::close)
    }
}

/// One partition's objects, one after the other.
struct ObjectLog {
    folder: PathBuf,
    /// An object's name up to its start offset.
    stem: String,
    flush: u64,
    gzip: bool,
    next_offset: u64,
    open: Option<(PathBuf, Object)>,
}

#[expect(clippy::large_enum_variant, reason = "there are a handful of them")]
enum Object {
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
}

impl ObjectLog {
    fn create(out: &Path, options: &LakeOptions, kind: Kind, partition: u32) -> Result<Self> {
        let topic = kind.topic(&options.prefix);
        let folder = out.join("topics").join(&topic).join(format!("partition={partition}"));
        create_folder(&folder)?;
        let stem = format!("{topic}+{partition}+");
        Ok(Self { folder, stem, flush: options.flush, gzip: options.gzip, next_offset: 0, open: None })
    }

    /// Writes one line; says whether it began an object.
    fn push(&mut self, line: &str) -> Result<bool> {
        let begins = self.next_offset.is_multiple_of(self.flush);
        if begins {
            self.close()?;
            self.open = Some(self.begin()?);
        }
        let (path, object) = self.open.as_mut().expect("the first offset begins an object");
        let written = match object {
            Object::Plain(file) => file.write_all(line.as_bytes()).and_then(|()| file.write_all(b"\n")),
            Object::Gzip(file) => file.write_all(line.as_bytes()).and_then(|()| file.write_all(b"\n")),
        };
        written.map_err(|error| cannot("write", path, error))?;
        self.next_offset += 1;
        Ok(begins)
    }

    fn begin(&self) -> Result<(PathBuf, Object)> {
        let ending = if self.gzip { "json.gz" } else { "json" };
        let path = self.folder.join(format!("{}{:010}.{ending}", self.stem, self.next_offset));
        let file = create_file(&path)?;
        let file = BufWriter::with_capacity(1 << 18, file);
        let object = if self.gzip { Object::Gzip(GzEncoder::new(file, Compression::fast())) } else { Object::Plain(file) };
        Ok((path, object))
    }

    fn close(&mut self) -> Result<()> {
        let Some((path, object)) = self.open.take() else { return Ok(()) };
        let flushed = match object {
            Object::Plain(mut file) => file.flush(),
            Object::Gzip(file) => file.finish().and_then(|mut file| file.flush()),
        };
        flushed.map_err(|error| cannot("write", &path, error))
    }
}

#[cfg(test)]
mod tests;
