//! Requests that a web page sends through its reader's browser.

use crate::server::Server;

#[tokio::test]
async fn another_sites_page_reaches_neither_the_doors_nor_the_api() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), "127.0.0.1:0").await;
    let client = reqwest::Client::new();
    let ask = async |method: reqwest::Method, path: &str, headers: &[(&str, &str)]| {
        let mut request = client
            .request(method, format!("{}{path}", server.url))
            .body(r#"{"records":[{"value":{"index":1}}]}"#)
            .header("content-type", "application/vnd.kafka.json.v2+json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for path in ["/topics/hostile.pin", "/streams/streaming-hostile-pin", "/pin/", "/prod/topics/hostile.pin", "/api/v1/flush"] {
        let (status, text) = ask(reqwest::Method::POST, path, &[("origin", "https://example.com")]).await;
        assert!(status == 403 && text.contains("another site's page"), "{path}: {status} {text}");
    }
    let rebound = [("host", "rebound.example:8082"), ("sec-fetch-site", "same-origin")];
    for path in ["/topics", "/api/v1/tables", "/metrics", "/"] {
        let (status, text) = ask(reqwest::Method::GET, path, &rebound).await;
        assert!(status == 403 && text.contains("http.hosts"), "{path}: {status} {text}");
    }
    assert_eq!(ask(reqwest::Method::POST, "/topics/hostile.pin", &[]).await.0, 200, "a program is not concerned");
}
