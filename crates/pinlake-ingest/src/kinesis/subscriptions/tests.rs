//! Who gets a shard, and who loses it.

use futures::FutureExt;

use super::*;

fn key(shard: u32) -> Key {
    Key { topic: TopicId::of_name([1; 16]), consumer: "c".to_owned(), registered_ms: 7, shard }
}

#[tokio::test]
async fn a_subscription_is_taken_over_once_it_has_settled() {
    let (subscriptions, begin) = (Subscriptions::default(), Instant::now());
    let at = |ms| begin + Duration::from_millis(ms);
    let mut first = subscriptions.take(key(0), at(0)).unwrap();
    assert_eq!(subscriptions.take(key(0), at(4999)).err(), Some(InUse));
    assert!(subscriptions.take(key(1), at(4999)).is_ok(), "another shard");
    let other = Key { registered_ms: 8, ..key(0) };
    assert!(subscriptions.take(other, at(4999)).is_ok(), "another consumer");
    assert_eq!(first.ended().now_or_never(), None);
    let mut second = subscriptions.take(key(0), at(5000)).unwrap();
    assert_eq!(first.ended().await, End::TakenOver);
    assert_eq!(second.ended().now_or_never(), None);
    drop(second);
    assert_eq!(subscriptions.take(key(0), at(9999)).err(), Some(InUse), "that it is over already makes no difference");
    assert!(subscriptions.take(key(0), at(10_000)).is_ok());
    assert_eq!(subscriptions.lock().taken.len(), 1, "what is over and has settled is forgotten");
}

#[tokio::test]
async fn the_end_of_the_server_ends_all() {
    let (subscriptions, now) = (Subscriptions::default(), Instant::now());
    let mut before = subscriptions.take(key(0), now).unwrap();
    subscriptions.close();
    assert_eq!(before.ended().await, End::Closed);
    assert_eq!(subscriptions.take(key(1), now).unwrap().ended().await, End::Closed);
}
