//! Databricks' Jobs API (2.0, 2.1, 2.2) and SQL Statement API, so that what drives a Databricks workspace drives Pinlake's jobs and tables unchanged. A
//! notebook stands for a job of the pipeline, the one warehouse for the tables. What is answered has Databricks' form, errors too: the facts are those of
//! its REST reference and of its Python clients. Pinlake's own API document does not describe it. Must not know how a job is run or a query answered.

mod args;
mod auth;
mod definitions;
mod failure;
mod jobs;
mod notebooks;
mod outputs;
mod routes;
mod runs;
mod schedules;
mod shown;
mod starts;
mod statements;
mod states;
mod workspace;

use std::sync::Arc;

use axum::Router;
use pinlake_core::secret::Secret;

use crate::{Console, Jobs};

/// What can be chosen of this door.
#[derive(Debug, Clone, Default)]
pub struct DatabricksSettings {
    /// The tokens, one of which every call must bring as a bearer token or as the password of HTTP's basic authentication. Anybody may call if there are
    /// none.
    pub tokens: Vec<Secret>,
    /// Which notebooks stand for which job, the first that fits. A notebook that none names stands for the pipeline's job of the same name.
    pub notebooks: Vec<NotebookRule>,
    /// Whether what is submitted while the same from the same caller runs is answered with that run.
    pub join_equal: bool,
    /// Where browsers find this server, such as `http://127.0.0.1:8082`. A call's `Host` takes the place of the authority.
    pub address: String,
    /// The port of the listener with TLS: calls whose `Host` has it came by https.
    pub tls_port: Option<u16>,
}

/// Notebooks that stand for a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotebookRule {
    /// Their paths: `*` is any text in a folder's or notebook's name, `**` any folders, such as `/**/Pinterest Batch*`.
    pub pattern: String,
    /// The job's name.
    pub job: String,
}

/// Everything below `/api/2.0`, `/api/2.1` and `/api/2.2`, with `/.well-known/databricks-config`, ready to be merged with the others. It sets no fallback.
///
/// Statements run as tasks of the runtime that serves the router.
pub fn router(jobs: Arc<dyn Jobs>, console: Arc<dyn Console>, settings: DatabricksSettings) -> Router {
    let statements = statements::Statements::new(console);
    routes::router(Arc::new(Door { jobs, settings, statements }))
}

/// What every endpoint is handed.
struct Door {
    jobs: Arc<dyn Jobs>,
    settings: DatabricksSettings,
    statements: statements::Statements,
}

/// The note under which jobs and runs keep what was sent, as JSON.
const NOTE: &str = "databricks";
