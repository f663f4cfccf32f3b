//! The query engine's sessions: one for cleanings, one for questions over tables. All are read-only.

mod depth;
pub mod encode;
mod functions;
mod interrupt;
pub mod parameters;
pub mod query;

pub use depth::STACK_BYTES;

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::context::SQLOptions;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, SetExpr};
use pinlake_core::{Error, Result};

use crate::clean::RAW_TABLE;
use crate::error;

/// What SQL may do: read.
pub(crate) fn read_only() -> SQLOptions {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false)
}

/// Says in our words that a statement does more than read, where its first word tells. [`read_only`] is what holds it.
pub(crate) fn check_reads(statement: &Statement) -> Result<()> {
    let reads = match statement {
        Statement::Explain(explained) => return check_reads(&explained.statement),
        Statement::Statement(statement) => match &**statement {
            ast::Statement::Query(query) => !matches!(*query.body, SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_)),
            ast::Statement::Explain { .. }
            | ast::Statement::ExplainTable { .. }
            | ast::Statement::ShowTables { .. }
            | ast::Statement::ShowColumns { .. }
            | ast::Statement::ShowCreate { .. }
            | ast::Statement::ShowFunctions { .. }
            | ast::Statement::ShowVariable { .. } => true,
            _ => false,
        },
        _ => false,
    };
    let refusal = "SQL here only reads: use SELECT, WITH, EXPLAIN, DESCRIBE or SHOW; records come in through the doors, and what \
                   makes a table is changed in the pipeline";
    if reads { Ok(()) } else { Err(Error::invalid(refusal)) }
}

/// The configuration of every session.
pub(crate) fn config() -> SessionConfig {
    let mut config = SessionConfig::new().with_information_schema(true);
    // Times without a zone mean UTC, here as in the tables.
    config.options_mut().execution.time_zone = Some("UTC".to_owned());
    config
}

/// A session that knows the raw records' columns and our functions.
pub(crate) fn cleaning_context(raw: &SchemaRef) -> Result<SessionContext> {
    let context = SessionContext::new_with_config(config());
    functions::register(&context);
    context
        .register_table(RAW_TABLE, Arc::new(EmptyTable::new(raw.clone())))
        .map_err(|e| error::query("naming the raw records", e))?;
    Ok(context)
}

/// Makes our functions known to a session.
pub(crate) fn register_functions(context: &SessionContext) {
    functions::register(context);
}
