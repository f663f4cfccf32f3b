//! Foreign errors to ours: what the caller must do, with the cause kept.

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use deltalake_core::DeltaTableError;
use pinlake_core::{Error, ErrorKind};

/// An object store's error.
pub(crate) fn store(doing: &str, error: object_store::Error) -> Error {
    let kind = match &error {
        object_store::Error::NotFound { .. } => ErrorKind::NotFound,
        object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. } => ErrorKind::Conflict,
        object_store::Error::InvalidPath { .. } | object_store::Error::UnknownConfigurationKey { .. } => ErrorKind::Invalid,
        _ => ErrorKind::Retry,
    };
    Error::new(kind, doing.to_owned()).with_source(error)
}

/// A Delta table's error.
pub(crate) fn delta(doing: &str, error: DeltaTableError) -> Error {
    let kind = match &error {
        DeltaTableError::NotATable(_) => ErrorKind::NotFound,
        DeltaTableError::Transaction { .. } | DeltaTableError::VersionAlreadyExists(_) => ErrorKind::Conflict,
        DeltaTableError::ObjectStore { .. } => ErrorKind::Retry,
        other if is_of_the_store(&other.to_string()) => ErrorKind::Retry,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, doing.to_owned()).with_source(error)
}

/// Whether an error that was passed on as text or in another crate's error began in the object store.
fn is_of_the_store(text: &str) -> bool {
    ["Error interacting with object store", "Object Store error"].iter().any(|said| text.contains(said))
}

/// An Arrow error where our own data is at fault.
pub(crate) fn arrow(doing: &str, error: ArrowError) -> Error {
    Error::internal(doing.to_owned()).with_source(error)
}

/// A Parquet error while writing or reading our own files.
pub(crate) fn parquet(doing: &str, error: parquet::errors::ParquetError) -> Error {
    Error::internal(doing.to_owned()).with_source(error)
}

/// A query engine's error: the caller's SQL is at fault, unless it ran out of something.
#[expect(clippy::needless_pass_by_value, reason = "it stands where errors are mapped")]
pub(crate) fn query(doing: &str, error: DataFusionError) -> Error {
    let kind = match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => ErrorKind::Retry,
        DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => ErrorKind::Retry,
        DataFusionError::Internal(_) => ErrorKind::Internal,
        DataFusionError::ParquetError(error) if is_of_the_store(&error.to_string()) => ErrorKind::Retry,
        DataFusionError::ParquetError(_) => ErrorKind::Corrupt,
        _ => ErrorKind::Invalid,
    };
    Error::new(kind, doing.to_owned()).with_source(error.strip_backtrace())
}
