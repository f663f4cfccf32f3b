//! From settings to a plan: what they mean together. What is wrong with several of them is said here.

mod write;

use std::sync::Arc;
use std::time::Duration;

use pinlake_core::{TopicName, TopicPartition};

use super::settings::Settings;
use crate::place;
use crate::plan::{
    DeadLetterTopic, OnError, OnNull, Plan, Retry, Rotation, Schedule, Start, TASKS_MAX, Target, TargetKeys, Topics, UNIT_OBJECTS,
};

/// The plan of a sink, unless something is wrong, which is said of the settings then.
pub(super) fn plan(settings: &mut Settings<'_>) -> Option<Plan> {
    // Each says what is wrong with its part, so all of them are asked.
    let topics = topics(settings);
    let dead_letters = dead_letters(settings, topics.as_ref());
    let target = target(settings);
    let layout = write::layout(settings);
    let schedule = schedule(settings);
    if settings.has_errors() {
        return None;
    }
    let on_null = match settings.text_or_empty("behavior.on.null.values").to_ascii_lowercase().as_str() {
        "ignore" => OnNull::Ignore,
        "write" => OnNull::Write,
        _ => OnNull::Fail,
    };
    let on_error = OnError {
        tolerate: settings.text("errors.tolerance") == Some("all"),
        dead_letters,
        log: settings.flag("errors.log.enable"),
    };
    let tasks = u32::try_from(settings.number("tasks.max")).unwrap_or(1);
    Some(Plan {
        topics: topics?,
        start: Start::First,
        tasks: tasks.clamp(1, TASKS_MAX),
        target: target?,
        layout: Arc::new(layout?),
        rotation: rotation(settings, schedule),
        on_null,
        on_error,
        retry: retry(settings),
        overwrite: !settings.flag("enable.conditional.writes"),
    })
}

fn topics(settings: &mut Settings<'_>) -> Option<Topics> {
    let names: Vec<String> = settings.list("topics").into_iter().map(str::to_owned).collect();
    let pattern = settings.text_or_empty("topics.regex").to_owned();
    let wrong = match (names.is_empty(), pattern.is_empty()) {
        (false, false) => Some("topics and topics.regex are mutually exclusive options, but both are set."),
        (true, true) => Some("Must configure one of topics or topics.regex"),
        _ => None,
    };
    if let Some(wrong) = wrong {
        settings.refuse("topics", wrong);
        settings.refuse("topics.regex", wrong);
        return None;
    }
    if names.is_empty() {
        let topics = Topics::matching(&pattern);
        return topics.map_err(|e| settings.wrong("topics.regex", &format!("Invalid regex: {}", e.message()))).ok();
    }
    let names: Result<Vec<TopicName>, _> = names.iter().map(|name| TopicName::new(name)).collect();
    names.map(Topics::Named).map_err(|e| settings.wrong("topics", e.message())).ok()
}

fn dead_letters(settings: &mut Settings<'_>, topics: Option<&Topics>) -> Option<DeadLetterTopic> {
    const NAME: &str = "errors.deadletterqueue.topic.name";
    let name = settings.text_or_empty(NAME).to_owned();
    if name.is_empty() {
        return None;
    }
    let topic = TopicName::new(&name).map_err(|e| settings.wrong(NAME, e.message())).ok()?;
    if topics.is_some_and(|topics| topics.matches(&topic)) {
        let among = if settings.list("topics").is_empty() { "matched by the regex matching" } else { "included in the list of" };
        settings.wrong(NAME, &format!("The DLQ topic '{name}' may not be {among} the topics consumed by the connector"));
        return None;
    }
    Some(DeadLetterTopic { topic, headers: settings.flag("errors.deadletterqueue.context.headers.enable") })
}

fn target(settings: &mut Settings<'_>) -> Option<Target> {
    let bucket = settings.text_or_empty("s3.bucket.name").to_owned();
    if settings.is_good("s3.bucket.name") && !Target::is_bucket(&bucket) {
        let why = "a bucket's name takes 3 to 63 characters of a-z, A-Z, 0-9, '.', '_' and '-', the first and the last a letter or digit";
        settings.wrong("s3.bucket.name", why);
    }
    let endpoint = settings.text("store.url").filter(|url| !url.is_empty()).map(str::to_owned);
    if endpoint.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
        settings.wrong("store.url", "it takes the address of a store that speaks S3, http:// or https://");
    } else if endpoint.as_ref().is_some_and(|url| url.contains('@')) {
        settings.wrong("store.url", "it takes no name and password: give aws.access.key.id and aws.secret.access.key");
    }
    let id = settings.text_or_empty("aws.access.key.id").to_owned();
    let secret = settings.text_or_empty("aws.secret.access.key").to_owned();
    let keys = match (id.is_empty(), secret.is_empty()) {
        (true, true) => None,
        (false, false) => Some(TargetKeys { id, secret }),
        _ => {
            settings.refuse("aws.secret.access.key", "aws.access.key.id and aws.secret.access.key go together: set both or none");
            None
        }
    };
    let region = settings.text("s3.region").map(str::to_ascii_lowercase);
    Some(Target { bucket, region, endpoint, path_style: settings.flag("s3.path.style.access.enabled"), keys })
}

fn schedule(settings: &mut Settings<'_>) -> Option<Schedule> {
    let every = settings.number("rotate.schedule.interval.ms");
    let every = u64::try_from(every).ok().filter(|every| *every > 0)?;
    let zone = settings.text_or_empty("timezone").to_owned();
    if zone.is_empty() {
        settings.refuse("timezone", "timezone configuration must be set when using rotate.schedule.interval.ms");
        return None;
    }
    // What is wrong with it was said already.
    Some(Schedule { every: Duration::from_millis(every), zone: place::zone(&zone).ok()? })
}

fn rotation(settings: &Settings<'_>, schedule: Option<Schedule>) -> Rotation {
    let interval = u64::try_from(settings.number("rotate.interval.ms")).ok().filter(|interval| *interval > 0);
    let open_max = usize::try_from(settings.number("partitioner.max.open.files")).ok().filter(|open| *open > 0);
    let records = u64::try_from(settings.number("flush.size")).unwrap_or(1);
    Rotation {
        objects: open_max.unwrap_or(UNIT_OBJECTS).min(UNIT_OBJECTS),
        record_time: interval.filter(|_| write::is_by_time(settings)).map(Duration::from_millis),
        schedule,
        ..Rotation::by_records(records)
    }
}

fn retry(settings: &Settings<'_>) -> Retry {
    let ms = |name| u64::try_from(settings.number(name)).ok().map(Duration::from_millis);
    Retry {
        pause: ms("s3.retry.backoff.ms").unwrap_or_default(),
        times: u32::try_from(settings.number("s3.part.retries")).unwrap_or_default(),
        at_least: ms("errors.retry.timeout"),
    }
}

/// A partition that stands for all when names are tried.
fn sample() -> TopicPartition {
    TopicName::new("topic").expect("it is a topic's name").partition(0)
}
