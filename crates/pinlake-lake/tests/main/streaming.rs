//! Rows on their way: visible at once, after a flush, after a restart and after rebuilds; two owners of one store.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use pinlake_core::{ErrorKind, Log};
use serde_json::{Value, json};

use crate::faulty_store::FaultyStore;
use crate::setup::{World, check_things, rows, things};

const ALL: &str = "SELECT k, v, _topic, _partition, _offset, _ingested_at FROM things ORDER BY 3, 4, 5";

#[tokio::test]
async fn rows_are_visible_at_once_after_a_flush_after_a_restart_and_after_rebuilds() {
    let world = World::new(things());
    let of = world.topic("a.things", 1).await.partition(0);
    let lake = world.start().await;
    world.append_values(&of, &[r#"{"k":1,"v":"a"}"#, "{\"k\":2,\n\"v\":\"b\"}", r#"{"_base64":"eA=="}"#, "\u{1}\u{2}"]).await;
    let before = rows(&lake, ALL).await;
    assert_eq!(before.len(), 2, "the tail is in the answer");
    lake.flush().await.unwrap();
    assert_eq!(rows(&lake, ALL).await, before, "after a flush");
    lake.stop().await.unwrap();
    let lake = world.start().await;
    assert_eq!(rows(&lake, ALL).await, before, "after a restart");
    for _ in 0..2 {
        lake.rebuild("things").await.unwrap();
        assert_eq!(rows(&lake, ALL).await, before, "after a rebuild");
    }
    world.append_values(&of, &[r#"{"k":1,"v":"a"}"#, r#"{"k":3,"v":"c"}"#]).await;
    assert_eq!(rows(&lake, ALL).await.len(), 3, "a key that a rebuild brought back is known");
}

#[tokio::test]
async fn an_end_commits_all_that_is_acknowledged() {
    let world = World::new(things());
    let lake = world.start().await;
    // So new that neither table nor archive have looked for it.
    let of = world.topic("a.things", 1).await.partition(0);
    world.append_values(&of, &[r#"{"k":1}"#, r#"{"k":2}"#]).await;
    lake.stop().await.unwrap();
    assert_eq!(world.names("topics").await.len(), 1, "the archive has its object");
    let lake = world.start().await;
    assert_eq!(lake.status()[0].committed[&of].position.0, 2, "the table has its rows");
}

#[tokio::test]
async fn an_object_past_the_manifest_is_adopted_if_it_is_the_logs() {
    for (content, adopted) in [("{\"k\":1}\n{\"k\":2}\n", true), ("{\"k\":1}\n{\"k\":9}\n", false)] {
        let world = World::new(things());
        let of = world.topic("a.things", 1).await.partition(0);
        let path = Path::from("topics/a.things/partition=0/a.things+0+0000000000.json");
        world.objects.put(&path, PutPayload::from_static(content.as_bytes())).await.unwrap();
        world.append_values(&of, &[r#"{"k":1}"#, r#"{"k":2}"#, r#"{"k":3}"#]).await;
        let lake = world.start().await;
        let flushed = lake.flush().await;
        assert_eq!(flushed.as_ref().err().map(pinlake_core::Error::kind), (!adopted).then_some(ErrorKind::Corrupt));
        assert_eq!(world.object(path.as_ref()).await, content.as_bytes(), "never overwritten");
        if adopted {
            assert_eq!(world.names("topics").await.len(), 2);
        }
    }
}

/// An owner that was thought dead must not double what its successor committed.
#[tokio::test]
async fn two_owners_of_one_table_double_nothing() {
    let world = World::new(things());
    let of = world.topic("a.things", 1).await.partition(0);
    let stale = Arc::new(FaultyStore::sound(world.objects.clone()));
    let old = world.start_on(stale.clone()).await.unwrap();
    let new = world.start().await;
    world.append_values(&of, &[r#"{"k":1}"#, "poison", r#"{"k":2}"#]).await;
    new.flush().await.unwrap();
    world.append_values(&of, &[r#"{"k":3}"#, "poison"]).await;
    let ends = [(of.clone(), pinlake_core::Offset(5))].into();
    let _ = old.table("things").unwrap().flush(ends).await;
    stale.kill();
    drop((old, new));
    check_things(&world, &world.start().await, "after two owners").await;
}

/// Offsets of a topic that is there again go on, and so do archive and table; what it held before stays.
#[tokio::test]
async fn a_topic_that_is_deleted_and_created_again_is_followed_on() {
    let world = World::new(things());
    let of = world.topic("a.things", 1).await.partition(0);
    let lake = world.start().await;
    world.append_values(&of, &[r#"{"k":1}"#, r#"{"k":2}"#, "poison"]).await;
    lake.flush().await.unwrap();
    world.log.delete_topic(&of.topic).await.unwrap();
    let keys = async |lake: &pinlake_lake::lake::Lake| {
        let found = rows(lake, "SELECT k, _offset FROM things ORDER BY 1").await;
        found.iter().map(|row| (row[0].as_i64().unwrap(), row[1].as_i64().unwrap())).collect::<Vec<_>>()
    };
    let is_closed = async |lake: &pinlake_lake::lake::Lake, context: &str| {
        let tables = lake.ledger(true).await.unwrap();
        let account = &tables[0].accounts[0];
        assert_eq!(account.standing.position.since(account.standing.start), account.standing.counts.total(), "{context}");
        assert!(account.log.end >= account.standing.position, "{context}: {:?}", account.log);
        assert_eq!(account.archived, account.standing.counts.total(), "{context}");
        assert_eq!(tables[0].comparison.map(|found| (found.missing, found.extra)), Some((0, 0)), "{context}");
    };
    is_closed(&lake, "deleted").await;
    assert_eq!(keys(&lake).await, [(1, 0), (2, 1)], "the table keeps what it took");
    world.topic("a.things", 1).await;
    world.append_values(&of, &[r#"{"k":2}"#, r#"{"k":3}"#]).await;
    assert_eq!(keys(&lake).await, [(1, 0), (2, 1), (3, 4)]);
    is_closed(&lake, "created again").await;
    lake.rebuild("things").await.unwrap();
    assert_eq!(keys(&lake).await, [(1, 0), (2, 1), (3, 4)], "a rebuild reads what the deleted topic left in the archive");
    lake.stop().await.unwrap();
    world.log.delete_topic(&of.topic).await.unwrap();
    world.topic("a.things", 1).await;
    world.append_values(&of, &[r#"{"k":4}"#]).await;
    let lake = world.start().await;
    assert_eq!(keys(&lake).await.last(), Some(&(4, 5)), "after a restart");
    is_closed(&lake, "after a restart").await;
    let names = world.names("topics").await;
    assert!(names.iter().any(|name| name.ends_with("+0000000003.json")), "{names:?}");
}

#[tokio::test]
async fn functions_that_allocate_what_a_number_says_do_not_exist() {
    let lake = World::new(things()).start().await;
    for sql in [
        "SELECT repeat('x', 1000000000)",
        "SELECT lpad('x', 1000000000, 'y')",
        "SELECT array_length(range(0, 10000000000))",
        "SELECT array_length(generate_series(0, 10000000000))",
        "SELECT array_length(array_repeat(1, 10000000000))",
        "SELECT array_length(list_repeat(1, 10000000000))",
        "SELECT array_length(array_resize([1], 10000000000, 1))",
    ] {
        let refused = lake.query(sql, 10).await.expect_err(sql);
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{sql}: {refused}");
    }
}

#[tokio::test]
async fn raw_records_and_the_lakes_own_knowledge_are_tables_too() {
    let world = World::new(things());
    let of = world.topic("a.things", 1).await.partition(0);
    let lake = world.start().await;
    world.append_values(&of, &[r#"{"k":1,"v":"a"}"#, "poison", r#"{"k":1,"v":"bad"}"#, r#"{"k":2,"v":"tail"}"#]).await;
    let found = rows(&lake, "SELECT count(*) FROM raw.things").await;
    assert_eq!(found, [[json!(0)]], "what waits for an object is not archived");
    lake.flush().await.unwrap();
    let found = rows(&lake, "SELECT k, v, _raw, _topic, _partition, _offset FROM raw.things ORDER BY _offset").await;
    let row = |k: Value, v: Value, raw: &str, offset: i64| vec![k, v, json!(raw), json!("a.things"), json!(0), json!(offset)];
    assert_eq!(
        found,
        [
            row(json!(1), json!("a"), r#"{"k":1,"v":"a"}"#, 0),
            row(Value::Null, Value::Null, "poison", 1),
            row(json!(1), json!("bad"), r#"{"k":1,"v":"bad"}"#, 2),
            row(json!(2), json!("tail"), r#"{"k":2,"v":"tail"}"#, 3),
        ]
    );
    let found = rows(&lake, "SELECT * FROM system.topics").await;
    assert_eq!(found, [vec![json!("a.things"), json!(0), json!(0), json!(4), json!("things")]]);
    let found = rows(&lake, "SELECT position, rows, quarantined, archived FROM system.ledger").await;
    assert_eq!(found, [vec![json!(4), json!(2), json!(2), json!(4)]]);
    lake.rebuild("things").await.unwrap();
    let found = rows(&lake, "SELECT version, operation, rows FROM system.commits WHERE \"table\" = 'things' ORDER BY 1").await;
    let commit = |version: i64, operation: &str, rows: Value| vec![json!(version), json!(operation), rows];
    assert_eq!(found, [commit(0, "create", Value::Null), commit(1, "append", json!(2)), commit(2, "rebuild", json!(2))]);
    let unknown = lake.query("SELECT * FROM system.nothing", 10).await.unwrap_err();
    assert!(unknown.to_string().contains("system.topics, system.commits, system.ledger"), "{unknown}");
}
