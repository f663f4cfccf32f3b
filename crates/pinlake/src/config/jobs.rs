//! `jobs` and `databricks`: where the scheduler keeps its state, how much it does at once, and who may use Databricks' APIs. Plain data.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use pinlake_core::pipeline::units::Span;
use pinlake_core::secret::Secret;
use pinlake_web::databricks::{DatabricksSettings, NotebookRule};
use serde::Deserialize;

use super::addresses::optional_address;
use super::cluster::PasswordConfig;
use super::{SecretRef, Senseless};

/// More tasks at once than any machine does.
const TASKS_MAX: usize = 10_000;

/// The scheduler, as configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobsConfig {
    database: PasswordConfig,
    pub(crate) tasks_max: usize,
    pools: Vec<PoolConfig>,
    history: Span,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct PoolConfig {
    name: String,
    tasks: usize,
}

/// Databricks' APIs, as configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DatabricksConfig {
    tokens: Vec<SecretRef>,
    notebooks: Vec<NotebookConfig>,
    join_equal: bool,
    pub(crate) tls: TlsConfig,
}

/// A second listener, with encryption, for clients that take nothing else.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsConfig {
    #[serde(deserialize_with = "optional_address")]
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) names: Vec<String>,
    pub(crate) certificate: PathBuf,
    pub(crate) private_key: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct NotebookConfig {
    r#match: String,
    job: String,
}

impl JobsConfig {
    /// The URL of a database that is not the data folder's own.
    pub(crate) fn database(&self) -> Option<SecretRef> {
        self.database.place()
    }

    pub(crate) fn pools(&self) -> BTreeMap<String, usize> {
        self.pools.iter().map(|pool| (pool.name.clone(), pool.tasks)).collect()
    }

    pub(crate) fn history(&self) -> Duration {
        self.history.0
    }

    pub(super) fn senseless(&self) -> Vec<Senseless> {
        let mut names: Vec<&str> = self.pools.iter().map(|pool| pool.name.as_str()).collect();
        names.sort_unstable();
        let pools_hold = self.pools.iter().all(|pool| (1..=TASKS_MAX).contains(&pool.tasks) && !pool.name.is_empty());
        let bounds = [
            ("jobs.tasks_max", (1..=TASKS_MAX).contains(&self.tasks_max), format!("1 to {TASKS_MAX}")),
            (
                "jobs.pools",
                pools_hold && names.windows(2).all(|pair| pair[0] != pair[1]),
                "a name of its own and 1 task at least for each".to_owned(),
            ),
            ("jobs.history", self.history.0 >= Duration::from_secs(3_600), "1h at least".to_owned()),
            ("jobs.database", !self.database.is_said() || self.database.place().is_some(), "either env or file".to_owned()),
        ];
        bounds.into_iter().filter(|(_, holds, _)| !holds).map(|(key, _, takes)| (key, None, takes)).collect()
    }
}

impl DatabricksConfig {
    /// How Databricks' APIs work.
    ///
    /// # Errors
    /// Which token can't be read.
    pub(crate) fn settings(&self, address: String) -> Result<DatabricksSettings> {
        let tokens: Vec<Secret> =
            self.tokens.iter().map(|token| token.resolve().context("databricks.tokens")).collect::<Result<_>>()?;
        let rule = |notebook: &NotebookConfig| NotebookRule { pattern: notebook.r#match.clone(), job: notebook.job.clone() };
        Ok(DatabricksSettings {
            tokens,
            notebooks: self.notebooks.iter().map(rule).collect(),
            join_equal: self.join_equal,
            address,
            tls_port: self.tls.listen.map(|listen| listen.port()),
        })
    }

    /// Whether callers must bring a token.
    pub(crate) fn asks(&self) -> bool {
        !self.tokens.is_empty()
    }

    pub(super) fn senseless(&self) -> Vec<Senseless> {
        let tls = &self.tls;
        let both = tls.certificate.as_os_str().is_empty() == tls.private_key.as_os_str().is_empty();
        let takes = || "a file if databricks.tls.private_key does, and none if it has none".to_owned();
        (!both).then(|| ("databricks.tls.certificate", Some("databricks.tls.private_key"), takes())).into_iter().collect()
    }
}
