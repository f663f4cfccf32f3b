//! Any body of a call to one of AWS's services.
#![no_main]

libfuzzer_sys::fuzz_target!(init: pinlake_fuzz::write_seeds(pinlake_ingest::testing::seeds::aws_input()), |bytes: &[u8]| pinlake_ingest::testing::any_aws_input(bytes));
