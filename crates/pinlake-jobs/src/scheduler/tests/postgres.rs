//! All of these tests again over Postgres, each with a database of its own. Skipped, with a message, where Postgres is missing.

#![expect(clippy::disallowed_methods, reason = "a test starts a server in a folder of its own")]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::world::DATABASES;

/// A Postgres of the test's own, on a loopback port; it ends with the test.
struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
}

/// The folder with the server's programs, which Debian keeps by version.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|version| version.path().join("bin"));
    let mut places: Vec<PathBuf> = versions.chain(["/usr/local/bin".into(), "/opt/homebrew/bin".into()]).collect();
    places.sort();
    places.into_iter().find(|place| place.join("initdb").exists() && place.join("pg_ctl").exists())
}

/// A program of the server's, which refuses to run as root.
fn program(path: &Path) -> Command {
    let root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if !root {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(path);
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said));
}

impl Postgres {
    fn start(programs: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Whoever the server runs as makes its own folder there.
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { programs, folder, port };
        let data = server.data();
        run(program(&server.programs.join("initdb"))
            .args(["--auth=trust", "--username=pinlake", "--no-sync", "--locale=C", "--encoding=UTF8", "-D"])
            .arg(&data));
        let place = server.folder.path().display();
        let options = format!("-h 127.0.0.1 -p {port} -k {place} -c fsync=off -c max_connections=400");
        let log = server.folder.path().join("log");
        // It waits until the server answers.
        run(program(&server.programs.join("pg_ctl"))
            .args(["start", "-w", "-t", "60", "-o", &options, "-l"])
            .arg(log)
            .arg("-D")
            .arg(&data));
        server
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // It is of no use to anybody any more, however that ends.
        let _ = program(&self.programs.join("pg_ctl")).args(["stop", "-m", "immediate", "-D"]).arg(self.data()).output();
    }
}

#[test]
fn the_same_holds_over_postgres() {
    if std::env::var_os(DATABASES).is_some() {
        return;
    }
    let Some(programs) = programs() else {
        eprintln!("skipped: there is no Postgres (Debian's package is postgresql)");
        return;
    };
    let server = Postgres::start(programs);
    let url = format!("postgres://pinlake@127.0.0.1:{}/postgres", server.port);
    let mut again = Command::new(std::env::current_exe().unwrap());
    let output = again.args(["scheduler::tests::", "--test-threads=2"]).env(DATABASES, url).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("a_death_at_any_commit_loses_no_run_and_doubles_no_effect ... ok"), "{said}");
}
