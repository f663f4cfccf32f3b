//! Schedules there and back.

use pinlake_core::jobs::{CronForm, Schedule, Trigger};
use serde_json::{Value, json};

use super::super::args::Fields;
use super::{periodic, quartz, read};
use crate::databricks::definitions;
use crate::databricks::notebooks::Known;

fn unix(text: &str) -> Schedule {
    Schedule { text: text.to_owned(), timezone: "UTC".to_owned(), form: CronForm::Unix }
}

fn settled(extra: &Value) -> Result<(pinlake_core::jobs::JobSpec, bool), String> {
    let mut settings = json!({ "name": "n", "notebook_task": { "notebook_path": "/x" } });
    settings.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let fields = Fields::of(settings.as_object().unwrap());
    definitions::job(&fields, Known { jobs: &[], rules: &[], own: None }).map_err(|failure| format!("{failure:?}"))
}

#[test]
fn patterns_are_said_in_quartz_where_they_can_be() {
    for (text, wanted) in [
        ("0 0 * * *", Some("0 0 0 * * ?")),
        ("@daily", Some("0 0 0 * * ?")),
        ("@weekly", Some("0 0 0 ? * 1")),
        ("*/5 6 * * *", Some("0 */5 6 * * ?")),
        ("0 6 1,15 * *", Some("0 0 6 1,15 * ?")),
        ("0 6 * * 1-5", Some("0 0 6 ? * 2-6")),
        ("0 6 * * 0,7", Some("0 0 6 ? * 1,1")),
        ("0 6 * * mon-fri", Some("0 0 6 ? * MON-FRI")),
        ("0 6 * * 5-7", None),
        ("0 6 * * */2", None),
        ("0 6 1 * 1", None),
        ("every 6h", None),
    ] {
        assert_eq!(quartz(&unix(text)).as_deref(), wanted, "{text}");
    }
    let schedule = Schedule { text: "0 0 0 L * ?".to_owned(), form: CronForm::Quartz, ..unix("") };
    assert_eq!(quartz(&schedule).as_deref(), Some("0 0 0 L * ?"));
}

#[test]
fn spans_are_periodic() {
    assert_eq!(periodic("every 6h"), Some(json!({ "interval": 6, "unit": "HOURS" })));
    assert_eq!(periodic("every 2d"), Some(json!({ "interval": 2, "unit": "DAYS" })));
    assert_eq!(periodic("every 90m"), None);
    assert_eq!(periodic("0 0 * * *"), None);
}

#[test]
fn triggers_and_schedules_are_read() {
    let (spec, paused) =
        settled(&json!({ "trigger": { "file_arrival": { "url": "s3://b/x/" }, "pause_status": "PAUSED" } })).unwrap();
    assert_eq!((&spec.triggers[..], paused), (&[Trigger::Object { url: "s3://b/x/".to_owned() }][..], true));
    let (spec, paused) =
        settled(&json!({ "trigger": { "table_update": { "table_names": ["main.default.pin", "`geo`"] } } })).unwrap();
    let tables = ["pin", "geo"].map(|table| Trigger::Version { table: table.to_owned() });
    assert_eq!((&spec.triggers[..], paused), (&tables[..], false));
    let (spec, _) = settled(&json!({ "trigger": { "periodic": { "interval": 2, "unit": "WEEKS" } } })).unwrap();
    assert_eq!(spec.schedule.unwrap().text, "every 14d");
    let (spec, _) =
        settled(&json!({ "schedule": { "quartz_cron_expression": "0 0 0 * * ?", "timezone_id": "Europe/London" } })).unwrap();
    let schedule = spec.schedule.unwrap();
    assert_eq!((schedule.form, schedule.timezone.as_str()), (CronForm::Quartz, "Europe/London"));
}

#[test]
fn what_is_no_schedule_is_refused() {
    for (settings, problem) in [
        (json!({ "schedule": { "timezone_id": "UTC" } }), "Missing required field: schedule.quartz_cron_expression"),
        (json!({ "schedule": { "quartz_cron_expression": "x" } }), "Missing required field: schedule.timezone_id"),
        (
            json!({ "schedule": { "quartz_cron_expression": "x", "timezone_id": "UTC", "pause_status": "NO" } }),
            "takes PAUSED or UNPAUSED, not NO",
        ),
        (json!({ "trigger": {} }), "'trigger.file_arrival' or periodic or table_update"),
        (json!({ "trigger": { "periodic": { "interval": 0, "unit": "HOURS" } } }), "'trigger.periodic.interval' takes 1 to"),
        (json!({ "trigger": { "periodic": { "unit": "YEARS" } } }), "takes HOURS, DAYS or WEEKS, not YEARS"),
        (json!({ "continuous": {} }), "'continuous' is not here"),
    ] {
        let error = settled(&settings).unwrap_err();
        assert!(error.contains(problem), "{error} does not hold {problem}");
    }
    // `read` alone leaves a definition without either as it is.
    let (mut spec, _) = settled(&json!({})).unwrap();
    let none = json!({});
    assert!(!read(&Fields::of(none.as_object().unwrap()), &mut spec).unwrap() && spec.schedule.is_none());
}
