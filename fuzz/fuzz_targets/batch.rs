//! Any bytes as a record batch, with every codec.
#![no_main]

use pinlake_core::testing::any_batch;

libfuzzer_sys::fuzz_target!(init: pinlake_fuzz::write_seeds(any_batch::seeds()), |bytes: &[u8]| any_batch::run(bytes));
