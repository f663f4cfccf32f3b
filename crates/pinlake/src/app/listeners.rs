//! Where the server listens: addresses that are taken before anything is made, served once everything is, and closed before anything ends.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use pinlake_ingest::Tls;
use pinlake_ingest::http_server::{self, HttpLimits};
use pinlake_ingest::kafka::{self, Broker};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::{address, own_certificate};

const HTTP_LISTEN: &str = "http.listen";
const KAFKA_LISTEN: &str = "kafka.listen";
const TLS_LISTEN: &str = "databricks.tls.listen";
/// Connections that wait to be taken.
const CONNECTIONS_WAITING_MAX: u32 = 1024;

/// Addresses that are this server's, at which nobody is served yet.
pub(super) struct Sockets {
    http: TcpSocket,
    encrypted: Option<Encrypted>,
    kafka: Vec<(SocketAddr, TcpSocket)>,
}

/// Where the server listens.
pub(crate) struct Listeners {
    /// Of HTTP.
    pub(crate) address: SocketAddr,
    /// Where HTTP is served with encryption too, and the file that clients trust; none if it is not.
    encrypted: Option<(SocketAddr, PathBuf)>,
    /// Where Kafka clients connect to; none if the wire protocol is not served.
    pub(crate) kafka_addresses: Vec<SocketAddr>,
    pub(super) http: Door,
    https: Option<Door>,
    /// None where a cluster serves Kafka's clients.
    kafka: Option<Door>,
}

impl Sockets {
    /// Takes the addresses that the configuration names.
    pub(super) fn take(config: &Config) -> Result<Sockets> {
        Ok(Sockets {
            http: address::take(HTTP_LISTEN, config.http.listen)?,
            kafka: address::take_all(KAFKA_LISTEN, config.kafka_listen())?,
            encrypted: encrypted(config)?,
        })
    }

    /// Serves at all of them.
    pub(super) fn serve(self, config: &Config, router: Router, broker: Option<Arc<Broker>>) -> Result<Listeners> {
        let listener = listen(HTTP_LISTEN, config.http.listen, self.http)?;
        let address = listener.local_addr()?;
        let limits = HttpLimits { connections_max: config.http.connections_max, ..HttpLimits::default() };
        let (mut https, mut encrypted) = (None, None);
        if let Some(Encrypted { listen: at, socket, tls, file }) = self.encrypted {
            let listener = listen(TLS_LISTEN, at, socket)?;
            encrypted = Some((listener.local_addr()?, file));
            let (router, limits) = (router.clone(), limits.clone());
            https = Some(Door::open(|stopped| http_server::serve(listener, Some(tls), router, limits, wait_for(stopped))));
        }
        let kafka = self.kafka.into_iter().map(|(address, socket)| listen(KAFKA_LISTEN, address, socket));
        let kafka: Vec<TcpListener> = kafka.collect::<Result<_>>()?;
        let kafka_addresses = kafka.iter().map(TcpListener::local_addr).collect::<std::io::Result<_>>()?;
        let http = Door::open(|stopped| http_server::serve(listener, None, router, limits, wait_for(stopped)));
        let kafka = broker.map(|broker| Door::open(|stopped| kafka::serve(kafka, broker, wait_for(stopped))));
        Ok(Listeners { address, encrypted, kafka_addresses, http, https, kafka })
    }
}

impl Listeners {
    /// What to copy into Airflow so that its Databricks operators find this server: the connection, and with encryption the file to trust.
    pub(crate) fn databricks_lines(&self, config: &Config) -> Vec<String> {
        let token = if config.databricks.asks() { "TOKEN" } else { "any" };
        let (host, port) = (self.address.ip(), self.address.port());
        let plain = format!("AIRFLOW_CONN_DATABRICKS_DEFAULT='databricks://:{token}@{host}:{port}/http'");
        let encrypted = self.encrypted.as_ref().map(|(at, file)| {
            // Airflow may be started from elsewhere, and old providers know a port as a part of the host alone.
            let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
            format!(
                "REQUESTS_CA_BUNDLE='{}' AIRFLOW_CONN_DATABRICKS_DEFAULT='databricks://:{token}@{}%3A{}'",
                file.display(),
                at.ip(),
                at.port()
            )
        });
        [format!("Airflow: {plain}")].into_iter().chain(encrypted.map(|line| format!("Airflow with TLS: {line}"))).collect()
    }

    /// Waits until one of them has ended, which it does unasked only by a defect.
    pub(super) async fn ended(&self) {
        tokio::select! {
            () = self.http.ended() => {}
            () = ended(self.https.as_ref()) => {}
            () = ended(self.kafka.as_ref()) => {}
        }
    }

    /// Takes no more connections; requests under way go on.
    pub(super) fn begin_to_stop(&self) {
        for door in [Some(&self.http), self.https.as_ref(), self.kafka.as_ref()].into_iter().flatten() {
            door.stop.send_replace(true);
        }
    }

    /// Waits until all requests have ended.
    pub(super) async fn stopped(self) -> Result<()> {
        let served = self.http.task.await;
        let encrypted = stopped(self.https).await;
        let kafka = stopped(self.kafka).await;
        served.context("the HTTP server stopped by a defect")?;
        encrypted.context("the HTTPS server stopped by a defect")?;
        kafka.context("the Kafka listener stopped by a defect")?;
        Ok(())
    }
}

/// A listener and all its connections.
pub(super) struct Door {
    stop: watch::Sender<bool>,
    pub(super) task: JoinHandle<usize>,
}

impl Door {
    /// Opens what `serve` makes of the signal to end.
    fn open<F: Future<Output = usize> + Send + 'static>(serve: impl FnOnce(watch::Receiver<bool>) -> F) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self { stop, task: tokio::spawn(serve(stopped)) }
    }

    /// Waits until it has ended, which it does unasked only by a defect.
    async fn ended(&self) {
        // It holds the receiver for as long as it serves.
        self.stop.closed().await;
    }
}

/// The listener with encryption, before it serves.
struct Encrypted {
    listen: SocketAddr,
    socket: TcpSocket,
    tls: Tls,
    file: PathBuf,
}

/// The listener with encryption that the configuration asks for, with its certificate or one of the server's own.
fn encrypted(config: &Config) -> Result<Option<Encrypted>> {
    let settings = &config.databricks.tls;
    let Some(listen) = settings.listen else { return Ok(None) };
    let socket = address::take(TLS_LISTEN, listen)?;
    let (tls, file) = match tls("databricks.tls", &settings.certificate, &settings.private_key)? {
        Some(tls) => (tls, settings.certificate.clone()),
        None => {
            let own = own_certificate::of(&config.data_dir, listen.ip(), &settings.names)?;
            (Tls::new(&own.certificate, &own.key)?, own.file)
        }
    };
    Ok(Some(Encrypted { listen, socket, tls: tls.for_http(), file }))
}

fn listen(option: &str, address: SocketAddr, socket: TcpSocket) -> Result<TcpListener> {
    socket.listen(CONNECTIONS_WAITING_MAX).map_err(|error| address::refused(option, address, &error))
}

/// Waits until a door has ended; for ever if there is none.
async fn ended(door: Option<&Door>) {
    match door {
        Some(door) => door.ended().await,
        None => std::future::pending().await,
    }
}

/// Waits until a door has stopped, if there is one.
async fn stopped(door: Option<Door>) -> Result<usize, tokio::task::JoinError> {
    match door {
        Some(door) => door.task.await,
        None => Ok(0),
    }
}

/// The certificate with its key that a section of the configuration names; none if it names none.
#[expect(clippy::disallowed_methods, reason = "reads the files that the configuration names")]
pub(super) fn tls(section: &str, certificate: &Path, key: &Path) -> Result<Option<Tls>> {
    if certificate.as_os_str().is_empty() {
        return Ok(None);
    }
    let read = |option: &str, path: &Path| {
        std::fs::read(path).with_context(|| format!("{section}.{option}: reading '{}'", path.display()))
    };
    let tls = Tls::new(&read("certificate", certificate)?, &read("private_key", key)?);
    let named = || format!("{section}.certificate '{}', {section}.private_key '{}'", certificate.display(), key.display());
    Ok(Some(tls.with_context(named)?))
}

async fn wait_for(mut stopped: watch::Receiver<bool>) {
    // An error means that the app is gone, which is a stop too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
