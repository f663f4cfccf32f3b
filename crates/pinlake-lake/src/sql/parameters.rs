//! Values for the `$name`s in SQL: a pipeline's choices, a run's parameters and the data that a run stands for. They are bound as values,
//! so that no text of theirs is ever read as SQL.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::prelude::DataFrame;
use pinlake_core::jobs::Interval;
use pinlake_core::pipeline::Chosen;
use pinlake_core::{Error, Result, Timestamp};

/// The value of a `$name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameter {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// A time.
    Time(Timestamp),
}

/// Values by name, without the `$`.
pub type Parameters = BTreeMap<String, Parameter>;

/// `$from` and `$to`, the data that a run stands for, and `$run`, its number. `$from` and `$to` of a run without an interval are null.
pub fn of_run(interval: Option<Interval>, run: i64) -> Parameters {
    let interval = interval.into_iter();
    let times = interval.flat_map(|Interval { from, to }| [("from", Parameter::Time(from)), ("to", Parameter::Time(to))]);
    times.chain([("run", Parameter::Number(run))]).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What is chosen of a pipeline's choices, as texts.
pub fn of_choices(chosen: Chosen) -> Parameters {
    chosen.into_iter().map(|(name, value)| (name, Parameter::Text(value))).collect()
}

/// The query with a value for each of its `$name`s. `$from`, `$to` and `$run` are null unless `parameters` has them.
///
/// # Errors
/// `Invalid` for a name without a value; what `failed` makes of the engine's.
pub(crate) fn bind(query: DataFrame, parameters: &Parameters, failed: impl Fn(DataFusionError) -> Error) -> Result<DataFrame> {
    let mut values: BTreeMap<&str, ScalarValue> = outside_a_run().into();
    values.extend(parameters.iter().map(|(name, value)| (name.as_str(), scalar(value))));
    let named = query.logical_plan().get_parameter_names().map_err(&failed)?;
    let unknown = named.iter().find(|name| !values.contains_key(name.trim_start_matches('$')));
    if let Some(unknown) = unknown {
        let known: Vec<String> = values.keys().map(|name| format!("${name}")).collect();
        return Err(Error::invalid(format!("{unknown} has no value: there are {}", known.join(", "))));
    }
    query.with_param_values(values.into_iter().collect::<Vec<_>>()).map_err(failed)
}

fn outside_a_run() -> [(&'static str, ScalarValue); 3] {
    [("from", time(None)), ("to", time(None)), ("run", ScalarValue::Int64(None))]
}

fn scalar(value: &Parameter) -> ScalarValue {
    match value {
        Parameter::Text(text) => ScalarValue::from(text.as_str()),
        Parameter::Number(number) => ScalarValue::Int64(Some(*number)),
        Parameter::Time(at) => time(Some(*at)),
    }
}

/// A time as tables have it.
fn time(at: Option<Timestamp>) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(at.map(|at| at.0.saturating_mul(1000)), Some("UTC".into()))
}
