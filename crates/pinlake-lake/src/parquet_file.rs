//! One data file of a table: rows in, a Parquet object and its Delta `add` action out, in bounded memory.

mod stats;

use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use deltalake_core::kernel::Add;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use pinlake_core::{Clock, Error, Result};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::error;
use crate::store::Store;

/// Encoded bytes that a writer keeps before it closes a row group.
const ROW_GROUP_BYTES_MAX: usize = 16 << 20;
/// The size of the pieces in which a large file goes to the store.
const PIECE_BYTES: usize = 8 << 20;
/// Pieces that may wait for the store.
const PIECES_WAITING_MAX: usize = 2;
/// Rows looked at to tell columns that repeat their values from columns that do not.
const SAMPLE_ROWS: usize = 2000;

/// Writes one data file. The encoding runs where [`FileWriter::write`] is called (a blocking thread), the upload beside it.
pub(crate) struct FileWriter {
    writer: ArrowWriter<Pieces>,
    path: String,
    upload: tokio::task::JoinHandle<Result<()>>,
}

/// Writes `rows` into one file of a table in `store`; none if there are no rows.
pub(crate) async fn write_file(store: &Store, rows: Vec<RecordBatch>, clock: &Clock) -> Result<Option<Add>> {
    let rows: Vec<RecordBatch> = rows.into_iter().filter(|rows| rows.num_rows() > 0).collect();
    let Some(schema) = rows.first().map(RecordBatch::schema) else { return Ok(None) };
    let objects = store.objects();
    let write = move || {
        let mut writer = FileWriter::start(objects, &rows[0])?;
        rows.iter().try_for_each(|rows| writer.write(rows))?;
        writer.close()
    };
    let closing = tokio::task::spawn_blocking(write).await.map_err(|e| Error::internal("encoding stopped").with_source(e))??;
    closing.finish(&schema, clock).await.map(Some)
}

impl FileWriter {
    /// Starts a file for rows like `sample`, in the folder of `objects`. Must be called within a tokio runtime.
    pub(crate) fn start(objects: Arc<dyn ObjectStore>, sample: &RecordBatch) -> Result<FileWriter> {
        let path = format!("part-{}.snappy.parquet", Uuid::new_v4());
        let (sender, receiver) = mpsc::channel(PIECES_WAITING_MAX);
        let upload = tokio::spawn(upload(objects, Path::from(path.as_str()), receiver));
        let options = ArrowWriterOptions::new().with_properties(properties(sample)).with_skip_arrow_metadata(true);
        let sink = Pieces { piece: Vec::new(), sender, written: 0 };
        let writer = ArrowWriter::try_new_with_options(sink, sample.schema(), options)
            .map_err(|e| error::parquet("starting a data file", e))?;
        Ok(FileWriter { writer, path, upload })
    }

    /// Appends rows. Blocks while the store is behind, so it must run on a blocking thread.
    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        self.writer.write(rows).map_err(|e| error::parquet("encoding rows", e))
    }

    /// Bytes of the file so far, encoded or waiting to be.
    pub(crate) fn size_bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// Encodes what is left (on a blocking thread); [`Closing::finish`] then waits for the store.
    pub(crate) fn close(mut self) -> Result<Closing> {
        let metadata = self.writer.finish().map_err(|e| error::parquet("closing a data file", e))?;
        let sink = self.writer.inner_mut();
        let size = sink.written;
        let last = std::mem::take(&mut sink.piece);
        // A failed upload has dropped its end; finish() tells why.
        let _ = sink.sender.blocking_send(Piece::Last(last));
        Ok(Closing { path: self.path, upload: self.upload, size, metadata })
    }
}

/// A data file whose last bytes are on their way to the store.
pub(crate) struct Closing {
    path: String,
    upload: tokio::task::JoinHandle<Result<()>>,
    size: usize,
    metadata: ParquetMetaData,
}

impl Closing {
    /// Waits until the file is in the store.
    pub(crate) async fn finish(self, schema: &SchemaRef, clock: &Clock) -> Result<Add> {
        self.upload.await.map_err(|e| Error::internal("uploading a data file").with_source(e))??;
        Ok(Add {
            path: self.path,
            size: i64::try_from(self.size).expect("a file is below 2^63 bytes"),
            modification_time: clock.now().0,
            data_change: true,
            stats: Some(stats::json(&self.metadata, schema)),
            ..Add::default()
        })
    }
}

fn properties(sample: &RecordBatch) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by("pinlake".to_owned())
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES_MAX));
    for (field, column) in sample.schema().fields().iter().zip(sample.columns()) {
        if !repeats(column.as_ref()) {
            properties = properties.set_column_dictionary_enabled(ColumnPath::from(field.name().as_str()), false);
        }
    }
    properties.build()
}

/// Whether a column's values repeat, so that a dictionary pays.
fn repeats(column: &dyn Array) -> bool {
    let rows = column.len().min(SAMPLE_ROWS);
    let mut seen = std::collections::HashSet::with_capacity(rows);
    match column.data_type() {
        DataType::Utf8View => {
            let text = column.as_string_view();
            seen.extend((0..rows).map(|row| text.value(row)));
            seen.len() < rows / 2 || rows < 100
        }
        DataType::List(_) => false,
        _ => true,
    }
}

enum Piece {
    Next(Vec<u8>),
    Last(Vec<u8>),
}

/// The writer's sink: hands whole pieces to the upload.
struct Pieces {
    piece: Vec<u8>,
    sender: mpsc::Sender<Piece>,
    written: usize,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        self.written += bytes.len();
        if self.piece.len() >= PIECE_BYTES {
            let piece = std::mem::take(&mut self.piece);
            self.sender
                .blocking_send(Piece::Next(piece))
                .map_err(|_| std::io::Error::other("the upload of this data file failed"))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Sends the pieces to the store: a small file at once, a large one in parts. A file that is never closed leaves nothing.
async fn upload(objects: Arc<dyn ObjectStore>, path: Path, mut pieces: mpsc::Receiver<Piece>) -> Result<()> {
    let failed = |e| error::store("uploading a data file", e);
    let mut parts: Option<WriteMultipart> = None;
    while let Some(piece) = pieces.recv().await {
        match (piece, parts.as_mut()) {
            (Piece::Last(bytes), None) => {
                objects.put(&path, PutPayload::from(bytes)).await.map_err(failed)?;
                return Ok(());
            }
            (Piece::Last(bytes), Some(open)) => {
                open.put(bytes.into());
                let open = parts.take().expect("it is open");
                return open.finish().await.map(drop).map_err(failed);
            }
            (Piece::Next(bytes), Some(open)) => {
                open.wait_for_capacity(PIECES_WAITING_MAX).await.map_err(failed)?;
                open.put(bytes.into());
            }
            (Piece::Next(bytes), None) => {
                let start = objects.put_multipart(&path).await.map_err(failed)?;
                parts.insert(WriteMultipart::new_with_chunk_size(start, PIECE_BYTES)).put(bytes.into());
            }
        }
    }
    if let Some(open) = parts {
        open.abort().await.map_err(failed)?;
    }
    Err(Error::retry("the data file was abandoned"))
}
