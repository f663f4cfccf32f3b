//! Alerts: opened once, told once, over once, also when receivers fail and processes die.

use std::time::Duration;

use base64::Engine;
use pinlake_core::jobs::JobSpec;
use pinlake_core::secret::Secret;
use serde_json::Value;

use super::deaths::{dead, stride};
use super::receiver::{Mailbox, hook, mail_server};
use super::world::{Deed, World, job, schedule, span};
use crate::lineage::Lineage;
use crate::outbox::{Mail, Receiver, Way};
use crate::scheduler::Settings;
use crate::task::Condition;

const MINUTE: Duration = Duration::from_secs(60);

fn hourly() -> JobSpec {
    JobSpec { schedule: schedule("@hourly"), ..job("hourly", &["load"]) }
}

/// Lets the sender look until nothing is sent any more.
async fn send(world: &World) {
    let sender = world.scheduler.sender();
    for receiver in &sender.receivers {
        while sender.send_due(receiver).await.unwrap() {
            world.clock.advance(Duration::from_secs(600));
        }
        // What gathers is sent after a while.
        world.clock.advance(Duration::from_secs(3));
        while sender.send_due(receiver).await.unwrap() {
            world.clock.advance(Duration::from_secs(600));
        }
    }
}

#[tokio::test]
async fn a_job_that_fails_is_told_once_and_once_when_it_is_well_again() {
    let (mailbox, url) = Mailbox::open().await;
    let world = World::with(Settings { receivers: vec![hook(&url)], ..Settings::default() }).await;
    world.install(&[hourly()]).await;
    world.deeds.set("load", Deed::Fails("no rows"));
    world.pass(60 * MINUTE).await;
    world.pass(60 * MINUTE).await;
    send(&world).await;
    assert_eq!(mailbox.told(), ["job/hourly/failed open"]);
    let alerts = world.scheduler.alerts().await.unwrap();
    assert_eq!(alerts.len(), 1);
    assert!(alerts[0].message.ends_with("ended FAILED: task 'load': no rows"), "{}", alerts[0].message);
    world.deeds.mend("load");
    world.pass(60 * MINUTE).await;
    world.pass(60 * MINUTE).await;
    send(&world).await;
    assert_eq!(mailbox.told(), ["job/hourly/failed open", "job/hourly/failed recovered"]);
    assert!(world.scheduler.alerts().await.unwrap()[0].recovered_at.is_some());
    let headers = mailbox.headers.lock().unwrap()[0].clone();
    let parcels = mailbox.parcels.lock().unwrap();
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let signed = format!("{}.{}.{}", text("webhook-id"), text("webhook-timestamp"), parcels[&text("webhook-id")]);
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"secret");
    let expected = base64::engine::general_purpose::STANDARD.encode(ring::hmac::sign(&key, signed.as_bytes()));
    assert_eq!(text("webhook-signature"), format!("v1,{expected}"));
}

#[tokio::test]
async fn what_is_wrong_at_once_is_told_together_and_a_failing_receiver_is_tried_again() {
    let (mailbox, url) = Mailbox::open().await;
    let world = World::with(Settings { receivers: vec![hook(&url)], ..Settings::default() }).await;
    world.install(&[]).await;
    let condition = |name: &str| Condition { key: format!("table/{name}/fresh"), message: format!("{name} is old") };
    *world.deeds.conditions.lock().unwrap() = vec![condition("pin"), condition("geo")];
    mailbox.refuse(3);
    world.pass(MINUTE).await;
    world.pass(MINUTE).await;
    send(&world).await;
    assert_eq!(*mailbox.times.lock().unwrap(), 4, "three refusals and one parcel");
    assert_eq!(mailbox.told(), ["pipeline/table/geo/fresh open", "pipeline/table/pin/fresh open"]);
    *world.deeds.conditions.lock().unwrap() = vec![condition("pin")];
    world.pass(MINUTE).await;
    send(&world).await;
    assert_eq!(mailbox.told().last().unwrap(), "pipeline/table/geo/fresh recovered");
    assert_eq!(mailbox.told().len(), 3);
}

#[tokio::test]
async fn a_run_that_takes_long_and_one_that_does_not_start_are_told() {
    let world = World::new().await;
    let mut slow = job("slow", &["load"]);
    slow.expected = span("10m");
    let mut late = hourly();
    late.starts_within = span("5m");
    world.install(&[slow, late]).await;
    world.deeds.set("load", Deed::Hangs);
    let id = world.start("slow").await;
    world.settle().await;
    world.pass(9 * MINUTE).await;
    assert!(world.scheduler.alerts().await.unwrap().is_empty());
    world.pass(2 * MINUTE).await;
    let keys = async || {
        world
            .scheduler
            .alerts()
            .await
            .unwrap()
            .into_iter()
            .filter(|alert| alert.recovered_at.is_none())
            .map(|alert| alert.key)
            .collect::<Vec<_>>()
    };
    assert_eq!(keys().await, [format!("job/slow/long/{id}")]);
    // One hangs, so that the next waits.
    world.pass(50 * MINUTE).await;
    world.pass(60 * MINUTE).await;
    world.pass(6 * MINUTE).await;
    assert_eq!(keys().await[0], "job/hourly/not_started");
    world.deeds.mend("load");
    world.deeds.let_go();
    world.settle().await;
    world.settle().await;
    world.pass(MINUTE).await;
    assert!(keys().await.is_empty(), "{:?}", keys().await);
}

#[tokio::test]
async fn a_run_is_long_that_takes_three_times_as_long_as_usual() {
    let world = World::new().await;
    world.install(&[job("daily", &["load"])]).await;
    for _ in 0..5 {
        world.deeds.set("load", Deed::Hangs);
        world.start("daily").await;
        world.settle().await;
        world.pass(2 * MINUTE).await;
        world.deeds.let_go();
        while world.scheduler.state().running > 0 {
            world.settle().await;
        }
    }
    world.start("daily").await;
    world.settle().await;
    world.pass(6 * MINUTE - Duration::from_secs(1)).await;
    assert!(world.scheduler.alerts().await.unwrap().is_empty());
    world.pass(10 * Duration::from_secs(1)).await;
    assert!(world.scheduler.alerts().await.unwrap()[0].message.ends_with("takes longer than 6m"));
}

#[tokio::test]
async fn a_cancelled_run_is_no_alert() {
    let world = World::new().await;
    world.install(&[job("daily", &["load"])]).await;
    world.deeds.set("load", Deed::Hangs);
    let id = world.start("daily").await;
    world.settle().await;
    world.scheduler.cancel(id).await.unwrap();
    world.ended(id).await;
    world.pass(MINUTE).await;
    assert!(world.scheduler.alerts().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_death_at_any_commit_tells_every_change_of_state_once() {
    for at in (1..40).step_by(stride()) {
        for after_commit in [false, true] {
            let (mailbox, url) = Mailbox::open().await;
            let mut world = World::with(Settings { receivers: vec![hook(&url)], ..Settings::default() }).await;
            world.install(&[hourly()]).await;
            world.scheduler.inner.store.fate().die_at(at, after_commit);
            mailbox.refuse(1);
            for hour in 0..4 {
                // Well, broken for two hours and well again.
                if (1..3).contains(&hour) {
                    world.deeds.set("load", Deed::Fails("no"));
                } else {
                    world.deeds.mend("load");
                }
                let next = world.clock.now().until(pinlake_core::Timestamp(super::world::START.0 + (hour + 1) * 3_600_000));
                world.clock.advance(next);
                for _ in 0..3 {
                    world = go_on(world).await;
                    world.clock.advance(Duration::from_secs(301));
                }
            }
            assert_eq!(mailbox.told(), ["job/hourly/failed open", "job/hourly/failed recovered"], "at {at}, {after_commit}");
        }
    }
}

/// Ticks and sends once; a process that dies is followed by another.
async fn go_on(world: World) -> World {
    let ticked = world.scheduler.tick().await;
    while ticked.is_ok()
        && !world.scheduler.inner.store.fate().is_dead()
        && !world.scheduler.inner.underway.lock().unwrap().is_empty()
    {
        tokio::select! {
            () = world.scheduler.inner.changed.notified() => {}
            () = dead(&world) => {}
        }
    }
    let sender = world.scheduler.sender();
    let sent = sender.send_due(&sender.receivers[0]).await;
    if ticked.is_err() || sent.is_err() || world.scheduler.inner.store.fate().is_dead() {
        world.scheduler.inner.stop.cancel();
        return world.another().await;
    }
    world
}

#[tokio::test]
async fn every_attempt_is_an_event_of_lineage_when_it_begins_and_when_it_ends() {
    let (mailbox, url) = Mailbox::open().await;
    let lineage = Lineage { url: Secret::new(url), token: None, namespace: "pinlake".to_owned() };
    let world = World::with(Settings { lineage: Some(lineage), ..Settings::default() }).await;
    let mut spec = job("daily", &["load", "keep"]);
    let query = pinlake_core::jobs::SqlText { name: "keep".to_owned(), sql: "SELECT 1".to_owned() };
    spec.tasks[1].work = pinlake_core::jobs::Work::Sql { query, into: Some("top".to_owned()) };
    world.install(&[spec]).await;
    world.deeds.set("keep", Deed::Fails("no"));
    world.run("daily").await;
    send(&world).await;
    let mut events: Vec<(usize, Value)> = mailbox
        .parcels
        .lock()
        .unwrap()
        .iter()
        .map(|(number, body)| {
            (number.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0), serde_json::from_str(body).unwrap())
        })
        .collect();
    events.sort_by_key(|(number, _)| *number);
    let told: Vec<String> = events
        .iter()
        .map(|(_, event)| format!("{} {}", event["eventType"].as_str().unwrap(), event["job"]["name"].as_str().unwrap()))
        .collect();
    assert_eq!(told, ["START daily.load", "COMPLETE daily.load", "START daily.keep", "FAIL daily.keep"]);
    let (start, fail) = (&events[2].1, &events[3].1);
    assert_eq!(start["run"]["runId"], fail["run"]["runId"]);
    assert_eq!(fail["run"]["facets"]["errorMessage"]["message"], "no");
    assert_eq!(fail["outputs"][0]["name"], "gold.top");
    assert_eq!(fail["run"]["facets"]["parent"]["job"]["name"], "daily");
}

#[tokio::test]
async fn an_alert_is_a_mail_too() {
    let (url, mut mails) = mail_server().await;
    let mail = Mail::new("Pinlake <pinlake@here.example>", &["ops@there.example".to_owned()], &url, None).unwrap();
    let receivers = vec![Receiver { name: "mail".to_owned(), way: Way::Mail(Box::new(mail)) }];
    let world = World::with(Settings { receivers, ..Settings::default() }).await;
    world.install(&[hourly()]).await;
    world.deeds.set("load", Deed::Fails("no rows"));
    world.pass(60 * MINUTE).await;
    send(&world).await;
    let mail = mails.recv().await.unwrap();
    assert!(mail.contains("To: ops@there.example") && mail.contains("Subject: Pinlake: 1 alerts, 0 recovered"), "{mail}");
    assert!(mail.contains("ALERT job/hourly/failed"), "{mail}");
    assert!(Mail::new("nobody", &[], &url, None).is_err());
}
