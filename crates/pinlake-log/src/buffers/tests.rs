//! When buffers come back, and how many are kept.

use super::*;

fn filled(buffers: &Buffers, len: usize, with: u8) -> Bytes {
    let fill = |bytes: &mut [u8]| {
        bytes.fill(with);
        Ok::<(), ()>(())
    };
    buffers.filled(len, fill).expect("it is filled")
}

#[test]
fn a_buffer_comes_back_when_its_last_part_is_gone() {
    let buffers = Buffers::default();
    let first = filled(&buffers, BUFFER_BYTES, 1);
    let (at, part) = (first.as_ptr(), first.slice(10..20));
    drop(first);
    assert_eq!(buffers.unused(), 0, "a part is in use");
    assert_eq!(part, vec![1; 10]);
    drop(part);
    let again = filled(&buffers, SHARED_BYTES_MIN, 2);
    assert_eq!(again.as_ptr(), at);
    assert_eq!(again, vec![2; SHARED_BYTES_MIN]);
}

#[test]
fn only_so_many_are_kept_and_none_of_another_size() {
    let buffers = Buffers::default();
    let many: Vec<Bytes> = (0..KEPT_MAX + 3).map(|_| filled(&buffers, BUFFER_BYTES, 0)).collect();
    drop(many);
    assert_eq!(buffers.unused(), KEPT_MAX);
    buffers.lock().clear();
    drop([filled(&buffers, SHARED_BYTES_MIN - 1, 0), filled(&buffers, BUFFER_BYTES + 1, 0)]);
    assert_eq!(buffers.unused(), 0);
}

#[test]
fn a_buffer_that_could_not_be_filled_comes_back_too() {
    let buffers = Buffers::default();
    assert_eq!(buffers.filled(BUFFER_BYTES, |_| Err("broken")), Err("broken"));
    assert_eq!(buffers.unused(), 1);
}
