//! Records add up to the same state whether they are read one by one or as a snapshot.

use std::time::Duration;

use pinlake_core::{Timestamp, TopicName};

use super::*;
use crate::groups::calls::TransactionProducer;
use crate::transactions::calls::TransactionState;

fn id(name: &str) -> TransactionalId {
    TransactionalId::new(name).unwrap()
}

fn held(producer: i64, partitions: u32) -> Transaction {
    let mut held = Transaction::new(producer, Duration::from_secs(1), Timestamp(5));
    held.partitions = (0..partitions).map(|number| TopicName::new("t").unwrap().partition(number)).collect();
    held
}

fn after(changes: &[Change]) -> State {
    let mut state = State::default();
    changes.iter().for_each(|change| state.apply(change.clone(), 0));
    state
}

#[test]
fn a_snapshot_is_the_state() {
    let is = |name: &str, is: Transaction| Change::Transaction { id: id(name), is };
    let mut changes = vec![
        Change::ProducerIds { end: 1000 },
        is("a", held(0, 3)),
        is("b", held(1, 2)),
        is("a", held(2, 1)),
        Change::ProducerIds { end: 2000 },
        Change::ProducerIds { end: 1000 },
        Change::Forgotten { id: id("b") },
        Change::Forgotten { id: id("c") },
    ];
    let state = after(&changes);
    assert_eq!((state.ids_end(), state.len(), state.partitions()), (2000, 1, 1));
    assert_eq!(state.holder(2).map(|(name, _)| name), Some(&id("a")));
    assert_eq!((state.holder(0), state.holder(1)), (None, None), "producer ids that nobody holds any more");
    changes.push(is("d", held(7, 2)));
    let state = after(&changes);
    let snapshot: Vec<Change> = state.parts().iter().flat_map(|part| state.changes_of(part)).collect();
    assert_eq!(after(&snapshot), state);
    assert_eq!(state.partitions(), 3);
}

#[test]
fn a_record_is_read_back_as_it_was_written() {
    let mut whole = held(3, 2);
    whole.previous = Some(TransactionProducer { id: 1, epoch: 32_766 });
    whole.state = TransactionState::PrepareCommit;
    whole.groups.insert(crate::groups::calls::GroupId::new("g").unwrap());
    whole.started_at_ms = Some(17);
    for is in [whole, held(4, 0)] {
        let change = Change::Transaction { id: id("a \"quoted\" id"), is };
        let text = serde_json::to_string(&change).unwrap();
        assert_eq!(serde_json::from_str::<Change>(&text).unwrap(), change, "{text}");
    }
    let text = serde_json::to_string(&Change::Transaction { id: id("a"), is: held(4, 0) }).unwrap();
    assert_eq!(
        text,
        "{\"transaction\":{\"id\":\"a\",\"is\":{\"producer\":{\"id\":4,\"epoch\":0},\"timeout_ms\":1000,\"state\":\"empty\",\
         \"changed_at_ms\":5}}}"
    );
}
