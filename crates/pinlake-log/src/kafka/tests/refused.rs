//! Brokers that refuse us, all or one of several, before anything has worked and later; and what takes too long.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kafka_protocol::messages::ApiKey;
use pinlake_core::secret::Secret;
use pinlake_core::{Clock, ErrorKind, Log, Result, Timestamp};
use tokio::time::timeout;

use super::broker::{Act, Fake};
use super::{options, partition};
use crate::kafka::{ClusterOptions, KafkaLog, Login, Security, Token, TokenSource};

/// Answers a token, or nothing ever.
struct Source {
    is_away: bool,
}

#[async_trait]
impl TokenSource for Source {
    async fn token(&self) -> Result<Token> {
        if self.is_away {
            std::future::pending::<()>().await;
        }
        Ok(Token { value: Secret::new("token"), expires: Timestamp(i64::MAX) })
    }
}

/// A broker that wants a login.
async fn guarded() -> Fake {
    let fake = Fake::start().await;
    let apis = [
        (ApiKey::Produce, 9),
        (ApiKey::Fetch, 12),
        (ApiKey::ListOffsets, 7),
        (ApiKey::Metadata, 12),
        (ApiKey::ApiVersions, 3),
        (ApiKey::SaslHandshake, 1),
        (ApiKey::SaslAuthenticate, 2),
    ];
    fake.state().offered = apis.iter().map(|(api, most)| (*api, 0, *most)).collect();
    fake
}

fn with_token(fake: &Fake, is_away: bool) -> ClusterOptions {
    let login = Some(Login::Token(Arc::new(Source { is_away })));
    let mut options = ClusterOptions { security: Security { tls: None, login }, ..options(fake) };
    if is_away {
        (options.request_timeout, options.answer_timeout) = (Duration::from_secs(1), Duration::from_millis(300));
    }
    options
}

#[tokio::test]
async fn a_broker_that_refuses_us_leaves_the_others() {
    let (old, good) = (Fake::start().await, Fake::start().await);
    old.state().offered = vec![(ApiKey::ApiVersions, 0, 3), (ApiKey::Produce, 0, 2)];
    let brokers = vec![old.address.clone(), good.address.clone()];
    let log = KafkaLog::connect(ClusterOptions { brokers, ..options(&good) }, Clock::System).await.unwrap();
    assert!(log.range(&partition()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_login_that_has_worked_is_tried_again() {
    let fake = guarded().await;
    let log = KafkaLog::connect(with_token(&fake, false), Clock::System).await.unwrap();
    fake.next(ApiKey::ListOffsets, &[Act::Close]);
    fake.next(ApiKey::SaslAuthenticate, &[Act::Code(58)]);
    assert!(log.range(&partition()).await.unwrap().is_empty());
    assert!(fake.state().acts[&(ApiKey::SaslAuthenticate as i16)].is_empty(), "it was refused once");
}

#[tokio::test]
async fn a_refused_token_is_no_login_whatever_is_answered_to_its_end() {
    let fake = guarded().await;
    fake.state().logins.push_back("{\"status\":\"invalid_token\"}".into());
    let refused = KafkaLog::connect(with_token(&fake, false), Clock::System).await.unwrap_err();
    assert!(refused.kind() == ErrorKind::Invalid && refused.message().contains("refuses the token"), "{refused}");
}

#[tokio::test]
async fn a_maker_of_tokens_that_does_not_answer_is_not_waited_for() {
    let fake = guarded().await;
    let connecting = KafkaLog::connect(with_token(&fake, true), Clock::System);
    let late = timeout(Duration::from_secs(60), connecting).await.expect("it has an end").unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Retry);
}
