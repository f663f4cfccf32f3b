//! Mail, by SMTP.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use pinlake_core::secret::Secret;
use pinlake_core::{Error, Result};

use super::{Notice, NoticeState, Parcel, Refusal, SENDING_MAX};

/// How long the connection to the mail server may take. Its answers have no bound of their own in the library: the whole of a sending has.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);

/// Who is told by mail, and over which server.
#[derive(Debug, Clone)]
pub struct Mail {
    from: Mailbox,
    to: Vec<Mailbox>,
    server: AsyncSmtpTransport<Tokio1Executor>,
}

impl Mail {
    /// Mail from one address to others over the server of a URL: `smtps://HOST`, `smtp://HOST:PORT?tls=required`, or `smtp://HOST:PORT` without encryption.
    ///
    /// # Errors
    /// `Invalid` for an address or a URL that is none.
    pub fn new(from: &str, to: &[String], url: &str, login: Option<(String, Secret)>) -> Result<Mail> {
        let mailbox = |address: &str| {
            address
                .parse::<Mailbox>()
                .map_err(|error| Error::invalid(format!("'{address}' is no address of mail")).with_source(error))
        };
        let server = AsyncSmtpTransport::<Tokio1Executor>::from_url(url);
        let server = server
            .map_err(|error| Error::invalid("the mail server takes smtps://HOST or smtp://HOST:PORT").with_source(error))?;
        let server = server.timeout(Some(CONNECT_WITHIN));
        let server = match login {
            Some((user, password)) => server.credentials(Credentials::new(user, password.expose().to_owned())),
            None => server,
        };
        let to = to.iter().map(|address| mailbox(address)).collect::<Result<_>>()?;
        Ok(Mail { from: mailbox(from)?, to, server: server.build() })
    }

    pub(super) async fn send(&self, parcel: &Parcel) -> std::result::Result<(), Refusal> {
        let notices = parcel.notices();
        let open = notices.iter().filter(|notice| notice.state == NoticeState::Open).count();
        let subject = format!("Pinlake: {open} alerts, {} recovered", notices.len() - open);
        let text = notices.iter().map(Notice::line).collect::<Vec<_>>().join("\r\n");
        let mut mail =
            Message::builder().from(self.from.clone()).subject(subject).message_id(Some(format!("<{}@pinlake>", parcel.name)));
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        let mail = mail.body(text).map_err(|error| Refusal { why: error.to_string(), for_good: true })?;
        // What has not come to its end by then is dropped, with its connection.
        match tokio::time::timeout(SENDING_MAX, self.server.send(mail)).await {
            Ok(sent) => sent.map(|_| ()).map_err(|error| Refusal { why: error.to_string(), for_good: error.is_permanent() }),
            Err(_) => {
                let why = format!("the mail server did not take it within {} s", SENDING_MAX.as_secs());
                Err(Refusal { why, for_good: false })
            }
        }
    }
}
