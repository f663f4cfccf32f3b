//! A folder of JSON lines as a source: the n-th post is the n-th line of each kind. Must send lines as they are.

use std::collections::VecDeque;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use pinlake_core::{Error, Result};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::{SourcePost, SourceRecord, Wanted};
use crate::disk::{cannot, find_files, open_lines};
use crate::kind::Kind;

/// The longest line, as long as Kinesis lets a record be.
const LINE_LEN_MAX: u64 = 1 << 20;

const ENDINGS: [&str; 4] = [".json", ".jsonl", ".json.gz", ".jsonl.gz"];

/// The files of each kind, in the order of their paths.
#[derive(Debug)]
pub(super) struct Folder {
    files: [Vec<PathBuf>; 3],
}

impl Folder {
    /// Finds the files of `path`, at least one.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Err(Error::not_found(format!(
                "'{}' is no folder: give builtin, mysql://user:password@host/pinterest_data or a folder of JSON lines",
                path.display()
            )));
        }
        let found = find_files(path)?;
        let files = Kind::ALL.map(|kind| found.iter().filter(|file| kind_of(file) == Some(kind)).cloned().collect::<Vec<_>>());
        if files.iter().all(Vec::is_empty) {
            return Err(Error::not_found(format!(
                "folder '{}' holds no records: files named *pin*, *geo* or *user* that end in .json, .jsonl or .json.gz are looked for",
                path.display()
            )));
        }
        Ok(Self { files })
    }

    /// Sends the wanted posts, from the beginning again as long as more are wanted than there are.
    pub(super) fn feed(&self, wanted: &Wanted, sender: &mpsc::Sender<Result<SourcePost>>) {
        if let Err(error) = self.feed_all(wanted, sender) {
            // If nobody listens any more, nobody has to know.
            let _ = sender.blocking_send(Err(error));
        }
    }

    fn feed_all(&self, wanted: &Wanted, sender: &mpsc::Sender<Result<SourcePost>>) -> Result<()> {
        let end = wanted.count.unwrap_or(u64::MAX);
        let mut number = 0;
        while number < end {
            let round_start = number;
            let mut lines = Kind::ALL.map(|kind| Lines::new(kind, &self.files[kind as usize]));
            while number < end {
                let mut records = Vec::with_capacity(3);
                for lines in &mut lines {
                    records.extend(lines.next_record()?);
                }
                if records.is_empty() {
                    break;
                }
                if number >= wanted.start_at && sender.blocking_send(Ok(SourcePost { number, records })).is_err() {
                    return Ok(());
                }
                number += 1;
            }
            if number == round_start {
                return Err(Error::not_found("the folder's files hold no line: put one JSON object on each line"));
            }
            if wanted.count.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The kind that a file's name tells: an object's by its topic's end, another's by a word of it or by what it holds.
fn kind_of(path: &Path) -> Option<Kind> {
    let name = path.file_name()?.to_str()?;
    let stem = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending))?;
    let topic = stem.split('+').next().unwrap_or(stem);
    let word = topic.rsplit(|character: char| !character.is_ascii_alphanumeric()).find_map(kind_named);
    word.or_else(|| Kind::ALL.into_iter().find(|kind| stem.contains(kind.name())))
}

fn kind_named(word: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind.name() == word)
}

/// The lines of one kind's files, one after the other.
struct Lines {
    kind: Kind,
    files: VecDeque<PathBuf>,
    open: Option<Opened>,
}

struct Opened {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    line_number: u64,
}

/// What names a record: both names are in use for all three kinds.
#[derive(Deserialize)]
struct Key {
    #[serde(alias = "index")]
    ind: Option<i64>,
}

impl Lines {
    fn new(kind: Kind, files: &[PathBuf]) -> Self {
        Self { kind, files: files.iter().cloned().collect(), open: None }
    }

    fn next_record(&mut self) -> Result<Option<SourceRecord>> {
        loop {
            if self.open.is_none() {
                let Some(path) = self.files.pop_front() else { return Ok(None) };
                self.open = Some(Opened::new(path)?);
            }
            let opened = self.open.as_mut().expect("opened above");
            match opened.next_line()? {
                None => self.open = None,
                Some(line) if line.trim().is_empty() => {}
                Some(json) => {
                    opened.check_json(&json)?;
                    let key = serde_json::from_str::<Key>(&json).ok().and_then(|key| key.ind);
                    return Ok(Some(SourceRecord { kind: self.kind, key, json }));
                }
            }
        }
    }
}

impl Opened {
    fn new(path: PathBuf) -> Result<Self> {
        let reader = open_lines(&path)?;
        Ok(Self { path, reader, line_number: 0 })
    }

    fn next_line(&mut self) -> Result<Option<String>> {
        self.line_number += 1;
        let mut line = Vec::new();
        let read = self.reader.by_ref().take(LINE_LEN_MAX + 1).read_until(b'\n', &mut line);
        match read {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(cannot("read", &self.path, error)),
        }
        if line.len() as u64 > LINE_LEN_MAX {
            return Err(self.wrong_line("is longer than 1 MiB"));
        }
        while line.last().is_some_and(u8::is_ascii_whitespace) {
            line.pop();
        }
        String::from_utf8(line).map(Some).map_err(|_| self.wrong_line("is not UTF-8"))
    }

    /// A line that is no JSON cannot be put into a request.
    fn check_json(&self, json: &str) -> Result<()> {
        serde_json::from_str::<serde::de::IgnoredAny>(json)
            .map(drop)
            .map_err(|error| self.wrong_line("is not JSON: one value a line is expected").with_source(error))
    }

    fn wrong_line(&self, what: &str) -> Error {
        Error::invalid(format!("line {} of '{}' {what}", self.line_number, self.path.display()))
    }
}
