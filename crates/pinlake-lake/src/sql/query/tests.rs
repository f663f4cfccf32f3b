//! What becomes of a query that takes more than it may.

use pinlake_core::ErrorKind;

use super::*;

async fn refused(sql: &str, limits: QueryLimits) -> (ErrorKind, String) {
    let store = Store::open("memory:///").unwrap();
    let error = run(sql, Vec::new(), &[], &store, 10, limits).await.unwrap_err();
    (error.kind(), error.to_string())
}

#[tokio::test]
async fn a_query_over_its_time_or_memory_is_the_callers_to_correct() {
    let little = QueryLimits { memory_bytes: 1 << 20, ..QueryLimits::default() };
    let join = "SELECT count(*) FROM generate_series(1, 1000000) a JOIN generate_series(1, 1000000) b ON a.value = b.value";
    let (kind, message) = refused(join, little).await;
    assert_eq!(kind, ErrorKind::Invalid, "{message}");
    assert!(message.contains("raise query.memory_max"), "{message}");
    let short = QueryLimits { time: Duration::from_secs(1), ..QueryLimits::default() };
    let (kind, message) = refused("SELECT count(*) FROM generate_series(1, 1000000000000)", short).await;
    assert_eq!((kind, &*message), (ErrorKind::Invalid, "the query took longer than 1 s: ask for less, or raise query.time_max"));
}
