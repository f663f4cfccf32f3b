//! A client says who it is: SaslHandshake, SaslAuthenticate.

use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::sasl_authenticate_request::SaslAuthenticateRequest;
use kafka_protocol::messages::sasl_authenticate_response::SaslAuthenticateResponse;
use kafka_protocol::messages::sasl_handshake_request::SaslHandshakeRequest;
use kafka_protocol::messages::sasl_handshake_response::SaslHandshakeResponse;
use kafka_protocol::protocol::StrBytes;

use super::{Call, wire_text};
use crate::kafka::metrics;
use crate::kafka::sasl::{Denied, Exchange, MECHANISMS, Step};

/// How long somebody who is not let in waits for the answer, so that guessing takes time.
const DENIED_AFTER: Duration = Duration::from_millis(100);

/// The client chooses how to say who it is.
pub(super) fn handshake(call: &Call<'_>, request: &SaslHandshakeRequest) -> SaslHandshakeResponse {
    let response = SaslHandshakeResponse::default().with_mechanisms(MECHANISMS.map(StrBytes::from_static_str).to_vec());
    if call.broker.settings.principals.is_none() {
        return response.with_error_code(ResponseError::IllegalSaslState.code());
    }
    match Exchange::new(&request.mechanism) {
        Some(exchange) => {
            *call.session.exchange() = Some(exchange);
            response
        }
        None => response.with_error_code(ResponseError::UnsupportedSaslMechanism.code()),
    }
}

/// One message of the exchange. A client that is not let in may begin anew.
pub(super) async fn authenticate(call: &Call<'_>, request: SaslAuthenticateRequest) -> SaslAuthenticateResponse {
    let exchange = call.session.exchange().take();
    let (Some(mut exchange), Some(principals)) = (exchange, &call.broker.settings.principals) else {
        let text = wire_text("no mechanism was chosen before: send SaslHandshake first");
        let response = SaslAuthenticateResponse::default().with_error_message(Some(text));
        return response.with_error_code(ResponseError::IllegalSaslState.code());
    };
    match exchange.step(principals, &request.auth_bytes) {
        Ok(Step::Continue(answer)) => {
            *call.session.exchange() = Some(exchange);
            SaslAuthenticateResponse::default().with_auth_bytes(answer.into())
        }
        Ok(Step::Done(name, answer)) => {
            tracing::debug!(peer = %call.ends.peer, principal = %name.escape_debug(), "a client has logged in");
            call.session.let_in();
            SaslAuthenticateResponse::default().with_auth_bytes(answer.into())
        }
        Err(Denied(why)) => {
            metrics::observe_refusal("not_authenticated");
            tracing::info!(peer = %call.ends.peer, "a client was not let in: {why}");
            tokio::time::sleep(DENIED_AFTER).await;
            let response = SaslAuthenticateResponse::default().with_error_message(Some(wire_text(why)));
            response.with_error_code(ResponseError::SaslAuthenticationFailed.code())
        }
    }
}
