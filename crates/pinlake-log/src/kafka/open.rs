//! Opens a connection to a broker: TCP, TLS, what it speaks, the login. It must not know what the connection is for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::StrBytes;
use pinlake_core::{Clock, Error, Result};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::connection::{Connection, OTHER_PORT};
use super::error::{self, Failure};
use super::frame;
use super::login::log_in;
use super::meters::Meters;
use super::options::ClusterOptions;
use super::throttle::Throttle;
use super::tls::Connector;
use super::versions::Versions;

const NO_HOLD: Duration = Duration::ZERO;
const API_VERSIONS: i16 = 3;
/// What every broker answers.
const API_VERSIONS_FIRST: i16 = 0;
const UNSUPPORTED_VERSION: i16 = 35;
/// A login is renewed when so much of its time is over, in percent.
const LOGIN_PERCENT: u32 = 80;

/// What every connection is opened with.
#[derive(Debug)]
pub(super) struct Opener {
    pub(super) options: ClusterOptions,
    pub(super) meters: Meters,
    pub(super) clock: Clock,
    connector: Option<Connector>,
    /// Whether any broker has let us in.
    has_opened: AtomicBool,
}

impl Opener {
    pub(super) fn new(options: ClusterOptions, clock: Clock) -> Result<Self> {
        options.validate()?;
        let connector = options.security.tls.as_ref().map(Connector::new).transpose()?;
        Ok(Self { options, meters: Meters::new(), clock, connector, has_opened: AtomicBool::new(false) })
    }

    /// A connection to `address`, ready for requests: all of it, the login too, within the time of one answer.
    pub(super) async fn open(&self, address: &str, throttle: &Arc<Throttle>) -> Result<Connection, Failure> {
        let limit = self.options.answer_timeout;
        let late =
            || Failure::Unsent(Error::retry(format!("broker {address} takes no connection within {} ms", limit.as_millis())));
        let opened = timeout(limit, self.open_ready(address, throttle)).await.unwrap_or_else(|_| Err(late()));
        match opened {
            Ok(connection) => {
                self.has_opened.store(true, Ordering::Relaxed);
                Ok(connection)
            }
            // What has worked before may work again: a broker that starts does not know all logins yet, and certificates are renewed.
            Err(Failure::Fatal(error)) if self.has_opened.load(Ordering::Relaxed) => {
                Err(Failure::Unsent(Error::retry(error.message())))
            }
            failed => failed,
        }
    }

    async fn open_ready(&self, address: &str, throttle: &Arc<Throttle>) -> Result<Connection, Failure> {
        let mut connection = self.start(address, throttle).await?;
        connection.versions = ask_versions(&connection).await.map_err(|failure| self.explain(failure))?;
        if let Some(login) = &self.options.security.login {
            let logged_in = log_in(&connection, login, &self.clock).await;
            let lifetime = logged_in.map_err(|failure| match failure {
                // Nothing but the login was under way.
                Failure::Lost(error) => Failure::Unsent(error),
                other => other,
            })?;
            connection.expires = lifetime.map(|lifetime| Instant::now() + lifetime * LOGIN_PERCENT / 100);
        }
        // Only now: a broker may say less to somebody who has not logged in.
        connection.versions.check().map_err(Failure::Fatal)?;
        Ok(connection)
    }

    async fn start(&self, address: &str, throttle: &Arc<Throttle>) -> Result<Connection, Failure> {
        let unsent = |error: std::io::Error| Failure::Unsent(Error::retry(format!("broker {address} can't be reached: {error}")));
        let stream = TcpStream::connect(address).await.map_err(unsent)?;
        stream.set_nodelay(true).map_err(unsent)?;
        let Some(connector) = &self.connector else {
            return Ok(Connection::start(address, stream, &self.options, &self.meters, throttle));
        };
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let stream = connector.connect(host, stream).await?;
        Ok(Connection::start(address, stream, &self.options, &self.meters, throttle))
    }

    /// A broker that ends a connection at its first bytes may expect others.
    fn explain(&self, failure: Failure) -> Failure {
        match failure {
            // It has said so itself, and no second try makes another of it.
            Failure::Lost(error) if error.message().contains(OTHER_PORT) => Failure::Fatal(Error::invalid(error.message())),
            Failure::Lost(error) if self.connector.is_none() => {
                Failure::Unsent(Error::retry(format!("{error}; if it speaks TLS, set log.kafka.security.tls")))
            }
            Failure::Lost(error) => Failure::Unsent(error),
            other => other,
        }
    }
}

/// Asks what the broker speaks, as all clients do first: a version that it does not know is answered in the first one.
async fn ask_versions(connection: &Connection) -> Result<Versions, Failure> {
    let request = ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("pinlake"))
        .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
    let answer = connection.call_raw(&request, API_VERSIONS, NO_HOLD).await?;
    let response = if code_of(&answer) == Some(UNSUPPORTED_VERSION) {
        let answer = connection.call_raw(&request, API_VERSIONS_FIRST, NO_HOLD).await?;
        decode(answer, API_VERSIONS_FIRST)?
    } else {
        decode(answer, API_VERSIONS)?
    };
    if response.error_code != 0 {
        return Err(Failure::Fatal(error::of(response.error_code, "what the broker speaks can't be asked", None)));
    }
    Ok(Versions::of(&response))
}

fn decode(answer: Bytes, version: i16) -> Result<ApiVersionsResponse, Failure> {
    frame::decode::<ApiVersionsRequest>(answer, version).map_err(Failure::Fatal)
}

/// The error code, behind the correlation id in every version.
fn code_of(answer: &[u8]) -> Option<i16> {
    answer.get(4..6).map(|code| i16::from_be_bytes([code[0], code[1]]))
}
