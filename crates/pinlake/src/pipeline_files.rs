//! Where a pipeline's files come from: a folder, or the built-in copy.

use std::path::Path;

use anyhow::{Context, Result};
use include_dir::{Dir, include_dir};
use pinlake_core::pipeline::{self, Files, Pipeline, Problem};

use crate::small_file;

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../pipelines/pinterest");

/// Largest file of a pipeline that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// How deep a pipeline's folder is searched.
const DEPTH_MAX: usize = 3;

/// The pipeline in `folder`, or the built-in one.
pub(crate) fn load(folder: Option<&Path>) -> Result<Pipeline> {
    let files = files(folder)?;
    pipeline::parse(&files).map_err(|problems| anyhow::anyhow!(describe(&problems)))
}

/// The files of the pipeline in `folder`, or of the built-in one.
pub(crate) fn files(folder: Option<&Path>) -> Result<Files> {
    let mut files = Files::new();
    match folder {
        Some(folder) => read_folder(folder, folder, DEPTH_MAX, &mut files)?,
        None => read_built_in(&BUILT_IN, &mut files),
    }
    Ok(files)
}

/// All problems, a line each.
pub(crate) fn describe(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn read_built_in(folder: &Dir<'_>, files: &mut Files) {
    for file in folder.files() {
        let path = file.path().to_string_lossy().into_owned();
        files.insert(path, file.contents_utf8().expect("the built-in pipeline is text").to_owned());
    }
    folder.dirs().for_each(|inner| read_built_in(inner, files));
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads a pipeline's folder")]
fn read_folder(root: &Path, folder: &Path, depth: usize, files: &mut Files) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("reading pipeline folder '{}'", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let wanted = path.extension().is_some_and(|end| end == "sql" || end == "yml" || end == "yaml");
        if path.is_dir() && depth > 0 {
            read_folder(root, &path, depth - 1, files)?;
        } else if wanted {
            let text = small_file::read(&path, FILE_BYTES_MAX).with_context(|| format!("reading '{}'", path.display()))?;
            let name = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            files.insert(name, text);
        }
    }
    Ok(())
}
