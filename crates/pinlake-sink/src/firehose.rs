//! Delivery streams in Firehose's words: from a definition, as its API describes one, to the plan of a sink that writes the same objects. Must not
//! run anything, or know the API beyond that text.

mod aggregated;
mod columns;
mod compression;
mod definition;
mod delivery;
mod failure;
mod name;
mod plan;
mod prefix;
mod query;
mod records;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use pinlake_core::pipeline::RawColumn;
use pinlake_core::{Error, Result};

use crate::Config;
use crate::plan::Plan;

/// The one setting of a delivery stream's sink: its definition, JSON.
pub const DEFINITION: &str = "definition";
/// The tag that says what stands between records.
pub const DELIMITER_TAG: &str = "pinlake:delimiter";

/// What stands behind each record unless its stream says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delimiter {
    /// A newline, unless the record ends in one.
    #[default]
    Newline,
    /// Nothing, as at AWS.
    Exact,
}

/// The columns of a table, by its name; none if there is no such table.
pub type Tables = Arc<dyn Fn(&str) -> Option<Vec<RawColumn>> + Send + Sync>;

/// What delivery streams of a server go by.
#[derive(Clone)]
pub struct Defaults {
    /// What stands behind each record.
    pub delimiter: Delimiter,
    /// What Glue's tables are here.
    pub tables: Tables,
}

/// A sink's configuration that holds that definition.
pub fn config(definition: String) -> Config {
    Config::from([(DEFINITION.to_owned(), definition)])
}

/// The plan of a sink of such a configuration.
///
/// # Errors
/// `Invalid` with what is wrong.
pub fn make_plan(config: &Config, defaults: &Defaults) -> Result<Plan> {
    let definition = config.get(DEFINITION).ok_or_else(|| Error::invalid("the configuration holds no definition"))?;
    plan::plan(&definition::read(definition)?, defaults)
}
