//! Any HTTP requests, one after another.
#![no_main]

libfuzzer_sys::fuzz_target!(init: pinlake_fuzz::write_seeds(pinlake_ingest::testing::seeds::http()), |bytes: &[u8]| pinlake_ingest::testing::any_http(bytes));
