//! A certificate of the server's own making, for clients that insist on encryption: made once, kept in the data folder, and given to clients as a file to trust.

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pinlake_core::Clock;
use pinlake_ingest::Tls;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

/// The folder in the data folder.
const FOLDER: &str = "tls";
/// The names of every certificate of ours.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// How long it holds: clients trust this one file alone.
const YEARS: i32 = 10;

/// A certificate and its key, PEM.
pub(crate) struct OwnCertificate {
    /// The file that clients are told to trust.
    pub(crate) file: PathBuf,
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

/// The certificate in the data folder, made anew if there is none, or none for these names.
#[expect(clippy::disallowed_methods, reason = "the one place that keeps the certificate")]
pub(crate) fn of(data_dir: &Path, listen: IpAddr, names: &[String]) -> Result<OwnCertificate> {
    let folder = data_dir.join(FOLDER);
    let (file, key_file, names_file) = (folder.join("cert.pem"), folder.join("key.pem"), folder.join("names.txt"));
    let mut all: Vec<String> = NAMES.iter().map(ToString::to_string).chain(names.iter().cloned()).collect();
    if !listen.is_unspecified() && !all.contains(&listen.to_string()) {
        all.push(listen.to_string());
    }
    let wanted = all.join("\n");
    let known = std::fs::read_to_string(&names_file).is_ok_and(|known| known == wanted);
    if let (true, Ok(certificate), Ok(key)) = (known, std::fs::read(&file), std::fs::read(&key_file)) {
        // A crash or a hand may have left the halves of two.
        if Tls::new(&certificate, &key).is_ok() {
            return Ok(OwnCertificate { file, certificate, key });
        }
    }
    let (certificate, key) = make(all).context("making a certificate")?;
    let keep = || {
        std::fs::create_dir_all(&folder)?;
        // Gone first and back last, each on the disk before the next: a half made one is made again.
        match std::fs::remove_file(&names_file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => sync(&folder)?,
        }
        write_secret(&key_file, key.as_bytes())?;
        std::fs::write(&file, &certificate)?;
        sync(&file)?;
        std::fs::write(&names_file, &wanted)?;
        sync(&names_file)?;
        sync(&folder)
    };
    keep().with_context(|| format!("keeping a certificate in '{}'", folder.display()))?;
    Ok(OwnCertificate { file, certificate: certificate.into_bytes(), key: key.into_bytes() })
}

fn make(names: Vec<String>) -> Result<(String, String)> {
    let mut params = CertificateParams::new(names)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, "Pinlake");
    params.distinguished_name = subject;
    let now = jiff::Timestamp::from_millisecond(Clock::System.now().0)?;
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let day = |years: i32| {
        let date = today.saturating_add(jiff::Span::new().years(years));
        rcgen::date_time_ymd(date.year().into(), u8::try_from(date.month()).unwrap_or(1), u8::try_from(date.day()).unwrap_or(1))
    };
    // A day or two is what clocks of clients may be behind.
    params.not_before = rcgen::date_time_ymd(i32::from(today.year()) - 1, 1, 1);
    params.not_after = day(YEARS);
    let key = KeyPair::generate()?;
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

/// Writes a file that its owner alone may read.
#[expect(clippy::disallowed_methods, reason = "keeps the private key")]
fn write_secret(file: &Path, content: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    // One that is there keeps the rights that it has.
    let _ = std::fs::remove_file(file);
    let mut open = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    open.write_all(content)?;
    open.sync_all()
}

/// Has the disk keep a file's content, or a folder's names.
#[expect(clippy::disallowed_methods, reason = "keeps the certificate")]
fn sync(path: &Path) -> std::io::Result<()> {
    std::fs::File::open(path)?.sync_all()
}
