//! Paths of every form that is seen in people's files, and rules over them.

use std::collections::BTreeMap;

use pinlake_core::Timestamp;
use pinlake_core::jobs::{Job, Origin};
use pinlake_core::testing::jobs;

use super::{Known, NotebookRule, is_covered, job_of, normal};

fn job(name: &str, origin: Origin) -> Job {
    let spec = jobs::job(name, Vec::new());
    let (version, created_at) = (String::new(), Timestamp(0));
    Job {
        id: 1,
        spec,
        version,
        origin,
        paused: false,
        next_at: None,
        created_at,
        queued: 0,
        running: 0,
        last: None,
        notes: BTreeMap::new(),
    }
}

fn rule(pattern: &str, job: &str) -> NotebookRule {
    NotebookRule { pattern: pattern.to_owned(), job: job.to_owned() }
}

#[test]
fn paths_become_those_of_the_workspace() {
    for (given, wanted) in [
        ("/Users/me@x.com/Pinterest Batch", "/Users/me@x.com/Pinterest Batch"),
        ("Users/me@x.com/Pinterest Batch", "/Users/me@x.com/Pinterest Batch"),
        ("/Workspace/Users/me@x.com/Pinterest Batch", "/Users/me@x.com/Pinterest Batch"),
        ("Workspace/Users/me@x.com/Pinterest Batch.ipynb", "/Users/me@x.com/Pinterest Batch"),
        ("/Repos/me@x.com/repo//clean_pin.py", "/Repos/me@x.com/repo/clean_pin"),
        ("  /Users/me/a/  ", "/Users/me/a"),
        ("/Users/me/a.IPYNB", "/Users/me/a"),
        ("dbfs:/FileStore/jobs/clean.py", "/FileStore/jobs/clean"),
        ("file:/Workspace/Shared/x.py", "/Shared/x"),
        ("https://adb-1.2.azuredatabricks.net/?o=1#notebook/1715123/command/9", "/notebook/1715123"),
        ("https://dbc-1.cloud.databricks.com/?o=1865#notebook/1715", "/notebook/1715"),
        (
            "https://dbc-1.cloud.databricks.com/?o=1#workspace/Users/me%40x.com/Pinterest%20Batch",
            "/Users/me@x.com/Pinterest Batch",
        ),
        ("https://dbc-1.cloud.databricks.com/editor/notebooks/1715?o=1", "/editor/notebooks/1715"),
        ("dbc-1.cloud.databricks.com/?o=1#notebook/1715", "/notebook/1715"),
        ("https://host", "/"),
        ("", "/"),
        (".py", "/.py"),
        ("/Users/me/\u{e9}t\u{e9}", "/Users/me/\u{e9}t\u{e9}"),
        ("\u{e9}py", "/\u{e9}py"),
    ] {
        assert_eq!(normal(given), wanted, "{given}");
    }
}

#[test]
fn patterns_know_folders() {
    for (pattern, path, covers) in [
        ("/**/Pinterest Batch*", "/Users/me/Pinterest Batch", true),
        ("/**/Pinterest Batch*", "/Pinterest Batch 2", true),
        ("/**/Pinterest Batch*", "/Users/me/Pinterest Batch/inner", false),
        ("/Users/*/x", "/Users/me/x", true),
        ("/Users/*/x", "/Users/me/deep/x", false),
        ("Users/**", "/Users/me/deep/x", true),
        ("/Workspace/Users/me/x.ipynb", "/Users/me/x", true),
        ("**", "/anything/at/all", true),
        ("/a/**/b/**/c", "/a/b/c", true),
        ("/a/**/b/**/c", "/a/x/b/y/z/c", true),
        ("/a/**/b/**/c", "/a/x/y/c", false),
        ("", "/a", false),
    ] {
        assert_eq!(is_covered(pattern, path), covers, "{pattern} {path}");
    }
    // Neither takes long.
    let pattern = "/**/*a*a*a*a*a*a*a*a*b".repeat(30);
    assert!(!is_covered(&pattern, &"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".repeat(60)));
}

#[test]
fn the_first_rule_that_fits_wins_and_then_the_name() {
    let jobs = [job("daily", Origin::Pipeline), job("clean-pin", Origin::Pipeline), job("mine", Origin::Api)];
    let rules = [rule("/**/Pinterest Batch*", "daily"), rule("/**", "mine")];
    let known = Known { jobs: &jobs, rules: &rules[..1], own: None };
    assert_eq!(job_of("/Users/me/Pinterest Batch.ipynb", known).unwrap(), "daily");
    assert_eq!(job_of("/Users/me/Clean Pin", known).unwrap(), "clean-pin");
    assert_eq!(job_of("/Users/me/clean_pin.py", known).unwrap(), "clean-pin");
    assert_eq!(job_of("/anything", Known { rules: &rules, ..known }).unwrap(), "mine");
    // What a call defined is no notebook's by its name: it would run itself.
    assert!(job_of("/Users/me/mine", known).is_err());
    let error = job_of("/anything", Known { rules: &rules, own: Some("mine"), ..known }).unwrap_err();
    assert!(error.contains("can't run itself"), "{error}");
}

#[test]
fn what_has_no_job_says_what_to_add() {
    let jobs = [job("daily", Origin::Pipeline)];
    let known = Known { jobs: &jobs, rules: &[], own: None };
    let error = job_of("/Users/me/My \"Book\"", known).unwrap_err();
    assert!(
        error.ends_with("databricks:\n  notebooks:\n    - { match: \"/Users/me/My \\\"Book\\\"\", job: \"daily\" }"),
        "{error}"
    );
    assert!(error.contains("'/Users/me/My \"Book\"'") && error.contains("(there are: daily)"), "{error}");
    let rules = [rule("/**", "gone")];
    let error = job_of("/x", Known { rules: &rules, ..known }).unwrap_err();
    assert!(error.contains("'gone', which does not exist; there are: daily"), "{error}");
    assert!(job_of(&"/x".repeat(1000), known).unwrap_err().contains("more than 64 folders"));
}
