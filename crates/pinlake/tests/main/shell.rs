//! Commands as a user types them.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::server::Server;

/// What a command did.
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Its output, if it did its work.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.status, Some(0), "{}\n{}", self.out, self.err);
        self.out
    }

    /// Its reason, if its work failed.
    #[track_caller]
    pub(crate) fn failed(self) -> String {
        assert_eq!(self.status, Some(1), "{}\n{}", self.out, self.err);
        assert!(self.err.starts_with("error: "), "{}", self.err);
        self.err
    }
}

/// Commands with the same surroundings.
#[derive(Default)]
pub(crate) struct Shell {
    pub(crate) variables: Vec<(&'static str, String)>,
    input: &'static str,
}

impl Shell {
    /// Commands for a running server.
    pub(crate) fn at(server: &Server) -> Shell {
        Shell::with("PINLAKE_SERVER", &server.url)
    }

    pub(crate) fn with(name: &'static str, value: &str) -> Shell {
        Shell { variables: vec![(name, value.to_owned())], ..Shell::default() }
    }

    /// Commands that look whether a server could start: at ports that nobody has, with as few connections as any machine has the open files for.
    pub(crate) fn apart() -> Shell {
        let anywhere = "127.0.0.1:0";
        let few = "100";
        let variables = [
            ("PINLAKE_HTTP_LISTEN", anywhere),
            ("PINLAKE_KAFKA_LISTEN", anywhere),
            ("PINLAKE_HTTP_CONNECTIONS_MAX", few),
            ("PINLAKE_KAFKA_CONNECTIONS_MAX", few),
        ];
        Shell { variables: variables.map(|(name, value)| (name, value.to_owned())).into(), ..Shell::default() }
    }

    pub(crate) fn typing(mut self, input: &'static str) -> Shell {
        self.input = input;
        self
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinlake"));
        command.args(args).envs(self.variables.iter().map(|(name, value)| (name, value)));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut typed = child.stdin.take().unwrap();
        // A command that reads no input may be gone already.
        let _ = typed.write_all(self.input.as_bytes()).await;
        drop(typed);
        let ran = child.wait_with_output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { status: ran.status.code(), out: text(ran.stdout), err: text(ran.stderr) }
    }
}

/// A command without surroundings.
pub(crate) async fn run(args: &[&str]) -> Ran {
    Shell::default().run(args).await
}

pub(crate) fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The words of each line, without the columns' widths.
pub(crate) fn words(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}
