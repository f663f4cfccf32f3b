//! `raw.<table>`: the records of the archive that feed a table, as they came in, whether their table took them or not.
//!
//! One row a record: the declared columns, decoded as for the cleaning and null where a record does not decode, then `_raw` (its
//! text) and where it stood. What waits for the next object of the archive is not there yet.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringViewArray, UInt32Array, new_null_array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::StreamExt;
use pinlake_core::pipeline::{RawColumn, Route, Routed};
use pinlake_core::{Error, Result};

use crate::decode::Decoder;
use crate::error;
use crate::raw::{self, RawChunk, RawObject};
use crate::schema::with_meta;
use crate::store::Store;
use crate::stream::with_places;

/// The records of `objects`, whose topics have these routes, decoded by `columns`.
pub(super) fn table(store: &Store, objects: Vec<(RawObject, Route)>, columns: &[RawColumn]) -> Result<StreamingTable> {
    let decoder = Decoder::new(columns);
    let mut fields: Vec<_> = decoder.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("_raw", DataType::Utf8View, true)));
    let schema = with_meta(&Schema::new(fields));
    let records = RawRecords { store: store.clone(), objects, decoder, schema: schema.clone() };
    StreamingTable::try_new(schema, vec![Arc::new(records)]).map_err(|e| error::query("naming the raw records", e))
}

#[derive(Debug)]
struct RawRecords {
    store: Store,
    objects: Vec<(RawObject, Route)>,
    decoder: Decoder,
    schema: SchemaRef,
}

impl PartitionStream for RawRecords {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let routes: std::collections::BTreeMap<_, _> =
            self.objects.iter().map(|(object, route)| (object.of.topic.clone(), route.clone())).collect();
        let routes = Arc::new(routes);
        let objects = self.objects.iter().map(|(object, _)| object.clone()).collect();
        let (decoder, schema) = (self.decoder.clone(), self.schema.clone());
        let rows = raw::chunks(&self.store, objects).then(move |chunk| {
            let (decoder, schema, routes) = (decoder.clone(), schema.clone(), routes.clone());
            async move {
                let chunk = chunk?;
                let decode = move || {
                    let route = routes.get(&chunk.of().topic).unwrap_or(&Route::All);
                    rows_of(&chunk, route, &decoder, &schema)
                };
                tokio::task::spawn_blocking(decode).await.map_err(|e| Error::internal("decoding stopped").with_source(e))?
            }
        });
        let rows = rows.map(|rows: Result<RecordBatch>| rows.map_err(|error| DataFusionError::External(Box::new(error))));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows))
    }
}

/// One row a record that is the table's.
fn rows_of(chunk: &RawChunk, route: &Route, decoder: &Decoder, schema: &SchemaRef) -> Result<RecordBatch> {
    let contents = chunk.contents()?;
    let ours = |record: &raw::RawRecord<'_>| matches!(route.of(record.key), Routed::Here);
    let records: Vec<_> = chunk.records(&contents).filter(ours).collect();
    let values: Vec<&[u8]> = records.iter().map(|record| record.value.as_ref()).collect();
    let places: Vec<_> = records.iter().map(|record| (record.offset, record.time.unwrap_or_default())).collect();
    let decoded = decoder.decode(&values)?;
    let mut row_of: Vec<Option<u32>> = vec![None; values.len()];
    for (row, source) in (0..).zip(&decoded.sources) {
        row_of[*source as usize] = Some(row);
    }
    let row_of = UInt32Array::from(row_of);
    let spread = |column: &ArrayRef| match column.is_empty() {
        true => Ok(new_null_array(column.data_type(), row_of.len())),
        false => take(column, &row_of, None).map_err(|e| error::arrow("spreading raw rows", e)),
    };
    let mut columns = decoded.rows.columns().iter().map(spread).collect::<Result<Vec<ArrayRef>>>()?;
    columns.push(Arc::new(StringViewArray::from_iter_values(values.iter().map(|value| String::from_utf8_lossy(value)))));
    let fields = &schema.fields()[..columns.len()];
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields.to_vec())), columns);
    with_places(schema, &rows.map_err(|e| error::arrow("building raw rows", e))?, chunk.of(), &places)
}
