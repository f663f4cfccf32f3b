//! The vectors of Kafka's own client tests, and Kinesis's ranges.

use super::*;

/// The vectors of the Java client's `UtilsTest.testMurmur2`.
#[test]
fn murmur2_is_javas() {
    for (text, hash) in [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ] {
        assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
    }
}

#[test]
fn md5_of_the_key_picks_the_shard() {
    assert_eq!(hash_key(b"test"), 0x098f_6bcd_4621_d373_cade_4e83_2627_b4f6);
    assert_eq!(Partitioning::Kinesis.of_key(b"test", 4), 0);
    assert_eq!(Partitioning::Kinesis.of_key(b"", 4), 3, "md5 of nothing is d41d8cd9...");
    assert_eq!(Partitioning::Kinesis.of_key(b"anything", 1), 0);
}

#[test]
fn ranges_cover_the_space_without_a_gap_and_agree_with_the_shard() {
    for shards in [1, 2, 3, 4, 5, 7, 16, 1000] {
        let mut next = 0_u128;
        for shard in 0..shards {
            let (start, end) = hash_range(shard, shards);
            assert_eq!(start, next, "{shards} shards");
            assert_eq!(shard_of_hash(start, shards), shard);
            assert_eq!(shard_of_hash(end, shards), shard);
            next = end.wrapping_add(1);
        }
        assert_eq!(next, 0, "the last range ends with the space");
    }
    assert_eq!(hash_range(0, 5).1, 68_056_473_384_187_692_692_674_921_486_353_642_290, "the first of five, as AWS shows it");
}

#[test]
fn keyless_records_stay_and_then_move_on() {
    let sticky = Sticky::default();
    let partitions: Vec<u32> = (0..7).map(|_| sticky.next(50, 100, 3)).collect();
    assert_eq!(partitions, [0, 0, 1, 1, 2, 2, 0]);
    assert_eq!(sticky.next(u64::MAX / 2, 100, 1), 0);
}
