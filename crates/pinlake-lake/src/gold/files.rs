//! From an answer to data files: rows are converted and encoded while they come, so that no more than some batches and a row group are in
//! memory. No commit names the files yet.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use deltalake_core::kernel::Add;
use object_store::ObjectStore;
use pinlake_core::jobs::Interval;
use pinlake_core::{Clock, Error, Result, Timestamp};
use tokio::sync::mpsc;

use super::columns::{OWN, of_answer};
use crate::error;
use crate::parquet_file::{Closing, FileWriter};
use crate::sql::encode::type_name;
use crate::sql::query::Part;
use crate::store::Store;

/// The size at which the next file is begun.
const FILE_BYTES_MAX: usize = 128 << 20;

/// What every row of an answer says of its run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    pub(crate) interval: Option<Interval>,
    pub(crate) run: i64,
    pub(crate) at: Timestamp,
}

/// A whole answer in files.
#[derive(Debug)]
pub(crate) struct Written {
    /// The columns, ours among them.
    pub(super) schema: SchemaRef,
    pub(super) files: Vec<Add>,
    pub(super) rows: u64,
}

/// Writes an answer into files of `store`; `None` if it ends before it is whole.
///
/// # Errors
/// `Invalid` for columns that `check` refuses or that no table can hold; what the store says.
pub(crate) async fn write(
    store: &Store,
    parts: mpsc::Receiver<Part>,
    stamp: Stamp,
    check: impl FnOnce(&Schema) -> Result<()> + Send + 'static,
    clock: &Clock,
) -> Result<Option<Written>> {
    let objects = store.objects();
    let encode = tokio::task::spawn_blocking(move || Encoder::encode(objects, parts, stamp, check));
    let encoded = encode.await.map_err(|e| Error::internal("encoding an answer stopped").with_source(e))?;
    let Some(Encoder { schema, closing, rows, .. }) = encoded? else { return Ok(None) };
    let mut files = Vec::new();
    for file in closing {
        files.push(file.finish(&schema, clock).await?);
    }
    Ok(Some(Written { schema, files, rows }))
}

/// An answer on its way into files.
struct Encoder {
    objects: Arc<dyn ObjectStore>,
    schema: SchemaRef,
    stamp: Stamp,
    open: Option<FileWriter>,
    closing: Vec<Closing>,
    rows: u64,
}

impl Encoder {
    /// Takes all parts in, on a blocking thread.
    fn encode(
        objects: Arc<dyn ObjectStore>,
        mut parts: mpsc::Receiver<Part>,
        stamp: Stamp,
        check: impl FnOnce(&Schema) -> Result<()>,
    ) -> Result<Option<Encoder>> {
        let Some(Part::Columns(answer)) = parts.blocking_recv() else { return Ok(None) };
        let schema = of_answer(&answer)?;
        check(&schema)?;
        let mut encoder = Encoder { objects, schema, stamp, open: None, closing: Vec::new(), rows: 0 };
        loop {
            match parts.blocking_recv() {
                Some(Part::Rows(rows)) if rows.num_rows() == 0 => {}
                Some(Part::Rows(rows)) => encoder.take(&rows)?,
                Some(Part::End) => {
                    encoder.close()?;
                    return Ok(Some(encoder));
                }
                Some(Part::Columns(_)) | None => return Ok(None),
            }
        }
    }

    fn take(&mut self, rows: &RecordBatch) -> Result<()> {
        let rows = self.stamped(rows)?;
        self.rows += rows.num_rows() as u64;
        let open = match self.open.as_mut() {
            Some(open) => open,
            None => self.open.insert(FileWriter::start(self.objects.clone(), &rows)?),
        };
        open.write(&rows)?;
        if open.size_bytes() >= FILE_BYTES_MAX {
            self.close()?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.closing.extend(self.open.take().map(FileWriter::close).transpose()?);
        Ok(())
    }

    /// The rows as the table has them.
    fn stamped(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let count = rows.num_rows();
        let fields = self.schema.fields();
        let mut columns = Vec::with_capacity(fields.len());
        for (field, column) in fields.iter().zip(rows.columns()) {
            // A value that does not fit must not become a null.
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            columns.push(cast_with_options(column, field.data_type(), &strict).map_err(|e| {
                let (name, from, to) = (field.name(), type_name(column.data_type()), type_name(field.data_type()));
                Error::invalid(format!("column '{name}' has a {from} that does not fit a table's {to}: cast it")).with_source(e)
            })?);
        }
        let time = |at: Option<Timestamp>| -> ArrayRef {
            let times: TimestampMicrosecondArray = std::iter::repeat_n(at.map(|at| at.0.saturating_mul(1000)), count).collect();
            Arc::new(times.with_timezone("UTC"))
        };
        let Stamp { interval, run, at } = self.stamp;
        let own: [ArrayRef; OWN.len()] = [
            time(interval.map(|interval| interval.from)),
            time(interval.map(|interval| interval.to)),
            Arc::new(Int64Array::from_value(run, count)),
            time(Some(at)),
        ];
        columns.extend(own);
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let stamped = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options);
        stamped.map_err(|e| error::arrow("building the rows of an answer", e))
    }
}
