//! A log, a bucket and a clock that outlive the processes over them.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use jiff::tz::TimeZone;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use pinlake_core::topic_store::OwnTopics;
use pinlake_core::{
    BatchBuilder, Clock, Error, Followers, Log, MemoryLog, Offset, Result, Timestamp, TopicName, TopicPartition, TopicSpec,
};
use pinlake_sink::convert::{Converter, Converters};
use pinlake_sink::firehose;
use pinlake_sink::format::{Compression, Format, Formats};
use pinlake_sink::place::{FieldPath, Pattern, Placement, TimeOf, TimePlaces};
use pinlake_sink::{
    Buckets, Config, DeadLetter, DeadLetterTopic, DeadLetters, Folders, OnError, OnNull, Parts, Plan, Retry, Rotation, Schedule,
    Sinks, Start, State, Target, Topics, Wanted,
};

use crate::faulty::{FaultyLog, FaultyStore, Fuse};

pub(crate) const START: Timestamp = Timestamp(1_700_000_000_000);
pub(crate) const NAME: &str = "s";
/// How long something that must happen is waited for, in the tests' own time.
const PATIENCE: Duration = Duration::from_secs(60);

/// What outlives a process.
pub(crate) struct World {
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) objects: Arc<InMemory>,
    pub(crate) clock: Clock,
    pub(crate) followers: Followers,
    pub(crate) letters: Arc<Letters>,
}

/// Dead letters, as they came.
#[derive(Default)]
pub(crate) struct Letters(pub(crate) Mutex<Vec<DeadLetter>>);

#[async_trait]
impl DeadLetters for Letters {
    async fn put(&self, to: &DeadLetterTopic, letters: Vec<DeadLetter>) -> Result<()> {
        assert_eq!(to.topic.as_str(), "dead");
        self.0.lock().unwrap().extend(letters);
        Ok(())
    }
}

struct OneBucket(Arc<FaultyStore>);

impl Buckets for OneBucket {
    fn open(&self, target: &Target) -> Result<Arc<dyn ObjectStore>> {
        let is_shut = self.0.fuse.is_shut.load(Ordering::SeqCst);
        if target.bucket.is_empty() || is_shut { Err(Error::invalid("there is no bucket")) } else { Ok(self.0.clone()) }
    }
}

/// A record: a time and a value.
pub(crate) type Rec = (i64, Option<String>);

impl World {
    pub(crate) fn new() -> Self {
        Self {
            log: Arc::new(MemoryLog::new()),
            objects: Arc::new(InMemory::new()),
            clock: Clock::manual(START),
            followers: Followers::default(),
            letters: Arc::default(),
        }
    }

    pub(crate) async fn topic(&self, name: &str, partitions: u32) -> TopicName {
        let topic = TopicName::new(name).unwrap();
        self.log.create_topic(&topic, TopicSpec::with_partitions(partitions)).await.unwrap();
        topic
    }

    /// Appends records as one batch.
    pub(crate) async fn append(&self, to: &TopicPartition, records: &[Rec]) {
        let Some((first, _)) = records.first() else { return };
        let mut builder = BatchBuilder::new(Timestamp(*first));
        for (time, value) in records {
            builder.push_at(Timestamp(*time), None, value.as_deref().map(str::as_bytes));
        }
        self.log.append(to, builder.build().unwrap()).await.unwrap();
    }

    /// Appends so many values that count on.
    pub(crate) async fn append_values(&self, to: &TopicPartition, numbers: std::ops::Range<i64>) {
        let records: Vec<Rec> = numbers.map(|number| (START.0, Some(format!("{{\"n\":{number}}}")))).collect();
        self.append(to, &records).await;
    }

    /// A process, whose way to everything is a fuse.
    pub(crate) async fn start(&self, fuse: &Arc<Fuse>) -> Result<Sinks> {
        let log = Arc::new(FaultyLog { log: self.log.clone(), fuse: fuse.clone() });
        let parts = Parts {
            kind: "sink",
            log: log.clone(),
            followers: self.followers.clone(),
            clock: self.clock.clone(),
            plan: Arc::new(|_, config| match config.contains_key(firehose::DEFINITION) {
                true => firehose::make_plan(config, &defaults()),
                false => plan(config),
            }),
            buckets: Arc::new(OneBucket(Arc::new(FaultyStore { objects: self.objects.clone(), fuse: fuse.clone() }))),
            letters: self.letters.clone(),
        };
        Sinks::open(log, &TopicName::new(OwnTopics::OF_DISK.sinks).unwrap(), parts).await
    }

    /// A process in which nothing goes wrong, with a sink of that configuration.
    pub(crate) async fn sound(&self, options: &[(&str, &str)]) -> Sinks {
        let sinks = self.start(&Fuse::sound()).await.unwrap();
        sinks.create(NAME, config(options), Wanted::Running).await.unwrap();
        sinks
    }

    /// All objects, by name.
    pub(crate) async fn objects(&self) -> BTreeMap<String, String> {
        let names: Vec<_> = self.objects.list(None).map_ok(|object| object.location).try_collect().await.unwrap();
        let mut objects = BTreeMap::new();
        for name in names {
            let content: Bytes = self.objects.get(&name).await.unwrap().bytes().await.unwrap();
            objects.insert(name.to_string(), String::from_utf8(content.to_vec()).unwrap());
        }
        objects
    }

    /// Waits until there are just these objects, each named by the end of its name.
    pub(crate) async fn wait_for_objects(&self, expected: &[(&str, &str)]) {
        let expected: BTreeMap<String, String> =
            expected.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect();
        let found = || async {
            self.objects().await.into_iter().map(|(name, content)| (short(&name), content)).collect::<BTreeMap<_, _>>()
        };
        let there = until(async || found().await == expected).await;
        assert!(there, "{:#?}\nare there, and not\n{expected:#?}", found().await);
    }
}

/// `topics/t/partition=0/t+0+0000000003.json` as `t+0+3`.
fn short(name: &str) -> String {
    let file = name.rsplit('/').next().unwrap().trim_end_matches(".json");
    let (of, offset) = file.rsplit_once('+').unwrap();
    format!("{of}+{}", offset.parse::<i64>().unwrap())
}

/// Waits until it is so; answers whether it ever was.
pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) -> bool {
    let end = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < end {
        if is_so().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

/// Waits until the sink, or its first task, is so.
pub(crate) async fn until_state(sinks: &Sinks, state: State) -> Option<String> {
    let status = || sinks.status(NAME).unwrap();
    let there = until(async || status().tasks.first().map_or(status().state, |task| task.state) == state).await;
    assert!(there, "{:?}", status());
    status().tasks.first().map_or(status().trace, |task| task.trace.clone())
}

/// Waits until the sink stands there.
pub(crate) async fn until_at(sinks: &Sinks, of: &TopicPartition, at: i64) {
    let expected = (of.clone(), Offset(at));
    let there = until(async || sinks.offsets(NAME).unwrap().contains(&expected)).await;
    assert!(there, "{:?}, not {expected:?}", sinks.offsets(NAME));
}

pub(crate) fn config(options: &[(&str, &str)]) -> Config {
    options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn defaults() -> firehose::Defaults {
    firehose::Defaults { delimiter: firehose::Delimiter::Newline, tables: Arc::new(|_| None) }
}

/// What the tests' configurations mean.
fn plan(config: &Config) -> Result<Plan> {
    let text = |name: &str| config.get(name).map(String::as_str);
    let number =
        |name: &str| text(name).map(|text| text.parse::<u64>().map_err(|_| Error::invalid(format!("'{name}' is no number"))));
    let zone = TimeZone::UTC;
    let placement = match text("place") {
        None => Placement::Partition,
        Some("clock") => Placement::Time(TimePlaces {
            time: TimeOf::Clock,
            duration_ms: 3_600_000,
            pattern: Pattern::new("'hour'=HH").unwrap(),
            zone: zone.clone(),
        }),
        Some(field) => Placement::Fields { fields: vec![FieldPath::new(field).unwrap()], delimiter: "/".to_owned() },
    };
    let layout = Folders {
        converters: Converters { key: Converter::Bytes, value: Converter::Json },
        placement,
        formats: Arc::new(Formats { values: Format::Json, keys: None, headers: None, compression: Compression::None }),
        ..Folders::lines("topics")
    };
    let millis = |name: &str| number(name).transpose().map(|millis| millis.map(Duration::from_millis));
    let rotation = Rotation {
        bytes: number("bytes").transpose()?.unwrap_or(pinlake_sink::plan::UNIT_BYTES),
        open_bytes: number("open_bytes").transpose()?.unwrap_or(pinlake_sink::plan::OPEN_BYTES),
        objects: number("objects").transpose()?.map_or(pinlake_sink::plan::UNIT_OBJECTS, |most| usize::try_from(most).unwrap()),
        record_time: millis("record_time")?,
        age: millis("age")?,
        schedule: millis("schedule")?.map(|every| Schedule { every, zone }),
        ..Rotation::by_records(number("records").transpose()?.unwrap_or(1))
    };
    let dead_letters = text("dead").map(|topic| DeadLetterTopic { topic: TopicName::new(topic).unwrap(), headers: true });
    Ok(Plan {
        start: number("from").transpose()?.map_or(Start::First, |ms| Start::At(Timestamp(i64::try_from(ms).unwrap()))),
        topics: Topics::matching(text("topics").unwrap_or("t.*"))?,
        tasks: number("tasks").transpose()?.map_or(1, |tasks| u32::try_from(tasks).unwrap()),
        target: Target { bucket: text("bucket").unwrap_or("b").to_owned(), ..Target::default() },
        layout: Arc::new(layout),
        rotation,
        on_null: if text("null") == Some("fail") { OnNull::Fail } else { OnNull::Ignore },
        on_error: OnError { tolerate: dead_letters.is_some() || text("tolerate").is_some(), dead_letters, log: true },
        retry: Retry::default(),
        overwrite: text("overwrite").is_some(),
    })
}
