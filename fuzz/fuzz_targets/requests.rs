//! Any requests of the wire protocol, in whole frames.
#![no_main]

libfuzzer_sys::fuzz_target!(init: pinlake_fuzz::write_seeds(pinlake_ingest::testing::seeds::requests()), |bytes: &[u8]| pinlake_ingest::testing::any_requests(bytes));
