//! Stages, empty segments, and paths that are nobody's.

use super::*;

fn found(path: &str) -> Option<(Door, Vec<&str>)> {
    door_of(path).map(|(door, rest)| (door, rest.as_slice().to_vec()))
}

#[test]
fn one_stage_or_none_leads_to_the_same_door() {
    for stage in ["", "/prod", "/test", "/a-zA-Z0-9_", "/Development", "/", "//x//", "/x%20y"] {
        assert_eq!(found(&format!("{stage}/topics/0a.pin")), Some((Door::Topics, vec!["0a.pin"])), "{stage}");
        assert_eq!(found(&format!("{stage}//streams/s//record/")), Some((Door::Streams, vec!["s", "record"])), "{stage}");
        assert_eq!(found(&format!("{stage}/pin/")), Some((Door::Pin, vec![])), "{stage}");
        assert_eq!(found(&format!("{stage}/consumers/g")), Some((Door::Consumers, vec!["g"])), "{stage}");
        assert_eq!(found(&format!("{stage}/v3/clusters/")), Some((Door::V3, vec!["clusters"])), "{stage}");
        assert_eq!(found(&format!("{stage}/brokers")), Some((Door::Brokers, vec![])), "{stage}");
    }
}

#[test]
fn a_door_name_further_on_is_only_a_name() {
    assert_eq!(found("/topics/streams"), Some((Door::Topics, vec!["streams"])));
    assert_eq!(found("/streams/topics/record"), Some((Door::Streams, vec!["topics", "record"])));
}

#[test]
fn other_paths_are_nobodys() {
    for path in ["", "/", "/x", "/a/b/topics", "/api/topics", "/connectors/topics", "/topics/1/2/3/4/5/6/7/8/9"] {
        assert_eq!(found(path), None, "{path}");
    }
}

#[test]
fn segments_and_queries_are_decoded() {
    assert_eq!(decode("a%2Eb%ff"), "a.b\u{fffd}");
    assert_eq!(query_value(Some("Limit=3&stream-name=a%2db+c"), "stream-name").as_deref(), Some("a-b c"));
    assert_eq!(query_value(Some("Limit=3"), "stream-name"), None);
    assert_eq!(query_value(None, "stream-name"), None);
}
