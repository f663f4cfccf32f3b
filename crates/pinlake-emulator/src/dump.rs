//! The classic source database as a dump that MySQL and MariaDB load. Must not speak to a server.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use pinlake_core::{Error, Result};

use crate::disk::{cannot, create_file};
use crate::kind::Kind;
use crate::posts::json::push_number;
use crate::posts::push_datetime;
use crate::posts::{Row, Rows, SOURCE_ROWS};

/// Rows of one `INSERT`: about 350 kB, well below any server's limit on a statement.
const INSERT_ROWS: u64 = 500;

const HEADER: &str = "\
-- The database of the classic Pinterest pipeline, filled with invented posts.
SET NAMES utf8mb4;
SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_AUTO_VALUE_ON_ZERO';
CREATE DATABASE IF NOT EXISTS `pinterest_data` DEFAULT CHARACTER SET utf8mb4;
USE `pinterest_data`;
";

const PIN_TABLE: &str = "
DROP TABLE IF EXISTS `pinterest_data`;
CREATE TABLE `pinterest_data` (
  `index` int NOT NULL,
  `unique_id` text NOT NULL,
  `title` text NOT NULL,
  `description` text NOT NULL,
  `poster_name` text NOT NULL,
  `follower_count` text NOT NULL,
  `tag_list` text NOT NULL,
  `is_image_or_video` text NOT NULL,
  `image_src` text NOT NULL,
  `downloaded` int NOT NULL,
  `save_location` text NOT NULL,
  `category` text NOT NULL,
  PRIMARY KEY (`index`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
";

const GEO_TABLE: &str = "
DROP TABLE IF EXISTS `geolocation_data`;
CREATE TABLE `geolocation_data` (
  `ind` int NOT NULL,
  `timestamp` datetime NOT NULL,
  `latitude` float NOT NULL,
  `longitude` float NOT NULL,
  `country` text NOT NULL,
  PRIMARY KEY (`ind`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
";

const USER_TABLE: &str = "
DROP TABLE IF EXISTS `user_data`;
CREATE TABLE `user_data` (
  `ind` int NOT NULL,
  `first_name` text NOT NULL,
  `last_name` text NOT NULL,
  `age` int NOT NULL,
  `date_joined` datetime NOT NULL,
  PRIMARY KEY (`ind`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
";

/// What a dump is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DumpOptions {
    /// Rows a table; their keys are 0 up to this. Default 11,154, as many as the classic source has.
    pub rows: u64,
    /// Seed of the generator: the rows are those that the generator posts with this seed. Default 42.
    pub seed: u64,
}

impl Default for DumpOptions {
    fn default() -> Self {
        Self { rows: SOURCE_ROWS, seed: 42 }
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DumpSummary {
    /// Rows of each of the three tables.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Writes the database to the file `out`, which must not exist. `progress` is told of rows written and of all rows.
pub fn write_mysql_dump(out: &Path, options: &DumpOptions, progress: &dyn Fn(u64, u64)) -> Result<DumpSummary> {
    if !(1..=crate::posts::POSTS_MAX).contains(&options.rows) {
        return Err(Error::invalid(format!("cannot write {} rows: ask for 1 to {}", options.rows, crate::posts::POSTS_MAX)));
    }
    let cannot_write = |error| cannot("write", out, error);
    let file = create_file(out)?;
    let mut dump = Dump { out: BufWriter::with_capacity(1 << 18, file), bytes: 0 };
    let mut done = 0;
    let mut tell = |rows: u64| {
        done += rows;
        progress(done, 3 * options.rows);
    };
    dump.write(HEADER).map_err(cannot_write)?;
    for kind in Kind::ALL {
        dump.write_table(kind, options, &mut tell).map_err(cannot_write)?;
    }
    dump.out.flush().map_err(cannot_write)?;
    Ok(DumpSummary { rows: options.rows, bytes: dump.bytes })
}

struct Dump {
    out: BufWriter<File>,
    bytes: u64,
}

impl Dump {
    fn write(&mut self, text: &str) -> std::io::Result<()> {
        self.bytes += text.len() as u64;
        self.out.write_all(text.as_bytes())
    }

    fn write_table(&mut self, kind: Kind, options: &DumpOptions, tell: &mut dyn FnMut(u64)) -> std::io::Result<()> {
        self.write(match kind {
            Kind::Pin => PIN_TABLE,
            Kind::Geo => GEO_TABLE,
            Kind::User => USER_TABLE,
        })?;
        let rows = Rows::new(options.seed, options.rows.max(SOURCE_ROWS));
        let mut row = Row::default();
        let mut insert = String::new();
        for first in (0..options.rows).step_by(INSERT_ROWS as usize) {
            let end = options.rows.min(first + INSERT_ROWS);
            insert.clear();
            insert.push_str(&format!("INSERT INTO `{}` VALUES\n", kind.mysql_table()));
            for key in first..end {
                rows.fill(key, &mut row);
                push_row(&mut insert, kind, key, &row);
                insert.push_str(if key + 1 == end { ";\n" } else { ",\n" });
            }
            self.write(&insert)?;
            tell(end - first);
        }
        Ok(())
    }
}

fn push_row(out: &mut String, kind: Kind, key: u64, row: &Row) {
    out.push('(');
    push_number(out, key);
    match kind {
        Kind::Pin => {
            let pin = &row.pin;
            let texts = [&pin.unique_id, &pin.title, &pin.description, &pin.poster_name, &pin.follower_count, &pin.tag_list];
            texts.into_iter().for_each(|text| push_text(out, text));
            push_text(out, pin.is_image_or_video);
            push_text(out, &pin.image_src);
            out.push(',');
            push_number(out, pin.downloaded);
            push_text(out, &format!("Local save in /data/{}", pin.category));
            push_text(out, pin.category);
        }
        Kind::Geo => {
            push_moment(out, row.geo.timestamp);
            out.push_str(&format!(",{},{}", row.geo.latitude, row.geo.longitude));
            push_text(out, row.geo.country);
        }
        Kind::User => {
            push_text(out, row.user.first_name);
            push_text(out, row.user.last_name);
            out.push(',');
            push_number(out, row.user.age);
            push_moment(out, row.user.date_joined);
        }
    }
    out.push(')');
}

fn push_moment(out: &mut String, second: i64) {
    out.push_str(",'");
    push_datetime(out, second, ' ');
    out.push('\'');
}

/// Appends a comma and `text` as an SQL string in the escapes of MySQL's default mode.
fn push_text(out: &mut String, text: &str) {
    out.push_str(",'");
    for character in text.chars() {
        match character {
            '\'' => out.push_str("\\'"),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\0' => out.push_str("\\0"),
            '\u{1a}' => out.push_str("\\Z"),
            other => out.push(other),
        }
    }
    out.push('\'');
}

#[cfg(test)]
mod tests;
