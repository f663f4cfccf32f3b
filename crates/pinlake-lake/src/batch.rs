//! The batch path: raw objects through the same decoding, cleaning and key rule as the stream, into one commit a table.
//!
//! Chunks are decoded, cleaned and encoded on all cores; only the key rule runs in the order of the lake, so that the first
//! row of a key wins whatever the number of cores.

mod questions;
mod workers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use deltalake_core::kernel::Add;
use futures::{StreamExt, pin_mut};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use pinlake_core::pipeline::{Chosen, Pipeline, Route};
use pinlake_core::{Clock, Error, Result, TopicName, TopicPartition};

use crate::answers::{self, Answer};
use crate::archive::{self, DescribedObject};
use crate::clean::problem_error;
use crate::error;
use crate::keys::KeyIndex;
use crate::live::TableView;
use crate::raw::{self, Listing, RawObject};
use crate::rows::{Counts, Recipe};
use crate::store::Store;
use crate::table::{Change, Table};

/// The answers' file in the output.
pub const ANSWERS_FILE: &str = "answers.json";
/// Folder of the quarantine tables.
pub const QUARANTINE_DIR: &str = "quarantine";

/// How far a batch has come; shared with whoever shows it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Raw bytes to read in all.
    pub bytes_total: AtomicU64,
    /// Raw bytes whose rows are written.
    pub bytes_done: AtomicU64,
}

/// What a batch made of one table.
#[derive(Debug, Clone)]
pub struct TableSummary {
    /// The table.
    pub name: String,
    /// What became of the records.
    pub counts: Counts,
}

/// What a batch made.
#[derive(Debug)]
pub struct Summary {
    /// Table by table.
    pub tables: Vec<TableSummary>,
    /// The questions' answers.
    pub answers: Vec<Answer>,
    /// Files of the lake that are no raw objects, and were not read.
    pub passed_over: Vec<Path>,
    /// Topics of the lake that feed no table.
    pub unfed: BTreeSet<TopicName>,
}

/// Cleans the raw lake at `raw` into Delta tables under `out` and answers the questions from them, with what is `chosen` of their
/// choices.
///
/// # Errors
/// What is wrong with the pipeline, the lake or the output. No table is changed before all are cleaned, and the answers of an earlier batch are gone
/// as soon as one is.
pub async fn run(
    raw: &Store,
    out: &Store,
    (pipeline, chosen): (&Pipeline, &Chosen),
    clock: &Clock,
    progress: &Arc<Progress>,
) -> Result<Summary> {
    let Listing { objects, passed_over } = raw::list(raw).await?;
    let objects = with_manifest(raw, objects, clock).await?;
    let unfed = objects.iter().map(|object| &object.of.topic).filter(|topic| !pipeline.follows(topic)).cloned().collect();
    let fed: u64 = objects.iter().filter(|object| pipeline.follows(&object.of.topic)).map(|object| object.size).sum();
    progress.bytes_total.store(fed, Ordering::Relaxed);
    let mut tables = Vec::new();
    let mut cleaned = Vec::new();
    for index in 0..pipeline.tables.len() {
        let objects = objects.iter().filter(|object| pipeline.route(index, &object.of.topic).is_some()).cloned().collect();
        cleaned.push(clean_table(raw, objects, out, (pipeline, index), clock, progress).await?);
    }
    remove_answers(out).await?;
    let mut views = Vec::new();
    for (spec, cleaned) in pipeline.tables.iter().zip(cleaned) {
        let (table, counts) = cleaned.commit(out, &spec.name, clock).await?;
        views.push((spec.name.clone(), Arc::new(TableView::new(&table, Vec::new())?)));
        tables.push(TableSummary { name: spec.name.clone(), counts });
    }
    let answers = questions::answer(&pipeline.questions, chosen, &views, out).await?;
    let document = PutPayload::from(answers::document(&answers));
    out.objects().put(&Path::from(ANSWERS_FILE), document).await.map_err(|e| error::store("writing the answers", e))?;
    Ok(Summary { tables, answers, passed_over, unfed })
}

/// Of objects that a Pinlake server wrote the manifest beside them knows more: the keys, which say whose the records of a shared
/// topic are.
async fn with_manifest(raw: &Store, listed: Vec<RawObject>, clock: &Clock) -> Result<Vec<RawObject>> {
    let Some(objects) = archive::described_objects(raw, clock).await? else { return Ok(listed) };
    let mut known: BTreeMap<Path, RawObject> =
        objects.into_iter().filter_map(DescribedObject::raw).map(|of| (of.path.clone(), of)).collect();
    Ok(listed.into_iter().map(|object| known.remove(&object.path).unwrap_or(object)).collect())
}

async fn remove_answers(out: &Store) -> Result<()> {
    match out.objects().delete(&Path::from(ANSWERS_FILE)).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error::store("removing the earlier answers", error)),
    }
}

/// A table's files, which no commit names yet.
struct Cleaned {
    table: Table,
    rows: Vec<Add>,
    quarantined: Vec<Add>,
    counts: Counts,
}

async fn clean_table(
    raw: &Store,
    objects: Vec<RawObject>,
    out: &Store,
    (pipeline, index): (&Pipeline, usize),
    clock: &Clock,
    progress: &Arc<Progress>,
) -> Result<Cleaned> {
    let spec = &pipeline.tables[index];
    let route = |topic: &TopicName| pipeline.route(index, topic);
    let recipe = Arc::new(Recipe::compile(spec).await.map_err(|problem| problem_error(&problem))?);
    let table = Table::open(out.folder(&spec.name), &spec.name, recipe.schema().clone(), clock.clone()).await?;
    let quarantine = out.folder(QUARANTINE_DIR).folder(&spec.name);
    let files = OutputFiles { rows: table.store(), quarantine: &quarantine, placed: false };
    let output = Output { recipe: &recipe, files: Some(files), route: &route };
    let built = build(raw, objects, output, clock, progress).await?;
    let mut counts = Counts::default();
    built.counts.values().for_each(|partition| counts.add(partition));
    Ok(Cleaned { table, rows: built.rows, quarantined: built.quarantined, counts })
}

impl Cleaned {
    /// Replaces what an earlier batch left.
    async fn commit(mut self, out: &Store, name: &str, clock: &Clock) -> Result<(Table, Counts)> {
        let quarantine = out.folder(QUARANTINE_DIR).folder(name);
        // An earlier batch's quarantine is replaced also by nothing.
        if !self.quarantined.is_empty() || Table::exists(&quarantine).await? {
            let name = format!("{QUARANTINE_DIR}.{name}");
            let mut set_aside = Table::open(quarantine, &name, crate::quarantine::schema(), clock.clone()).await?;
            replace(&mut set_aside, self.quarantined).await?;
        }
        replace(&mut self.table, self.rows).await?;
        Ok((self.table, self.counts))
    }
}

/// Replaces all rows of a table by `files`, in one commit.
async fn replace(table: &mut Table, add: Vec<Add>) -> Result<u64> {
    let remove = table.files()?;
    table.commit(Change { add, remove, data_change: true, replace: true, ..Change::default() }).await
}

/// What was made of raw objects: files in the store that no commit names yet.
#[derive(Debug)]
pub struct Built {
    /// Files of clean rows.
    pub rows: Vec<Add>,
    /// Files of quarantined records.
    pub quarantined: Vec<Add>,
    /// What became of the records of each partition.
    pub counts: BTreeMap<TopicPartition, Counts>,
    /// The keys of the rows.
    pub index: KeyIndex,
}

/// What is to be made of raw objects, and where it goes.
#[derive(Clone, Copy)]
pub struct Output<'a> {
    /// The table's compiled definition.
    pub recipe: &'a Arc<Recipe>,
    /// The files to write; `None` where only keys and counts are wanted.
    pub files: Option<OutputFiles<'a>>,
    /// Which records of a topic are the table's.
    pub route: &'a (dyn Fn(&TopicName) -> Option<Route> + Sync),
}

/// Where the files of a batch go.
#[derive(Clone, Copy)]
pub struct OutputFiles<'a> {
    /// Those of rows.
    pub rows: &'a Store,
    /// Those of quarantined records.
    pub quarantine: &'a Store,
    /// Whether the rows say where they came from, as those of a streamed table do.
    pub placed: bool,
}

/// Runs `objects` through a recipe, into files where the output names some.
pub async fn build(
    raw: &Store,
    objects: Vec<RawObject>,
    output: Output<'_>,
    clock: &Clock,
    progress: &Arc<Progress>,
) -> Result<Built> {
    let routed = |object: &RawObject| Some((object.of.topic.clone(), (output.route)(&object.of.topic)?));
    let routes = objects.iter().filter_map(routed).collect();
    let (crew, sender) = workers::Crew::start(&output, routes, progress);
    let chunks = raw::chunks(raw, objects);
    pin_mut!(chunks);
    let mut read = Ok(());
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(chunk) => {
                // The crew is gone when a worker failed; its error comes with finish().
                if sender.send(chunk).await.is_err() {
                    break;
                }
            }
            Err(error) => {
                read = Err(error);
                break;
            }
        }
    }
    drop(sender);
    let built = crew.finish(clock).await;
    read.and(built)
}

/// How many workers run.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn joined<T>(joined: Result<T, tokio::task::JoinError>) -> Result<T> {
    joined.map_err(|e| Error::internal("a batch worker stopped").with_source(e))
}
