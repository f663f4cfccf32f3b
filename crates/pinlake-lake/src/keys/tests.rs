//! Exactness, and the memory that the index promises.

use super::*;

fn admissions(index: &mut KeyIndex, rows: &[(u64, u32)]) -> Vec<Admission> {
    let keys = Keys::Integer(rows.iter().map(|row| row.0).collect());
    let digests: Vec<u32> = rows.iter().map(|row| row.1).collect();
    let mut found = Vec::new();
    index
        .admit(&keys, &digests, |row, admission| {
            assert_eq!(row, found.len());
            found.push(admission);
        })
        .unwrap();
    found
}

#[test]
fn the_first_row_of_a_key_wins() {
    let mut index = KeyIndex::new(&[&DataType::Int64]);
    let found = admissions(&mut index, &[(1, 10), (2, 20), (1, 10), (1, 11), (2, 20)]);
    use Admission::{Conflict, Duplicate, New};
    assert_eq!(found, [New, New, Duplicate, Conflict, Duplicate]);
    assert_eq!(admissions(&mut index, &[(1, 10), (3, 1)]), [Duplicate, New]);
    assert_eq!(index.len(), 3);
}

#[test]
fn memory_stays_under_24_bytes_a_key_at_every_size() {
    let mut index = KeyIndex::new(&[&DataType::Int64]);
    let mut next = 0_u64;
    while next < 3_000_000 {
        let rows: Vec<(u64, u32)> = (next..next + 50_000).map(|key| (key, 0)).collect();
        admissions(&mut index, &rows);
        next += 50_000;
        if next >= 500_000 {
            let bytes_a_key = index.allocated_bytes() as f64 / index.len() as f64;
            assert!(bytes_a_key < 24.0, "{bytes_a_key} bytes a key at {next} keys");
        }
    }
}

#[test]
fn keys_of_other_types_are_told_apart() {
    use datafusion::arrow::array::{Int32Array, StringViewArray};
    use std::sync::Arc;
    let name: ArrayRef = Arc::new(StringViewArray::from(vec!["a", "b", "a", "ab"]));
    let part: ArrayRef = Arc::new(Int32Array::from(vec![1, 1, 1, 1]));
    let rows = RecordBatch::try_from_iter([("name", name), ("part", part)]).unwrap();
    let mut index = KeyIndex::new(&[&DataType::Utf8View, &DataType::Int32]);
    let keys = keys_of(&rows, &[0, 1]).unwrap();
    let digests = digests_of(&rows, 2).unwrap();
    let mut found = Vec::new();
    index.admit(&keys, &digests, |_, admission| found.push(admission)).unwrap();
    use Admission::{Duplicate, New};
    assert_eq!(found, [New, New, Duplicate, New]);
}
