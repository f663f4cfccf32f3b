//! `pinlake trace`: where one record went.

use anyhow::Result;
use pinlake_web::answers::Trace;

use crate::cli::TraceArgs;
use crate::client::Client;
use crate::terminal;

/// Runs the command.
pub(crate) async fn run(args: TraceArgs) -> Result<()> {
    let path = format!("/api/v1/trace/{}/{}/{}", args.topic, args.partition, args.offset);
    let trace: Trace = Client::new(&args.server.server).get(&path).await?;
    terminal::line(serde_json::to_string_pretty(&trace)?);
    Ok(())
}
