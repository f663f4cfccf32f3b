//! Gauges of topics that come and go.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusBuilder;
use pinlake_core::testing::log_contract::{batch, topic};
use pinlake_core::{Clock, Log, MemoryLog, Offset};
use pinlake_ingest::groups::GroupSettings;
use pinlake_log::{DiskLog, LogSettings};

use super::*;

async fn open(dir: &std::path::Path, followers: &Followers) -> DiskLog {
    let log = DiskLog::open(dir, LogSettings::default(), Clock::System, followers.clone()).await;
    log.unwrap()
}

#[tokio::test]
async fn what_is_deleted_is_neither_behind_nor_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let followers = Followers::default();
    followers.register("table", |_| true);
    let log = open(dir.path(), &followers).await;
    let damaged = topic(&log, "damaged", 1).await;
    log.append(&damaged.partition(0), batch(&["x"], 1)).await.unwrap();
    log.close().await.unwrap();
    let segment = dir.path().join("damaged/0/00000000000000000000.log");
    #[expect(clippy::disallowed_methods, reason = "a test may damage a file")]
    std::fs::remove_file(segment).unwrap();

    let recorder = PrometheusBuilder::new().build_recorder();
    let shown = recorder.handle();
    let _local = metrics::set_default_local_recorder(&recorder);
    let log = open(dir.path(), &followers).await;
    let whole = topic(&log, "t", 1).await;
    log.append(&whole.partition(0), batch(&["1", "2"], 1)).await.unwrap();
    let groups = Groups::open(Arc::new(MemoryLog::new()), Clock::System, GroupSettings::default()).await.unwrap();
    let server_log = ServerLog::on(log);
    let log = server_log.shared().clone();
    let mut measures = Measures::new(server_log, followers.clone(), groups);
    let expect = |lines: [&str; 2]| {
        let text = shown.render();
        lines.iter().for_each(|line| assert!(text.lines().any(|found| found == *line), "{line}: {text}"));
    };
    measures.measure().await;
    expect(["pinlake_partitions_stopped 1", r#"pinlake_lag_records{follower="table",topic="t",partition="0"} 2"#]);

    followers.report("table", &whole.partition(0), Offset(2));
    log.delete_topic(&whole).await.unwrap();
    log.delete_topic(&damaged).await.unwrap();
    measures.measure().await;
    expect(["pinlake_partitions_stopped 0", r#"pinlake_lag_records{follower="table",topic="t",partition="0"} 0"#]);
    expect([r#"pinlake_log_bytes{topic="t",partition="0"} 0"#, r#"pinlake_log_end_offset{topic="t",partition="0"} 2"#]);
}
