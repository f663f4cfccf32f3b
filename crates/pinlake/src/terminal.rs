//! What people see: lines, ticks, errors and progress bars. The only place that writes to the terminal.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where printing belongs")]

use std::fmt::Display;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often a progress bar moves.
const REDRAW: Duration = Duration::from_millis(100);

/// Prints a line of the command's own output.
pub(crate) fn line(text: impl Display) {
    println!("{text}");
}

/// Prints the reason why the command failed, with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}

/// Shows how far long work has come, on a terminal, until it is dropped.
pub(crate) struct Bar {
    bar: ProgressBar,
    ended: Arc<AtomicBool>,
}

impl Bar {
    /// A bar in bytes: `read` gives done and total.
    pub(crate) fn bytes(label: &'static str, read: impl Fn() -> (u64, u64) + Send + 'static) -> Bar {
        let style = ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
        Self::start(label, style.expect("the template is constant"), read)
    }

    fn start(label: &'static str, style: ProgressStyle, read: impl Fn() -> (u64, u64) + Send + 'static) -> Bar {
        let hidden = !std::io::stderr().is_terminal();
        let bar = if hidden { ProgressBar::hidden() } else { ProgressBar::new(0) };
        bar.set_style(style);
        bar.set_message(label);
        let ended = Arc::new(AtomicBool::new(false));
        if !hidden {
            let (bar, ended) = (bar.clone(), ended.clone());
            tokio::spawn(async move {
                let mut ticks = tokio::time::interval(REDRAW);
                while !ended.load(Ordering::Relaxed) {
                    ticks.tick().await;
                    let (done, total) = read();
                    bar.set_length(total);
                    bar.set_position(done);
                }
            });
        }
        Bar { bar, ended }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        self.bar.finish_and_clear();
    }
}
