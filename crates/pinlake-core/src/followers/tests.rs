//! How appends wait for followers that are far behind.

use tokio::time::Instant;

use super::*;

const FAR: Offset = Offset(BEHIND_RECORDS_MAX as i64 + 10);

fn followed() -> (Followers, TopicPartition) {
    let followers = Followers::default();
    followers.register("archive", |_| true);
    followers.register("pin", |topic| topic.as_str().ends_with(".pin"));
    (followers, TopicName::new("a.pin").unwrap().partition(0))
}

#[tokio::test(start_paused = true)]
async fn an_append_waits_for_the_slowest_follower_and_goes_on_when_it_comes_along() {
    let (followers, of) = followed();
    followers.report("archive", &of, FAR);
    let (other, partition) = (followers.clone(), of.clone());
    let waiting = tokio::spawn(async move { (other.come_along(&partition, FAR).await, Instant::now()) });
    let began = Instant::now();
    tokio::task::yield_now().await;
    followers.report("pin", &of, Offset(9));
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished(), "one record too far");
    followers.report("pin", &of, Offset(10));
    assert_eq!(waiting.await.unwrap(), (true, began), "at once");
    assert!(!followers.come_along(&of, FAR).await);
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_stands_still_holds_an_append_up_for_a_moment_only() {
    let (followers, of) = followed();
    let began = Instant::now();
    assert!(followers.come_along(&of, FAR).await);
    assert_eq!(began.elapsed(), BEHIND_PAUSE_MAX);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_where_nobody_follows_or_all_are_near() {
    let followers = Followers::default();
    let of = TopicName::new("notes").unwrap().partition(0);
    assert!(!followers.come_along(&of, FAR).await);
    followers.register("archive", |_| true);
    assert!(!followers.come_along(&of, Offset(BEHIND_RECORDS_MAX as i64)).await);
}

#[tokio::test(start_paused = true)]
async fn retention_waits_for_an_unhurried_follower_and_nobody_else_does() {
    let followers = Followers::default();
    let of = TopicName::new("notes").unwrap().partition(0);
    followers.register_unhurried("sink", |_| true);
    assert_eq!((followers.floor(&of), followers.floor_awaited(&of)), (Some(Offset::ZERO), None));
    assert!(!followers.come_along(&of, FAR).await, "no append waits for it");
    followers.report("sink", &of, Offset(7));
    assert_eq!(followers.floor(&of), Some(Offset(7)));
    followers.remove("sink");
    assert_eq!(followers.floor(&of), None);
}
