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
choices: { ties: [all, first], users: [distinct, rows] }
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
fn what_a_question_leaves_open_is_the_first_value_unless_another_is_set() {
    let mut files = files(GOOD);
    files.insert("questions/c.sql".to_owned(), "SELECT $ties, $users_of".to_owned());
    let pipeline = parse(&files).unwrap();
    let chosen = |wanted: &[&str]| pipeline.choose(wanted.iter().copied()).map(|chosen| chosen.into_values().collect::<Vec<_>>());
    assert_eq!(chosen(&[]).unwrap(), ["all", "distinct"]);
    assert_eq!(chosen(&["users=rows"]).unwrap(), ["all", "rows"]);
    for wrong in ["ties", "ties=none", "tie=all", "ties=all|first", ""] {
        let error = chosen(&[wrong]).unwrap_err().to_string();
        assert_eq!(error, format!("'{wrong}' is no choice of this pipeline: there are ties=all|first, users=distinct|rows"));
    }
    let open = pipeline.questions.iter().map(|question| pipeline.choices_of(question).count());
    assert_eq!(open.collect::<Vec<_>>(), [0, 0, 1]);
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
choices: { ties: [], Users: [rows], median: [a b], place: first }
"#;
    let problems: Vec<String> = parse(&files(bad)).unwrap_err().iter().map(ToString::to_string).collect();
    let expected = expect_test::expect![[r#"
        pipeline.yml:4: topics 'order': 'shared' and 'keys' go together
        pipeline.yml:5: topics 'nobody' feed no table: add tables.nobody or remove them
        pipeline.yml:7: table 'order' takes one key column at least
        pipeline.yml:7: column 'id' has type 'number'; the types are bigint, double, boolean and string
        pipeline.yml:7: cleaning 'clean/missing.sql' of table 'order' does not exist
        pipeline.yml:8: table name 'Visit' is not legal: lower-case letters, digits and '_', a letter first
        pipeline.yml:8: no topics feed table 'Visit': add topics.Visit
        pipeline.yml:9: no file matches 'nothing/*.sql'
        pipeline.yml:10: choice 'ties' takes a list of lower-case words: the first holds unless told otherwise
        pipeline.yml:10: choice 'Users' is not legal: lower-case letters, digits and '_', a letter first
        pipeline.yml:10: choice 'median' takes a list of lower-case words: the first holds unless told otherwise
        pipeline.yml:10: 'choices.place': invalid type: string "first", expected a sequence"#]];
    expected.assert_eq(&problems.join("\n"));
}

/// What is wrong with the form of one part hides nothing that is wrong elsewhere.
#[test]
fn wrong_forms_are_all_named_with_their_lines() {
    let bad = r#"
pipelin: shop
topics:
  order:
    match: "*.order"
    colour: red
  visit: { match: ["*.visit"] }
archive:
  format: csv
  flush: { records: none, bytes: 1MiB, age: 0s }
tables:
  order:
    clean: clean/order.sql
    shcema: { id: bigint }
    key: [id]
  visit: { clean: clean/visit.sql, key: [id], schema: [id], commit: { records: 0, age: 60 } }
"#;
    let draft = parse_draft(&files(bad));
    let problems: Vec<String> = draft.problems.iter().map(ToString::to_string).collect();
    let expected = expect_test::expect![[r#"
        pipeline.yml:1: 'pipeline' is missing
        pipeline.yml:2: unknown key 'pipelin': there are pipeline, topics, archive, tables, questions, choices, jobs
        pipeline.yml:5: 'topics.order.match': invalid type: string "*.order", expected a sequence
        pipeline.yml:6: unknown key 'topics.order.colour': there are match, shared, keys
        pipeline.yml:9: 'archive.format' is 'csv'; the one format is json
        pipeline.yml:10: 'archive.flush.records': invalid type: string "none", expected u64
        pipeline.yml:10: 'archive.flush.age' must be more than 0
        pipeline.yml:12: 'tables.order.schema' is missing
        pipeline.yml:14: unknown key 'tables.order.shcema': there are clean, key, schema, commit
        pipeline.yml:16: 'tables.visit.schema' takes a mapping
        pipeline.yml:16: 'tables.visit.commit.bytes' is missing
        pipeline.yml:16: 'tables.visit.commit.age': '60' has no unit: a time span is written as 60s, 60m, 60h or 60d
        pipeline.yml:16: 'tables.visit.commit.records' must be more than 0"#]];
    expected.assert_eq(&problems.join("\n"));
    assert_eq!(draft.tables_unread, ["order", "visit"]);
}

#[test]
fn what_is_good_of_a_pipeline_is_read_beside_its_problems() {
    let bad =
        GOOD.replace("paid: boolean", "paid: money").replace("questions:", "question:").replace("records: 100", "records: 0");
    let draft = parse_draft(&files(&bad));
    let problems: Vec<String> = draft.problems.iter().map(ToString::to_string).collect();
    let expected = expect_test::expect![[r#"
        pipeline.yml:6: 'archive.flush.records' must be more than 0
        pipeline.yml:9: column 'paid' has type 'money'; the types are bigint, double, boolean and string
        pipeline.yml:10: unknown key 'question': there are pipeline, topics, archive, tables, questions, choices, jobs"#]];
    expected.assert_eq(&problems.join("\n"));
    let read: Vec<&str> = draft.pipeline.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!((read, draft.tables_unread), (vec!["order"], vec!["visit".to_owned()]));
}

#[test]
fn numbers_and_words_are_taken_as_text_where_text_is_meant() {
    let written =
        GOOD.replace("pipeline: shop", "pipeline: 2024").replace("\"order-*\"", "7").replace("bytes: 1MiB", "bytes: 512");
    let pipeline = parse(&files(&written)).unwrap();
    assert_eq!((pipeline.name.as_str(), pipeline.archive.flush.bytes), ("2024", 512));
    assert_eq!(pipeline.route(0, &topic("all")).unwrap().of(Some(b"7")), Routed::Here);
}

#[test]
fn what_is_no_yaml_or_gives_a_key_twice_is_an_error_with_its_line() {
    for (bad, line) in [(GOOD.replace("tables:", "tables"), 7), (format!("{GOOD}pipeline: again\n"), 12)] {
        let problems = parse(&files(&bad)).unwrap_err();
        assert_eq!((problems.len(), problems[0].line), (1, line), "{}", problems[0]);
    }
    let problems = parse(&files("- a list")).unwrap_err();
    assert_eq!(problems[0].to_string(), "pipeline.yml:1: the file takes a mapping");
}

#[test]
fn a_missing_pipeline_says_how_to_start() {
    let problems = parse(&Files::new()).unwrap_err();
    assert!(problems[0].to_string().starts_with("pipeline.yml: the file is missing"));
}

#[test]
fn a_pattern_has_one_wildcard() {
    for (pattern, text, matches) in [
        ("*.pin", "a.pin", true),
        ("*.pin", "a.pins", false),
        ("q?.sql", "q?.sql", true),
        ("q?.sql", "q1.sql", false),
        ("questions/*.sql", "questions/deep/a.sql", true),
    ] {
        assert_eq!(Pattern::new(pattern).matches(text), matches, "{pattern} {text}");
    }
}

#[test]
fn questions_have_names_and_orders_of_their_own() {
    let mut files = files(GOOD);
    files.insert("questions/deep/a.sql".to_owned(), "SELECT 3".to_owned());
    let problems: Vec<String> = parse(&files).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(problems, ["questions/deep/a.sql: question 'a' is in 'questions/a.sql' already: rename one of the files"]);
    let mut files = self::files(GOOD);
    files.insert("questions/a.sql".to_owned(), "SELECT\n-- order: 0\n2".to_owned());
    let pipeline = parse(&files).unwrap();
    let names: Vec<&str> = pipeline.questions.iter().map(|question| question.name.as_str()).collect();
    assert_eq!(names, ["b", "a"], "an order stands at the top");
}
