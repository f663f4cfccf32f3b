//! `pinlake rebuild`: the batch path on a running server.

use anyhow::Result;
use serde_json::{Value, json};

use crate::cli::RebuildArgs;
use crate::client::Client;
use crate::terminal::{self, count};

/// Runs the command.
pub(crate) async fn run(args: RebuildArgs) -> Result<()> {
    let answer = Client::new(&args.server.server).post(&format!("/api/v1/tables/{}/rebuild", args.table), json!({})).await?;
    let tables = answer.as_array().cloned().or_else(|| answer.get("tables")?.as_array().cloned()).unwrap_or_default();
    for table in &tables {
        let field = |name: &str| table.get(name).cloned().unwrap_or(Value::Null);
        terminal::line(format!(
            "{}: version {}, {}, {}, {}, {}, {} quarantined, {} of other tables, {} ms",
            field("table").as_str().unwrap_or_default(),
            field("version"),
            count(field("records"), "record"),
            count(field("rows"), "row"),
            count(field("duplicates"), "duplicate"),
            count(field("conflicts"), "conflict"),
            field("quarantined"),
            field("elsewhere"),
            field("elapsed_ms").as_f64().unwrap_or_default().round()
        ));
    }
    Ok(())
}
