//! The tables of the state, in SQL that SQLite and Postgres both take. Times are milliseconds since the Unix epoch, UTC. A step that was released is never changed:
//! another is put behind it.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};

const STEPS: [(i64, &str, &str); 5] = [
    (1, "jobs and runs", include_str!("../../migrations/0001_jobs_and_runs.sql")),
    (2, "ends and attempts", include_str!("../../migrations/0002_ends_and_attempts.sql")),
    (3, "runs again", include_str!("../../migrations/0003_runs_again.sql")),
    (4, "lanes", include_str!("../../migrations/0004_lanes.sql")),
    (5, "parked runs", include_str!("../../migrations/0005_parked_runs.sql")),
];

/// What brings a database up to date.
pub(super) fn migrator() -> Migrator {
    up_to(STEPS.len())
}

/// The first steps of it.
pub(super) fn up_to(count: usize) -> Migrator {
    let step = |(version, about, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, Cow::Borrowed(about), MigrationType::Simple, sqlx::SqlStr::from_static(sql), false)
    };
    Migrator::with_migrations(STEPS.into_iter().take(count).map(step).collect())
}
