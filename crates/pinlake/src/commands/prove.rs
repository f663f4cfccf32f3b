//! `pinlake prove`: the ledger, counted again end to end.

use anyhow::{Result, bail};
use pinlake_web::answers::Ledger;

use crate::cli::ProveArgs;
use crate::client::Client;
use crate::terminal;

/// Runs the command.
pub(crate) async fn run(args: ProveArgs) -> Result<()> {
    let ledger: Ledger = Client::new(&args.server.server).get("/api/v1/ledger?deep=true").await?;
    if args.json {
        terminal::line(serde_json::to_string_pretty(&ledger)?);
    } else {
        show(&ledger);
    }
    if ledger.closed { Ok(()) } else { bail!("the ledger does not close") }
}

/// Prints the ledger as a table.
pub(crate) fn show(ledger: &Ledger) {
    let head = [
        "table",
        "source",
        "offsets",
        "rows",
        "quarantined",
        "duplicates",
        "conflicts",
        "elsewhere",
        "no record",
        "archived",
        "lost",
        "doubled",
    ];
    let mut rows = Vec::new();
    for table in &ledger.tables {
        for line in &table.partitions {
            let numbers = [
                u64::try_from(line.position - line.start).unwrap_or_default(),
                line.rows,
                line.quarantined,
                line.duplicates,
                line.conflicts,
                line.elsewhere,
                line.without_record,
                line.archived,
                line.lost,
                line.doubled,
            ];
            let deleted = if line.deleted { " (deleted)" } else { "" };
            let mut row = vec![table.table.clone(), format!("{}/{}{deleted}", line.topic, line.partition)];
            row.extend(numbers.iter().map(u64::to_string));
            rows.push(row);
        }
    }
    terminal::line(terminal::grid(&head, &rows));
    for (table, comparison) in ledger.tables.iter().filter_map(|table| Some((table, table.comparison?))) {
        let conflicts: u64 = table.partitions.iter().map(|line| line.conflicts).sum();
        let table = &table.table;
        terminal::line(format!(
            "{table} beside its rebuild from the archive: {} of {} rows are the same, {} differ, {} missing, {} extra, {} doubled",
            comparison.same, comparison.rebuilt, comparison.differing, comparison.missing, comparison.extra, comparison.doubled
        ));
        if comparison.differing > 0 && comparison.differing <= conflicts {
            terminal::line(format!(
                "{table}: rows may differ because of {} (a key that came again with other values): the table kept what came \
                 first, a rebuild keeps what stands first in the archive",
                terminal::count(conflicts, "conflict")
            ));
        }
    }
    let lost: u64 = ledger.tables.iter().flat_map(|table| &table.partitions).map(|line| line.lost + line.doubled).sum();
    terminal::line(if ledger.closed {
        "the ledger closes: 0 lost, 0 doubled".to_owned()
    } else {
        format!(
            "THE LEDGER DOES NOT CLOSE: {} lost or doubled. Rows that are missing, extra or differ come from a changed \
             cleaning (run `pinlake rebuild all`) or from damage to the store",
            terminal::count(lost, "record")
        )
    });
}
