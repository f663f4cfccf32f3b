//! Who may use the services that speak `X-Amz-Target`: anybody, nobody, or whoever signs with a known key, for what the key allows.
//! Secrets are compared here and shown nowhere.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::http::request::Parts;
use bytes::Bytes;
use pinlake_core::Timestamp;
use pinlake_core::pipeline::Pattern;
use pinlake_core::secret::Secret;

use super::error::AwsError;
use super::signing::{Scope, ScopeKey};
use super::sigv4::{self, Credential};
use crate::auth::equal;
use crate::settings::{AccessKey, AccessMode, Grant, KinesisSettings};

/// The keys and what they allow. Built once, and shared.
pub(crate) struct Access {
    mode: AccessMode,
    account: String,
    /// That of requests that name none.
    region: String,
    keys: HashMap<String, Key>,
}

struct Key {
    secret: Secret,
    session_token: Option<Secret>,
    expires: Option<Timestamp>,
    allow: Vec<Allowed>,
    /// Of the scope that was asked for last, and its text: a client's is the same all day.
    last: Mutex<Option<(String, ScopeKey)>>,
}

struct Allowed {
    actions: Vec<Pattern>,
    streams: Vec<Pattern>,
}

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The key that signed, or says that it did where nobody looks; `None` if the request is not signed.
    pub(crate) key_id: Option<String>,
    /// That of the credential, or else the server's own.
    pub(crate) region: String,
}

/// Finds out who sent a request, and whether they may use `operation` of `service` at all. Which streams they may use it on is for
/// [`Access::may`] to say.
///
/// # Errors
/// In AWS's own words, looked for in AWS's order.
pub(crate) fn check(
    access: &Access,
    now: Timestamp,
    parts: &Parts,
    service: &str,
    operation: &str,
    body: &Bytes,
) -> Result<Caller, AwsError> {
    if access.mode == AccessMode::Closed {
        return Err(AwsError::new("AccessDeniedException", CLOSED));
    }
    let Some(stated) = sigv4::read(parts)? else {
        return match access.mode {
            AccessMode::Open => Ok(Caller { key_id: None, region: access.region.clone() }),
            _ => Err(AwsError::new("MissingAuthenticationTokenException", "Missing Authentication Token")),
        };
    };
    let time = stated.time()?;
    if access.mode == AccessMode::Open {
        let credential = stated.credential()?;
        credential.check_region()?;
        return Ok(caller(credential));
    }
    stated.check_age(now)?;
    stated.check_signed_headers(&parts.headers)?;
    let credential = stated.credential()?;
    credential.check_scope(time, service)?;
    let unknown = || AwsError::new("UnrecognizedClientException", "The security token included in the request is invalid.");
    let key = access.keys.get(&credential.key_id).ok_or_else(unknown)?;
    if !stated.is_signed_with(&key.of_scope(credential.scope()), &credential, parts, body) {
        return Err(AwsError::new("InvalidSignatureException", NOT_SIGNED));
    }
    let same_token = match (&key.session_token, &stated.token) {
        (None, None) => true,
        (Some(known), Some(sent)) => equal(known.expose().as_bytes(), sent.as_bytes()),
        _ => false,
    };
    if !same_token {
        return Err(unknown());
    }
    if key.expires.is_some_and(|expires| expires <= now) {
        return Err(AwsError::new("ExpiredTokenException", "The security token included in the request is expired"));
    }
    let caller = caller(credential);
    let action = format!("{service}:{operation}");
    if key.allow.iter().any(|allowed| allowed.action(&action)) { Ok(caller) } else { Err(access.denied(&caller, &action, None)) }
}

/// What only a pattern of all names covers: no name has such a character.
const EVERY_STREAM: &str = "\u{1}";
const CLOSED: &str = "this server can be reached from the network, and nothing says who may use its AWS services: set \
                      kinesis.access.mode to signed and give it keys, or to open if everybody may use them";
const NOT_SIGNED: &str = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key \
                          and signing method. Consult the service documentation for details.";

impl Access {
    pub(crate) fn new(settings: &KinesisSettings) -> Self {
        let keys = settings.access.keys.iter().map(|key| (key.id.clone(), Key::of(key)));
        Self {
            mode: settings.access.mode,
            account: settings.account.clone(),
            region: settings.region.clone(),
            keys: keys.collect(),
        }
    }

    /// Whether `caller` may do `action`, such as `kinesis:PutRecord`, to this stream; without one, to all of them together, as listing
    /// them is.
    ///
    /// # Errors
    /// `AccessDeniedException` if not.
    pub(crate) fn may(&self, caller: &Caller, action: &str, stream: Option<&str>) -> Result<(), AwsError> {
        let key = caller.key_id.as_ref().and_then(|id| self.keys.get(id));
        let allowed = match self.mode {
            AccessMode::Open => true,
            AccessMode::Closed => false,
            AccessMode::Signed => key.is_some_and(|key| key.allow.iter().any(|allowed| allowed.all(action, stream))),
        };
        if allowed { Ok(()) } else { Err(self.denied(caller, action, stream)) }
    }

    fn denied(&self, caller: &Caller, action: &str, stream: Option<&str>) -> AwsError {
        let Self { account, .. } = self;
        let Caller { key_id, region } = caller;
        let user = key_id.as_deref().unwrap_or("anonymous");
        let (service, _) = action.split_once(':').unwrap_or((action, ""));
        let what = if service == "firehose" { "deliverystream" } else { "stream" };
        let stream = stream.unwrap_or("*");
        AwsError::new(
            "AccessDeniedException",
            format!(
                "User: arn:aws:iam::{account}:user/{user} is not authorized to perform: {action} on resource: \
                 arn:aws:{service}:{region}:{account}:{what}/{stream} because no identity-based policy allows the {action} action"
            ),
        )
    }
}

impl Key {
    fn of(key: &AccessKey) -> Self {
        let AccessKey { id: _, secret, session_token, expires, allow } = key;
        let allow = allow.iter().map(|Grant { actions, streams }| Allowed {
            actions: actions.iter().map(|action| Pattern::new(action)).collect(),
            streams: streams.iter().map(|stream| Pattern::new(stream)).collect(),
        });
        Self {
            secret: secret.clone(),
            session_token: session_token.clone(),
            expires: *expires,
            allow: allow.collect(),
            last: Mutex::default(),
        }
    }

    fn of_scope(&self, scope: Scope<'_>) -> ScopeKey {
        let text = scope.text();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((of, key)) if *of == text => key.clone(),
            _ => last.insert((text, scope.derive(&self.secret))).1.clone(),
        }
    }
}

impl Allowed {
    /// Whether it is about this action, whose service need not be named.
    fn action(&self, action: &str) -> bool {
        let (_, operation) = action.split_once(':').unwrap_or(("", action));
        self.actions.iter().any(|pattern| pattern.matches(action) || pattern.matches(operation))
    }

    fn all(&self, action: &str, stream: Option<&str>) -> bool {
        let stream = stream.unwrap_or(EVERY_STREAM);
        self.action(action) && self.streams.iter().any(|pattern| pattern.matches(stream))
    }
}

fn caller(credential: Credential) -> Caller {
    Caller { key_id: Some(credential.key_id), region: credential.region }
}
