//! Any bytes that a client of the wire protocol sends.
#![no_main]

libfuzzer_sys::fuzz_target!(init: pinlake_fuzz::write_seeds(pinlake_ingest::testing::seeds::connection()), |bytes: &[u8]| pinlake_ingest::testing::any_connection(bytes));
