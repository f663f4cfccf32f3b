//! `pinlake rebuild`: the batch path on a running server.

use anyhow::Result;
use pinlake_web::answers::RebuiltTables;
use serde_json::json;

use crate::cli::RebuildArgs;
use crate::client::Client;
use crate::terminal::{self, count};

/// Runs the command.
pub(crate) async fn run(args: RebuildArgs) -> Result<()> {
    let path = format!("/api/v1/tables/{}/rebuild", args.table);
    let RebuiltTables { tables } = Client::new(&args.server.server).post(&path, json!({})).await?;
    for table in tables {
        terminal::line(format!(
            "{}: version {}, {}, {}, {}, {}, {} quarantined, {} of other tables, {:.0} ms",
            table.table,
            table.version,
            count(table.records, "record"),
            count(table.rows, "row"),
            count(table.duplicates, "duplicate"),
            count(table.conflicts, "conflict"),
            table.quarantined,
            table.elsewhere,
            table.elapsed_ms
        ));
    }
    Ok(())
}
