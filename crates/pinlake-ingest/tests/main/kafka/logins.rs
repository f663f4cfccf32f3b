//! Clients that say who they are, and connections that are encrypted.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, MetadataResponse, SaslAuthenticateRequest,
    SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::StrBytes;
use pinlake_core::secret::Secret;
use pinlake_ingest::Tls;
use pinlake_ingest::auth::{Principal, Principals};
use pinlake_ingest::kafka::KafkaSettings;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::client::{Client, Served};

const CERTIFICATE: &[u8] = include_bytes!("tls/cert.pem");
const KEY: &[u8] = include_bytes!("tls/key.pem");

fn settings() -> KafkaSettings {
    let alice = Principal { name: "alice".to_owned(), password: Secret::new("secret") };
    KafkaSettings { principals: Some(Principals::new([alice])), ..KafkaSettings::default() }
}

async fn shake<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Client<S>, mechanism: &'static str) -> i16 {
    let request = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
    let answer: SaslHandshakeResponse = client.call(ApiKey::SaslHandshake, 1, &request).await;
    answer.error_code
}

async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Client<S>, message: &'static [u8]) -> i16 {
    let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(message));
    let answer: SaslAuthenticateResponse = client.call(ApiKey::SaslAuthenticate, 2, &request).await;
    answer.error_code
}

async fn brokers<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Client<S>) -> usize {
    let answer: MetadataResponse = client.call(ApiKey::Metadata, 9, &MetadataRequest::default().with_topics(None)).await;
    answer.brokers.len()
}

#[tokio::test]
async fn a_stranger_is_served_nothing_but_the_login() {
    let served = Served::start_with(settings()).await;
    let mut client = served.connect().await;
    let versions: ApiVersionsResponse = client.call(ApiKey::ApiVersions, 0, &ApiVersionsRequest::default()).await;
    assert_eq!(versions.error_code, 0);
    client.send(ApiKey::Metadata, 9, &MetadataRequest::default().with_topics(None)).await;
    assert!(client.frame().await.is_none(), "the connection ends");
    let mut client = served.connect().await;
    client.stream.write_all(&(65_537_u32).to_be_bytes()).await.unwrap();
    assert!(client.frame().await.is_none(), "a stranger sends no large request");
}

#[tokio::test]
async fn who_knows_the_password_is_let_in_and_nobody_else() {
    let served = Served::start_with(settings()).await;
    let mut client = served.connect().await;
    assert_eq!(authenticate(&mut client, b"\0alice\0secret").await, 34, "no mechanism was chosen");
    assert_eq!(shake(&mut client, "GSSAPI").await, 33);
    assert_eq!(shake(&mut client, "PLAIN").await, 0);
    assert_eq!(authenticate(&mut client, b"\0alice\0wrong").await, 58);
    assert_eq!(authenticate(&mut client, b"\0alice\0secret").await, 34, "one attempt a handshake");
    assert_eq!(shake(&mut client, "PLAIN").await, 0);
    assert_eq!(authenticate(&mut client, b"\0alice\0secret").await, 0);
    assert_eq!(brokers(&mut client).await, 1);
}

#[tokio::test]
async fn where_nobody_is_asked_a_login_is_refused() {
    let served = Served::start().await;
    assert_eq!(shake(&mut served.connect().await, "PLAIN").await, 34);
}

#[tokio::test]
async fn connections_are_encrypted_where_that_is_set() {
    let tls = Some(Tls::new(CERTIFICATE, KEY).unwrap());
    let served = Served::start_with(KafkaSettings { tls, ..settings() }).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(CERTIFICATE).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(served.address).await.unwrap();
    let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
    let mut client = Client::over(stream);
    assert_eq!(shake(&mut client, "PLAIN").await, 0);
    assert_eq!(authenticate(&mut client, b"\0alice\0secret").await, 0);
    assert_eq!(brokers(&mut client).await, 1);
    let mut plain = served.connect().await;
    plain.send(ApiKey::ApiVersions, 0, &ApiVersionsRequest::default()).await;
    // What comes back, if anything does, is an alert of TLS and no answer.
    assert!(plain.frame().await.is_none());
}

#[test]
fn certificates_that_can_not_be_used_are_named() {
    for (certificate, key, what) in
        [(&b""[..], KEY, "the certificate"), (CERTIFICATE, b"", "the private key"), (KEY, KEY, "the certificate")]
    {
        let error = Tls::new(certificate, key).unwrap_err();
        assert!(error.message().starts_with(what), "{error}");
    }
}
