//! The line that counts.

use super::Counts;

#[test]
fn counts_are_read_with_and_without_what_was_left_out() {
    assert_eq!(Counts::parse("20 passed, 1 failed"), Some(Counts { passed: 20, failed: 1, skipped: 0 }));
    assert_eq!(Counts::parse("60 passed, 0 failed, 2 skipped"), Some(Counts { passed: 60, failed: 0, skipped: 2 }));
    assert_eq!(Counts::parse("ok 0001_multiobj 2.4"), None);
    assert_eq!(Counts::parse("FAIL passed, failed"), None);
}
