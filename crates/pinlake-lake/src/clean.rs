//! The cleaning SQL, compiled once to expressions over a raw batch. Row-local by construction: a join, aggregate, window,
//! filter, subquery or a function of time or chance is refused when the pipeline is loaded, because then streaming and batch
//! could not agree.

mod check;

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::sync::Arc;

use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray, RecordBatch, RecordBatchOptions, new_null_array,
};
use datafusion::arrow::compute::{cast, concat_batches, max, min};
use datafusion::arrow::datatypes::{DataType, Date32Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use datafusion::common::DFSchema;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion::prelude::SessionContext;
use pinlake_core::pipeline::{Problem, TableSpec};
use pinlake_core::{Error, Result};

use crate::schema::{delta_columns, storable};
use crate::{error, sql};

/// The column by which a cleaning says why a row goes to quarantine; null for good rows.
pub const QUARANTINE_COLUMN: &str = "_quarantine";
/// The name of the raw records in a cleaning.
pub const RAW_TABLE: &str = "raw";

/// A compiled cleaning.
#[derive(Debug, Clone)]
pub struct Cleaning {
    steps: Vec<Step>,
    schema: SchemaRef,
    key: Vec<usize>,
    reason: Option<usize>,
}

/// One projection: its expressions over the step before.
#[derive(Debug, Clone)]
struct Step {
    schema: SchemaRef,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
}

/// Clean rows and, beside each, why it goes to quarantine.
#[derive(Debug)]
pub struct Cleaned {
    /// The clean columns, one row a raw row.
    pub rows: RecordBatch,
    /// Index and reason of each row that must not go into the table, ascending.
    pub rejected: Vec<(u32, String)>,
}

impl Cleaning {
    /// Compiles the cleaning of `table` over raw rows of `raw`.
    ///
    /// # Errors
    /// One problem with the SQL's own file: it does not parse, is not row-local, or does not yield the key.
    pub async fn compile(table: &TableSpec, raw: &SchemaRef) -> Result<Cleaning, Problem> {
        let problem = |message: String| Problem { file: table.clean_path.clone(), line: line_in(&message), message };
        let context = sql::cleaning_context(raw).map_err(|error| problem(error.to_string()))?;
        let plan = plan(&context, &table.clean_sql).await.map_err(problem)?;
        check::row_local(&plan).map_err(problem)?;
        let plan = context.state().optimize(&plan).map_err(|error| problem(first_line(&error.to_string())))?;
        let mut steps = Vec::new();
        collect_steps(&plan, &mut steps).map_err(problem)?;
        let output = steps.last().map_or_else(|| raw.clone(), |step| step.schema.clone());
        let reason = output.index_of(QUARANTINE_COLUMN).ok();
        let fields: Vec<_> =
            output.fields().iter().enumerate().filter(|(at, _)| Some(*at) != reason).map(|(_, field)| storable(field)).collect();
        let schema = Arc::new(Schema::new(fields));
        check_columns(&schema, table).map_err(problem)?;
        if let Some(kind) = reason.map(|at| output.field(at).data_type()).filter(|kind| !kind.is_string() && !kind.is_null()) {
            return Err(problem(format!(
                "column '{QUARANTINE_COLUMN}' is a reason in words, and has the type {kind}: cast it to varchar"
            )));
        }
        let key = table.key.iter().map(|column| schema.index_of(column).map_err(|_| column)).collect::<Result<_, _>>();
        let key = key.map_err(|column| problem(format!("the cleaning yields no column '{column}', which is the table's key")))?;
        Ok(Cleaning { steps, schema, key, reason })
    }

    /// The clean columns, in the SQL's order and in types that a Delta table stores.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Which clean columns are the key.
    pub fn key(&self) -> &[usize] {
        &self.key
    }

    /// Cleans raw rows. A row on which an expression fails is rejected: a cleaning uses `try_cast` where data may be wrong.
    ///
    /// # Errors
    /// `Internal` when rows can't be put together.
    pub fn apply(&self, raw: &RecordBatch) -> Result<Cleaned> {
        match self.apply_together(raw) {
            // A cast or division that fails on one row fails the whole evaluation: the row is found by halving.
            Err(_) if raw.num_rows() > 1 => self.apply_in_halves(raw),
            Err(error) if raw.num_rows() == 1 => {
                let reason = format!("the cleaning fails on it: {}", first_line(&error.to_string()));
                let nulls = self.schema.fields().iter().map(|field| new_null_array(field.data_type(), 1)).collect();
                let rows =
                    RecordBatch::try_new(self.schema.clone(), nulls).map_err(|e| error::arrow("setting a row aside", e))?;
                Ok(Cleaned { rows, rejected: vec![(0, reason)] })
            }
            done => done,
        }
    }

    fn apply_in_halves(&self, raw: &RecordBatch) -> Result<Cleaned> {
        let half = raw.num_rows() / 2;
        let (first, second) = (self.apply(&raw.slice(0, half))?, self.apply(&raw.slice(half, raw.num_rows() - half))?);
        let rows = concat_batches(&self.schema, [&first.rows, &second.rows]).map_err(|e| error::arrow("cleaning", e))?;
        let mut rejected = first.rejected;
        let half = u32::try_from(half).expect("a chunk is small");
        rejected.extend(second.rejected.into_iter().map(|(row, reason)| (half + row, reason)));
        Ok(Cleaned { rows, rejected })
    }

    fn apply_together(&self, raw: &RecordBatch) -> Result<Cleaned> {
        let mut rows = raw.clone();
        for step in &self.steps {
            rows = step.apply(&rows).map_err(|e| error::query("cleaning", e))?;
        }
        let mut rejected = self.reason.map_or_else(Vec::new, |at| reasons(rows.column(at)));
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for (at, column) in rows.columns().iter().enumerate().filter(|(at, _)| Some(*at) != self.reason) {
            let field = self.schema.field(columns.len());
            let column =
                if column.data_type() == field.data_type() { Ok(column.clone()) } else { cast(column, field.data_type()) };
            columns.push(column.map_err(|e| error::arrow(&format!("storing clean column {at}"), e))?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        let rows =
            RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(|e| error::arrow("cleaning", e))?;
        rejected.extend(self.null_keys(&rows));
        rejected.extend(self.times_out_of_range(&rows));
        // The first reason of a row counts.
        rejected.sort_by_key(|(row, _)| *row);
        rejected.dedup_by_key(|(row, _)| *row);
        Ok(Cleaned { rows, rejected })
    }

    fn null_keys(&self, rows: &RecordBatch) -> Vec<(u32, String)> {
        let mut missing = Vec::new();
        for &at in self.key.iter().filter(|at| rows.column(**at).null_count() > 0) {
            let (column, name) = (rows.column(at), self.schema.field(at).name());
            let nulls = (0..rows.num_rows()).filter(|row| column.is_null(*row));
            missing.extend(nulls.map(|row| (row_number(row), format!("key column {name} is missing"))));
        }
        missing
    }

    /// Times and dates that neither readers of the table nor people can say.
    fn times_out_of_range(&self, rows: &RecordBatch) -> Vec<(u32, String)> {
        let mut wrong = Vec::new();
        for (field, column) in self.schema.fields().iter().zip(rows.columns()) {
            let outside: Vec<usize> = match field.data_type() {
                DataType::Timestamp(TimeUnit::Microsecond, _) => {
                    outside(column.as_primitive::<TimestampMicrosecondType>(), &(MICROSECONDS.0..=MICROSECONDS.1))
                }
                DataType::Date32 => outside(column.as_primitive::<Date32Type>(), &(DAYS.0..=DAYS.1)),
                _ => continue,
            };
            let name = field.name();
            wrong.extend(outside.into_iter().map(|row| (row_number(row), format!("{name} is not within the years 1 to 9999"))));
        }
        wrong
    }
}

/// The years 1 to 9999 in microseconds and days since 1970.
const MICROSECONDS: (i64, i64) = (-62_135_596_800_000_000, 253_402_300_799_999_999);
const DAYS: (i32, i32) = (-719_162, 2_932_896);

/// Which rows have a value outside the range.
fn outside<T: ArrowPrimitiveType>(column: &PrimitiveArray<T>, range: &RangeInclusive<T::Native>) -> Vec<usize>
where
    T::Native: PartialOrd,
{
    if [min(column), max(column)].into_iter().flatten().all(|value| range.contains(&value)) {
        return Vec::new();
    }
    let is_outside = |(row, value): (usize, Option<T::Native>)| value.filter(|value| !range.contains(value)).map(|_| row);
    column.iter().enumerate().filter_map(is_outside).collect()
}

fn row_number(row: usize) -> u32 {
    u32::try_from(row).expect("a chunk is small")
}

impl Step {
    fn apply(&self, input: &RecordBatch) -> datafusion::error::Result<RecordBatch> {
        let rows = input.num_rows();
        let columns =
            self.exprs.iter().map(|expr| expr.evaluate(input)?.into_array(rows)).collect::<Result<Vec<ArrayRef>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

/// The line that a parser's message ends with, `... at Line: 4, Column: 14`; 0 without one.
pub fn line_in(message: &str) -> u64 {
    let number = message.rsplit_once(" at Line: ").and_then(|(_, place)| place.split(',').next()?.parse().ok());
    number.unwrap_or(0)
}

async fn plan(context: &SessionContext, sql: &str) -> Result<LogicalPlan, String> {
    let plan = context.state().create_logical_plan(sql).await.map_err(|error| first_line(&error.strip_backtrace()))?;
    sql::read_only().verify_plan(&plan).map_err(|error| first_line(&error.strip_backtrace()))?;
    Ok(plan)
}

/// The projections of a checked plan, innermost first.
fn collect_steps(plan: &LogicalPlan, steps: &mut Vec<Step>) -> Result<(), String> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let Some(projection) = &scan.projection else { return Ok(()) };
            let columns: Vec<Expr> =
                projection.iter().map(|&at| Expr::Column(scan.source.schema().field(at).name().into())).collect();
            let raw = DFSchema::try_from(scan.source.schema().as_ref().clone()).map_err(|error| error.to_string())?;
            steps.push(step(&columns, &raw, scan.projected_schema.inner())?);
        }
        LogicalPlan::SubqueryAlias(alias) => collect_steps(&alias.input, steps)?,
        LogicalPlan::Projection(projection) => {
            collect_steps(&projection.input, steps)?;
            steps.push(step(&projection.expr, projection.input.schema(), projection.schema.inner())?);
        }
        other => return Err(check::not_row_local(other)),
    }
    Ok(())
}

fn step(exprs: &[Expr], input: &DFSchema, output: &SchemaRef) -> Result<Step, String> {
    let properties = ExecutionProps::new();
    let context = PhysicalPlanningContext::default();
    let create = |expr: &Expr| {
        create_physical_expr(expr, input, &properties, &context).map_err(|error| first_line(&error.strip_backtrace()))
    };
    let exprs: Vec<Arc<dyn PhysicalExpr>> = exprs.iter().map(create).collect::<Result<_, _>>()?;
    // The planner's own nullability may be narrower than what expressions yield on strange data.
    let fields: Vec<_> = output.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    Ok(Step { schema: Arc::new(Schema::new(fields)), exprs })
}

fn check_columns(schema: &Schema, table: &TableSpec) -> Result<(), String> {
    for field in schema.fields() {
        if field.name().starts_with('_') {
            let name = field.name();
            return Err(format!(
                "column '{name}' of table '{}': names that begin with '_' are Pinlake's, except {QUARANTINE_COLUMN}",
                table.name
            ));
        }
        if matches!(field.data_type(), DataType::Null) {
            return Err(format!("column '{}' has no type: cast the null", field.name()));
        }
        if delta_columns(&Schema::new(vec![field.clone()])).is_err() {
            let (name, kind) = (field.name(), sql::encode::type_name(field.data_type()));
            return Err(format!("column '{name}' has the type {kind}, which a Delta table can't store: cast it"));
        }
    }
    Ok(())
}

fn reasons(column: &ArrayRef) -> Vec<(u32, String)> {
    if column.null_count() == column.len() {
        return Vec::new();
    }
    let text = cast(column, &DataType::Utf8View).expect("the compiler of the cleaning saw that it is text");
    let rows = text.as_string_view().iter().enumerate();
    rows.filter_map(|(row, reason)| Some((u32::try_from(row).ok()?, reason?.to_owned()))).collect()
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// The error of a table whose cleaning has a problem.
pub fn problem_error(problem: &Problem) -> Error {
    Error::invalid(problem.to_string())
}
