//! Logs a connection in by SASL. Passwords and tokens go to the broker and nowhere else.
//!
//! Source: the Kafka protocol guide, "SASL Authentication"; RFC 4616 (PLAIN), RFC 5802 and 7677 (SCRAM), RFC 7628 (OAUTHBEARER), KIP-368
//! (the end of a session).

mod scram;

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::{ApiKey, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest};
use kafka_protocol::protocol::StrBytes;
use pinlake_core::{Clock, Error, ErrorKind, Result};
use uuid::Uuid;

use super::connection::Connection;
use super::error::{Failure, said};
use super::options::{Login, Token};
use scram::{Hash, Scram};

const NO_HOLD: Duration = Duration::ZERO;
const PASSWORD_ADVICE: &str = "check log.kafka.security.sasl.username, .password and .mechanism";
const TOKEN_ADVICE: &str = "check log.kafka.security.sasl, and that the cluster lets whom the token is for in (for oauthbearer it is what sasl.password names)";
/// What a client says to a refused token (RFC 7628, section 3.2.3).
const OAUTH_FAILED: &[u8] = b"\x01";

/// Logs in; answers how long that holds, if it ends.
pub(super) async fn log_in(connection: &Connection, login: &Login, clock: &Clock) -> Result<Option<Duration>, Failure> {
    let mechanism = match login {
        Login::Plain { .. } => "PLAIN",
        Login::ScramSha256 { .. } => "SCRAM-SHA-256",
        Login::ScramSha512 { .. } => "SCRAM-SHA-512",
        Login::Token(_) => "OAUTHBEARER",
    };
    shake_hands(connection, mechanism).await?;
    let answer = match login {
        Login::Plain { user, password } => {
            let message = format!("\0{user}\0{}", password.expose());
            say(connection, message.into_bytes(), &format!("the password of '{user}'"), PASSWORD_ADVICE).await?
        }
        Login::ScramSha256 { user, password } => scram(connection, Hash::Sha256, user, password.expose()).await?,
        Login::ScramSha512 { user, password } => scram(connection, Hash::Sha512, user, password.expose()).await?,
        Login::Token(source) => {
            // Whoever makes tokens may be away for a while, too.
            let token = source.token().await.map_err(|error| match error.kind() {
                ErrorKind::Retry => Failure::Unsent(error),
                _ => Failure::Fatal(error),
            })?;
            bearer(connection, &token, clock).await?
        }
    };
    let lifetime_ms = u64::try_from(answer.session_lifetime_ms).unwrap_or(0);
    Ok((lifetime_ms > 0).then(|| Duration::from_millis(lifetime_ms)))
}

async fn shake_hands(connection: &Connection, mechanism: &'static str) -> Result<(), Failure> {
    if connection.versions.pick(ApiKey::SaslHandshake as i16).is_err() {
        return Err(Failure::Fatal(nobody_logs_in()));
    }
    let request = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
    let answer = connection.call(&request, NO_HOLD).await?;
    if answer.error_code == 0 {
        return Ok(());
    }
    let offered: Vec<&str> = answer.mechanisms.iter().take(20).map(|name| name.as_str()).collect();
    if offered.is_empty() {
        return Err(Failure::Fatal(nobody_logs_in()));
    }
    let offered = said(&offered.join(", "));
    let text = format!(
        "the broker does not let anybody in by {mechanism}, but by {offered}: set log.kafka.security.sasl.mechanism to one of these"
    );
    Err(Failure::Fatal(Error::invalid(text)))
}

fn nobody_logs_in() -> Error {
    Error::invalid(
        "nobody logs in at that port of the broker: set log.kafka.security.sasl.mechanism to none, or name the port for logins",
    )
}

async fn scram(connection: &Connection, hash: Hash, user: &str, password: &str) -> Result<SaslAuthenticateResponse, Failure> {
    let what = format!("the password of '{user}'");
    let nonce = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let scram = Scram::new(hash, user, &nonce);
    let first = say(connection, scram.first().into_bytes(), &what, PASSWORD_ADVICE).await?;
    // That keeps a processor busy, which no other task must wait for.
    let (password, challenge) = (password.to_owned(), first.auth_bytes);
    let last = tokio::task::spawn_blocking(move || scram.last(&password, &challenge)).await;
    let cut_short = |_| Failure::Unsent(Error::retry("the login to the cluster was cut short"));
    let (last, signature) = last.map_err(cut_short)?.map_err(Failure::Fatal)?;
    let answer = say(connection, last.into_bytes(), &what, PASSWORD_ADVICE).await?;
    scram::check(&answer.auth_bytes, &signature).map_err(Failure::Fatal)?;
    Ok(answer)
}

async fn bearer(connection: &Connection, token: &Token, clock: &Clock) -> Result<SaslAuthenticateResponse, Failure> {
    let value = token.value.expose();
    // An expired one is refused by the broker with less to go by.
    if token.expires <= clock.now() {
        return Err(Failure::Unsent(Error::retry("the token to log in to the cluster with has expired")));
    }
    let answer = say(connection, format!("n,,\x01auth=Bearer {value}\x01\x01").into_bytes(), "the token", TOKEN_ADVICE).await?;
    if answer.auth_bytes.is_empty() {
        return Ok(answer);
    }
    // A refusal comes as a challenge, and the broker ends the exchange when that is answered.
    say(connection, OAUTH_FAILED.to_vec(), "the token", TOKEN_ADVICE).await?;
    Err(Failure::Fatal(Error::invalid(format!("the broker refuses the token: {TOKEN_ADVICE}"))))
}

/// Sends one message of the exchange; `what` is what the broker looks at, `advice` what to do if it does not like it.
async fn say(connection: &Connection, message: Vec<u8>, what: &str, advice: &str) -> Result<SaslAuthenticateResponse, Failure> {
    let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(message));
    let answer = connection.call(&request, NO_HOLD).await?;
    if answer.error_code == 0 {
        return Ok(answer);
    }
    let own = answer.error_message.as_ref().map_or_else(String::new, |text| format!(" ({})", said(text)));
    Err(Failure::Fatal(Error::invalid(format!("the broker refuses {what}{own}: {advice}"))))
}
