//! `pinlake config`: the merged configuration.

use anyhow::Result;

use crate::cli::ConfigArgs;
use crate::{config, terminal};
use pinlake_core::secret::mask_url;
use serde_json::Value;

/// Runs the command.
pub(crate) fn run(args: &ConfigArgs) -> Result<()> {
    let mut values = config::load(args.config.as_deref())?.values;
    mask(&mut values);
    terminal::line(serde_saphyr::to_string(&values)?.trim_end());
    Ok(())
}

/// Hides passwords in URLs.
fn mask(value: &mut Value) {
    match value {
        Value::String(text) => *text = mask_url(text),
        Value::Object(fields) => fields.values_mut().for_each(mask),
        _ => {}
    }
}
