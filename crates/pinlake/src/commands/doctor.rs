//! `pinlake doctor`: whether this machine and setup will do, and what to do if not.

use std::path::Path;

use anyhow::{Result, bail};
use bytes::Bytes;
use pinlake_lake::store::Store;

use crate::cli::ServeArgs;
use crate::places::local_folder;
use crate::{pipeline_files, terminal};

/// Runs the command.
pub(crate) async fn run(args: ServeArgs) -> Result<()> {
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
    report("pipeline", pipeline_files::load(config.pipeline_folder()).map(|pipeline| pipeline.name));
    report("address", address(&config).await);
    report("store", store(&config.store_location()).await);
    if wrong == 0 { Ok(()) } else { bail!("{} to mend", terminal::count(wrong, "thing")) }
}

async fn address(config: &Config) -> Result<String> {
    let listen = config.http.listen;
    match tokio::net::TcpListener::bind(listen).await {
        Ok(_) if listen.ip().is_loopback() => Ok(format!("{listen} is free, loopback only")),
        Ok(_) => Ok(format!("{listen} is free; it is open to the network, and no principals are configured")),
        Err(error) => bail!("{listen} can't be used ({error}): end the other server, or set http.listen"),
    }
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
