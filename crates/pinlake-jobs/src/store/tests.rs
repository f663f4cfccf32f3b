//! What errors of databases are to callers, databases of older versions, and searches that must not read whole tables.

use pinlake_core::jobs::RunId;
use pinlake_core::{ErrorKind, Timestamp};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor, Row};
use tempfile::TempDir;

use super::{Store, passes, schema};

fn url(folder: &TempDir) -> String {
    format!("sqlite://{}/jobs.sqlite?mode=rwc", folder.path().display())
}

#[test]
fn what_passes_by_itself_is_tried_again() {
    for code in
        ["40001", "40P01", "55P03", "57014", "57P01", "57P02", "57P03", "53300", "53100", "08006", "08001", "25006", "25P03"]
    {
        assert!(passes(code), "{code}");
    }
    // Not unique, no such column, no right, and SQLite's own numbers.
    for code in ["23505", "42703", "42501", "25001", "5", "13", "532", "2067"] {
        assert!(!passes(code), "{code}");
    }
}

#[tokio::test]
async fn runs_of_the_first_version_ended_when_they_were_made() {
    sqlx::any::install_default_drivers();
    let folder = tempfile::tempdir().unwrap();
    let mut connection = AnyConnection::connect(&url(&folder)).await.unwrap();
    schema::up_to(1).run(&mut connection).await.unwrap();
    for (id, state) in [(1001, "succeeded"), (1003, "failed"), (1005, "running"), (1007, "queued")] {
        let sql = format!(
            "INSERT INTO run (id, job_id, kind, state, ending, created_at, changes, document) VALUES ({id}, 1, 'manual', '{state}', 0, {id}, 0, '')"
        );
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    connection.close().await.unwrap();
    let store = Store::open(&url(&folder)).await.unwrap();
    let mut change = store.change().await.unwrap();
    assert_eq!(change.old_runs(Timestamp(1002), 10).await.unwrap(), [RunId(1001)]);
    assert_eq!(change.old_runs(Timestamp(i64::MAX), 10).await.unwrap(), [RunId(1001), RunId(1003)]);
}

#[tokio::test]
async fn what_is_searched_each_time_is_found_by_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&url(&folder)).await.unwrap();
    for (sql, index) in [
        ("SELECT id FROM run WHERE ended_at < 1 ORDER BY ended_at, id LIMIT 1", "run_ended"),
        ("SELECT held FROM run WHERE held IS NOT NULL", "run_held"),
        ("SELECT id FROM run WHERE created_at >= 1 AND created_at <= 2", "run_created"),
        ("DELETE FROM token WHERE run_id = 1", "token_run"),
        ("SELECT count(*) FROM run WHERE job_id = 1 AND state = 'queued' AND backfill IS NULL", "run_own"),
    ] {
        let plan = plan_of(&store, sql).await;
        assert!(plan.iter().any(|step| step.contains(index)), "{sql}: {plan:?}");
    }
}

#[tokio::test]
async fn a_lane_is_found_without_reading_runs() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&url(&folder)).await.unwrap();
    let plan = plan_of(&store, &super::lanes::NEXT_LANE.replace("$1", "1")).await;
    let reads: Vec<&String> = plan.iter().filter(|step| step.contains("SEARCH") || step.contains("SCAN run")).collect();
    let by_lane = reads.iter().filter(|step| step.contains("COVERING INDEX run_lane (job_id=? AND lane")).count();
    assert!(reads.len() == 3 && by_lane == 3, "{plan:?}");
    assert!(!plan.iter().any(|step| step.contains("B-TREE")), "{plan:?}");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    Store::open(&url(&folder)).await.unwrap().close().await;
    // An older version, which does not know the last step.
    let error = Store::open_by(&url(&folder), schema::up_to(4)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("a newer version"), "{error}");
    let mut connection = AnyConnection::connect(&url(&folder)).await.unwrap();
    connection.execute("INSERT INTO _sqlx_migrations VALUES (99, 'later', 0, true, x'00', 0)").await.unwrap();
    connection.close().await.unwrap();
    let error = Store::open(&url(&folder)).await.unwrap_err();
    assert!(error.to_string().contains("a newer version"), "{error}");
}

/// How SQLite goes about a statement.
async fn plan_of(store: &Store, sql: &str) -> Vec<String> {
    let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(&store.readers).await.unwrap();
    rows.iter().map(|row| row.try_get(3).unwrap()).collect()
}

#[tokio::test]
async fn the_first_run_of_each_kind_that_waits_is_woken_without_reading_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&url(&folder)).await.unwrap();
    let plan = plan_of(&store, &super::runs::WAKE_NEXT.replace("$1", "1")).await;
    let parked: Vec<&String> = plan.iter().filter(|step| step.contains("run_parked")).collect();
    assert!(parked.len() == 2 && parked.iter().all(|step| step.contains("job_id=? AND backfill=? AND again_at")), "{plan:?}");
    assert_eq!(plan.iter().filter(|step| step.contains("backfill_job")).count(), 2, "{plan:?}");
    let sorts = plan.iter().filter(|step| step.contains("B-TREE FOR ORDER")).count();
    assert_eq!(sorts, 0, "{plan:?}");
    let mut change = store.change().await.unwrap();
    // By number: its kind, backfill, when it was run again, and whether it waits.
    let rows = [
        (1, "schedule", "NULL", "NULL", "NULL"),
        (2, "data", "NULL", "NULL", "NULL"),
        (3, "manual", "NULL", "NULL", "NULL"),
        (4, "schedule", "NULL", "7", "NULL"),
        (5, "backfill", "1", "NULL", "5"),
        (6, "backfill", "1", "NULL", "NULL"),
        (7, "backfill", "1", "NULL", "NULL"),
        (8, "backfill", "1", "7", "NULL"),
        (9, "backfill", "1", "7", "NULL"),
        (10, "backfill", "2", "NULL", "NULL"),
        (11, "backfill", "2", "NULL", "NULL"),
    ];
    for (id, kind, backfill, again_at, wake_at) in rows {
        let sql = format!(
            "INSERT INTO run (id, job_id, kind, state, ending, created_at, wake_at, backfill, again_at, changes, document) \
             VALUES ({id}, 1, '{kind}', 'queued', 0, 0, {wake_at}, {backfill}, {again_at}, 0, '')"
        );
        change.execute("a test", sqlx::query(AssertSqlSafe(sql))).await.unwrap();
    }
    for _ in 0..2 {
        change.add_backfill(1, 1, "", Timestamp(0)).await.unwrap();
    }
    change.wake_next(1).await.unwrap();
    assert_eq!(change.woken().await, [1, 3, 6, 8, 10]);
}
