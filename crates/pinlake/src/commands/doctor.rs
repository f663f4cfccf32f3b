//! `pinlake doctor`: whether this machine and setup will do, and what to do if not.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use pinlake_lake::store::Store;
use pinlake_log::DiskLog;

use crate::cli::SetupArgs;
use crate::config::Config;
use crate::places::local_folder;
use crate::{cluster, pipeline_files, terminal};

/// Runs the command.
pub(crate) async fn run(args: SetupArgs) -> Result<()> {
    let config = match super::serve::configure(&args) {
        Ok(config) => config,
        Err(error) => bail!("configuration: {error:#}"),
    };
    let mut wrong = 0;
    let mut report = |what: &str, found: Result<String>| match found {
        Ok(good) => terminal::line(format!("✓ {what}: {good}")),
        Err(error) => {
            wrong += 1;
            terminal::line(format!("✗ {what}: {error:#}"));
        }
    };
    let pipeline = pipeline_files::load(config.pipeline_folder());
    if let (true, Ok(pipeline)) = (config.log.kafka.is_set(), &pipeline) {
        for (what, found) in cluster::look(&config.log.kafka, pipeline).await {
            report(&what, found);
        }
    }
    report("pipeline", pipeline.map(|pipeline| pipeline.name));
    for (number, (listen, reach)) in config.listened().enumerate() {
        let (what, option) = if number == 0 { ("address", "http.listen") } else { ("Kafka address", "kafka.listen") };
        report(what, address(option, listen, reach));
    }
    report("data folder", data_folder(&config));
    report("disk", disk(&config.data_dir));
    report("open files", open_files(config.http.connections_max + config.kafka.connections_max));
    report("store", store(&config.store_location()).await);
    if wrong == 0 { Ok(()) } else { bail!("{} to mend", terminal::count(wrong, "thing")) }
}

fn address(option: &str, listen: std::net::SocketAddr, reach: &str) -> Result<String> {
    if crate::address::take_all(option, &[listen, listen]).is_ok_and(|taken| taken.is_empty()) {
        return Ok(format!("{listen} is left out, this machine has no IPv6"));
    }
    crate::address::take(option, listen)?;
    if listen.ip().is_loopback() {
        return Ok(format!("{listen} is free, loopback only"));
    }
    Ok(format!("{listen} is free; it {reach}"))
}

/// A server keeps its folder to itself, whatever its address.
fn data_folder(config: &Config) -> Result<String> {
    DiskLog::check_free(&config.log_folder())?;
    Ok(format!("no server has {} open", config.data_dir.display()))
}

/// Writes and syncs as an append does, where the data folder is or will be.
fn disk(data_dir: &Path) -> Result<String> {
    let there = existing(data_dir);
    let mut file = tempfile::tempfile_in(&there).with_context(|| format!("writing in '{}'", there.display()))?;
    let mut syncs = Vec::new();
    for _ in 0..SYNCS {
        let began = tokio::time::Instant::now();
        file.write_all(&[0; 4096])
            .and_then(|()| file.sync_data())
            .with_context(|| format!("syncing in '{}'", there.display()))?;
        syncs.push(began.elapsed());
    }
    syncs.sort();
    let stat = rustix::fs::statvfs(&there).context("asking for the room on the disk")?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let shown = format!("{}, {} free", there.display(), bytesize::ByteSize(free));
    if free < FREE_BYTES_MIN {
        bail!("{shown}: appends stop when it is full; make room or set data_dir");
    }
    Ok(format!("{shown}, a sync takes {:.1} ms", syncs[SYNCS / 2].as_secs_f64() * 1000.0))
}

/// How many syncs are timed.
const SYNCS: usize = 5;
/// Less free room than this is worth a word.
const FREE_BYTES_MIN: u64 = 1 << 30;
/// Files that are open beside connections: segments, tables, standard streams.
const FILES_BESIDE: u64 = 512;

fn open_files(connections_max: usize) -> Result<String> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    let wanted = connections_max as u64 + FILES_BESIDE;
    if limit < wanted {
        bail!("{limit} may be open, {connections_max} connections take {wanted}: raise it ('ulimit -n {wanted}')");
    }
    Ok(format!("{limit} may be open"))
}

/// The folder, or the closest one above it that is there.
fn existing(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    absolute.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("/")).to_owned()
}

/// Writes, conditionally writes again and deletes an object: commits and the archive rest on the refusal. A folder that is not
/// there yet is the first start's to make, so the closest one above it is looked at.
async fn store(location: &str) -> Result<String> {
    let missing = local_folder(location).filter(|folder| !folder.exists());
    let above = missing.as_ref().and_then(|folder| folder.ancestors().find(|folder| folder.exists()));
    let probed = match &missing {
        Some(_) => above.unwrap_or(Path::new(".")).to_string_lossy().into_owned(),
        None => location.to_owned(),
    };
    let store = Store::open(&probed)?;
    let refused = store.probe(Bytes::from_static(b"pinlake doctor")).await?;
    if !refused {
        bail!("{} overwrites objects that must only be created: commits could be lost; use another store", store.url());
    }
    let then = missing.map_or_else(String::new, |folder| format!("; the first start makes '{}'", folder.display()));
    Ok(format!("{} keeps conditional writes{then}", store.url()))
}
