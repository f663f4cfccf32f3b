//! The batch path over raw lakes that fail on the way.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStoreExt;
use object_store::path::Path;
use pinlake_core::pipeline::Chosen;
use pinlake_core::{Clock, ErrorKind};
use pinlake_lake::batch::{self, Progress};
use pinlake_lake::store::Store;

use crate::setup::things;

/// Objects that are a chunk each: more than workers and queue take before the damage is noticed.
const OBJECTS: usize = 300;
/// An object of this size is a chunk of its own.
const OBJECT_BYTES: usize = 1 << 20;
/// Far more than the test takes.
const HANG: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_object_before_many_others_ends_the_batch() {
    let (raw, out) = (Store::open("memory:///").unwrap(), Store::open("memory:///").unwrap());
    let put = async |partition: usize, ending: &str, content: bytes::Bytes| {
        let path = format!("topics/a.things/partition={partition}/a.things+{partition}+0000000000.{ending}");
        raw.objects().put(&Path::from(path), content.into()).await.unwrap();
    };
    put(0, "json.gz", "not packed".into()).await;
    let blank = bytes::Bytes::from(vec![b'\n'; OBJECT_BYTES]);
    for partition in 1..OBJECTS {
        put(partition, "json", blank.clone()).await;
    }
    let (pipeline, chosen, progress) = (things(), Chosen::new(), Arc::new(Progress::default()));
    let batch = batch::run(&raw, &out, (&pipeline, &chosen), &Clock::System, &progress);
    let failed = tokio::time::timeout(HANG, batch).await.expect("it ends").unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Corrupt, "{failed}");
    assert!(failed.to_string().contains("a.things+0+0000000000.json.gz"), "{failed}");
}
