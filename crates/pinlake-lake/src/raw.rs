//! A raw lake: JSON lines in objects named as the S3 sink names them, read in order as chunks of bounded size.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use pinlake_core::{Error, Offset, Result, Timestamp, TopicName, TopicPartition};

use crate::archive::unescape;
use crate::error;
use crate::runs::{self, Run};
use crate::store::Store;

/// Bytes of records in a chunk: enough to keep a vectorised engine busy, little enough to have several in flight.
const CHUNK_BYTES: usize = 1 << 20;
/// Bytes asked of the store in one request.
const READ_BYTES: u64 = 2 << 20;
/// Requests to the store under way at once.
const READS_AT_ONCE: usize = 4;
/// The largest content of a compressed object.
const GUNZIPPED_BYTES_MAX: u64 = 2 << 30;
/// The largest line of a lake that no manifest describes. What Pinlake wrote is as large as what its log took.
const LINE_BYTES_MAX: usize = 64 << 20;
/// How a gzip stream begins, which no JSON does.
const GZIP_MAGIC: &[u8] = b"\x1f\x8b";
/// What some editors put before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The folder that holds the topics.
pub const TOPICS_DIR: &str = "topics";

/// One object of a raw lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawObject {
    /// Where it lies within the lake.
    pub path: Path,
    /// Its bytes.
    pub size: u64,
    /// The partition its records come from.
    pub of: TopicPartition,
    /// The offset of its first record, as its name says; zero where the name does not.
    pub start: Offset,
    /// What stands at its offsets, in order; empty where nobody knows: then each line is the next offset.
    pub runs: Arc<[Run]>,
    /// The key of each record, in order; empty where nobody knows.
    pub keys: Arc<[Option<Vec<u8>>]>,
}

/// A run of whole lines of one object.
#[derive(Debug, Clone)]
pub struct RawPiece {
    /// The lines, or with `gzip` the compressed whole object.
    pub bytes: Bytes,
    /// How many lines of the object come before it.
    pub skip: u64,
    /// The object they come from.
    pub object: Arc<RawObject>,
    /// Whether `bytes` are compressed.
    pub gzip: bool,
}

/// Pieces of one partition that are worked on together.
#[derive(Debug)]
pub struct RawChunk {
    /// Its place in the order, from 0.
    pub number: u64,
    /// Its pieces, in order.
    pub pieces: Vec<RawPiece>,
    /// Bytes read from the store for it.
    pub bytes: u64,
}

/// What lies in a raw lake.
#[derive(Debug, Default)]
pub struct Listing {
    /// Its objects, sorted by topic, partition and offset.
    pub objects: Vec<RawObject>,
    /// Files that are none: nobody reads them.
    pub passed_over: Vec<Path>,
}

/// How the files of a raw lake are named.
pub const OBJECT_FORM: &str = "topics/<topic>/partition=<n>/<topic>+<n>+<offset>.json[.gz]";

/// Finds the objects of a raw lake.
///
/// # Errors
/// `NotFound` when there are none; errors of the store.
pub async fn list(lake: &Store) -> Result<Listing> {
    let objects = lake.objects();
    let found: Vec<_> =
        objects.list(Some(&Path::from(TOPICS_DIR))).try_collect().await.map_err(|e| error::store("listing the raw lake", e))?;
    let mut listing = Listing::default();
    for meta in found {
        match parse(&meta.location, meta.size) {
            Some(object) => listing.objects.push(object),
            None if is_beside(&meta.location) => {}
            None => listing.passed_over.push(meta.location),
        }
    }
    if listing.objects.is_empty() {
        return Err(Error::not_found(format!("no raw records under '{}': expected {OBJECT_FORM}", lake.url())));
    }
    listing.objects.sort_by(|a, b| (&a.of, a.start, &a.path).cmp(&(&b.of, b.start, &b.path)));
    Ok(listing)
}

/// The partition comes from the folder, or, where a sink arranges objects by time, from the name.
fn parse(path: &Path, size: u64) -> Option<RawObject> {
    let parts: Vec<_> = path.parts().collect();
    let [_, topic, folders @ .., name] = &parts[..] else { return None };
    let topic = TopicName::new(topic.as_ref()).ok()?;
    let name = name.as_ref();
    let stem = name.strip_suffix(".json").or_else(|| name.strip_suffix(".json.gz"))?;
    if is_beside(path) {
        return None;
    }
    let mut numbers = stem.rsplit('+');
    let start = numbers.next().and_then(|offset| offset.parse().ok());
    let named = numbers.next().and_then(|partition| partition.parse().ok());
    let in_folder = folders.first().and_then(|folder| folder.as_ref().strip_prefix("partition=")?.parse().ok());
    let partition: u32 = match folders {
        [_] => in_folder.or(named.filter(|_| start.is_some()))?,
        _ => named.filter(|_| start.is_some())?,
    };
    Some(RawObject {
        path: path.clone(),
        size,
        of: topic.partition(partition),
        start: Offset(start.unwrap_or(0)),
        runs: Arc::new([]),
        keys: Arc::new([]),
    })
}

/// Whether a file holds what a sink keeps beside the values.
fn is_beside(path: &Path) -> bool {
    let name = path.filename().unwrap_or_default();
    [".keys.json", ".keys.json.gz", ".headers.json", ".headers.json.gz"].iter().any(|end| name.ends_with(end))
}

/// Characters of a topic's name that stand in its objects' file names. A file system takes names of 255 bytes, and behind the
/// topic come partition, offset, ending and what marks a file that is being written. Which topic it is, the folder says.
const TOPIC_IN_FILE_NAME_LEN_MAX: usize = 200;

/// The name of the object that starts at `start`, as the S3 sink gives it.
pub fn object_path(of: &TopicPartition, start: Offset) -> Path {
    let (topic, partition) = (of.topic.as_str(), of.partition);
    let shown = topic.get(..TOPIC_IN_FILE_NAME_LEN_MAX).unwrap_or(topic);
    Path::from(format!("{TOPICS_DIR}/{topic}/partition={partition}/{shown}+{partition}+{:010}.json", start.0))
}

/// Reads `objects` in order as chunks.
pub fn chunks(lake: &Store, objects: Vec<RawObject>) -> impl Stream<Item = Result<RawChunk>> + Send + 'static {
    let store = lake.objects();
    let reads = stream::iter(objects).flat_map(|object| stream::iter(read_ranges(object)));
    let reads = reads.map(move |(object, range)| read(store.clone(), object, range)).buffered(READS_AT_ONCE);
    let chunker = Chunker::default();
    // The stream of pieces, then the last chunk.
    stream::unfold((Box::pin(reads), chunker, false), |(mut reads, mut chunker, ended)| async move {
        if ended {
            return None;
        }
        loop {
            match reads.next().await.map(|part| part.and_then(|part| chunker.take(part))) {
                Some(Ok(Some(chunk))) => return Some((Ok(chunk), (reads, chunker, false))),
                Some(Ok(None)) => {}
                Some(Err(error)) => return Some((Err(error), (reads, chunker, true))),
                None => {
                    let last = chunker.finish()?;
                    return Some((Ok(last), (reads, chunker, true)));
                }
            }
        }
    })
}

fn read_ranges(object: RawObject) -> Vec<(Arc<RawObject>, Range<u64>)> {
    let object = Arc::new(object);
    if is_gzip(&object) {
        return vec![(object.clone(), 0..object.size)];
    }
    let starts = (0..object.size).step_by(usize::try_from(READ_BYTES).expect("it is small"));
    starts.map(|start| (object.clone(), start..object.size.min(start + READ_BYTES))).collect()
}

fn is_gzip(object: &RawObject) -> bool {
    object.path.as_ref().ends_with(".gz")
}

struct ReadPart {
    object: Arc<RawObject>,
    bytes: Bytes,
    last: bool,
}

async fn read(store: Arc<dyn ObjectStore>, object: Arc<RawObject>, range: Range<u64>) -> Result<ReadPart> {
    if is_gzip(&object) && object.size > GUNZIPPED_BYTES_MAX {
        return Err(too_large(&object));
    }
    let (first, last) = (range.start == 0, range.end == object.size);
    let failed = |e| error::store(&format!("reading '{}'", object.path), e);
    let bytes = if first && last {
        store.get(&object.path).await.map_err(failed)?.bytes().await.map_err(failed)?
    } else {
        store.get_range(&object.path, range).await.map_err(failed)?
    };
    if first && !is_gzip(&object) && bytes.starts_with(GZIP_MAGIC) {
        let path = &object.path;
        return Err(Error::invalid(format!(
            "'{path}' is compressed with gzip and does not say so: let its name end in .json.gz"
        )));
    }
    Ok(ReadPart { object, bytes, last })
}

fn too_large(object: &RawObject) -> Error {
    Error::invalid(format!("'{}' holds over {GUNZIPPED_BYTES_MAX} bytes: split it", object.path))
}

/// Cuts what is read into pieces of whole lines, and gathers pieces into chunks.
#[derive(Default)]
struct Chunker {
    number: u64,
    pieces: Vec<RawPiece>,
    bytes: usize,
    /// The broken last line of the part before, of the same object.
    carry: BytesMut,
    /// Lines of the current object that went into pieces.
    lines: u64,
}

impl Chunker {
    fn take(&mut self, part: ReadPart) -> Result<Option<RawChunk>> {
        let other = self.pieces.last().is_some_and(|piece| piece.object.of != part.object.of);
        let before = if other { self.finish() } else { None };
        self.add(part)?;
        Ok(before.or_else(|| if self.bytes >= CHUNK_BYTES { self.finish() } else { None }))
    }

    fn add(&mut self, part: ReadPart) -> Result<()> {
        let gzip = is_gzip(&part.object);
        let lines = if gzip { part.bytes } else { self.whole_lines(&part.bytes, part.last) };
        if self.carry.len() > LINE_BYTES_MAX && part.object.runs.is_empty() {
            let path = &part.object.path;
            return Err(Error::invalid(format!(
                "'{path}' has a line of over {LINE_BYTES_MAX} bytes: write one JSON object a line"
            )));
        }
        if !lines.is_empty() {
            let skip = self.lines;
            self.bytes += lines.len();
            // Counting lines is only needed where the object goes on.
            self.lines += if part.last || gzip { 0 } else { count_lines(&lines) };
            self.pieces.push(RawPiece { bytes: lines, skip, object: part.object, gzip });
        }
        if part.last {
            self.lines = 0;
        }
        Ok(())
    }

    fn whole_lines(&mut self, bytes: &Bytes, last: bool) -> Bytes {
        let end = if last { Some(bytes.len()) } else { memchr::memrchr(b'\n', bytes).map(|at| at + 1) };
        // A line that goes on is only added to: what came before is not looked at again.
        let Some(end) = end else {
            self.carry.extend_from_slice(bytes);
            return Bytes::new();
        };
        let lines = if self.carry.is_empty() {
            bytes.slice(..end)
        } else {
            let mut joined = std::mem::take(&mut self.carry);
            joined.extend_from_slice(&bytes[..end]);
            joined.freeze()
        };
        self.carry = BytesMut::from(&bytes[end..]);
        lines
    }

    fn finish(&mut self) -> Option<RawChunk> {
        if self.pieces.is_empty() {
            return None;
        }
        let chunk = RawChunk { number: self.number, pieces: std::mem::take(&mut self.pieces), bytes: self.bytes as u64 };
        self.number += 1;
        self.bytes = 0;
        Some(chunk)
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    lines(bytes).count() as u64
}

/// The lines of a piece that hold anything; a raw lake may have blank ones, which are no records.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty())
}

impl RawPiece {
    /// The lines as they were written.
    ///
    /// # Errors
    /// `Corrupt` when a compressed object does not decompress.
    fn content(&self) -> Result<Bytes> {
        if !self.gzip {
            return Ok(if self.skip == 0 && self.bytes.starts_with(BYTE_ORDER_MARK) {
                self.bytes.slice(3..)
            } else {
                self.bytes.clone()
            });
        }
        let mut content = Vec::new();
        let mut decoder = MultiGzDecoder::new(&self.bytes[..]).take(GUNZIPPED_BYTES_MAX);
        decoder
            .read_to_end(&mut content)
            .map_err(|e| Error::corrupt(format!("decompressing '{}'", self.object.path)).with_source(e))?;
        if content.len() as u64 == GUNZIPPED_BYTES_MAX {
            return Err(too_large(&self.object));
        }
        Ok(Bytes::from(content))
    }
}

/// One record of a raw lake.
#[derive(Debug)]
pub struct RawRecord<'a> {
    /// Its bytes, as the log had them.
    pub value: Cow<'a, [u8]>,
    /// Where it stood in its partition.
    pub offset: Offset,
    /// When it came in, where that is known.
    pub time: Option<Timestamp>,
    /// Its key, where that is known.
    pub key: Option<&'a [u8]>,
}

impl RawChunk {
    /// The partition that all of its records come from.
    pub fn of(&self) -> &TopicPartition {
        &self.pieces[0].object.of
    }

    /// The lines of each piece, as they were written.
    ///
    /// # Errors
    /// `Corrupt` when a compressed object does not decompress.
    pub fn contents(&self) -> Result<Vec<Bytes>> {
        self.pieces.iter().map(RawPiece::content).collect()
    }

    /// The records in [`RawChunk::contents`], in order.
    pub fn records<'a>(&'a self, contents: &'a [Bytes]) -> impl Iterator<Item = RawRecord<'a>> {
        self.pieces.iter().zip(contents).flat_map(|(piece, content)| {
            let object = &piece.object;
            let skip = usize::try_from(piece.skip).expect("an object is smaller than memory");
            let places = runs::places(object.start, &object.runs).skip(skip);
            // Unknown keys end their list early.
            lines(content).zip(places).enumerate().map(move |(line, (bytes, (offset, time)))| RawRecord {
                value: unescape(bytes),
                offset,
                time,
                key: object.keys.get(skip + line).and_then(Option::as_deref),
            })
        })
    }
}
