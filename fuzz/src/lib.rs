//! What the fuzz targets share. The work is done by the `testing` modules of the crates, which a test of each crate calls too.

use std::path::Path;

/// Writes the inputs that a target starts from into the folder that `PINLAKE_FUZZ_SEEDS` names, if it does.
pub fn write_seeds(seeds: Vec<Vec<u8>>) {
    let Some(folder) = std::env::var_os("PINLAKE_FUZZ_SEEDS") else { return };
    for (number, seed) in seeds.iter().enumerate() {
        std::fs::write(Path::new(&folder).join(format!("seed-{number:04}")), seed).expect("the folder of the seeds is there");
    }
}
