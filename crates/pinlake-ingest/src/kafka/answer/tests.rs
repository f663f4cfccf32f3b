//! Answers in pieces: their order, and writes that stop anywhere.

use super::*;

fn gathered() -> Answer {
    let mut pieces = Pieces::default();
    pieces.open().extend_from_slice(b"ab");
    pieces.push(&Bytes::from(vec![b'c'; COPIED_BYTES_MAX]));
    pieces.push(&Bytes::from_static(b"small"));
    pieces.push(&Bytes::from(vec![b'd'; COPIED_BYTES_MAX + 1]));
    let head = Bytes::from(pieces.len().to_string());
    pieces.behind(head)
}

fn expected() -> Vec<u8> {
    let body = [&b"ab"[..], &[b'c'; COPIED_BYTES_MAX], b"small", &[b'd'; COPIED_BYTES_MAX + 1]].concat();
    [body.len().to_string().as_bytes(), &body].concat()
}

#[test]
fn pieces_are_one_answer_in_order() {
    let mut answer = gathered();
    assert_eq!(answer.remaining(), expected().len());
    assert_eq!(answer.pieces.len(), 5, "the head, what was copied, and the two large ones");
    assert_eq!(answer.copy_to_bytes(expected().len()), expected());
    assert!(!answer.has_remaining());
}

#[test]
fn an_answer_goes_on_wherever_a_write_stopped() {
    for step in [1, 3, 4095, 4096, 5000, 9000] {
        let (mut answer, mut sent) = (gathered(), Vec::new());
        while answer.has_remaining() {
            let mut slices = [IoSlice::new(&[]); 2];
            let filled = answer.chunks_vectored(&mut slices);
            let ready: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.iter().copied()).collect();
            let written = ready.len().min(step);
            sent.extend_from_slice(&ready[..written]);
            answer.advance(written);
        }
        assert_eq!(sent, expected(), "in steps of {step}");
    }
}
