//! Schedules and triggers, there and back: Quartz's cron, spans of whole hours, new objects and new versions of tables.

#[cfg(test)]
mod tests;

use pinlake_core::jobs::{CronForm, Job, JobSpec, Schedule, Trigger};
use pinlake_core::pipeline::units::Span;
use serde_json::{Map, Value, json};

use super::args::{Fields, short};
use super::failure::Failure;

/// The zone of what names none.
const ZONE: &str = "UTC";
const HOUR_S: u64 = 3600;

/// Reads a job's schedule and triggers into its definition, and answers whether they are paused.
pub(super) fn read(settings: &Fields<'_>, spec: &mut JobSpec) -> Result<bool, Failure> {
    if settings.get("continuous").is_some() {
        return Err(settings.invalid("continuous", "is not here: give the job a schedule, or a trigger"));
    }
    let mut paused = false;
    if let Some(schedule) = settings.object("schedule")? {
        let (text, timezone) = (schedule.needed_text("quartz_cron_expression")?, schedule.needed_text("timezone_id")?);
        spec.schedule = Some(Schedule { text, timezone, form: CronForm::Quartz });
        paused |= is_paused(&schedule)?;
    }
    if let Some(trigger) = settings.object("trigger")? {
        triggers(&trigger, spec)?;
        paused |= is_paused(&trigger)?;
    }
    Ok(paused)
}

/// A job's schedule and triggers, as far as they can be said here.
pub(super) fn show(job: &Job, settings: &mut Map<String, Value>) {
    let status = status(job.paused);
    if let Some(schedule) = &job.spec.schedule {
        if let Some(cron) = quartz(schedule) {
            let value = json!({ "quartz_cron_expression": cron, "timezone_id": schedule.timezone, "pause_status": status });
            settings.insert("schedule".to_owned(), value);
        } else if let Some(periodic) = periodic(&schedule.text) {
            settings.insert("trigger".to_owned(), json!({ "periodic": periodic, "pause_status": status }));
        }
    }
    let objects = job.spec.triggers.iter().find_map(|trigger| match trigger {
        Trigger::Object { url } => Some(json!({ "file_arrival": { "url": url }, "pause_status": status })),
        Trigger::Rows { table, .. } | Trigger::Version { table } => {
            Some(json!({ "table_update": { "table_names": [table] }, "pause_status": status }))
        }
        Trigger::Records { .. } => None,
    });
    if let Some(trigger) = objects {
        settings.entry("trigger").or_insert(trigger);
    }
}

/// Puts into settings that were kept whether the job is paused now.
pub(super) fn show_paused(paused: bool, settings: &mut Map<String, Value>) {
    for name in ["schedule", "trigger"] {
        if let Some(Value::Object(of)) = settings.get_mut(name) {
            of.insert("pause_status".to_owned(), status(paused).into());
        }
    }
}

fn status(paused: bool) -> &'static str {
    if paused { "PAUSED" } else { "UNPAUSED" }
}

fn is_paused(of: &Fields<'_>) -> Result<bool, Failure> {
    match of.text("pause_status")?.as_deref() {
        None | Some("UNPAUSED") => Ok(false),
        Some("PAUSED") => Ok(true),
        Some(other) => Err(of.invalid("pause_status", &format!("takes PAUSED or UNPAUSED, not {}", short(other)))),
    }
}

fn triggers(trigger: &Fields<'_>, spec: &mut JobSpec) -> Result<(), Failure> {
    let before = spec.triggers.len();
    if let Some(files) = trigger.object("file_arrival")? {
        spec.triggers.push(Trigger::Object { url: files.needed_text("url")? });
    }
    if let Some(tables) = trigger.object("table_update")? {
        // Catalog and schema go before a table's name; here there is one of each.
        let bare = |name: String| name.rsplit('.').next().unwrap_or_default().trim_matches('`').to_owned();
        let names = tables.texts("table_names")?;
        spec.triggers.extend(names.into_iter().map(|name| Trigger::Version { table: bare(name) }));
    }
    if let Some(periodic) = trigger.object("periodic")? {
        if spec.schedule.is_some() {
            return Err(trigger.invalid("periodic", "has no place beside a schedule"));
        }
        let interval = periodic.number_in("interval", 1, 1, 10_000)?;
        let unit = match periodic.needed_text("unit")?.as_str() {
            "HOURS" => "h",
            "DAYS" => "d",
            "WEEKS" => "w",
            other => return Err(periodic.invalid("unit", &format!("takes HOURS, DAYS or WEEKS, not {}", short(other)))),
        };
        let interval = if unit == "w" { format!("every {}d", interval * 7) } else { format!("every {interval}{unit}") };
        spec.schedule = Some(Schedule { text: interval, timezone: ZONE.to_owned(), form: CronForm::Unix });
    } else if spec.triggers.len() == before {
        return Err(trigger.invalid("file_arrival", "or periodic or table_update must be there in a trigger"));
    }
    Ok(())
}

fn periodic(text: &str) -> Option<Value> {
    let span: Span = text.trim().strip_prefix("every ")?.trim().parse().ok()?;
    let seconds = span.0.as_secs();
    match (seconds / HOUR_S, seconds % HOUR_S) {
        (hours, 0) if hours > 0 && hours % 24 == 0 => Some(json!({ "interval": hours / 24, "unit": "DAYS" })),
        (hours, 0) if hours > 0 => Some(json!({ "interval": hours, "unit": "HOURS" })),
        _ => None,
    }
}

/// A schedule as Quartz's cron, where that can say it.
fn quartz(schedule: &Schedule) -> Option<String> {
    let text = schedule.text.trim();
    if schedule.form == CronForm::Quartz {
        return Some(text.to_owned());
    }
    match text.to_ascii_lowercase().as_str() {
        "@hourly" => return Some("0 0 * * * ?".to_owned()),
        "@daily" | "@midnight" => return Some("0 0 0 * * ?".to_owned()),
        "@weekly" => return Some("0 0 0 ? * 1".to_owned()),
        "@monthly" => return Some("0 0 0 1 * ?".to_owned()),
        "@yearly" | "@annually" => return Some("0 0 0 1 1 ?".to_owned()),
        _ => {}
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields[..] else { return None };
    match (day, weekday) {
        (day, "*" | "?") => Some(format!("0 {minute} {hour} {day} {month} ?")),
        ("*" | "?", weekday) => Some(format!("0 {minute} {hour} ? {month} {}", weekdays(weekday)?)),
        // Either day will do in Unix's cron, and Quartz has no word for that.
        _ => None,
    }
}

/// Days of the week from Sunday = 0 or 7 as days from Sunday = 1; names stay.
fn weekdays(field: &str) -> Option<String> {
    // A step goes over the numbers, which are others.
    if field.contains('/') {
        return None;
    }
    let one = |day: &str| match day.parse::<u8>() {
        Ok(day @ 0..=7) => Some((day % 7 + 1).to_string()),
        Ok(_) => None,
        Err(_) => day.chars().all(|letter| letter.is_ascii_alphabetic()).then(|| day.to_ascii_uppercase()),
    };
    let range = |part: &str| match part.split_once('-') {
        // Up to Sunday would go backwards.
        Some((_, "7")) => None,
        Some((from, to)) => Some(format!("{}-{}", one(from)?, one(to)?)),
        None => one(part),
    };
    field.split(',').map(range).collect::<Option<Vec<_>>>().map(|parts| parts.join(","))
}
