//! Encrypts connections. It must not know where certificate and key come from.

use std::sync::Arc;

use pinlake_core::{Error, Result};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What HTTP's clients may speak, the better one first.
const HTTP_PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A certificate with its key, ready to encrypt connections. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    pub(crate) acceptor: TlsAcceptor,
}

impl Tls {
    /// Takes a certificate chain and its private key, both PEM.
    ///
    /// # Errors
    /// `Invalid` if they are not that, or do not fit.
    pub fn new(certificates: &[u8], key: &[u8]) -> Result<Self> {
        let wrong = |what: &str, error: &dyn std::fmt::Display| Error::invalid(format!("{what} can't be used: {error}"));
        let chain: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates).collect();
        let chain = chain.map_err(|error| wrong("the certificate", &error))?;
        if chain.is_empty() {
            return Err(wrong("the certificate", &"there is none in the file"));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong("the private key", &error))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong("TLS", &error))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| wrong("the certificate with its key", &error))?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// The same for HTTP, whose clients are told that they may speak HTTP/2.
    #[must_use]
    pub fn for_http(self) -> Self {
        let mut config = ServerConfig::clone(self.acceptor.config());
        config.alpn_protocols = HTTP_PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Self { acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls(***)")
    }
}
