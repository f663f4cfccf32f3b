//! Placeholders of a run's own and of secrets.

use pinlake_core::Timestamp;
use pinlake_core::jobs::{Interval, Lane, Run};
use pinlake_core::testing::jobs;

use super::{in_url, of_run, with_secrets};

fn run() -> Run {
    Run {
        interval: Some(Interval { from: Timestamp(0), to: Timestamp(86_400_000) }),
        lane: Some(Lane { number: 1, begun: 1_000_001 }),
        parameters: [("category".to_owned(), "a\"b".to_owned())].into(),
        ..jobs::run(7, jobs::job("daily", Vec::new()))
    }
}

#[test]
fn a_runs_own_takes_the_place_of_its_names() {
    let text = "run ${run} of ${job}, begun ${begun}, from ${from} to ${to}, $${not} and ${parameters.category}$";
    let put = |value: &str| value.replace('"', "\\\"");
    let shown = of_run(text, &run(), put).unwrap();
    assert_eq!(shown, "run 7 of daily, begun 1000001, from 1970-01-01T00:00:00Z to 1970-01-02T00:00:00Z, ${not} and a\\\"b$");
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

#[test]
fn a_value_stays_one_part_of_a_url() {
    let with = |value: &str| Run { parameters: [("a".to_owned(), value.to_owned())].into(), ..run() };
    let url = "http://host/${parameters.a}?b=${parameters.a}";
    assert_eq!(in_url(url, &with("x/y?z")).unwrap(), "http://host/x%2Fy%3Fz?b=x%2Fy%3Fz");
    for (url, value) in [
        (url, ".."),
        (url, "."),
        ("http://host/.${parameters.a}", "."),
        ("http://host/${parameters.a}#c", ".."),
        ("http://host\\${parameters.a}", ".."),
    ] {
        let error = in_url(url, &with(value)).unwrap_err().to_string();
        assert!(error.contains("'.' or '..'"), "{url}: {error}");
    }
    assert_eq!(in_url("http://host/?a=${parameters.a}", &with("..")).unwrap(), "http://host/?a=..");
    assert_eq!(in_url(url, &with("0.3-a_b~c d")).unwrap(), "http://host/0.3-a_b~c%20d?b=0.3-a_b~c%20d");
    assert_eq!(in_url("http://host/a/../b", &run()).unwrap(), "http://host/a/../b");
}

#[test]
fn a_url_begins_with_one_value_at_most_that_is_taken_as_it_is() {
    let with =
        Run { parameters: [("url", "http://host/a"), ("b", "x/y")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(), ..run() };
    let url = in_url("${parameters.url}/${parameters.b}", &with).unwrap();
    assert_eq!(url, "http://host/a/x%2Fy");
    // What begins with something else has no such value.
    assert_eq!(in_url("${run}/${parameters.url}", &with).unwrap(), "7/http%3A%2F%2Fhost%2Fa");
}
