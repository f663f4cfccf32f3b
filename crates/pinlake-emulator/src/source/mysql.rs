//! The classic MySQL database as a source, read in pages by key. Must send what the classic scripts would, with right datetimes.
//!
//! Everything is read by the text protocol: it gives each value as the text that MySQL shows, so that a FLOAT keeps its six
//! digits and no date library stands in between.

use std::collections::VecDeque;
use std::time::Duration;

use pinlake_core::secret::mask_url;
use pinlake_core::{Error, Result};
use sqlx::mysql::{MySqlColumn, MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Column, Connection, Row, TypeInfo};
use tokio::sync::mpsc;

use super::{SourcePost, SourceRecord, Wanted};
use crate::kind::Kind;
use crate::posts::json::push_text;

/// Rows of one query.
const PAGE_ROWS: usize = 1_000;

const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// The three tables, each read in the order of its key.
pub(super) struct Tables {
    connection: MySqlConnection,
    tables: [Table; 3],
}

impl Tables {
    /// Connects, and checks that the three tables are there and hold rows.
    pub(super) async fn open(url: &str) -> Result<Self> {
        let options: MySqlConnectOptions = url.parse().map_err(|error: sqlx::Error| {
            let wanted = "write it as mysql://user:password@host:3306/pinterest_data";
            Error::invalid(format!("'{}' is not a MySQL address: {wanted}", mask_url(url))).with_source(error)
        })?;
        let options = if options.get_database().is_none() { options.database("pinterest_data") } else { options };
        let connecting = tokio::time::timeout(CONNECT_WAIT, MySqlConnection::connect_with(&options));
        let mut connection = match connecting.await {
            Ok(connected) => connected.map_err(|error| cannot_connect(url, error))?,
            Err(_) => {
                return Err(Error::retry(format!("no answer from {} for 10 seconds: is it the right host?", mask_url(url))));
            }
        };
        let [pin, geo, user] = Kind::ALL;
        let tables = [
            Table::open(pin, &mut connection).await?,
            Table::open(geo, &mut connection).await?,
            Table::open(user, &mut connection).await?,
        ];
        Ok(Self { connection, tables })
    }

    /// Sends the wanted posts, from the first key again as long as more are wanted than there are.
    pub(super) async fn feed(self, wanted: &Wanted, sender: &mpsc::Sender<Result<SourcePost>>) {
        if let Err(error) = self.feed_all(wanted, sender).await {
            // If nobody listens any more, nobody has to know.
            let _ = sender.send(Err(error)).await;
        }
    }

    async fn feed_all(mut self, wanted: &Wanted, sender: &mpsc::Sender<Result<SourcePost>>) -> Result<()> {
        let end = wanted.count.unwrap_or(u64::MAX);
        let (mut number, mut round_start) = (0, 0);
        while number < end {
            let records = self.next_post().await?;
            if !records.is_empty() {
                if number >= wanted.start_at && sender.send(Ok(SourcePost { number, records })).await.is_err() {
                    return Ok(());
                }
                number += 1;
                continue;
            }
            if wanted.count.is_none() {
                return Ok(());
            }
            if number == round_start {
                return Err(Error::not_found("the tables have no rows any more: load the classic data again"));
            }
            round_start = number;
            self.tables.iter_mut().for_each(Table::rewind);
        }
        Ok(())
    }

    /// The records of the lowest key that was not read yet; none at the end.
    async fn next_post(&mut self) -> Result<Vec<SourceRecord>> {
        for table in &mut self.tables {
            table.fill_page(&mut self.connection).await?;
        }
        let Some(lowest) = self.tables.iter().filter_map(Table::next_key).min() else { return Ok(Vec::new()) };
        let has_lowest = |table: &&mut Table| table.next_key() == Some(lowest);
        Ok(self.tables.iter_mut().filter(has_lowest).filter_map(|table| table.page.pop_front()).map(|(_, row)| row).collect())
    }
}

fn cannot_connect(url: &str, error: sqlx::Error) -> Error {
    let advice = match error.as_database_error().and_then(|error| error.code()) {
        Some(_) => "check user, password and database",
        None => "is the server running, and is this its address?",
    };
    Error::retry(format!("cannot connect to {}: {advice}", mask_url(url))).with_source(error)
}

/// One table and the page of it that is being sent.
struct Table {
    kind: Kind,
    key_column: &'static str,
    page: VecDeque<(i64, SourceRecord)>,
    after: Option<i64>,
    is_at_end: bool,
}

impl Table {
    async fn open(kind: Kind, connection: &mut MySqlConnection) -> Result<Self> {
        let name = kind.mysql_table();
        let probe = sqlx::raw_sql(AssertSqlSafe(format!("SELECT * FROM `{name}` LIMIT 1")));
        let row = probe.fetch_optional(connection).await.map_err(|error| {
            Error::not_found(format!(
                "cannot read table '{name}': the database must hold pinterest_data, geolocation_data and user_data"
            ))
            .with_source(error)
        })?;
        let row = row.ok_or_else(|| {
            Error::not_found(format!("table '{name}' is empty: load the classic data, or use the builtin source"))
        })?;
        let has = |wanted: &&str| row.columns().iter().any(|column| column.name() == *wanted);
        let key_column = ["index", "ind"].into_iter().find(has);
        let key_column = key_column.ok_or_else(|| {
            Error::invalid(format!("table '{name}' has no key: it needs a column 'index' or 'ind' of whole numbers"))
        })?;
        Ok(Self { kind, key_column, page: VecDeque::new(), after: None, is_at_end: false })
    }

    fn rewind(&mut self) {
        self.after = None;
        self.is_at_end = false;
    }

    fn next_key(&self) -> Option<i64> {
        self.page.front().map(|(key, _)| *key)
    }

    async fn fill_page(&mut self, connection: &mut MySqlConnection) -> Result<()> {
        if self.is_at_end || !self.page.is_empty() {
            return Ok(());
        }
        let (name, key) = (self.kind.mysql_table(), self.key_column);
        let past = self.after.map_or(String::new(), |after| format!("WHERE `{key}` > {after} "));
        let query = format!("SELECT * FROM `{name}` {past}ORDER BY `{key}` LIMIT {PAGE_ROWS}");
        let rows = sqlx::raw_sql(AssertSqlSafe(query)).fetch_all(connection).await.map_err(|error| {
            Error::retry(format!("reading table '{name}' failed: is the server still running?")).with_source(error)
        })?;
        self.is_at_end = rows.len() < PAGE_ROWS;
        for row in &rows {
            let key = self.key_of(row)?;
            self.page.push_back((key, SourceRecord { kind: self.kind, key: Some(key), json: row_json(row)? }));
        }
        self.after = self.page.back().map(|(key, _)| *key).or(self.after);
        Ok(())
    }

    fn key_of(&self, row: &MySqlRow) -> Result<i64> {
        let text: Option<&str> = row.try_get_unchecked(self.key_column).map_err(unreadable)?;
        text.and_then(|text| text.parse().ok()).ok_or_else(|| {
            let (table, column) = (self.kind.mysql_table(), self.key_column);
            Error::invalid(format!("table '{table}' has a row whose '{column}' is not a whole number"))
        })
    }
}

/// The row as a JSON object, its columns in the table's order.
fn row_json(row: &MySqlRow) -> Result<String> {
    let mut json = String::with_capacity(1_024);
    for (place, column) in row.columns().iter().enumerate() {
        json.push(if place == 0 { '{' } else { ',' });
        push_text(&mut json, column.name());
        json.push(':');
        let text: Option<&str> = row.try_get_unchecked(place).map_err(unreadable)?;
        match text {
            None => json.push_str("null"),
            Some(text) => push_value(&mut json, column, text),
        }
    }
    json.push('}');
    Ok(json)
}

fn push_value(json: &mut String, column: &MySqlColumn, text: &str) {
    let column_type = column.type_info().name();
    match column_type.split(' ').next().unwrap_or(column_type) {
        "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" | "FLOAT" | "DOUBLE" | "DECIMAL" | "YEAR" => json.push_str(text),
        "BOOLEAN" => json.push_str(text),
        "DATETIME" | "TIMESTAMP" => push_text(json, &text.replacen(' ', "T", 1)),
        _ => push_text(json, text),
    }
}

fn unreadable(error: sqlx::Error) -> Error {
    Error::invalid("a value of the database is not text in UTF-8: store the tables in utf8mb4").with_source(error)
}
