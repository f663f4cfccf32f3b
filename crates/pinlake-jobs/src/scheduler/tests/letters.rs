//! What is told goes out as fast as it is taken, and nothing that is refused holds up the rest.

use std::time::Duration;

use pinlake_core::secret::Secret;

use super::receiver::{Mailbox, hook};
use super::world::World;
use crate::lineage::Lineage;
use crate::outbox::{Notice, NoticeState, Sender};
use crate::scheduler::Settings;

/// Puts notices into the outbox, with numbers from 0 as their keys.
async fn post(world: &World, receiver: &str, count: usize) {
    let now = world.clock.now();
    let mut change = world.scheduler.inner.store.change().await.unwrap();
    for number in 0..count {
        let (key, message) = (format!("{number:04}"), "x".repeat(100));
        let notice = Notice { key, state: NoticeState::Open, message, since_ms: now, at_ms: now };
        assert!(change.post(receiver, &crate::store::to_json(&notice), now, 10_000).await.unwrap());
    }
    change.commit().await.unwrap();
}

async fn waiting(world: &World, sender: &Sender) -> usize {
    let mut waiting = 0;
    for receiver in &sender.receivers {
        waiting += world.scheduler.inner.store.letters(&receiver.name, world.clock.now(), 10_000).await.unwrap().len();
    }
    waiting
}

/// Whoever waits between parcels takes 15 s for these, and minutes for events that each are one.
#[tokio::test]
async fn nobody_waits_between_parcels_while_there_are_more() {
    let (mailbox, url) = Mailbox::open().await;
    let lineage = Lineage { url: Secret::new(url.clone()), token: None, namespace: "pinlake".to_owned() };
    let world = World::with(Settings { receivers: vec![hook(&url)], lineage: Some(lineage), ..Settings::default() }).await;
    let sender = world.scheduler.sender();
    post(&world, "ops", 1_500).await;
    post(&world, Lineage::name(), 300).await;
    world.clock.advance(Duration::from_secs(3));
    let stop = tokio_util::sync::CancellationToken::new();
    let sending = sender.serve(&stop);
    let all_came = async {
        while mailbox.parcels.lock().unwrap().len() < 30 + 300 {
            mailbox.came.notified().await;
        }
        stop.cancel();
    };
    let both = async { tokio::join!(sending, all_came) };
    tokio::time::timeout(Duration::from_secs(12), both).await.expect("it goes out as fast as it is taken");
    assert_eq!(waiting(&world, &sender).await, 0);
}

#[tokio::test]
async fn one_letter_that_is_refused_for_good_holds_up_no_other_and_is_given_up() {
    let (mailbox, url) = Mailbox::open().await;
    let world = World::with(Settings { receivers: vec![hook(&url)], ..Settings::default() }).await;
    let sender = world.scheduler.sender();
    mailbox.hate(Some("0007"));
    post(&world, "ops", 20).await;
    world.clock.advance(Duration::from_secs(3));
    while sender.send_due(&sender.receivers[0]).await.unwrap() {}
    assert_eq!(mailbox.told().len(), 19, "all others came at once: {:?}", mailbox.told());
    post(&world, "ops", 1).await;
    world.clock.advance(Duration::from_secs(3));
    while sender.send_due(&sender.receivers[0]).await.unwrap() {}
    assert_eq!(mailbox.told().len(), 20);
    for _ in 0..10 {
        world.clock.advance(Duration::from_secs(301));
        while sender.send_due(&sender.receivers[0]).await.unwrap() {}
    }
    assert_eq!(waiting(&world, &sender).await, 0);
    assert_eq!(mailbox.told().len(), 20);
}

#[tokio::test]
async fn an_address_that_is_mended_within_minutes_loses_nothing() {
    let (mailbox, url) = Mailbox::open().await;
    let lineage = Lineage { url: Secret::new(url.clone()), token: None, namespace: "pinlake".to_owned() };
    let world = World::with(Settings { receivers: vec![hook(&url)], lineage: Some(lineage), ..Settings::default() }).await;
    let sender = world.scheduler.sender();
    post(&world, "ops", 60).await;
    post(&world, Lineage::name(), 60).await;
    mailbox.hate(Some(""));
    world.clock.advance(Duration::from_secs(3));
    for _ in 0..4 {
        for receiver in &sender.receivers {
            while sender.send_due(receiver).await.unwrap() {}
        }
        world.clock.advance(Duration::from_secs(10));
    }
    mailbox.hate(None);
    for receiver in &sender.receivers {
        while sender.send_due(receiver).await.unwrap() {}
    }
    assert_eq!(waiting(&world, &sender).await, 0);
    assert_eq!(mailbox.told().len(), 60);
    assert_eq!(mailbox.parcels.lock().unwrap().len(), 60 + 60, "each by itself");
}

#[tokio::test]
async fn a_line_is_short_and_one_line() {
    let at = pinlake_core::Timestamp(0);
    let message = format!("no\nrows {}", "é".repeat(4_000));
    let notice = Notice { key: "job/a/failed".to_owned(), state: NoticeState::Open, message, since_ms: at, at_ms: at };
    let (mailbox, url) = Mailbox::open().await;
    let receiver =
        crate::Receiver { name: "slack".to_owned(), way: crate::Way::Slack { url: Secret::new(format!("{url}/hook")) } };
    let world = World::with(Settings { receivers: vec![receiver], ..Settings::default() }).await;
    let mut change = world.scheduler.inner.store.change().await.unwrap();
    change.post("slack", &crate::store::to_json(&notice), world.clock.now(), 10).await.unwrap();
    change.commit().await.unwrap();
    world.clock.advance(Duration::from_secs(3));
    let sender = world.scheduler.sender();
    assert!(sender.send_due(&sender.receivers[0]).await.unwrap());
    let told = mailbox.parcels.lock().unwrap().values().next().unwrap().clone();
    let text = serde_json::from_str::<serde_json::Value>(&told).unwrap()["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("ALERT job/a/failed: no rows éé") && text.ends_with("é ..."), "{text}");
    assert_eq!(text.chars().count(), 504);
}
