//! What is told goes out as fast as it is taken, and nothing that is refused holds up the rest.

use std::time::Duration;

use pinlake_core::Clock;
use pinlake_core::secret::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::receiver::{Mailbox, hook};
use super::world::World;
use crate::lineage::Lineage;
use crate::outbox::{Mail, Notice, NoticeState, Receiver, SENDING_MAX, Sender, Way};
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

/// Whoever waits between parcels waits for ever: tokio's clock stands still here, and goes on by itself only where nobody has anything to do.
#[tokio::test]
async fn nobody_waits_between_parcels_while_there_are_more() {
    let (mailbox, url) = Mailbox::open().await;
    let lineage = Lineage { url: Secret::new(url.clone()), token: None, namespace: "pinlake".to_owned() };
    let world = World::with(Settings { receivers: vec![hook(&url)], lineage: Some(lineage), ..Settings::default() }).await;
    let sender = world.scheduler.sender();
    post(&world, "ops", 1_500).await;
    post(&world, Lineage::name(), 300).await;
    world.clock.advance(Duration::from_secs(3));
    let sending = sender.serve();
    let all_came = async {
        while mailbox.parcels.lock().unwrap().len() < 30 + 300 {
            mailbox.came.notified().await;
        }
        sender.stop.cancel();
    };
    let both = async { tokio::join!(sending, all_came) };
    let busy = async {
        let began = Clock::System.now();
        while began.until(Clock::System.now()) < Duration::from_secs(60) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::pause();
    tokio::select! {
        _ = both => {}
        () = busy => panic!("it does not go out as fast as it is taken"),
    }
    tokio::time::resume();
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
    let receiver = Receiver { name: "slack".to_owned(), way: Way::Slack { url: Secret::new(format!("{url}/hook")) } };
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

/// Reads what a client sends until it holds this.
async fn read_until(connection: &mut TcpStream, text: &str) {
    let mut read = Vec::new();
    while !read.windows(text.len()).any(|part| part == text.as_bytes()) {
        assert!(connection.read_buf(&mut read).await.unwrap() > 0);
    }
}

#[tokio::test]
async fn a_mail_server_that_falls_silent_is_waited_for_half_a_minute_and_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let mail = Mail::new("Pinlake <pinlake@here.example>", &["ops@there.example".to_owned()], &url, None).unwrap();
    let receivers = vec![Receiver { name: "mail".to_owned(), way: Way::Mail(Box::new(mail)) }];
    let world = World::with(Settings { receivers, ..Settings::default() }).await;
    post(&world, "mail", 1).await;
    world.clock.advance(Duration::from_secs(3));
    let sender = world.scheduler.sender();
    let silent = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        connection.write_all(b"220 mail.example\r\n").await.unwrap();
        read_until(&mut connection, "EHLO").await;
        // For as long as nothing else is to be done: the database keeps to the real time.
        tokio::time::pause();
        tokio::time::advance(SENDING_MAX).await;
        tokio::time::resume();
        connection
    };
    let both = async { tokio::join!(sender.send_due(&sender.receivers[0]), silent) };
    let (sent, _connection) = tokio::time::timeout(2 * SENDING_MAX, both).await.expect("it waits for ever");
    assert!(sent.unwrap());
    let letters = world.scheduler.inner.store.letters("mail", world.clock.now(), 10).await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.tries).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn an_end_waits_for_the_event_that_is_being_sent_and_for_no_other() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Secret::new(format!("http://{}", listener.local_addr().unwrap()));
    let lineage = Lineage { url, token: None, namespace: "pinlake".to_owned() };
    let world = World::with(Settings { lineage: Some(lineage), ..Settings::default() }).await;
    post(&world, Lineage::name(), 3).await;
    world.clock.advance(Duration::from_secs(3));
    let sender = world.scheduler.sender();
    let answer = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        read_until(&mut connection, "\"0000\"").await;
        sender.stop.cancel();
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.unwrap();
    };
    let (sent, ()) = tokio::join!(sender.send_due(&sender.receivers[0]), answer);
    assert!(sent.unwrap());
    let letters = world.scheduler.inner.store.letters(Lineage::name(), world.clock.now(), 10).await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.tries).collect::<Vec<_>>(), [0, 0], "the others were not tried");
}
