//! What a query sees of a table: the snapshot's files, and behind them rows that are not committed yet.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result as QueryResult;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;
use datafusion::prelude::SessionContext;
use deltalake_core::kernel::Add;
use object_store::path::Path;
use pinlake_core::Result;

use crate::store::Store;
use crate::table::Table;
use crate::{error, sql};

/// The name under which sessions know the lake's object store.
const STORE_URL: &str = "pinlake://lake";

/// One file of a snapshot.
#[derive(Debug, Clone)]
pub struct ViewFile {
    path: Path,
    size: u64,
    rows: Option<usize>,
}

/// A table at one moment. Cheap to make; holds no lock while it is read.
#[derive(Debug, Clone)]
pub struct TableView {
    schema: SchemaRef,
    files: Vec<ViewFile>,
    tail: Arc<Vec<RecordBatch>>,
    /// The version of the snapshot below the tail.
    pub version: u64,
}

impl TableView {
    /// The snapshot of `table`, and `tail` behind it.
    pub fn new(table: &Table, tail: Vec<RecordBatch>) -> Result<TableView> {
        let files = table.files()?;
        let files = Self::of_files(table.store(), table.schema().clone(), &files);
        Ok(TableView { tail: Arc::new(tail), version: table.version(), ..files })
    }

    /// Some files of a table in `store`, without a snapshot around them.
    pub(crate) fn of_files(store: &Store, schema: SchemaRef, files: &[Add]) -> TableView {
        let file = |add: &Add| ViewFile {
            path: add.path.split('/').fold(store.path().clone(), |path, part| path.join(part)),
            size: u64::try_from(add.size).unwrap_or_default(),
            rows: add.stats.as_deref().and_then(rows_in_stats),
        };
        TableView { schema, files: files.iter().map(file).collect(), tail: Arc::new(Vec::new()), version: 0 }
    }

    /// Rows that are behind the snapshot.
    pub fn tail_rows(&self) -> usize {
        self.tail.iter().map(RecordBatch::num_rows).sum()
    }

    fn scan_files(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> QueryResult<Arc<dyn ExecutionPlan>> {
        let files = self.files.iter().map(|file| PartitionedFile::new(file.path.to_string(), file.size));
        let groups = FileGroup::new(files.collect()).split_files(session.config().target_partitions());
        let url = ObjectStoreUrl::parse(STORE_URL)?;
        let config = FileScanConfigBuilder::new(url, Arc::new(ParquetSource::new(self.schema.clone())))
            .with_file_groups(groups)
            .with_statistics(self.statistics())
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    fn statistics(&self) -> Statistics {
        let mut statistics = Statistics::new_unknown(&self.schema);
        if let Some(rows) = self.files.iter().map(|file| file.rows).sum::<Option<usize>>() {
            statistics.num_rows = Precision::Exact(rows);
        }
        let bytes: u64 = self.files.iter().map(|file| file.size).sum();
        statistics.total_byte_size = usize::try_from(bytes).map_or(Precision::Absent, Precision::Inexact);
        statistics
    }
}

/// Lets a session read the files of `store`.
pub fn register_store(context: &SessionContext, store: &Store) {
    let url = ObjectStoreUrl::parse(STORE_URL).expect("the constant is a URL");
    context.register_object_store(url.as_ref(), store.root().clone());
}

/// Rows of a view whose files lie in `store`, with all columns or those named.
pub(crate) async fn rows(store: &Store, view: TableView, columns: Option<&[&str]>) -> Result<SendableRecordBatchStream> {
    let failed = |e| error::query("reading a table", e);
    let context = SessionContext::new_with_config(sql::config());
    register_store(&context, store);
    let mut frame = context.read_table(Arc::new(view)).map_err(failed)?;
    if let Some(columns) = columns {
        frame = frame.select_columns(columns).map_err(failed)?;
    }
    frame.execute_stream().await.map_err(failed)
}

#[async_trait]
impl TableProvider for TableView {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> QueryResult<Arc<dyn ExecutionPlan>> {
        let memory = || -> QueryResult<Arc<dyn ExecutionPlan>> {
            Ok(MemorySourceConfig::try_new_exec(&[self.tail.to_vec()], self.schema.clone(), projection.cloned())?)
        };
        match (self.files.is_empty(), self.tail.is_empty()) {
            (true, _) => memory(),
            (false, true) => self.scan_files(session, projection, limit),
            (false, false) => Ok(UnionExec::try_new(vec![self.scan_files(session, projection, limit)?, memory()?])?),
        }
    }
}

fn rows_in_stats(stats: &str) -> Option<usize> {
    let stats: serde_json::Value = serde_json::from_str(stats).ok()?;
    usize::try_from(stats.get("numRecords")?.as_u64()?).ok()
}
