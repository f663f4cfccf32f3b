//! What jobs of a good pipeline yield, and that every problem of bad ones is named with its line.

use expect_test::{Expect, expect};

use super::super::{PIPELINE_FILE, Problem, parse, parse_draft};
use super::*;
use crate::jobs::{HttpWork, Missed, SqlText, Trigger, Waits};

const HEAD: &str = r#"pipeline: shop
topics: { order: { match: ["*.order"] }, visit: { match: ["*.visit"] } }
tables:
  order: { clean: clean/t.sql, key: [id], schema: { id: bigint } }
  visit: { clean: clean/t.sql, key: [id], schema: { id: bigint } }
questions: questions/*.sql
jobs:
"#;

/// The line of the first job.
const FIRST: u64 = 8;

fn files(jobs: &str) -> Files {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    Files::from([
        file(PIPELINE_FILE, &format!("{HEAD}{jobs}")),
        file("clean/t.sql", "SELECT id FROM raw"),
        file("checks/order_keys.sql", "SELECT 1"),
        file("checks/order_times.sql", "SELECT 2"),
        file("checks/visit.sql", "SELECT 3"),
        file("checks/README.md", "no check"),
        file("sql/top.sql", "SELECT 4"),
        file("questions/a.sql", "SELECT 5"),
        file("questions/b.sql", "SELECT 6"),
    ])
}

fn good(jobs: &str) -> Pipeline {
    parse(&files(jobs)).unwrap_or_else(|problems| panic!("{}", shown(&problems)))
}

/// A job with these tasks.
fn tasks(tasks: &str) -> String {
    let lines = tasks.trim().lines().map(|line| format!("      {}\n", line.trim()));
    format!("  daily:\n    tasks:\n{}", lines.collect::<String>())
}

fn works(written: &str) -> Vec<(String, Work)> {
    let pipeline = good(&tasks(written));
    pipeline.jobs[0].tasks.iter().map(|task| (task.name.clone(), task.work.clone())).collect()
}

fn shown(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

fn check(jobs: &str, expected: &Expect) {
    expected.assert_eq(&shown(&parse_draft(&files(jobs)).problems));
}

fn seconds(seconds: u64) -> Option<Span> {
    Some(Span(Duration::from_secs(seconds)))
}

const WHOLE: &str = r#"
  daily:
    schedule: "@daily"
    timezone: Europe/London
    triggers: [ { table: order, rows: 10000 }, { table: visit }, { topic: 0a1b.order, records: 500 }, { object: "s3://b/in/" } ]
    missed: all
    parameters: { category: art, year: 2024 }
    timeout: 2h
    concurrency: 2
    starts_within: 10m
    expected: 30m
    retries: { count: 2, delay: 5s }
    tasks:
      - archive
      - { name: call, http: "http://127.0.0.1:1/", after: [], retries: { count: 5, delay_max: 1m }, timeout: 10m, pool: heavy }
      - { name: proof, prove: deep, after: [archive, call, call], waits: all_done, retries: 0 }
      - { name: other, job: weekly, parameters: { a: b } }
  weekly:
    schedule: every 7d
    parameters: { a: "" }
    tasks: [ archive ]
  by-hand: { tasks: [ archive ] }
"#;

#[test]
fn a_job_is_read_with_all_that_it_says() {
    let pipeline = good(&WHOLE[1..]);
    let names: Vec<&str> = pipeline.jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(names, ["daily", "weekly", "by-hand"]);
    let job = &pipeline.jobs[0];
    let schedule = Schedule { text: "@daily".to_owned(), timezone: "Europe/London".to_owned(), form: CronForm::Unix };
    assert_eq!((job.schedule.as_ref(), job.missed, job.concurrency), (Some(&schedule), Missed::All, 2));
    assert_eq!((job.timeout, job.starts_within, job.expected), (seconds(7200), seconds(600), seconds(1800)));
    let (order, visit) = ("order".to_owned(), "visit".to_owned());
    let triggers = [
        Trigger::Rows { table: order, rows: 10_000 },
        Trigger::Version { table: visit },
        Trigger::Records { topic: "0a1b.order".to_owned(), records: 500 },
        Trigger::Object { url: "s3://b/in/".to_owned() },
    ];
    assert_eq!(job.triggers, triggers);
    let parameters: Vec<(&str, &str)> = job.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(parameters, [("category", "art"), ("year", "2024")]);
    let weekly = pipeline.jobs[1].schedule.as_ref().unwrap();
    assert_eq!((weekly.text.as_str(), weekly.timezone.as_str()), ("every 7d", "UTC"));
    let by_hand = &pipeline.jobs[2];
    assert_eq!((&by_hand.schedule, by_hand.missed, by_hand.concurrency, by_hand.timeout), (&None, Missed::Latest, 1, None));
    let lines = [("daily", FIRST + 1, FIRST + 2), ("weekly", FIRST + 17, FIRST + 17)];
    let lines = lines.map(|(name, text, timezone)| (name.to_owned(), ScheduleLines { text, timezone }));
    assert_eq!(pipeline.schedule_lines, lines.into());
}

#[test]
fn a_task_has_what_its_job_says_of_all_unless_it_says_otherwise() {
    let pipeline = good(&WHOLE[1..]);
    let [archive, call, proof, other] = &pipeline.jobs[0].tasks[..] else { panic!("{:?}", pipeline.jobs[0].tasks) };
    let retries = |count, delay: u64, longest: u64| Retries {
        count,
        delay: Span(Duration::from_secs(delay)),
        delay_max: Span(Duration::from_secs(longest)),
    };
    assert_eq!((archive.retries, archive.after.len(), archive.timeout), (retries(2, 5, 600), 0, None));
    assert_eq!((call.retries, call.after.len(), call.timeout), (retries(5, 5, 60), 0, seconds(600)));
    assert_eq!(call.pool.as_deref(), Some("heavy"));
    assert_eq!((proof.retries, proof.waits), (retries(0, 5, 600), Waits::AllDone));
    assert_eq!(proof.after, ["archive", "call"]);
    assert_eq!((&other.after[..], other.waits), (&["proof".to_owned()][..], Waits::AllSuccess));
    let parameters = [("a".to_owned(), "b".to_owned())].into();
    assert_eq!(other.work, Work::Job { name: "weekly".to_owned(), parameters });
    let longer = good("  daily: { retries: { count: 1, delay: 20m }, tasks: [ archive ] }\n");
    assert_eq!(longer.jobs[0].tasks[0].retries, retries(1, 1200, 1200), "the longest wait is no shorter than the first");
}

#[test]
fn tasks_are_called_by_their_kind_and_stand_behind_those_they_wait_for() {
    let pipeline = good(&tasks(
        "- { rebuild: [order], after: [archive] }
         - { name: check_2, check: all, after: [rebuild, rebuild_2] }
         - { rebuild: visit, after: archive }
         - { archive: all, after: [] }
         - { check: checks/visit.sql, after: [check_2] }
         - check",
    ));
    let shown: Vec<String> =
        pipeline.jobs[0].tasks.iter().map(|task| format!("{} after [{}]", task.name, task.after.join(", "))).collect();
    expect![[r#"
        archive after []
        rebuild after [archive]
        rebuild_2 after [archive]
        check_2 after [rebuild, rebuild_2]
        check after [check_2]
        check_3 after [check]"#]]
    .assert_eq(&shown.join("\n"));
}

#[test]
fn each_kind_says_what_it_does() {
    let queries = |names: &[(&str, &str)]| {
        let queries = names.iter().map(|(name, sql)| SqlText { name: (*name).to_owned(), sql: (*sql).to_owned() });
        Work::Check { queries: queries.collect() }
    };
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let (order, visit, week) = (("order_keys", "SELECT 1"), ("visit", "SELECT 3"), Span(7 * DAY));
    let times = ("order_times", "SELECT 2");
    let sql = |name: &str, sql: &str| SqlText { name: name.to_owned(), sql: sql.to_owned() };
    let cases = [
        ("- { archive: all }", Work::Archive),
        ("- rebuild", Work::Rebuild { tables: vec![] }),
        ("- rebuild: all", Work::Rebuild { tables: vec![] }),
        ("- rebuild:", Work::Rebuild { tables: vec![] }),
        ("- rebuild: order", Work::Rebuild { tables: texts(&["order"]) }),
        ("- check", queries(&[order, times, visit])),
        ("- check: checks/order_*.sql", queries(&[order, times])),
        ("- check: [checks/visit.sql, checks/*keys.sql, \"checks/v*\"]", queries(&[visit, order])),
        ("- questions", Work::Questions { names: vec![] }),
        ("- questions: [b]", Work::Questions { names: texts(&["b"]) }),
        ("- compact", Work::Compact { tables: vec![] }),
        ("- vacuum", Work::Vacuum { tables: vec![], keep: week }),
        (
            "- { vacuum: [order, visit], keep: 1h }",
            Work::Vacuum { tables: texts(&["order", "visit"]), keep: seconds(3600).unwrap() },
        ),
        ("- sql: SELECT 7", Work::Sql { query: sql("sql", "SELECT 7"), into: None }),
        (
            "- { name: top, sql: { file: sql/top.sql }, into: top_1 }",
            Work::Sql { query: sql("top", "SELECT 4"), into: Some("top_1".to_owned()) },
        ),
        ("- prove", Work::Prove { deep: false }),
        ("- prove: deep", Work::Prove { deep: true }),
    ];
    for (written, work) in cases {
        assert_eq!(works(written)[0].1, work, "{written}");
    }
}

#[test]
fn a_request_is_a_url_or_more() {
    let http = |written: &str| match works(written).swap_remove(0).1 {
        Work::Http(http) => http,
        other => panic!("{other:?}"),
    };
    let get = HttpWork {
        method: "GET".to_owned(),
        url: "https://x/${from}".to_owned(),
        headers: [].into(),
        body: None,
        expect: vec![],
    };
    assert_eq!(http("- http: \"https://x/${from}\""), get);
    let all = http(
        "- http: { method: put, url: \"${job}/x\", headers: { X-A: 1, Authorization: \"${env:T}\" }, body: 5, expect: [200, 202] }",
    );
    assert_eq!((all.method.as_str(), all.body.as_deref(), &all.expect[..]), ("PUT", Some("5"), &[200, 202][..]));
    assert_eq!(all.headers["X-A"], "1");
    assert_eq!(http("- http: { url: \"http://x/\", body: \"{}\" }").method, "POST", "what has a body is sent");
}

#[test]
fn requests_name_what_every_run_of_their_job_has() {
    check(
        "  daily:
    parameters: { place: x, other: y }
    tasks:
      - http: \"http://x/${from}/${to}/${run}/${begun}/${job}/${parameters.place}/$${when}\"
      - http: \"http://x/${parameters.plaice}\"
      - { http: { url: \"http://x/${env:T}\", headers: { a: \"${env:T} ${file:t} ${when}\" }, body: \"${parameters.} ${\" } }
  none: { tasks: [ { http: \"${parameters.x}/y\" } ] }
",
        &expect![[r#"
            pipeline.yml:12: 'jobs.daily.tasks.http_2.http.url': job 'daily' has no parameter 'plaice': did you mean 'place'?
            pipeline.yml:13: 'jobs.daily.tasks.http_3.http.url': '${env:T}' is not known: there are from, to, run, begun, job, parameters.NAME; variables and files are for headers
            pipeline.yml:13: 'jobs.daily.tasks.http_3.http.headers.a': '${when}' is not known: there are from, to, run, begun, job, parameters.NAME
            pipeline.yml:13: 'jobs.daily.tasks.http_3.http.body': '${' begins a placeholder that does not end
            pipeline.yml:14: 'jobs.none.tasks.http.http.url': job 'none' has no parameter 'x': there are none
        "#]],
    );
}

#[test]
fn every_problem_of_a_job_is_named_with_its_line() {
    check(
        "  Daily:
    timezone: UTC
    tasks: []
  weekly:
    schedule: { every: day }
    triggers:
      - { table: oder, rows: 0 }
      - { table: order, topic: x }
      - { topic: a b, records: 1 }
      - { topic: x }
      - { object: bucket }
      - { table: order, records: 1 }
      - order
    missed: never
    parameters: { a b: c, d: [e] }
    timeout: 0s
    concurrency: 0
    starts_within: 10
    expected: 400d
    retries: { delay: 1h, delay_max: 1m }
    colour: red
    tasks: archive
  nothing:
  text: archive
  named: { schedule: \"@daily\", tasks: [ archive ], retries: 2000, triggers: { table: order }, parameters: { run: x } }
",
        &expect![[r#"
            pipeline.yml:8: job name 'Daily' is not legal: lower-case letters, digits, '_' and '-', a letter first, 100 at most
            pipeline.yml:9: 'jobs.Daily.timezone' is for a schedule: add 'jobs.Daily.schedule'
            pipeline.yml:10: 'jobs.Daily.tasks' takes one task at least
            pipeline.yml:12: 'jobs.weekly.schedule': expected text
            pipeline.yml:14: table 'oder' is not there: did you mean 'order'?
            pipeline.yml:14: 'jobs.weekly.triggers.rows' must be more than 0
            pipeline.yml:15: an entry of 'jobs.weekly.triggers' takes one of 'table', 'topic' and 'object'
            pipeline.yml:16: 'jobs.weekly.triggers.topic': topic name 'a b' is not legal: it takes 1 to 249 characters of a-z, A-Z, 0-9, '.', '_' and '-'
            pipeline.yml:17: 'jobs.weekly.triggers.records' is missing
            pipeline.yml:18: 'jobs.weekly.triggers.object' is 'bucket': it takes a URL such as s3://bucket/folder/
            pipeline.yml:19: a table's trigger takes 'rows'
            pipeline.yml:20: 'jobs.weekly.triggers' takes a mapping
            pipeline.yml:21: 'jobs.weekly.missed': unknown variant `never`, expected one of `skip`, `latest`, `all`
            pipeline.yml:22: 'jobs.weekly.parameters.d': expected text
            pipeline.yml:23: 'jobs.weekly.timeout' is a span from 1ms to 366d
            pipeline.yml:24: 'jobs.weekly.concurrency' is a number from 1 to 1000
            pipeline.yml:25: 'jobs.weekly.starts_within': '10' has no unit: a time span is written as 10s, 10m, 10h or 10d
            pipeline.yml:26: 'jobs.weekly.expected' is a span from 1ms to 366d
            pipeline.yml:27: 'jobs.weekly.retries': 'delay_max' is shorter than 'delay'
            pipeline.yml:27: 'jobs.weekly.retries.count' is missing
            pipeline.yml:28: unknown key 'jobs.weekly.colour': there are schedule, timezone, triggers, missed, parameters, timeout, concurrency, starts_within, expected, retries, tasks
            pipeline.yml:29: 'jobs.weekly.tasks' takes a list
            pipeline.yml:30: 'jobs.nothing.tasks' is missing
            pipeline.yml:31: 'jobs.text' takes a mapping
            pipeline.yml:32: 'jobs.named.retries' is 2000: 1000 at most
            pipeline.yml:32: 'jobs.named.triggers' takes a list
            pipeline.yml:32: a parameter can't be named 'run': every run has from, run, to by itself
        "#]],
    );
}

#[test]
fn every_problem_of_a_task_is_named_with_its_line() {
    check(
        &tasks(
            "- rebild
             - { rebuild: [ordr], check: all }
             - { name: x }
             - { rebiuld: all }
             - 7
             - [archive]
             - sql
             - { name: Top, sql: { file: sql/tip.sql }, into: Top }
             - { name: top, sql: \"  \", into: 7up }
             - { name: top, sql: { path: x } }
             - rebuild: [ordr, order]
             - compact: []
             - { vacuum: all, keep: 10m }
             - { vacuum: all, kep: 10d }
             - questions: [c]
             - check: [nothing/*.sql, checks/README.md]
             - http
             - http: ftp://x
             - { http: { method: steal, url: x y, headers: { \"a b\": c, d: \"e\\nf\" }, expect: [20] } }
             - http: { body: x, expect: 200 }
             - prove: twice
             - job
             - job: weekly
             - { name: late, archive: now, after: [top, to, late_], waits: some, retries: many, timeout: 1, pool: A }",
        ),
        &expect![[r#"
            pipeline.yml:10: 'rebild' is no kind of task: did you mean 'rebuild'?
            pipeline.yml:11: a task of 'jobs.daily.tasks' does one thing: rebuild and check are 2
            pipeline.yml:12: a task of 'jobs.daily.tasks' takes one of archive, rebuild, check, questions, compact, vacuum, sql, http, prove, job
            pipeline.yml:13: a task of 'jobs.daily.tasks' takes one of archive, rebuild, check, questions, compact, vacuum, sql, http, prove, job; 'rebiuld' is none: did you mean 'rebuild'?
            pipeline.yml:14: a task of 'jobs.daily.tasks' is a word such as 'check', or a mapping such as { rebuild: [pin] }
            pipeline.yml:15: a task of 'jobs.daily.tasks' is a word such as 'check', or a mapping such as { rebuild: [pin] }
            pipeline.yml:16: task 'sql': 'sql' takes a query or { file: sql/top.sql }
            pipeline.yml:17: task name 'Top' is not legal: lower-case letters, digits, '_' and '-', a letter first, 100 at most
            pipeline.yml:17: 'jobs.daily.tasks.Top.into' is 'Top', which is no name of a table: lower-case letters, digits and '_', a letter first
            pipeline.yml:17: file 'sql/tip.sql' does not exist: did you mean 'sql/top.sql'?
            pipeline.yml:18: 'jobs.daily.tasks.top.into' is '7up', which is no name of a table: lower-case letters, digits and '_', a letter first
            pipeline.yml:18: 'jobs.daily.tasks.top.sql' is an empty query
            pipeline.yml:19: there are two tasks 'top': give one of them another name
            pipeline.yml:19: unknown key 'jobs.daily.tasks.top.sql.path': there are file
            pipeline.yml:19: 'jobs.daily.tasks.top.sql.file' is missing
            pipeline.yml:20: table 'ordr' is not there: did you mean 'order'?
            pipeline.yml:21: 'jobs.daily.tasks.compact.compact' is empty: list one at least, or write 'all'
            pipeline.yml:22: 'jobs.daily.tasks.vacuum.keep' is a span from 1h to 366d
            pipeline.yml:23: unknown key 'jobs.daily.tasks.vacuum_2.kep': there are vacuum, keep, name, after, waits, retries, timeout, pool
            pipeline.yml:24: question 'c' is not there: there are a, b
            pipeline.yml:25: no file matches 'nothing/*.sql': a check is a query that answers no row
            pipeline.yml:25: no file matches 'checks/README.md': a check is a query that answers no row
            pipeline.yml:26: task 'http': 'http' takes a URL or { method, url, headers, body, expect }
            pipeline.yml:27: 'jobs.daily.tasks.http_2.http' is 'ftp://x': it takes a URL such as http://127.0.0.1:8080/done
            pipeline.yml:28: 'jobs.daily.tasks.http_3.http.method' is one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS
            pipeline.yml:28: 'jobs.daily.tasks.http_3.http.url' is 'x y': it takes a URL such as http://127.0.0.1:8080/done
            pipeline.yml:28: header 'a b' is not legal: its value is one line, its name has no blank or ':'
            pipeline.yml:28: header 'd' is not legal: its value is one line, its name has no blank or ':'
            pipeline.yml:28: 'jobs.daily.tasks.http_3.http.expect' takes a list of statuses such as [200, 202]
            pipeline.yml:29: 'jobs.daily.tasks.http_4.http.url' is missing
            pipeline.yml:29: 'jobs.daily.tasks.http_4.http.expect': invalid type: integer `200`, expected a sequence
            pipeline.yml:30: 'jobs.daily.tasks.prove.prove' takes nothing or 'deep'
            pipeline.yml:31: task 'job': 'job' takes the name of a job
            pipeline.yml:32: task 'job_2' runs job 'weekly', which is not there: there are daily
            pipeline.yml:33: task 'late' waits for 'to', which is not there: did you mean 'top'?
            pipeline.yml:33: task 'late' waits for 'late_', which is not there: there are x, sql, Top, top, top, rebuild, compact, vacuum, vacuum_2, questions and more
            pipeline.yml:33: task 'late': 'archive' takes nothing
            pipeline.yml:33: 'jobs.daily.tasks.late.waits': unknown variant `some`, expected `all_success` or `all_done`
            pipeline.yml:33: 'jobs.daily.tasks.late.retries': invalid type: string "many", expected u32
            pipeline.yml:33: 'jobs.daily.tasks.late.timeout': '1' has no unit: a time span is written as 1s, 1m, 1h or 1d
            pipeline.yml:33: pool name 'A' is not legal: lower-case letters, digits, '_' and '-', a letter first, 100 at most
        "#]],
    );
}

#[test]
fn tasks_and_jobs_that_wait_for_themselves_are_shown_with_the_circle() {
    check(
        "  daily:
    tasks:
      - { name: a, archive: , after: [c] }
      - { name: b, check: all, after: [a] }
      - { name: c, check: all, after: [b] }
      - { name: d, check: all, after: [c] }
      - { name: e, check: all, after: [e] }
  one: { tasks: [ { job: two } ] }
  two: { tasks: [ archive, { job: three, parameters: { a: b } } ] }
  three: { parameters: { b: c }, tasks: [ { job: one } ] }
  four: { tasks: [ { job: four } ] }
",
        &expect![[r#"
            pipeline.yml:10: task 'a' waits for itself: 'a' waits for 'c' waits for 'b' waits for 'a'
            pipeline.yml:14: task 'e' waits for itself: 'e' waits for 'e'
            pipeline.yml:15: job 'one' runs itself: 'one' runs 'two' runs 'three' runs 'one'
            pipeline.yml:16: job 'three' has no parameter 'a': there are b
            pipeline.yml:18: job 'four' runs itself: 'four' runs 'four'
        "#]],
    );
}

#[test]
fn no_more_is_read_than_the_limits_allow() {
    let many = tasks(&"- archive\n".repeat(101));
    check(
        &many,
        &expect![[r#"
        pipeline.yml:9: 'jobs.daily.tasks' has 101 tasks: a job takes 100
    "#]],
    );
    assert_eq!(good(&tasks(&"- archive\n".repeat(100))).jobs[0].tasks.last().unwrap().name, "archive_100");
    let jobs: String = (0..1001).map(|number| format!("  j{number}: {{ tasks: [ archive ] }}\n")).collect();
    check(
        &jobs,
        &expect![[r#"
        pipeline.yml:7: there are 1001 jobs: a pipeline takes 1000
    "#]],
    );
    let parameters: String = (0..101).map(|number| format!("p{number}: x, ")).collect();
    check(
        &format!("  daily: {{ parameters: {{ {parameters} }}, tasks: [ archive ] }}\n"),
        &expect![[r#"
        pipeline.yml:8: 'jobs.daily.parameters' has 101 entries: 100 at most
    "#]],
    );
    let triggers = "{ table: order }, ".repeat(21);
    check(
        &format!("  daily: {{ triggers: [ {triggers} ], tasks: [ archive ] }}\n"),
        &expect![[r#"
        pipeline.yml:8: 'jobs.daily.triggers' has 21 entries: 20 at most
    "#]],
    );
    check(
        &format!("  {}: {{ tasks: [ archive ] }}\n", "x".repeat(101)),
        &expect![[r#"
        pipeline.yml:8: job name 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' is not legal: lower-case letters, digits, '_' and '-', a letter first, 100 at most
    "#]],
    );
}

#[test]
fn a_table_that_could_not_be_read_may_be_named() {
    let mut files = files(&tasks("- rebuild: [order, visit]"));
    let unread = files[PIPELINE_FILE].replace("visit: { clean: clean/t.sql", "visit: { clean: x.sql");
    files.insert(PIPELINE_FILE.to_owned(), unread);
    let problems = shown(&parse_draft(&files).problems);
    assert_eq!(problems, "pipeline.yml:5: cleaning 'x.sql' of table 'visit' does not exist\n");
}

/// The built-in pipeline's own job.
#[test]
fn the_pinterest_pipeline_is_rebuilt_checked_and_asked_daily() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let mut files = Files::from([
        file(PIPELINE_FILE, include_str!("../../../../../pipelines/pinterest/pipeline.yml")),
        file("checks/keys.sql", include_str!("../../../../../pipelines/pinterest/checks/keys_are_there_once.sql")),
    ]);
    files.extend(["clean/pin.sql", "clean/geo.sql", "clean/user.sql", "questions/a.sql"].map(|path| file(path, "SELECT 1")));
    let pipeline = parse(&files).unwrap_or_else(|problems| panic!("{}", shown(&problems)));
    let [daily] = &pipeline.jobs[..] else { panic!("{:?}", pipeline.jobs) };
    let schedule = Schedule { text: "@daily".to_owned(), timezone: "UTC".to_owned(), form: CronForm::Unix };
    assert_eq!((daily.name.as_str(), daily.schedule.as_ref()), ("daily", Some(&schedule)));
    let kinds: Vec<&str> = daily.tasks.iter().map(|task| task.work.kind()).collect();
    assert_eq!(kinds, ["archive", "rebuild", "check", "questions"]);
}

#[test]
fn a_job_is_the_same_after_it_was_written_and_read() {
    for job in good(&WHOLE[1..]).jobs {
        let written = serde_json::to_string(&job).unwrap();
        assert_eq!(serde_json::from_str::<JobSpec>(&written).unwrap(), job);
    }
}

#[test]
fn a_new_job_is_one_that_says_nothing_but_its_tasks() {
    let said = serde_json::json!({ "name": "plain", "tasks": [] });
    assert_eq!(JobSpec::new("plain", Vec::new()), serde_json::from_value(said).unwrap());
    let [daily] = &good(&tasks("- archive")).jobs[..] else { panic!("one job") };
    assert_eq!(*daily, JobSpec::new("daily", daily.tasks.clone()));
}

#[test]
fn a_circle_is_found_whatever_stands_around_it() {
    type Case = (&'static [&'static [usize]], Result<Vec<usize>, Vec<Vec<usize>>>);
    let cases: [Case; 6] = [
        (&[], Ok(vec![])),
        (&[&[1], &[]], Ok(vec![1, 0])),
        (&[&[], &[0], &[0], &[1, 2]], Ok(vec![0, 1, 2, 3])),
        (&[&[0]], Err(vec![vec![0]])),
        (&[&[], &[2, 0], &[3], &[2]], Err(vec![vec![2, 3]])),
        (&[&[1], &[0], &[3], &[2, 0]], Err(vec![vec![0, 1], vec![2, 3]])),
    ];
    for (waits_for, expected) in cases {
        let waits_for: Vec<Vec<usize>> = waits_for.iter().map(|list| list.to_vec()).collect();
        assert_eq!(in_order(&waits_for), expected, "{waits_for:?}");
    }
}
