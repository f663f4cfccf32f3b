//! What is noted comes back as it was, from its changes and from a snapshot.

use pinlake_core::topic_store::Kept;

use super::*;

fn of(partition: u32) -> TopicPartition {
    TopicName::new("t").unwrap().partition(partition)
}

fn history() -> Vec<Change> {
    let sink = || "s".to_owned();
    let config = Config::from([("flush.size".to_owned(), "1".to_owned())]);
    let intent = |end| Intent { end: Offset(end), at: 7 * end };
    vec![
        Change::Config { sink: sink(), config: config.clone() },
        Change::Started { sink: sink() },
        Change::Position { sink: sink(), of: of(0), at: Offset(3), topic: None },
        Change::Intents { sink: sink(), of: of(0), intents: vec![intent(5), intent(9)] },
        Change::Letters { sink: sink(), of: of(0), before: Offset(4) },
        Change::Position { sink: sink(), of: of(1), at: Offset(0), topic: Some(TopicId::random()) },
        Change::Position { sink: sink(), of: of(0), at: Offset(5), topic: None },
        Change::Wanted { sink: sink(), wanted: Wanted::Paused },
        Change::Unused { sink: sink(), topics: [of(0).topic, TopicName::new("u").unwrap()].into() },
        Change::Position { sink: sink(), of: of(0), at: Offset(5), topic: None },
        Change::Config { sink: "gone".to_owned(), config },
        Change::Position { sink: "gone".to_owned(), of: of(1), at: Offset(8), topic: None },
        Change::Deleted { sink: "gone".to_owned(), at: 77 },
        Change::Moved { sink: sink(), of: of(2), to: Some(Offset(4)) },
        Change::Moved { sink: sink(), of: of(1), to: None },
        Change::Config { sink: "forgotten".to_owned(), config: Config::new() },
        Change::Forgotten { sink: "forgotten".to_owned() },
    ]
}

#[test]
fn a_snapshot_says_what_its_changes_said() {
    let mut known = Known::default();
    for change in history() {
        let json = serde_json::to_string(&change).unwrap();
        assert_eq!(serde_json::from_str::<Change>(&json).unwrap(), change, "{json}");
        known.apply(change, 0);
        let mut again = Known::default();
        let parts = known.parts();
        parts.iter().flat_map(|part| known.changes_of(part)).for_each(|change| again.apply(change, 0));
        assert_eq!(again, known);
    }
    let standing = &known.sinks["s"].partitions[&of(0)];
    assert_eq!((standing.position, standing.letters), (Offset(5), Offset(4)));
    assert_eq!(standing.intents, [Intent { end: Offset(9), at: 63 }], "what is written needs no intent");
    assert_eq!(known.sinks["s"].partitions.keys().cloned().collect::<Vec<_>>(), [of(0), of(2)]);
    assert_eq!(known.sinks["s"].unused, [TopicName::new("u").unwrap()].into());
    assert_eq!(known.sinks.keys().collect::<Vec<_>>(), ["gone", "s"]);
    assert_eq!(known.sinks["gone"].config, None, "but its positions are there");
}
