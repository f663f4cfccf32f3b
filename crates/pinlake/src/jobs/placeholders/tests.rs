//! Placeholders of a run's own and of secrets.

use std::collections::BTreeMap;

use pinlake_core::Timestamp;
use pinlake_core::jobs::{Cause, Interval, JobSpec, Missed, Run, RunId, RunKind, RunState};

use super::{of_run, with_secrets};

fn run() -> Run {
    let spec = JobSpec {
        name: "daily".to_owned(),
        schedule: None,
        triggers: Vec::new(),
        missed: Missed::Latest,
        parameters: BTreeMap::new(),
        timeout: None,
        concurrency: 1,
        starts_within: None,
        expected: None,
        tasks: Vec::new(),
    };
    Run {
        id: RunId(7),
        name: "daily".to_owned(),
        job_id: 1,
        sequence: 1,
        spec,
        version: String::new(),
        kind: RunKind::Manual,
        cause: Cause::default(),
        interval: Some(Interval { from: Timestamp(0), to: Timestamp(86_400_000) }),
        parameters: [("category".to_owned(), "a\"b".to_owned())].into(),
        state: RunState::Running,
        reason: None,
        message: String::new(),
        generation: 1,
        created_at: Timestamp(0),
        started_at: None,
        ended_at: None,
        tasks: Vec::new(),
        notes: BTreeMap::new(),
    }
}

#[test]
fn a_runs_own_takes_the_place_of_its_names() {
    let text = "run ${run} of ${job}, from ${from} to ${to}, $${not} and ${parameters.category}$";
    let put = |value: &str| value.replace('"', "\\\"");
    let shown = of_run(text, &run(), put).unwrap();
    assert_eq!(shown, "run 7 of daily, from 1970-01-01T00:00:00Z to 1970-01-02T00:00:00Z, ${not} and a\\\"b$");
}

#[test]
fn what_is_not_known_is_refused() {
    for text in ["${when}", "${parameters.other}", "${env:PATH}", "${from"] {
        assert!(of_run(text, &run(), str::to_owned).is_err(), "{text}");
    }
    let without = Run { interval: None, ..run() };
    assert!(of_run("${from}", &without, str::to_owned).unwrap_err().to_string().contains("no interval"));
}

#[test]
fn a_secret_comes_from_a_variable_that_must_be_there() {
    assert!(with_secrets("Bearer ${env:PATH}", &run()).unwrap().len() > "Bearer ".len());
    let missing = with_secrets("Bearer ${env:PINLAKE_NO_SUCH_VARIABLE}", &run()).unwrap_err();
    assert!(missing.to_string().contains("PINLAKE_NO_SUCH_VARIABLE is not set"), "{missing}");
}
