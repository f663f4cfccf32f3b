//! Opening a table: its definition, its positions, and the keys it holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use pinlake_core::{Error, Followers, Log, Result, TopicPartition};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use super::commit::put_back;
use super::owner::Owner;
use super::{Committal, FollowSettings, Status};
use crate::clean::problem_error;
use crate::keys::KeyIndex;
use crate::live::{self, TableView};
use crate::rows::Recipe;
use crate::schema::with_meta;
use crate::stream::{Standing, Stream};
use crate::table::{CommitLine, Table};
use crate::{error, quarantine};

/// Where a table stands in every partition that it follows.
pub(super) type Standings = BTreeMap<TopicPartition, Standing>;

/// What a commit says of itself in the table's history.
#[derive(Debug, Serialize, Deserialize)]
struct CommitInfo {
    /// Partition by partition, `topic/partition`.
    standings: BTreeMap<String, Standing>,
    #[serde(default)]
    rebuilds: u64,
}

/// Where a table or its quarantine stands with a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stand {
    pub(super) standings: Standings,
    /// How often the table was rebuilt. A quarantine that is ahead of its table was replaced by a rebuild that ended there.
    pub(super) rebuilds: u64,
}

impl Stand {
    /// As `table`'s last commit says; nothing for a new table.
    pub(super) async fn of(table: &Table) -> Result<Stand> {
        table.last_info().await?.map_or_else(|| Ok(Stand::default()), Stand::read)
    }

    /// As a commit says.
    pub(super) fn read(info: Value) -> Result<Stand> {
        let info: CommitInfo =
            serde_json::from_value(info).map_err(|e| Error::corrupt("the last commit's positions do not read").with_source(e))?;
        let standings: Result<_> = info.standings.into_iter().map(|(of, standing)| Ok((of.parse()?, standing))).collect();
        Ok(Stand { standings: standings?, rebuilds: info.rebuilds })
    }

    /// For a commit to say.
    pub(super) fn info(&self) -> Result<Value> {
        let standings = self.standings.iter().map(|(of, standing)| (of.to_string(), *standing)).collect();
        let info = CommitInfo { standings, rebuilds: self.rebuilds };
        serde_json::to_value(info).map_err(|e| Error::internal("writing positions").with_source(e))
    }
}

/// The newest commits of `table`.
pub(super) async fn commits(table: &Table, count: usize) -> Result<Vec<Committal>> {
    let line = |line: CommitLine| {
        let stand = line.info.map(Stand::read).transpose()?;
        let rows = stand.map(|stand| stand.standings.values().map(|standing| standing.counts.rows).sum());
        Ok(Committal { version: line.version, at: line.at, operation: line.operation, rows })
    };
    table.history(count).await?.into_iter().map(line).collect()
}

pub(super) async fn open(log: Arc<dyn Log>, followers: Followers, settings: FollowSettings) -> Result<Owner> {
    let spec = &settings.pipeline.tables[settings.index];
    let recipe = Arc::new(Recipe::compile(spec).await.map_err(|problem| problem_error(&problem))?);
    let schema = with_meta(recipe.schema());
    let table = Table::open(settings.table.clone(), &spec.name, schema.clone(), settings.clock.clone()).await?;
    let quarantine_name = format!("quarantine.{}", spec.name);
    let mut quarantine =
        Table::open(settings.quarantine.clone(), &quarantine_name, quarantine::schema(), settings.clock.clone()).await?;
    let index = load_keys(&table, &recipe).await?;
    let mut stream = Stream::new(schema);
    let stand = Stand::of(&table).await?;
    stream.standings = stand.standings;
    let quarantined = put_back(&mut quarantine, stand.rebuilds).await?;
    stream.quarantined_to = quarantined.standings.iter().map(|(of, standing)| (of.clone(), standing.position)).collect();
    let committed = stream.standings.clone();
    let committed_at = table.history(1).await?.first().map(|line| line.at);
    let status = Status { version: table.version(), committed_at, committed, files: table.files()?.len(), ..Status::default() };
    for (of, standing) in &stream.standings {
        followers.report(&spec.name, of, standing.position);
    }
    let mut owner = Owner::new(log, followers, settings, recipe, table, quarantine, index, stream, watch::Sender::new(status));
    owner.quarantined = quarantined;
    owner.rebuilds = stand.rebuilds;
    Ok(owner)
}

/// The keys of all committed rows, with digests of the rows.
pub(crate) async fn load_keys(table: &Table, recipe: &Recipe) -> Result<KeyIndex> {
    let mut index = recipe.new_index();
    let failed = |e| error::query("reading the table's keys", e);
    let columns: Vec<String> = recipe.schema().fields().iter().map(|field| field.name().clone()).collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut rows = live::rows(table.store(), TableView::new(table, Vec::new())?, Some(&columns)).await?;
    while let Some(batch) = rows.next().await {
        recipe.index_rows(&batch.map_err(failed)?, &mut index)?;
    }
    Ok(index)
}
