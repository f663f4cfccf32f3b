//! What is there already, and how long a store is asked.

use object_store::memory::InMemory;
use pinlake_core::ErrorKind;

use super::*;

fn files(content: &'static str) -> Vec<File> {
    vec![File { path: Path::from("a/b"), content: Bytes::from_static(content.as_bytes()), is_of_errors: false }]
}

#[tokio::test]
async fn what_is_there_must_be_the_same_unless_it_may_be_written_over() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let writer = Writer::new(store.clone(), Retry::default(), false, Trouble::default());
    let never = watch::channel(false).1;
    writer.write(files("one"), true, never.clone()).await.unwrap();
    writer.write(files("one"), true, never.clone()).await.unwrap();
    assert_eq!(writer.write(files("two"), true, never.clone()).await.unwrap_err().kind(), ErrorKind::Conflict);
    Writer::new(store.clone(), Retry::default(), true, Trouble::default()).write(files("two"), true, never).await.unwrap();
    assert_eq!(store.get(&Path::from("a/b")).await.unwrap().bytes().await.unwrap(), "two");
}
