//! AWS's SDK for Rust, as its users install it, does with the server what it does with Kinesis and Firehose: `pinlake-aws-sdk URL`.
//! Prints `ok NAME` for each check and the count; the first check that fails ends it.

mod firehose;
mod kinesis;

use std::time::{Duration, Instant};

use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_smithy_http_client::Builder;

/// How long anything may take: far more than it needs, so that a hang has a name.
const WAIT: Duration = Duration::from_secs(120);
const REGION: &str = "us-east-1";

fn keys() -> Credentials {
    Credentials::new("AKIAEXAMPLE", "secret", None, None, "test")
}

fn kinesis(url: &str) -> aws_sdk_kinesis::Client {
    let config = aws_sdk_kinesis::Config::builder().behavior_version(BehaviorVersion::latest()).endpoint_url(url);
    let config = config.region(Region::new(REGION)).credentials_provider(keys()).http_client(Builder::new().build_http());
    aws_sdk_kinesis::Client::from_conf(config.retry_config(RetryConfig::disabled()).build())
}

fn firehose(url: &str) -> aws_sdk_firehose::Client {
    let config = aws_sdk_firehose::Config::builder().behavior_version(BehaviorVersion::latest()).endpoint_url(url);
    let config = config.region(Region::new(REGION)).credentials_provider(keys()).http_client(Builder::new().build_http());
    aws_sdk_firehose::Client::from_conf(config.retry_config(RetryConfig::disabled()).build())
}

/// Asks until the answer is true.
async fn until(what: &str, mut probe: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + WAIT;
    while !probe().await {
        assert!(Instant::now() < end, "not within {WAIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).expect("usage: pinlake-aws-sdk URL");
    let client = kinesis(&url);
    kinesis::streams(&client).await;
    println!("ok streams");
    kinesis::records(&client).await;
    println!("ok records");
    kinesis::resharding(&client).await;
    println!("ok resharding");
    kinesis::subscription(&client).await;
    println!("ok subscription");
    firehose::delivery_streams(&firehose(&url)).await;
    println!("ok delivery_streams");
    println!("5 passed, 0 failed");
}
