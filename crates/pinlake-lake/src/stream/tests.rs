//! Work in parts: every offset is accounted for once, whatever the batches hold.

use pinlake_core::Record;
use pinlake_core::pipeline::parse;

use super::*;

async fn recipe() -> Arc<Recipe> {
    let pipeline = "pipeline: t\ntopics: { t: { match: ['t'] } }\narchive: { format: json, flush: { records: 3, bytes: 1MiB, age: 60s } }\n\
                    tables: { t: { clean: t.sql, key: [k], schema: { k: bigint }, commit: { records: 1, bytes: 1MiB, age: 1s } } }\n";
    let files = [("pipeline.yml", pipeline), ("t.sql", "SELECT k FROM raw")];
    let pipeline = parse(&files.map(|(path, text)| (path.to_owned(), text.to_owned())).into()).unwrap();
    Arc::new(Recipe::compile(&pipeline.tables[0]).await.unwrap())
}

fn values(count: usize) -> Batch {
    let records: Vec<Record> = (0..count).map(|_| Record::of_value("x")).collect();
    Batch::of(&records, Timestamp(1)).unwrap()
}

/// Where each part ends, and how many records and other offsets it has.
fn parts(recipe: &Arc<Recipe>, offsets: (i64, i64), batches: &[Batch]) -> Vec<(i64, usize, u64)> {
    let of = pinlake_core::TopicName::new("t").unwrap().partition(0);
    let offsets = OffsetRange { start: Offset(offsets.0), end: Offset(offsets.1) };
    let work = Work { recipe: recipe.clone(), of, route: Route::All, offsets, batches: batches.to_vec() };
    let mut found = Vec::new();
    work.prepare(|part| {
        found.push((part.next.0, part.places.len(), part.without_record));
        true
    })
    .unwrap();
    found
}

#[tokio::test]
async fn every_offset_is_accounted_for() {
    let recipe = recipe().await;
    let batches = [values(3).at(Offset(10)), values(2).at(Offset(20)).emptied(), values(2).at(Offset(30))];
    assert_eq!(parts(&recipe, (5, 32), &batches), [(32, 5, 22)], "with what is missing between batches");
    assert_eq!(parts(&recipe, (12, 31), &batches), [(31, 2, 17)], "from the middle of a batch to the middle of one");
    assert_eq!(parts(&recipe, (12, 40), &batches), [(32, 3, 17), (40, 0, 8)], "past the last");
    assert_eq!(parts(&recipe, (5, 9), &[]), [(9, 0, 4)]);
    assert_eq!(parts(&recipe, (5, 5), &batches), []);
}

#[tokio::test]
async fn what_is_much_comes_in_parts() {
    let recipe = recipe().await;
    let batches = [values(PART_RECORDS_MAX + 1), values(2).at(Offset(200_000)).emptied()];
    let most = PART_RECORDS_MAX as i64;
    assert_eq!(parts(&recipe, (0, 200_002), &batches), [(most, PART_RECORDS_MAX, 0), (200_002, 1, 100_001)]);
}
