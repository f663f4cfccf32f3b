//! Where the emulator's posts come from: the generator, the classic MySQL database or a folder of JSON lines.
//!
//! A source fills a bounded queue in the background. Must not know how or where its records are sent.

mod folder;
mod mysql;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use pinlake_core::secret::mask_url;
use pinlake_core::{Error, Result};
use tokio::sync::mpsc;

use crate::kind::Kind;
use crate::posts::{Datetimes, POSTS_MAX, Post, Posts, PostsOptions};

/// Posts that may wait between a source and the requests.
const POSTS_WAITING_MAX: usize = 256;

/// Where posts come from.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Source {
    /// The generator of this crate, in the order of its run.
    #[default]
    Builtin,
    /// The three classic tables behind `mysql://user:password@host/pinterest_data`, in the order of their keys.
    MySql(String),
    /// A folder of JSON lines, looked through with its subfolders: a file belongs to the kind (pin, geo, user) that its
    /// name holds. A raw lake is such a folder. Records are sent as they are.
    Folder(PathBuf),
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "builtin" {
            return Ok(Self::Builtin);
        }
        if text.starts_with("mysql://") || text.starts_with("mariadb://") {
            return Ok(Self::MySql(text.to_owned()));
        }
        if text.contains("://") {
            return Err(Error::invalid(format!(
                "source '{}' is of no known kind: give builtin, mysql://user:password@host/pinterest_data or a folder",
                mask_url(text)
            )));
        }
        Ok(Self::Folder(PathBuf::from(text)))
    }
}

impl fmt::Display for Source {
    /// The form that is parsed, with the password masked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin => f.write_str("builtin"),
            Self::MySql(url) => f.write_str(&mask_url(url)),
            Self::Folder(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({self})")
    }
}

/// Which part of a source is wanted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    /// Seed of the generator.
    pub(crate) seed: u64,
    /// Posts of the whole run, the ones before `start_at` included. A stored source that has fewer starts over.
    pub(crate) count: Option<u64>,
    /// Posts at the run's beginning that are passed over.
    pub(crate) start_at: u64,
    /// The generator's share of repeats.
    pub(crate) duplicates: f64,
    /// How the generator writes dates.
    pub(crate) datetimes: Datetimes,
}

/// One post of a source: its place in the run and its records. A stored source may lack some of the three.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourcePost {
    pub(crate) number: u64,
    pub(crate) records: Vec<SourceRecord>,
}

/// One record as JSON text, with its key if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceRecord {
    pub(crate) kind: Kind,
    pub(crate) key: Option<i64>,
    pub(crate) json: String,
}

/// The queue that a source fills. It ends with the source; an error is its last item.
pub(crate) type Feed = mpsc::Receiver<Result<SourcePost>>;

impl Source {
    /// Opens the source, which is checked as far as that is possible, and starts to fill the queue.
    pub(crate) async fn open(&self, wanted: &Wanted) -> Result<Feed> {
        let (sender, feed) = mpsc::channel(POSTS_WAITING_MAX);
        match self {
            Self::Builtin => {
                let posts = builtin(wanted)?;
                let start_at = wanted.start_at;
                tokio::task::spawn_blocking(move || feed_builtin(posts, start_at, &sender));
            }
            Self::Folder(path) => {
                let folder = folder::Folder::open(path)?;
                let wanted = wanted.clone();
                tokio::task::spawn_blocking(move || folder.feed(&wanted, &sender));
            }
            Self::MySql(url) => {
                let tables = mysql::Tables::open(url).await?;
                let wanted = wanted.clone();
                tokio::spawn(async move { tables.feed(&wanted, &sender).await });
            }
        }
        Ok(feed)
    }
}

fn builtin(wanted: &Wanted) -> Result<Posts> {
    let options =
        PostsOptions { posts: wanted.count.unwrap_or(POSTS_MAX), duplicates: wanted.duplicates, datetimes: wanted.datetimes };
    Posts::new(wanted.seed, &options)
}

fn feed_builtin(posts: Posts, start_at: u64, sender: &mpsc::Sender<Result<SourcePost>>) {
    for (number, post) in (start_at..).zip(posts.starting_at(start_at)) {
        let Post { index, pin, geo, user } = post;
        let records = Kind::ALL.into_iter().zip([pin, geo, user]);
        let record = |(kind, json)| SourceRecord { kind, key: i64::try_from(index).ok(), json };
        if sender.blocking_send(Ok(SourcePost { number, records: records.map(record).collect() })).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
