//! What becomes of a query that takes more than it may.

use std::sync::Mutex;

use async_trait::async_trait;
use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::Session;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use pinlake_core::ErrorKind;
use tokio::sync::oneshot;

use super::*;

async fn refused(sql: &str, limits: QueryLimits) -> (ErrorKind, String) {
    let store = Store::open("memory:///").unwrap();
    let query = Query {
        sql: sql.to_owned(),
        tables: Vec::new(),
        questions: Vec::new(),
        parameters: Parameters::new(),
        store,
        rows_max: 10,
    };
    let error = run(query, limits, ()).await.unwrap_err();
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

/// A table at which planning stands still, without giving way, until what would open it is dropped.
#[derive(Debug)]
struct Gate {
    reached: Mutex<Option<oneshot::Sender<()>>>,
    opened: Mutex<std::sync::mpsc::Receiver<()>>,
}

#[async_trait]
impl TableProvider for Gate {
    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::empty())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        self.reached.lock().unwrap().take().unwrap().send(()).unwrap();
        self.opened.lock().unwrap().recv().unwrap_err();
        Ok(Arc::new(EmptyExec::new(self.schema())))
    }
}

#[tokio::test(start_paused = true)]
async fn the_answer_that_it_took_too_long_does_not_wait_for_planning() {
    let limits = QueryLimits::default();
    let (reached, is_reached) = oneshot::channel();
    let (opens, opened) = std::sync::mpsc::channel();
    let gate = Gate { reached: Mutex::new(Some(reached)), opened: Mutex::new(opened) };
    let name = ("public".to_owned(), "gate".to_owned());
    let query = Query {
        sql: "SELECT count(*) FROM gate".to_owned(),
        tables: vec![NamedTable { name, rows: Arc::new(gate), snapshot: None }],
        questions: Vec::new(),
        parameters: Parameters::new(),
        store: Store::open("memory:///").unwrap(),
        rows_max: 1,
    };
    let held = Arc::new(());
    let running = tokio::spawn(run(query, limits, held.clone()));
    is_reached.await.unwrap();
    tokio::time::advance(limits.time).await;
    let error = running.await.unwrap().unwrap_err();
    assert!(error.to_string().starts_with("the query took longer than "), "{error}");
    assert_eq!(Arc::strong_count(&held), 2, "its place is taken for as long as it really runs");
    drop(opens);
}

/// Queries that would run for hours, each without giving way in a place of its own.
const ENDLESS: [&str; 4] = [
    // A join that lets no pair through.
    "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b
     WHERE replace(CAST(a.value AS varchar), CAST(b.value AS varchar), 'x') LIKE '%zz%'",
    // A join that lets all through, below one that reads them.
    "SELECT sum(a.value + b.value + c.value) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b,
     generate_series(1, 1000000) c",
    // One key for all.
    "SELECT count(*) FROM generate_series(1, 1000000) a JOIN generate_series(1, 1000000) b ON a.value % 1 = b.value % 1
     WHERE a.value + b.value < 0",
    "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n > 0) SELECT count(*) FROM t",
];

#[tokio::test]
async fn what_takes_too_long_ends_and_leaves_its_place() {
    for sql in ENDLESS {
        let store = Store::open("memory:///").unwrap();
        let query = Query {
            sql: sql.to_owned(),
            tables: Vec::new(),
            questions: Vec::new(),
            parameters: Parameters::new(),
            store,
            rows_max: 1,
        };
        // Their time is over before they meet the other bound, also where it is told late.
        let limits = QueryLimits { time: Duration::from_millis(200), memory_bytes: 8 << 30 };
        let (held, over) = tokio::sync::oneshot::channel::<()>();
        let error = run(query, limits, held).await.unwrap_err();
        assert!(error.to_string().starts_with("the query took longer than "), "{sql}: {error}");
        over.await.unwrap_err();
    }
}

#[tokio::test]
async fn a_caller_who_goes_away_stops_the_query() {
    let store = Store::open("memory:///").unwrap();
    let query = Query {
        sql: ENDLESS[0].to_owned(),
        tables: Vec::new(),
        questions: Vec::new(),
        parameters: Parameters::new(),
        store,
        rows_max: 1,
    };
    let (held, over) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(run(query, QueryLimits::default(), held));
    tokio::task::yield_now().await;
    running.abort();
    over.await.unwrap_err();
}

#[tokio::test]
async fn an_answer_that_is_handed_on_ends_whole_or_with_an_error() {
    let asked = |rows_max| Query {
        sql: "SELECT value FROM generate_series(1, 3)".to_owned(),
        tables: Vec::new(),
        questions: Vec::new(),
        parameters: Parameters::new(),
        store: Store::open("memory:///").unwrap(),
        rows_max,
    };
    for (rows_max, whole) in [(3, true), (2, false)] {
        let (sender, mut parts) = mpsc::channel(1);
        let (mut rows, mut last) = (0, None);
        let take = async {
            while let Some(part) = parts.recv().await {
                rows += if let Part::Rows(batch) = &part { batch.num_rows() } else { 0 };
                last = Some(part);
            }
        };
        let (handed_on, ()) = futures::join!(stream(asked(rows_max), QueryLimits::default(), sender, ()), take);
        assert_eq!(matches!(last, Some(Part::End)), whole);
        match handed_on {
            Ok(()) => assert_eq!((rows, whole), (3, true)),
            Err(error) => {
                assert_eq!((error.kind(), whole), (ErrorKind::Invalid, false));
                assert!(error.to_string().starts_with("the answer has more than 2 rows: ask for less"), "{error}");
            }
        }
    }
    let (sender, _) = mpsc::channel(1);
    let gone = stream(asked(3), QueryLimits::default(), sender, ()).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Retry, "{gone}");
}
