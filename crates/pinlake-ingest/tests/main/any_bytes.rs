//! What fuzzing starts from and what it found, each a file below `tests/fuzz/TARGET/`, and some bytes more: no panic, no end that never
//! comes. `cargo xtask fuzz` goes on from here.

use std::path::Path;

use pinlake_ingest::testing::{any_aws_input, any_connection, any_http, any_requests, any_state, seeds};
use proptest::prelude::*;

/// The files of a target: what fuzzing found.
fn found(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(target);
    let Ok(files) = std::fs::read_dir(folder) else { return Vec::new() };
    files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

fn replay(target: &str, seeds: &[Vec<u8>], run: fn(&[u8])) {
    assert!(!seeds.is_empty());
    for input in seeds.iter().chain(&found(target)) {
        run(input);
    }
}

#[test]
fn any_client_is_answered_or_cut_off() {
    replay("connection", &seeds::connection(), any_connection);
}

#[test]
fn any_requests_are_answered_or_refused() {
    replay("requests", &seeds::requests(), any_requests);
}

#[test]
fn any_http_request_is_answered() {
    replay("http", &seeds::http(), any_http);
}

#[test]
fn any_input_of_an_operation_is_read_or_refused() {
    let seeds = seeds::aws_input();
    assert_eq!(seeds.len(), 22, "each seed is good input, and so is there in CBOR too");
    replay("aws", &seeds, any_aws_input);
}

#[test]
fn any_records_in_the_servers_own_topics_are_read() {
    replay("state", &seeds::state(), any_state);
}

/// A seed of which a few bytes are others.
fn near(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (prop::sample::select(seeds), changes).prop_map(|(mut seed, changes)| {
        for (at, byte) in changes {
            let at = at.index(seed.len());
            seed[at] = byte;
        }
        seed
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn bytes_near_a_conversation(bytes in near(seeds::connection())) {
        any_connection(&bytes);
    }

    #[test]
    fn bytes_near_requests(bytes in near(seeds::requests())) {
        any_requests(&bytes);
    }

    #[test]
    fn bytes_near_http(bytes in near(seeds::http())) {
        any_http(&bytes);
    }

    #[test]
    fn bytes_near_an_input(bytes in near(seeds::aws_input())) {
        any_aws_input(&bytes);
    }

    #[test]
    fn bytes_near_stored_records(bytes in near(seeds::state())) {
        any_state(&bytes);
    }
}
