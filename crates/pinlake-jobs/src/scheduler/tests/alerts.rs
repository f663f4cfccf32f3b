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
/// Commits at which a process may die, at least and at most.
const COMMITS_MIN: i64 = 30;
const COMMITS_MAX: i64 = 400;

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
    let mut commits = 0;
    for at in (1..COMMITS_MAX).step_by(stride()) {
        let mut died = false;
        for after_commit in [false, true] {
            died |= hours_with_a_death(at, after_commit).await;
        }
        if !died {
            break;
        }
        commits = at;
    }
    assert!((COMMITS_MIN..COMMITS_MAX - 1).contains(&commits), "{commits} commits");
}

/// Some hours, well, broken for two of them and well again, with a death at one commit; answers whether that commit came.
async fn hours_with_a_death(at: i64, after_commit: bool) -> bool {
    let (mailbox, url) = Mailbox::open().await;
    let mut world = World::with(Settings { receivers: vec![hook(&url)], ..Settings::default() }).await;
    world.install(&[hourly()]).await;
    let fate = world.scheduler.inner.store.fate();
    fate.die_at(at, after_commit);
    mailbox.refuse(1);
    for hour in 0..4 {
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
    fate.has_struck()
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

#[tokio::test]
async fn a_backfill_that_takes_its_time_and_a_run_again_are_not_late() {
    let world = World::new().await;
    world.install(&[hourly()]).await;
    world.pass(60 * MINUTE).await;
    let first = world.runs("hourly").await[0].id;
    world.deeds.set("load", Deed::Hangs);
    let asked = pinlake_core::jobs::Backfill {
        job: pinlake_core::jobs::JobKey::Name("hourly".to_owned()),
        from: pinlake_core::Timestamp(super::world::START.0 - 10 * 3_600_000),
        to: super::world::START,
        order: pinlake_core::jobs::Order::Oldest,
        parallel: 1,
        only_failed: false,
        preview: false,
        parameters: std::collections::BTreeMap::new(),
        cause: "a test".to_owned(),
    };
    world.scheduler.backfill(asked).await.unwrap();
    world.settle().await;
    world.scheduler.rerun(first, pinlake_core::jobs::Again::All).await.unwrap();
    // The schedule's own next run is made after an hour, and is late an hour after that.
    world.pass(59 * MINUTE).await;
    world.pass(59 * MINUTE).await;
    assert_eq!(open(&world).await, Vec::<String>::new());
    world.pass(5 * MINUTE).await;
    assert_eq!(open(&world).await, ["job/hourly/not_started"]);
}

#[tokio::test]
async fn a_jobs_name_may_look_like_a_part_of_an_alerts_key() {
    let world = World::new().await;
    let names = ["etl", "etl/long/daily", "etl/long/7", "etl/not_started", "etl/failed"];
    world.install(&names.map(|name| job(name, &["load"]))).await;
    world.deeds.set("load", Deed::Fails("no"));
    for name in &names[1..] {
        world.run(name).await;
    }
    let mut slow = job("etl", &["load"]);
    slow.expected = span("1m");
    slow.name = "etl/not_started/long/3".to_owned();
    let mut all = names.map(|name| job(name, &["load"])).to_vec();
    all.push(slow.clone());
    world.install(&all).await;
    world.deeds.set("load", Deed::Hangs);
    let id = world.start(&slow.name).await;
    world.settle().await;
    world.pass(2 * MINUTE).await;
    world.pass(MINUTE).await;
    let mut expected = names[1..].iter().map(|name| format!("job/{name}/failed")).collect::<Vec<_>>();
    expected.push(format!("job/{}/long/{id}", slow.name));
    let sorted = async || {
        let mut keys = open(&world).await;
        keys.sort();
        keys
    };
    expected.sort();
    assert_eq!(sorted().await, expected);
    // What another's name begins with is not that one's.
    world.install(&[job("etl", &["load"]), slow.clone()]).await;
    world.pass(MINUTE).await;
    assert_eq!(sorted().await, [format!("job/{}/long/{id}", slow.name)]);
    world.deeds.mend("load");
    world.deeds.let_go();
    world.ended(id).await;
    world.pass(MINUTE).await;
    assert_eq!(sorted().await, Vec::<String>::new());
}

/// The keys of the alerts that are open.
async fn open(world: &World) -> Vec<String> {
    let alerts = world.scheduler.alerts().await.unwrap();
    alerts.into_iter().filter(|alert| alert.recovered_at.is_none()).map(|alert| alert.key).collect()
}

#[tokio::test]
async fn what_one_machine_sees_and_the_other_does_not_is_not_told_in_turn() {
    let (mailbox, url) = Mailbox::open().await;
    let one = World::with(Settings { receivers: vec![hook(&url)], ..Settings::default() }).await;
    one.install(&[]).await;
    let other = one.another_machine().await;
    *other.deeds.conditions.lock().unwrap() = vec![Condition { key: "disk".to_owned(), message: "it is full".to_owned() }];
    for _ in 0..5 {
        for world in [&one, &other] {
            world.clock.advance(Duration::from_secs(6));
            world.scheduler.tick().await.unwrap();
            world.scheduler.watch_once(&mut None).await;
        }
    }
    send(&one).await;
    let first_sees = other.scheduler.inner.owner < one.scheduler.inner.owner;
    let told: &[&str] = if first_sees { &["pipeline/disk open"] } else { &[] };
    assert_eq!(mailbox.told(), told);
    let (first, second) = if first_sees { (other, one) } else { (one, other) };
    first.scheduler.stop().await;
    for _ in 0..2 {
        second.clock.advance(Duration::from_secs(30));
        second.scheduler.tick().await.unwrap();
        second.scheduler.watch_once(&mut None).await;
    }
    assert_eq!(open(&second).await.is_empty(), first_sees, "the second looks now, and sees what it sees");
}

#[tokio::test]
async fn an_attempt_whose_process_died_and_a_task_that_runs_a_job_are_told_to_the_end() {
    let (mailbox, url) = Mailbox::open().await;
    let lineage = Lineage { url: Secret::new(url), token: None, namespace: "pinlake".to_owned() };
    let world = World::with(Settings { lineage: Some(lineage), ..Settings::default() }).await;
    let mut outer = job("outer", &["inner"]);
    outer.tasks[0].work =
        pinlake_core::jobs::Work::Job { name: "daily".to_owned(), parameters: std::collections::BTreeMap::new() };
    world.install(&[job("daily", &["load"])]).await;
    world.deeds.set("load", Deed::Hangs);
    let parent =
        serde_json::json!({ "namespace": "airflow", "name": "dag.task", "run_id": "0190e8a1-0000-7000-8000-000000000001" });
    let submission = pinlake_core::jobs::Submission {
        spec: outer,
        parameters: std::collections::BTreeMap::new(),
        cause: "airflow".to_owned(),
        token: None,
        join: false,
        notes: [(pinlake_core::jobs::PARENT_NOTE.to_owned(), parent.to_string())].into(),
    };
    world.scheduler.submit(submission).await.unwrap();
    world.settle().await;
    world.scheduler.inner.store.fate().die_at(1, false);
    assert!(world.scheduler.pause(&pinlake_core::jobs::JobKey::Name("daily".to_owned()), true).await.is_err());
    world.deeds.mend("load");
    world.clock.advance(Duration::from_secs(60));
    let next = world.another().await;
    next.scheduler.tick().await.unwrap();
    while !next.scheduler.inner.underway.lock().unwrap().is_empty() {
        next.scheduler.inner.changed.notified().await;
    }
    send(&next).await;
    let parcels = mailbox.parcels.lock().unwrap();
    let mut events: Vec<(usize, Value)> =
        parcels.iter().map(|(number, body)| (number.parse().unwrap(), serde_json::from_str(body).unwrap())).collect();
    events.sort_by_key(|(number, _)| *number);
    let told: Vec<String> = events
        .iter()
        .map(|(_, event)| format!("{} {}", event["eventType"].as_str().unwrap(), event["job"]["name"].as_str().unwrap()))
        .collect();
    let expected = [
        "START outer.inner",
        "START daily.load",
        "ABORT daily.load",
        "START daily.load",
        "COMPLETE daily.load",
        "COMPLETE outer.inner",
    ];
    assert_eq!(told, expected);
    for (_, event) in &events {
        let parent = &event["run"]["facets"]["parent"];
        assert_eq!((&parent["job"]["name"], &parent["job"]["namespace"]), (&"dag.task".into(), &"airflow".into()), "{event}");
        assert_eq!(parent["run"]["runId"], "0190e8a1-0000-7000-8000-000000000001");
    }
}
