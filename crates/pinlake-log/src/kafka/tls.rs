//! Encrypts connections to brokers. It must not know what is sent.

use std::sync::Arc;

use pinlake_core::{Error, Result};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::error::Failure;
use super::options::Tls;

/// Whose certificates are believed, ready to connect.
#[derive(Clone)]
pub(super) struct Connector(TlsConnector);

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector")
    }
}

impl Connector {
    /// Believes the authorities that `tls` names, else the system's.
    pub(super) fn new(tls: &Tls) -> Result<Self> {
        let wrong = |error: &dyn std::fmt::Display| Error::invalid(format!("TLS to the cluster can't be used: {error}"));
        let mut roots = RootCertStore::empty();
        if let Some(pem) = &tls.ca {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate =
                    certificate.map_err(|error| wrong(&format!("the authority's certificate is not PEM: {error}")))?;
                roots.add(certificate).map_err(|error| wrong(&error))?;
            }
        } else {
            // One that can't be read is passed over, as other clients do.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        if roots.is_empty() {
            return Err(wrong(&"there is no certificate of an authority: name a file of them"));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Encrypts a connection to `host`.
    pub(super) async fn connect(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, Failure> {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|_| Failure::Fatal(Error::invalid(format!("'{host}' can't be in a certificate"))))?;
        self.0.connect(name, stream).await.map_err(|error| {
            // TLS's own refusals come as this; what is left is the network.
            let is_refused = error.get_ref().is_some_and(|cause| cause.is::<tokio_rustls::rustls::Error>());
            if is_refused {
                let text = format!(
                    "the broker at {host} is not trusted, or does not speak TLS: {error}; see log.kafka.security.tls, and its authority's certificate"
                );
                Failure::Fatal(Error::invalid(text))
            } else {
                Failure::Unsent(Error::retry(format!("no TLS with the broker at {host}: {error}; if it speaks none, unset log.kafka.security.tls")))
            }
        })
    }
}
