//! Lanes: where runs under way go, so that the effects of those that overlap do not hide each other, and few names do for the effects of all.

use pinlake_core::jobs::Lane;
use pinlake_core::{Result, Timestamp};
use sqlx::Row;

use super::{Change, failed};

/// The first lane of a job in which no run is under way: in the order of the index, up to the first gap.
pub(super) const NEXT_LANE: &str = "SELECT CASE WHEN EXISTS (SELECT 1 FROM run WHERE job_id = $1 AND state = 'running' AND lane = 1) \
    THEN (SELECT one.lane + 1 FROM run AS one WHERE one.job_id = $1 AND one.state = 'running' AND one.lane IS NOT NULL \
    AND NOT EXISTS (SELECT 1 FROM run AS other WHERE other.job_id = $1 AND other.state = 'running' AND other.lane = one.lane + 1) \
    ORDER BY one.lane LIMIT 1) ELSE 1 END";

impl Change {
    /// A lane for a run of a job that begins: the first that no other has. It is the run's once that is written.
    pub(crate) async fn take_lane(&mut self, job_id: i64, now: Timestamp) -> Result<Lane> {
        let what = "finding a lane";
        let row = sqlx::query(NEXT_LANE).bind(job_id).fetch_one(&mut *self.transaction).await;
        let number = row.and_then(|row| row.try_get(0)).map_err(|error| failed(what, error))?;
        // By the clock, so that it goes on growing where the database is put back to what it was; and never back, as the clock may.
        let sql =
            "UPDATE counter SET value = CASE WHEN value < $1 THEN $1 ELSE value + 1 END WHERE name = 'begun' RETURNING value";
        let row = sqlx::query(sql).bind(now.0.saturating_mul(1_000)).fetch_one(&mut *self.transaction).await;
        let begun = row.and_then(|row| row.try_get(0)).map_err(|error| failed(what, error))?;
        Ok(Lane { number, begun })
    }
}
