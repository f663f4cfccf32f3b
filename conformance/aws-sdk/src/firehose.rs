//! A delivery stream: made, put to, changed, deleted.

use aws_sdk_firehose::Client;
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::{
    BufferingHints, DeliveryStreamStatus, ExtendedS3DestinationConfiguration, ExtendedS3DestinationUpdate, Record,
};

use crate::until;

const ROLE: &str = "arn:aws:iam::123456789012:role/firehose";

fn record(text: &str) -> Record {
    Record::builder().data(Blob::new(text)).build().unwrap()
}

pub(crate) async fn delivery_streams(client: &Client) {
    let name = "rust-delivery";
    let hints = BufferingHints::builder().size_in_mbs(1).interval_in_seconds(0).build();
    let destination =
        ExtendedS3DestinationConfiguration::builder().role_arn(ROLE).bucket_arn("arn:aws:s3:::rust").buffering_hints(hints);
    let made = client
        .create_delivery_stream()
        .delivery_stream_name(name)
        .extended_s3_destination_configuration(destination.build().unwrap());
    made.send().await.unwrap();
    until("the delivery stream is ACTIVE", async || {
        let told = client.describe_delivery_stream().delivery_stream_name(name).send().await.unwrap();
        told.delivery_stream_description().unwrap().delivery_stream_status() == &DeliveryStreamStatus::Active
    })
    .await;
    let records = (0..500).map(|number| record(&format!("record {number}"))).collect();
    let put = client.put_record_batch().delivery_stream_name(name).set_records(Some(records)).send().await.unwrap();
    assert_eq!((put.failed_put_count(), put.request_responses().len()), (0, 500));
    let one = client.put_record().delivery_stream_name(name).record(record("one more")).send().await.unwrap();
    assert!(!one.record_id().is_empty());
    let update = async |version: &str| {
        let change = ExtendedS3DestinationUpdate::builder().prefix("new/").build();
        let update = client.update_destination().delivery_stream_name(name).current_delivery_stream_version_id(version);
        update.destination_id("destinationId-000000000001").extended_s3_destination_update(change).send().await
    };
    update("1").await.unwrap();
    let late = update("1").await.unwrap_err().into_service_error();
    assert!(late.is_concurrent_modification_exception(), "{late:?}");
    let told = client.describe_delivery_stream().delivery_stream_name(name).send().await.unwrap();
    assert_eq!(told.delivery_stream_description().unwrap().version_id(), "2");
    client.delete_delivery_stream().delivery_stream_name(name).send().await.unwrap();
    let gone = client.describe_delivery_stream().delivery_stream_name(name).send().await.unwrap_err().into_service_error();
    assert!(gone.is_resource_not_found_exception(), "{gone:?}");
}
