//! What people see: lines, ticks, errors and progress bars. The only place that writes to the terminal.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

/// How often a progress bar moves.
const REDRAW: Duration = Duration::from_millis(100);

/// Whether a line of output was lost, other than by a reader that went away.
static LOST: AtomicBool = AtomicBool::new(false);

/// Prints a line of the command's own output.
pub(crate) fn line(text: impl Display) {
    // A reader that went away, such as `head`, must not end the work: a server that is ending still has to commit.
    if write_line(text).is_err_and(|error| error.kind() != ErrorKind::BrokenPipe) {
        LOST.store(true, Ordering::Relaxed);
    }
}

/// Whether all output was written, as far as somebody was there to read it.
///
/// # Errors
/// Says that it was not.
pub(crate) fn check_output() -> Result<()> {
    if LOST.load(Ordering::Relaxed) { bail!("the output could not be written: is the disk full?") } else { Ok(()) }
}

/// Prints that a part of the server works, or why it does not.
pub(crate) fn part(name: &str, state: pinlake_core::Result<()>) {
    match state {
        Ok(()) => line(format!("✓ {name}")),
        Err(error) => line(format!("✗ {name}: {error}")),
    }
}

/// Prints what the user should know and the command goes on with.
pub(crate) fn warning(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "warning: {text}");
}

/// Prints a line; an error says that nobody reads any more.
pub(crate) fn write_line(text: impl Display) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{text}")
}

/// `1 row`, `2 rows`.
pub(crate) fn count(number: impl Display, noun: &str) -> String {
    let number = number.to_string();
    let plural = if number == "1" { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Prints the reason why the command failed, with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    let _ = writeln!(std::io::stderr().lock(), "error: {error:#}");
}

/// Rows of an answer under their columns' names.
pub(crate) fn table(columns: &[&str], rows: &[Vec<Value>]) -> String {
    let plain = |value: &Value| match value {
        Value::String(text) => cell(text),
        Value::Null => String::new(),
        other => cell(&other.to_string()),
    };
    let head: Vec<String> = columns.iter().map(|name| cell(name)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(plain).collect()).collect();
    grid(&head.iter().map(String::as_str).collect::<Vec<_>>(), &rows)
}

/// Characters of a cell that a table shows; other formats show all.
const CELL_CHARS_MAX: usize = 200;

fn cell(text: &str) -> String {
    match text.char_indices().nth(CELL_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Rows under column names.
pub(crate) fn grid(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut grid = comfy_table::Table::new();
    grid.load_preset(comfy_table::presets::NOTHING);
    grid.set_header(head);
    grid.add_rows(rows);
    grid.to_string()
}

/// Shows how far long work has come, on a terminal, until it is dropped.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar in bytes: `read` gives done and total.
    pub(crate) fn bytes(label: &'static str, read: impl Fn() -> (u64, u64) + Send + 'static) -> Bar {
        let bar = Self::new(label, "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
        if !bar.0.is_hidden() {
            let bar = bar.0.clone();
            tokio::spawn(async move {
                let mut ticks = tokio::time::interval(REDRAW);
                while !bar.is_finished() {
                    ticks.tick().await;
                    let (done, total) = read();
                    // Nothing is known yet.
                    if total > 0 {
                        bar.set_length(total);
                        bar.set_position(done);
                    }
                }
            });
        }
        bar
    }

    /// A bar that is moved by hand; a count where nobody knows the total.
    pub(crate) fn counter(label: &'static str, total: Option<u64>) -> Bar {
        let Some(total) = total else { return Self::new(label, "{msg} {human_pos} {per_sec}") };
        let bar = Self::new(label, "{msg} {bar:30} {human_pos}/{human_len} {per_sec} {eta}");
        bar.0.set_length(total);
        bar
    }

    /// Moves the bar.
    pub(crate) fn set(&self, done: u64) {
        self.0.set_position(done);
    }

    /// Prints a warning above the bar.
    pub(crate) fn warning(&self, text: impl Display) {
        self.0.suspend(|| warning(text));
    }

    /// Prints a line of the command's own output above the bar.
    pub(crate) fn line(&self, text: impl Display) {
        self.0.suspend(|| line(text));
    }

    /// Shows nothing before it is moved.
    fn new(label: &'static str, template: &str) -> Bar {
        let style = ProgressStyle::with_template(template).expect("the template is constant");
        let bar = if std::io::stderr().is_terminal() { ProgressBar::no_length() } else { ProgressBar::hidden() };
        Bar(bar.with_style(style).with_message(label))
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
