//! From the configuration to what the cluster's client takes: certificates and secrets are read here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use async_trait::async_trait;
use pinlake_core::secret::Secret;
use pinlake_core::{Clock, Error, Timestamp};
use pinlake_log::kafka::{ClusterOptions, Login, Security, Tls, Token, TokenSource};

use crate::config::SecretRef;
use crate::config::cluster::{ClusterConfig, Mechanism, SaslConfig, SecurityConfig};
use crate::msk_iam::MskIam;

/// How long a token that stands in a file is taken to be good: whoever renews it does so before its end, and the file is read anew.
const TOKEN_LASTS: Duration = Duration::from_secs(300);

/// The client's options.
pub(super) fn options(config: &ClusterConfig, clock: &Clock) -> Result<ClusterOptions> {
    let SecurityConfig { tls, ca, sasl } = &config.security;
    let tls =
        tls.then(|| Ok::<_, anyhow::Error>(Tls { ca: certificates(ca)?, ca_name: ca.display().to_string() })).transpose()?;
    let security = Security { tls, login: login(sasl, clock)? };
    let replication = (config.replication > 0).then_some(config.replication);
    Ok(ClusterOptions { brokers: config.brokers.clone(), security, replication, ..ClusterOptions::default() })
}

#[expect(clippy::disallowed_methods, reason = "reads the file that the configuration names")]
fn certificates(file: &PathBuf) -> Result<Option<Vec<u8>>> {
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let read = std::fs::read(file).with_context(|| format!("log.kafka.security.ca: reading '{}'", file.display()));
    read.map(Some)
}

fn login(sasl: &SaslConfig, clock: &Clock) -> Result<Option<Login>> {
    let user = sasl.username.clone();
    Ok(Some(match sasl.mechanism {
        Mechanism::None => return Ok(None),
        Mechanism::Plain => Login::Plain { user, password: password(sasl)?.1 },
        Mechanism::ScramSha256 => Login::ScramSha256 { user, password: password(sasl)?.1 },
        Mechanism::ScramSha512 => Login::ScramSha512 { user, password: password(sasl)?.1 },
        Mechanism::OAuthBearer => Login::Token(Arc::new(StoredToken { place: password(sasl)?.0, clock: clock.clone() })),
        Mechanism::AwsMskIam => Login::Token(Arc::new(MskIam::new(&sasl.region, clock.clone())?)),
    }))
}

/// Where the password is, and the password.
fn password(sasl: &SaslConfig) -> Result<(SecretRef, Secret)> {
    let option = "log.kafka.security.sasl.password";
    let place = sasl.password.place().ok_or_else(|| anyhow!("{option} takes either env or file"))?;
    let secret = place.resolve().context(option)?;
    Ok((place, secret))
}

/// A token that somebody else keeps fresh.
struct StoredToken {
    place: SecretRef,
    clock: Clock,
}

#[async_trait]
impl TokenSource for StoredToken {
    async fn token(&self) -> pinlake_core::Result<Token> {
        let value = self.place.resolve().map_err(|error| Error::invalid(format!("the token to log in with: {error:#}")))?;
        let lasts = i64::try_from(TOKEN_LASTS.as_millis()).unwrap_or(i64::MAX);
        Ok(Token { value, expires: Timestamp(self.clock.now().0 + lasts) })
    }
}
