//! What is taken, and what is not.

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp(1_600_000_000_000);

fn seal() -> Seal {
    Seal::new(&[7; KEY_LEN])
}

fn iterator(stream: &str) -> ShardIterator {
    ShardIterator { stream: stream.to_owned(), shard: 3, position: Offset(12_345) }
}

#[test]
fn the_length_is_kinesis_own() {
    for len in 1..=128 {
        let made = iterator(&"s".repeat(len));
        let text = made.encode(&seal(), NOW).unwrap();
        let bytes = STANDARD.decode(&text).unwrap();
        assert_eq!(bytes.len(), 152 + (len + 2) / 16 * 16, "{len}");
        assert!(text.len() <= 512 && bytes.starts_with(&[0, 0, 0, 0, 0, 0, 0, 1]), "{len}");
        assert_eq!(ShardIterator::decode(&seal(), &text, NOW), Ok(made));
    }
    for len in [129, 249] {
        let made = iterator(&"s".repeat(len));
        assert_eq!(ShardIterator::decode(&seal(), &made.encode(&seal(), NOW).unwrap(), NOW), Ok(made));
    }
}

#[test]
fn it_may_be_quoted_and_used_for_five_minutes() {
    let made = iterator("s");
    let text = made.encode(&seal(), NOW).unwrap();
    let at = |later_ms: i64| ShardIterator::decode(&seal(), &format!("\"{text}\""), Timestamp(NOW.0 + later_ms));
    assert_eq!(at(300_000), Ok(made.clone()));
    assert_eq!(at(300_001), Err(Unusable::Expired { issued: NOW }));
    assert_eq!(at(-60_000), Ok(made));
}

#[test]
fn two_of_the_same_place_do_not_look_alike() {
    let made = iterator("s");
    let (one, other) = (made.encode(&seal(), NOW).unwrap(), made.encode(&seal(), NOW).unwrap());
    assert_ne!(one[12..], other[12..]);
}

#[test]
fn what_was_made_under_another_key_or_for_another_purpose_is_forged() {
    let text = iterator("s").encode(&seal(), NOW).unwrap();
    assert_eq!(ShardIterator::decode(&Seal::new(&[8; KEY_LEN]), &text, NOW), Err(Unusable::Forged));
    let token = seal().token(Purpose::ListShards, b"content", NOW).unwrap();
    let content = |purpose, later_ms| seal().content(purpose, &token, Timestamp(NOW.0 + later_ms));
    assert_eq!(content(Purpose::ListShards, 300_000), Ok(b"content".to_vec()));
    assert_eq!(content(Purpose::ListShards, 300_001), Err(Unusable::Expired { issued: NOW }));
    assert_eq!(content(Purpose::ListStreams, 0), Err(Unusable::Forged));
    assert_eq!(ShardIterator::decode(&seal(), &token, NOW), Err(Unusable::Forged));
    assert_eq!(seal().content(Purpose::ListShards, &text, NOW), Err(Unusable::Forged));
    assert_eq!(seal().content(Purpose::ListShards, &"A".repeat(1 << 20), NOW), Err(Unusable::Forged));
}

proptest! {
    #[test]
    fn a_changed_one_is_forged(at in any::<usize>(), bit in 0..8_u32) {
        let mut bytes = STANDARD.decode(iterator("stream").encode(&seal(), NOW).unwrap()).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert_eq!(ShardIterator::decode(&seal(), &STANDARD.encode(bytes), NOW), Err(Unusable::Forged));
    }

    #[test]
    fn any_text_is_forged(text in ".{0,600}", bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for text in [text, STANDARD.encode(bytes)] {
            prop_assert_eq!(ShardIterator::decode(&seal(), &text, NOW), Err(Unusable::Forged));
            prop_assert_eq!(seal().content(Purpose::ListShards, &text, NOW), Err(Unusable::Forged));
        }
    }
}
