//! What a good pipeline yields, and that every problem of a bad one is named with its line.

use super::*;

const GOOD: &str = r#"
pipeline: shop
topics:
  order: { match: ["*.order"], shared: ["all"], keys: ["order-*"] }
  visit: { match: ["*.visit"], shared: ["all"], keys: ["visit-*"] }
archive: { format: json, flush: { records: 100, bytes: 1MiB, age: 5s } }
tables:
  order: { clean: clean/order.sql, key: [id], schema: { id: bigint, name: string } }
  visit: { clean: clean/visit.sql, key: [id], schema: { id: bigint, price: double, paid: boolean } }
questions: questions/*.sql
"#;

fn files(pipeline: &str) -> Files {
    let sql = "SELECT id FROM raw".to_owned();
    Files::from([
        (PIPELINE_FILE.to_owned(), pipeline.to_owned()),
        ("clean/order.sql".to_owned(), sql.clone()),
        ("clean/visit.sql".to_owned(), sql),
        ("questions/b.sql".to_owned(), "-- order: 1\n-- How many\n-- are there?\nSELECT 1".to_owned()),
        ("questions/a.sql".to_owned(), "SELECT 2".to_owned()),
    ])
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

#[test]
fn a_good_pipeline_is_read_in_its_own_order() {
    let pipeline = parse(&files(GOOD)).unwrap();
    assert_eq!(pipeline.name, "shop");
    assert_eq!(pipeline.archive.flush, Flush { records: 100, bytes: 1 << 20, age: Duration::from_secs(5) });
    let names: Vec<&str> = pipeline.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["order", "visit"]);
    assert_eq!(pipeline.tables[1].schema[1], RawColumn { name: "price".to_owned(), kind: RawType::Double });
    let questions: Vec<(&str, &str)> = pipeline.questions.iter().map(|q| (q.name.as_str(), q.description.as_str())).collect();
    assert_eq!(questions, [("b", "How many are there?"), ("a", "")]);
}

#[test]
fn records_of_a_shared_topic_go_by_their_key() {
    let pipeline = parse(&files(GOOD)).unwrap();
    assert!(matches!(pipeline.route(0, &topic("x.order")), Some(Route::All)));
    assert!(pipeline.route(0, &topic("x.visit")).is_none());
    assert!(pipeline.route(0, &topic("other")).is_none());
    let routed = |table: usize, key: Option<&str>| pipeline.route(table, &topic("all")).unwrap().of(key.map(str::as_bytes));
    assert_eq!((routed(0, Some("order-1")), routed(1, Some("order-1"))), (Routed::Here, Routed::Elsewhere));
    assert_eq!(routed(0, Some("\"order-1\"")), Routed::Here, "Kafka REST stores a JSON key with its quotes");
    assert_eq!((routed(0, Some("visit-1")), routed(1, Some("visit-1"))), (Routed::Elsewhere, Routed::Here));
    for nobodys in [Some("poison"), None] {
        assert_eq!((routed(0, nobodys), routed(1, nobodys)), (Routed::Unclaimed, Routed::Elsewhere));
    }
}

#[test]
fn every_problem_is_named_with_its_line() {
    let bad = r#"
pipeline: shop
topics:
  order: { match: ["*.order"], keys: ["x"] }
  nobody: { match: ["*.nobody"] }
tables:
  order: { clean: clean/missing.sql, key: [], schema: { id: number } }
  Visit: { clean: clean/visit.sql, key: [id], schema: { id: bigint } }
questions: nothing/*.sql
"#;
    let problems: Vec<String> = parse(&files(bad)).unwrap_err().iter().map(ToString::to_string).collect();
    let expected = expect_test::expect![[r#"
        pipeline.yml:5: topics 'nobody' feed no table: add tables.nobody or remove them
        pipeline.yml:4: topics 'order': 'shared' and 'keys' go together
        pipeline.yml:7: table 'order' takes one key column at least
        pipeline.yml:7: column 'id' has type 'number'; the types are bigint, double, boolean and string
        pipeline.yml:7: cleaning 'clean/missing.sql' of table 'order' does not exist
        pipeline.yml:8: table name 'Visit' is not legal: lower-case letters, digits and '_', a letter first
        pipeline.yml:8: no topics feed table 'Visit': add topics.Visit
        pipeline.yml:9: no file matches 'nothing/*.sql'"#]];
    expected.assert_eq(&problems.join("\n"));
}

#[test]
fn what_is_good_is_there_beside_the_problems() {
    let bad = GOOD.replace("price: double", "price: number");
    let (pipeline, problems) = parse_good_parts(&files(&bad));
    let pipeline = pipeline.unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(pipeline.tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["order"]);
    assert_eq!(pipeline.questions.len(), 2);
    assert!(parse_good_parts(&files("pipeline: [")).0.is_none());
}

#[test]
fn sizes_are_written_with_a_unit_or_as_a_number_of_bytes() {
    for written in ["1MiB", "1048576", "\"1048576\"", "1024KiB"] {
        let pipeline = parse(&files(&GOOD.replace("1MiB", written))).unwrap();
        assert_eq!(pipeline.archive.flush.bytes, 1 << 20, "{written}");
    }
    let problems = parse(&files(&GOOD.replace("1MiB", "much"))).unwrap_err();
    assert_eq!(problems[0].line, 6, "{}", problems[0]);
    assert!(problems[0].message.contains("64MiB"), "{}", problems[0]);
}

#[test]
fn an_unknown_key_is_an_error_with_its_line() {
    let bad = GOOD.replace("questions:", "question:");
    let problems = parse(&files(&bad)).unwrap_err();
    assert_eq!(problems[0].line, 10);
    assert!(problems[0].message.contains("question"), "{}", problems[0]);
}

#[test]
fn a_missing_pipeline_says_how_to_start() {
    let problems = parse(&Files::new()).unwrap_err();
    assert!(problems[0].to_string().starts_with("pipeline.yml: the file is missing"));
}
