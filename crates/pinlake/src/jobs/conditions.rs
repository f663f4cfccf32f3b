//! What is wrong beside jobs: tables that are not fresh or have stopped, followers that are far behind, a ledger that does not close, a disk that is nearly full.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use pinlake_core::pipeline::units::Span;
use pinlake_core::{Clock, Followers, Log, Result, Timestamp};
use pinlake_jobs::Condition;
use pinlake_lake::lake::Lake;
use pinlake_web::Console;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::console::AppConsole;

/// What is an alert, as configured.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// Within how long each of these tables must have had a commit.
    pub(crate) fresh: BTreeMap<String, Duration>,
    /// Records that a table or the archive may be behind in one partition; 0: as many as are.
    pub(crate) lag_max: u64,
    /// How often the ledger is looked at; zero: never.
    pub(crate) ledger_every: Duration,
    /// Bytes that must be free on the disk of the data folder; 0: none.
    pub(crate) disk_free_min: u64,
    /// The data folder.
    pub(crate) data_dir: PathBuf,
}

/// Looks for what is wrong.
pub(super) struct Conditions {
    rules: Rules,
    clock: Clock,
    /// When the server started: a table that has never had a commit is as old as that.
    started_at: Timestamp,
    followers: Followers,
    ledger: Mutex<Option<(Instant, Vec<Condition>)>>,
}

impl Conditions {
    pub(super) fn new(rules: Rules, followers: Followers, clock: Clock) -> Self {
        Self { rules, started_at: clock.now(), clock, followers, ledger: Mutex::default() }
    }

    /// All that is wrong now.
    pub(super) async fn look(&self, console: &AppConsole, lake: &Lake, log: &dyn Log) -> Result<Vec<Condition>> {
        let mut found = self.tables(lake);
        found.extend(self.lags(log).await?);
        found.extend(self.disk());
        found.extend(self.ledger(console).await?);
        Ok(found)
    }

    fn tables(&self, lake: &Lake) -> Vec<Condition> {
        let (mut found, now) = (Vec::new(), self.clock.now());
        for (table, status) in lake.pipeline().tables.iter().zip(lake.status()) {
            let name = &table.name;
            if let Some(error) = status.failed {
                found.push(condition(format!("table/{name}/stopped"), format!("table {name} has stopped: {error}")));
            }
            let Some(within) = self.rules.fresh.get(name) else { continue };
            let since = status.committed_at.unwrap_or(self.started_at);
            if since.until(now) > *within {
                let within = Span(*within);
                found.push(condition(format!("table/{name}/fresh"), format!("table {name} has had no commit within {within}")));
            }
        }
        if let Some(error) = lake.archive_status().failed {
            found.push(condition("archive/stopped".to_owned(), format!("the archive has stopped: {error}")));
        }
        found
    }

    /// Followers that are too far behind, each once however many its partitions are.
    async fn lags(&self, log: &dyn Log) -> Result<Vec<Condition>> {
        let mut behind: BTreeMap<String, u64> = BTreeMap::new();
        if self.rules.lag_max == 0 {
            return Ok(Vec::new());
        }
        for topic in log.topics().await? {
            for partition in 0..topic.spec.partitions {
                let of = topic.name.partition(partition);
                let positions = self.followers.positions(&of);
                if positions.is_empty() {
                    continue;
                }
                let Ok(end) = log.stable_end(&of).await else { continue };
                for (follower, position) in positions {
                    let lag = behind.entry(follower).or_default();
                    *lag = (*lag).max(end.since(position));
                }
            }
        }
        let far = behind.into_iter().filter(|(_, lag)| *lag > self.rules.lag_max);
        let max = self.rules.lag_max;
        // No number that changes: the alert stays the same while it is open.
        Ok(far
            .map(|(name, _)| condition(format!("follower/{name}/lag"), format!("{name} is more than {max} records behind")))
            .collect())
    }

    fn disk(&self) -> Option<Condition> {
        let min = self.rules.disk_free_min;
        let stat = rustix::fs::statvfs(&self.rules.data_dir).ok()?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        let text = || format!("less than {} is free on the disk of '{}'", bytesize::ByteSize(min), self.rules.data_dir.display());
        (free < min).then(|| condition("disk/free".to_owned(), text()))
    }

    /// What the ledger said when it was last looked at, which is not done each time.
    async fn ledger(&self, console: &AppConsole) -> Result<Vec<Condition>> {
        let every = self.rules.ledger_every;
        let mut known = self.ledger.lock().await;
        if every.is_zero() {
            return Ok(Vec::new());
        }
        if let Some((at, found)) = known.as_ref().filter(|(at, _)| at.elapsed() < every) {
            let _ = at;
            return Ok(found.clone());
        }
        let ledger = console.ledger(false).await?;
        let open = ledger.tables.iter().filter(|table| !table.closed).map(|table| {
            let name = &table.table;
            condition(
                format!("table/{name}/ledger"),
                format!("the ledger of table {name} does not close: 'pinlake prove' says where"),
            )
        });
        let found: Vec<Condition> = open.collect();
        *known = Some((Instant::now(), found.clone()));
        Ok(found)
    }
}

fn condition(key: String, message: String) -> Condition {
    Condition { key, message }
}
