//! Lines find their offsets behind holes, and where nobody knows of any.

use super::*;

#[test]
fn lines_stand_behind_the_holes_before_them() {
    let runs = [Run::Hole(2), Run::Records(2, Timestamp(7)), Run::Hole(3), Run::Records(1, Timestamp(8)), Run::Hole(1)];
    let found: Vec<_> = places(Offset(10), &runs).take(5).map(|(offset, time)| (offset.0, time.map(|time| time.0))).collect();
    assert_eq!(found, [(12, Some(7)), (13, Some(7)), (17, Some(8)), (19, None), (20, None)]);
    let found: Vec<_> = places(Offset(10), &[]).take(2).collect();
    assert_eq!(found, [(Offset(10), None), (Offset(11), None)]);
}
