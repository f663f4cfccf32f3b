//! Encrypts connections to brokers. It must not know what is sent.

use std::sync::Arc;

use pinlake_core::{Error, Result};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore};

use super::error::Failure;
use super::options::Tls;

/// The setting that names the authorities.
const CA: &str = "log.kafka.security.ca";

/// Whose certificates are believed, ready to connect.
#[derive(Clone)]
pub(super) struct Connector {
    connector: TlsConnector,
    /// Who is believed, as errors say it.
    believed: String,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector")
    }
}

impl Connector {
    /// Believes the authorities that `tls` names, else the system's.
    pub(super) fn new(tls: &Tls) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        if let Some(pem) = &tls.ca {
            let wrong = |what: &str| Error::invalid(format!("{CA}: '{}' {what}", tls.ca_name));
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| wrong(&format!("is not PEM: {error}")))?;
                roots.add(certificate).map_err(|error| wrong(&format!("holds a certificate that can't be used: {error}")))?;
            }
            if roots.is_empty() {
                return Err(wrong("holds no certificate: name a PEM file with those of the authorities that are believed"));
            }
        } else {
            // One that can't be read is passed over, as other clients do.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(Error::invalid(format!(
                    "this machine has no certificate of an authority: set {CA} to a file of them"
                )));
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::invalid(format!("TLS to the cluster can't be used: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), believed: believed(tls) })
    }

    /// Encrypts a connection to `host`.
    pub(super) async fn connect(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, Failure> {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|_| Failure::Fatal(Error::invalid(format!("'{host}' can't be in a certificate"))))?;
        self.connector.connect(name, stream).await.map_err(|error| {
            // TLS's own refusals come as this; what is left is the network.
            match error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) {
                Some(cause) => Failure::Fatal(Error::invalid(self.refused(host, cause))),
                None => Failure::Unsent(Error::retry(format!(
                    "no TLS with the broker at {host}: {error}; if it speaks none, unset log.kafka.security.tls"
                ))),
            }
        })
    }

    fn refused(&self, host: &str, cause: &rustls::Error) -> String {
        match cause {
            rustls::Error::InvalidMessage(_) => {
                format!(
                    "the broker's port at {host} does not speak TLS ({cause}): unset log.kafka.security.tls, or name its other port"
                )
            }
            rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => format!(
                "the broker at {host} has a certificate for another name ({cause}): log.kafka.brokers and the brokers' own addresses must be \
                 the names in their certificates"
            ),
            rustls::Error::InvalidCertificate(_) => format!("the broker at {host} is not trusted ({cause}): {}", self.believed),
            _ => format!("no TLS with the broker at {host}: {cause}; see log.kafka.security"),
        }
    }
}

/// Who is believed, and how to change that.
fn believed(tls: &Tls) -> String {
    match &tls.ca {
        Some(_) => format!("believed is who is in '{}': name the file of its authority in {CA}", tls.ca_name),
        None => format!("believed is whom this machine believes: name the file of its authority in {CA}"),
    }
}
