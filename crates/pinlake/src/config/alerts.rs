//! `alerts` and `lineage`: what is an alert beside jobs, and who is told. Plain data.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use pinlake_core::pipeline::units::{Bytes, Span};
use pinlake_core::secret::Secret;
use pinlake_jobs::{Lineage, Mail, Receiver, Way};
use serde::Deserialize;

use super::cluster::PasswordConfig;
use super::{Config, SecretRef, Senseless};
use crate::jobs::Rules;

/// Alerts, as configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlertsConfig {
    receivers: Vec<ReceiverConfig>,
    fresh: Vec<FreshConfig>,
    lag_max: u64,
    ledger_every: Span,
    disk_free_min: Bytes,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct FreshConfig {
    table: String,
    within: Span,
}

/// Somebody who is told: of the three ways one is said.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceiverConfig {
    name: String,
    webhook: Option<Place>,
    secret: Option<SecretRef>,
    slack: Option<SecretRef>,
    mail: Option<MailConfig>,
}

/// A URL, or where it is if it is a secret.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "it takes a URL, {env: NAME} or {file: PATH}")]
enum Place {
    Url(String),
    Secret(SecretRef),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct MailConfig {
    server: String,
    from: String,
    to: Vec<String>,
    user: Option<String>,
    password: Option<SecretRef>,
}

/// Lineage, as configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LineageConfig {
    url: String,
    token: PasswordConfig,
    namespace: String,
}

impl Place {
    fn resolve(&self) -> Result<Secret> {
        match self {
            Self::Url(url) => Ok(Secret::new(url.as_str())),
            Self::Secret(secret) => secret.resolve(),
        }
    }
}

impl ReceiverConfig {
    fn receiver(&self) -> Result<Receiver> {
        let way = match (&self.webhook, &self.slack, &self.mail) {
            (Some(url), None, None) => {
                Way::Webhook { url: url.resolve()?, secret: self.secret.as_ref().map(SecretRef::resolve).transpose()? }
            }
            (None, Some(url), None) => Way::Slack { url: url.resolve()? },
            (None, None, Some(mail)) => {
                let password = mail.password.as_ref().map(SecretRef::resolve).transpose()?;
                let login = mail.user.clone().zip(password);
                Way::Mail(Box::new(Mail::new(&mail.from, &mail.to, &mail.server, login)?))
            }
            _ => bail!("takes one of webhook, slack and mail"),
        };
        Ok(Receiver { name: self.name.clone(), way })
    }
}

impl AlertsConfig {
    /// Who is told.
    ///
    /// # Errors
    /// Which of them is not right.
    pub(crate) fn receivers(&self) -> Result<Vec<Receiver>> {
        let receiver = |one: &ReceiverConfig| one.receiver().with_context(|| format!("alerts.receivers: '{}'", one.name));
        self.receivers.iter().map(receiver).collect()
    }

    pub(super) fn senseless(&self) -> Vec<Senseless> {
        let mut names: Vec<&str> = self.receivers.iter().map(|receiver| receiver.name.as_str()).collect();
        names.sort_unstable();
        let own_names = names.windows(2).all(|pair| pair[0] != pair[1]) && !names.contains(&"");
        let one_way = |one: &ReceiverConfig| {
            [one.webhook.is_some(), one.slack.is_some(), one.mail.is_some()].iter().filter(|said| **said).count() == 1
        };
        let bounds = [
            ("alerts.receivers", own_names, "a name of its own for each"),
            ("alerts.receivers", self.receivers.iter().all(one_way), "one of webhook, slack and mail for each"),
            ("alerts.fresh", self.fresh.iter().all(|one| one.within.0 >= Duration::from_secs(1)), "1s at least"),
        ];
        bounds.into_iter().filter(|(_, holds, _)| !holds).map(|(key, _, takes)| (key, None, takes.to_owned())).collect()
    }
}

impl LineageConfig {
    /// Who is told of lineage.
    ///
    /// # Errors
    /// That the token can't be read.
    pub(crate) fn lineage(&self) -> Result<Option<Lineage>> {
        if self.url.is_empty() {
            return Ok(None);
        }
        let token = self.token.place().map(|token| token.resolve()).transpose().context("lineage.token")?;
        let url = Secret::new(self.url.as_str());
        Ok(Some(Lineage { url, token, namespace: self.namespace.clone() }))
    }
}

impl Config {
    /// What is an alert beside jobs.
    pub(crate) fn rules(&self) -> Rules {
        let alerts = &self.alerts;
        let fresh: BTreeMap<String, Duration> = alerts.fresh.iter().map(|one| (one.table.clone(), one.within.0)).collect();
        Rules {
            fresh,
            lag_max: alerts.lag_max,
            ledger_every: alerts.ledger_every.0,
            disk_free_min: alerts.disk_free_min.0,
            data_dir: self.data_dir.clone(),
        }
    }
}
