//! Definitions of calls: each rule of the files, in the same words.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::super::{Files, PIPELINE_FILE, Pipeline, parse};
use super::check_job;
use crate::jobs::{HttpWork, SqlText, TaskSpec, Trigger, Work};
use crate::pipeline::units::Span;
use crate::testing::jobs::{job, task};

const PIPELINE: &str = r#"pipeline: shop
topics: { order: { match: ["*.order"] } }
tables:
  order: { clean: clean/t.sql, key: [id], schema: { id: bigint } }
questions: questions/*.sql
"#;

fn pipeline() -> Pipeline {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let files = [file(PIPELINE_FILE, PIPELINE), file("clean/t.sql", "SELECT id FROM raw"), file("questions/top.sql", "SELECT 5")];
    parse(&Files::from(files)).unwrap()
}

/// A task that runs a job, with a parameter that no job takes.
fn runs(name: &str) -> TaskSpec {
    task("other", Work::Job { name: name.to_owned(), parameters: [("from".to_owned(), String::new())].into() })
}

/// The one thing that is wrong with a job of one task.
fn wrong(work: Work) -> String {
    let found = check_job(&job("daily", vec![task("one", work)]), &pipeline(), &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

#[test]
fn what_a_pipeline_has_is_good() {
    let names = |name: &str| vec![name.to_owned()];
    let sql = SqlText { name: "q".to_owned(), sql: "SELECT 1".to_owned() };
    let url = "${parameters.to_where}/x".to_owned();
    let request = HttpWork { method: "post".to_owned(), url, headers: BTreeMap::new(), body: None, expect: vec![200] };
    let tasks = vec![
        task("Clean_Geo-1", Work::Archive),
        task("a", Work::Rebuild { tables: names("order") }),
        task("b", Work::Questions { names: names("top") }),
        task("c", Work::Vacuum { tables: Vec::new(), keep: Span(Duration::from_secs(3600)) }),
        task("d", Work::Sql { query: sql, into: Some("kept".to_owned()) }),
        task("e", Work::Http(request)),
        runs("weekly"),
    ];
    assert_eq!(check_job(&job("Team/Daily", tasks), &pipeline(), &[job("weekly", Vec::new())]), [""; 0]);
}

#[test]
fn what_is_not_there_is_named_with_what_may_be_meant() {
    let names = |name: &str| vec![name.to_owned()];
    assert_eq!(wrong(Work::Rebuild { tables: names("oder") }), "table 'oder' is not there: did you mean 'order'?");
    assert_eq!(wrong(Work::Questions { names: names("x") }), "question 'x' is not there: there are top");
    let mut on_data = job("daily", vec![task("one", Work::Archive)]);
    on_data.triggers = vec![Trigger::Version { table: "pins".to_owned() }, Trigger::Rows { table: "order".to_owned(), rows: 0 }];
    let expected = ["table 'pins' is not there: there are order", "'triggers.rows' must be more than 0"];
    assert_eq!(check_job(&on_data, &pipeline(), &[]), expected);
    let others = [job("weekly", Vec::new())];
    let found = check_job(&job("daily", vec![runs("weakly")]), &pipeline(), &others);
    assert_eq!(found, ["task 'other' runs job 'weakly', which is not there: did you mean 'weekly'?"]);
}

#[test]
fn names_of_every_run_are_no_parameters() {
    let mut spec = job("daily", vec![task("one", Work::Archive)]);
    spec.parameters = ["from", "a b"].map(|name| (name.to_owned(), String::new())).into();
    let expected = [
        "parameter name 'a b' is not legal: letters, digits, '_' and '-', 100 at most",
        "a parameter can't be named 'from': every run has from, run, to by itself",
    ];
    assert_eq!(check_job(&spec, &pipeline(), &[]), expected);
}

#[test]
fn no_text_or_number_is_wrong() {
    let request = |method: &str, url: &str| {
        Work::Http(HttpWork {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: BTreeMap::new(),
            body: None,
            expect: Vec::new(),
        })
    };
    assert!(wrong(request("FETCH", "http://127.0.0.1/")).starts_with("'tasks.one.http.method' is one of GET"));
    assert!(wrong(request("GET", "ftp://x")).starts_with("'tasks.one.http.url' is 'ftp://x'"));
    assert_eq!(
        wrong(Work::Sql { query: SqlText { name: String::new(), sql: " ".to_owned() }, into: None }),
        "'tasks.one.sql' is an empty query"
    );
    assert_eq!(wrong(Work::Check { queries: Vec::new() }), "'tasks.one.check' is empty: list one at least");
    let keep = Span(Duration::ZERO);
    assert_eq!(wrong(Work::Vacuum { tables: Vec::new(), keep }), "'tasks.one.keep' is a span from 1h to 366d");
    let mut spec = job("daily", vec![task("a/b", Work::Archive)]);
    spec.timeout = Some(Span(Duration::ZERO));
    spec.concurrency = 1_001;
    let expected = [
        "'timeout' is a span from 1ms to 366d",
        "'concurrency' is a number from 1 to 1000",
        "task name 'a/b' is not legal: letters, digits, '_' and '-', 100 at most",
    ];
    assert_eq!(check_job(&spec, &pipeline(), &[]), expected);
}

#[test]
fn jobs_that_come_back_to_this_one_are_told() {
    let others = [job("b", vec![runs("c")]), job("c", vec![runs("a"), runs("c")]), job("a", Vec::new())];
    let found = check_job(&job("a", vec![runs("b")]), &pipeline(), &others);
    assert_eq!(found, ["job 'a' runs itself: 'a' runs 'b' runs 'c' runs 'a'"]);
    // A circle of others is not this one's.
    assert_eq!(check_job(&job("d", vec![runs("c")]), &pipeline(), &others), [""; 0]);
}
