//! `pinlake init`: an editable copy of the built-in pipeline and configuration.

use anyhow::{Context, Result, bail};

use crate::cli::InitArgs;
use crate::{config, pipeline_files, terminal};

/// The configuration's name in the folder.
pub(super) const CONFIG_FILE: &str = "pinlake.yml";

/// Runs the command.
#[expect(clippy::disallowed_methods, reason = "writing the folder is what the command is for")]
pub(crate) fn run(args: &InitArgs) -> Result<()> {
    let dir = &args.dir;
    if dir.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("'{}' is not empty: name a new folder", dir.display());
    }
    let mut files = pipeline_files::files(None)?;
    files.insert(CONFIG_FILE.to_owned(), config::DEFAULTS.replace("pipeline: \"\"", "pipeline: ."));
    for (path, text) in &files {
        let path = dir.join(path);
        let parent = path.parent().context("a file has a folder")?;
        std::fs::create_dir_all(parent).with_context(|| format!("making '{}'", parent.display()))?;
        std::fs::write(&path, text).with_context(|| format!("writing '{}'", path.display()))?;
    }
    let shown = dir.display();
    terminal::line(format!(
        "wrote {} to {shown}; next: pinlake check {shown} && pinlake serve --config {shown}/{CONFIG_FILE}",
        terminal::count(files.len(), "file")
    ));
    Ok(())
}
