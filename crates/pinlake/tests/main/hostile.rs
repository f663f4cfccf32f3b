//! Input that no honest client sends: it gets a clear refusal or a row in quarantine, and the server stays up.
