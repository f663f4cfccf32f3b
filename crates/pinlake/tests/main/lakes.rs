//! `pinlake batch` over lakes as they are found: what can be read is read, and what is not is told.

use std::path::Path;

use crate::server::Server;
use crate::shell::{Shell, run};

/// Writes a file of a lake.
fn put(lake: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = lake.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn pin(index: u32) -> String {
    format!("{{\"index\":{index},\"category\":\"art\"}}\n")
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn objects_by_time_are_read_and_files_that_are_none_are_told() {
    let place = tempfile::tempdir().unwrap();
    let (lake, out) = (place.path().join("lake"), place.path().join("out"));
    put(&lake, "topics/x.pin/year=2022/month=10/x.pin+0+0000000000.json", pin(1));
    put(&lake, "topics/x.pin/partition=1/x.pin+1+0000000000.json", [b"\xef\xbb\xbf", pin(2).as_bytes()].concat());
    put(&lake, "topics/x.pin/partition=1/x.pin+1+0000000000.keys.json", "null\n");
    put(&lake, "topics/x.pin/partition=1/notes.txt", "?");
    put(&lake, "topics/pins/partition=0/pins+0+0000000000.json", pin(3));
    let ran = run(&["batch", text(&lake), text(&out)]).await;
    assert!(ran.err.contains("warning: 1 file passed over, such as topics/x.pin/partition=1/notes.txt: "), "{}", ran.err);
    assert!(ran.err.contains("warning: 1 topic passed over that no table follows, such as pins: "), "{}", ran.err);
    let done = ran.done();
    assert!(done.contains("pin: 2 records, 2 rows, 0 duplicates, 0 conflicts, 0 quarantined\n"), "{done}");
}

#[tokio::test]
async fn a_lake_that_feeds_no_table_is_a_failure() {
    let place = tempfile::tempdir().unwrap();
    let (lake, out) = (place.path().join("lake"), place.path().join("out"));
    put(&lake, "topics/pins/partition=0/pins+0+0000000000.json", pin(1));
    let failed = run(&["batch", text(&lake), text(&out)]).await;
    assert!(failed.err.contains("feeds a table: look at the pipeline's topics"), "{}", failed.err);
    assert_eq!(failed.status, Some(1));
}

#[tokio::test]
async fn tables_are_not_written_into_the_lake_they_come_from() {
    let place = tempfile::tempdir().unwrap();
    let lake = place.path().join("lake");
    put(&lake, "topics/x.pin/partition=0/x.pin+0+0000000000.json", pin(1));
    let link = place.path().join("link");
    std::os::unix::fs::symlink(&lake, &link).unwrap();
    let url = format!("file://{}/", text(&lake));
    for out in [text(&lake), text(&lake.join("topics/out")), text(place.path()), text(&link.join("out")), &url] {
        let refused = run(&["batch", text(&lake), out]).await;
        assert_eq!(refused.status, Some(2), "{out}: {}", refused.err);
        assert!(refused.err.contains("one inside the other: write the tables beside the lake"), "{}", refused.err);
    }
    let bucket = run(&["batch", "s3://bucket/lake/", "s3://bucket/lake/out"]).await;
    assert_eq!(bucket.status, Some(2), "{}", bucket.err);
    assert_eq!(lake.read_dir().unwrap().count(), 1);
    run(&["batch", text(&lake), text(&place.path().join("lake2"))]).await.done();
}

#[tokio::test]
async fn a_batch_that_fails_changes_no_table() {
    let place = tempfile::tempdir().unwrap();
    let (lake, out) = (place.path().join("lake"), place.path().join("out"));
    put(&lake, "topics/x.pin/partition=0/x.pin+0+0000000000.json", pin(1));
    run(&["batch", text(&lake), text(&out)]).await.done();
    let files = |table: &str| out.join(table).join("_delta_log").read_dir().unwrap().count();
    let before = (files("pin"), std::fs::read(out.join("answers.json")).unwrap());
    put(&lake, "topics/x.pin/partition=0/x.pin+0+0000000001.json", pin(2));
    put(&lake, "topics/x.user/partition=0/x.user+0+0000000000.json.gz", b"\x1f\x8b\x08broken");
    let failed = run(&["batch", text(&lake), text(&out)]).await.failed();
    assert!(failed.contains("x.user+0+0000000000.json.gz"), "{failed}");
    assert_eq!((files("pin"), std::fs::read(out.join("answers.json")).unwrap()), before);
}

#[tokio::test]
async fn the_archive_of_a_server_gives_the_servers_rows() {
    let place = tempfile::tempdir().unwrap();
    let (data, out) = (place.path().join("data"), place.path().join("out"));
    let server = Server::start(&data, "127.0.0.1:0").await;
    let to = server.url.clone();
    run(&["emulate", "--to", &to, "--mode", "both", "--count", "30", "--id", "a"]).await.done();
    // One stream for all three: only the manifest has the keys that tell them apart.
    for (key, record) in [("a-pin", pin(90_001)), ("a-geo", "{\"ind\":90001}".to_owned()), ("poison", "{}".to_owned())] {
        let body = serde_json::json!({"StreamName": "Kinesis-Prod-Stream", "Data": record.trim_end(), "PartitionKey": key});
        let request = reqwest::Client::new().put(format!("{to}/streams/Kinesis-Prod-Stream/record")).body(body.to_string());
        assert!(request.send().await.unwrap().status().is_success());
    }
    server.post("/api/v1/flush", serde_json::Value::Null).await;
    let shell = Shell::at(&server);
    let rows = async |table: &str| {
        let counted = shell.run(&["query", &format!("SELECT count(*) AS n FROM {table}"), "--format", "csv"]).await.done();
        counted.lines().nth(1).unwrap().to_owned()
    };
    let expected = (rows("pin").await, rows("quarantine.pin").await);
    server.terminate().await;
    assert!(server.ended().await.success());
    let done = run(&["batch", text(&data.join("lake")), text(&out)]).await.done();
    let pins = done.lines().find(|line| line.starts_with("pin: ")).unwrap();
    let (kept, set_aside) = expected;
    let same = pins.contains(&format!(", {kept} row")) && pins.ends_with(&format!(", {set_aside} quarantined"));
    assert!(same, "{kept} rows, {set_aside} quarantined: {done}");
}
