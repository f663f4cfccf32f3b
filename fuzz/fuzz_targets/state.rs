//! Any records in the topics that keep groups and transactions.
#![no_main]

libfuzzer_sys::fuzz_target!(init: pinlake_fuzz::write_seeds(pinlake_ingest::testing::seeds::state()), |bytes: &[u8]| pinlake_ingest::testing::any_state(bytes));
