//! Objects' names, byte for byte.

use pinlake_core::TopicName;

use super::*;

fn of(topic: &str, partition: u32) -> TopicPartition {
    TopicName::new(topic).unwrap().partition(partition)
}

#[test]
fn names_are_those_of_the_s3_sink_byte_for_byte() {
    let naming = Naming::default();
    let name = |topic, partition, place, start, ending| naming.name(&of(topic, partition), place, Offset(start), ending);
    assert_eq!(name("user.pin", 0, "partition=0", 0, ".json"), "topics/user.pin/partition=0/user.pin+0+0000000000.json");
    assert_eq!(name("0a1b.pin", 2, "partition=2", 3, ".json"), "topics/0a1b.pin/partition=2/0a1b.pin+2+0000000003.json");
    let huge = name("t", 0, "year=2024/month=05", 12_345_678_901, ".snappy.parquet");
    assert_eq!(huge, "topics/t/year=2024/month=05/t+0+12345678901.snappy.parquet");
    assert_eq!(name("t", 0, "f=a b", 7, ".keys.json.gz"), "topics/t/f=a b/t+0+0000000007.keys.json.gz");
}

#[test]
fn folder_delimiters_and_digits_can_be_chosen() {
    let naming =
        Naming { folder: " ".to_owned(), folder_delimiter: "_".to_owned(), file_delimiter: "-".to_owned(), offset_digits: 3 };
    assert_eq!(naming.name(&of("t", 1), "partition=1", Offset(5), ".bin"), "t_partition=1_t-1-005.bin");
    let naming = Naming { folder: "a/b".to_owned(), offset_digits: 0, ..Naming::default() };
    assert_eq!(naming.name(&of("t", 1), "p", Offset(5), ".bin"), "a/b/t/p/t+1+5.bin");
}

#[test]
fn what_no_store_keeps_is_a_problem_of_the_record() {
    let naming = Naming::default();
    for place in ["f=a/../b", "f=a//b", "f=\n", "..", "/x", "f=a\u{0}", &"x".repeat(256), &"y/".repeat(500)] {
        assert!(naming.check(&of("t", 0), place, Offset(0)).is_err(), "{place:?}");
    }
    assert!(naming.check(&of("t", 0), "f=ü/g=…", Offset(0)).is_ok());
}
