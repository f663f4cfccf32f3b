//! A server whose HTTP part is gone.

use metrics_exporter_prometheus::PrometheusBuilder;

use super::*;

/// As after a panic in it: the port is gone, so the process must end, and end well.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_http_server_is_seen_and_all_else_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config::load(None).unwrap().config;
    config.data_dir = dir.path().to_owned();
    config.http.listen.set_port(0);
    config.kafka.listen = vec!["127.0.0.1:0".parse().unwrap()];
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    let app = App::start(&config, metrics, &|_, _| ()).await.unwrap();
    let log = app.log.shared().clone();
    app.listeners.http.task.abort();
    app.server_ended().await;
    let failed = app.stop().await.unwrap_err();
    assert!(failed.to_string().contains("the HTTP server"), "{failed:#}");
    let closed = log.delete_topic(&TopicName::new("t").unwrap()).await.unwrap_err();
    assert!(closed.message().contains("closed"), "{closed}");
}
