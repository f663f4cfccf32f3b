//! Topics with the longest legal names, from the door to the ledger.

use serde_json::{Value, json};

use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_name_goes_through_log_archive_and_rebuild() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), "127.0.0.1:0").await;
    for (name, index) in [("a".repeat(245), 1), ("a".repeat(244) + "b", 2)] {
        let request = reqwest::Client::new().post(format!("{}/topics/{name}.pin", server.url));
        let request = request.header("content-type", "application/vnd.kafka.json.v2+json");
        let answer = request.body(json!({"records": [{"value": {"index": index}}]}).to_string()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
    }
    assert_eq!(server.post("/api/v1/flush", Value::Null).await["objects"], 2);
    server.post("/api/v1/tables/pin/rebuild", Value::Null).await;
    assert_eq!(server.rows("SELECT ind FROM pin ORDER BY ind").await, [json!([1]), json!([2])]);
    assert_eq!(server.get("/api/v1/ledger?deep=true").await["closed"], true);
}
