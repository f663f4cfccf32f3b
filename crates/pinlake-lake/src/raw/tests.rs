//! Raw lakes that hold what no sink writes.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use object_store::PutPayload;

use super::*;

const PATH: &str = "topics/t/partition=0/t+0+0000000000.json";

/// The records of a lake with one object, or why there are none.
async fn read_lake(path: &str, content: impl Into<PutPayload>) -> Result<Vec<Vec<u8>>> {
    let lake = Store::open("memory:///").unwrap();
    lake.objects().put(&Path::from(path), content.into()).await.unwrap();
    records(&lake, list(&lake).await.unwrap().objects).await
}

async fn records(lake: &Store, objects: Vec<RawObject>) -> Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for chunk in chunks(lake, objects).try_collect::<Vec<_>>().await? {
        let contents = chunk.contents()?;
        found.extend(chunk.records(&contents).map(|record| record.value.into_owned()));
    }
    Ok(found)
}

#[tokio::test]
async fn gzip_is_told_by_the_name() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(b"{\"k\":1}\n{\"k\":2}\n").unwrap();
    let packed = packed.finish().unwrap();
    let named = read_lake(&format!("{PATH}.gz"), packed.clone()).await.unwrap();
    assert_eq!(named, [b"{\"k\":1}", b"{\"k\":2}"]);
    let error = read_lake(PATH, packed).await.unwrap_err();
    assert_eq!(error.to_string(), format!("'{PATH}' is compressed with gzip and does not say so: let its name end in .json.gz"));
}

#[tokio::test]
async fn a_line_without_end_is_refused_before_it_fills_the_memory() {
    let content = Bytes::from([vec![b'1'; LINE_BYTES_MAX + 4 * (READ_BYTES as usize)], b"\n2\n".to_vec()].concat());
    let error = read_lake(PATH, content.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("'{PATH}' has a line of over 67108864 bytes: write one JSON object a line"));
    let lake = Store::open("memory:///").unwrap();
    lake.objects().put(&Path::from(PATH), content.into()).await.unwrap();
    let mut objects = list(&lake).await.unwrap().objects;
    objects[0].runs = Arc::new([Run::Records(2, Timestamp(0))]);
    assert_eq!(records(&lake, objects).await.unwrap()[1], b"2", "what the log took can be read again");
}

#[tokio::test]
async fn a_packed_object_over_the_limit_is_not_read() {
    let lake = Store::open("memory:///").unwrap();
    let of = TopicName::new("t").unwrap().partition(0);
    let path = Path::from(format!("{PATH}.gz"));
    let object = RawObject { path, size: 3 << 30, of, start: Offset(0), runs: Arc::new([]), keys: Arc::new([]) };
    let error = records(&lake, vec![object]).await.unwrap_err();
    assert_eq!(error.to_string(), format!("'{PATH}.gz' holds over 2147483648 bytes: split it"));
}
