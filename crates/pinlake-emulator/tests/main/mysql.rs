//! The dump loaded into MariaDB by its own client, and posted from there. Skipped, with a message, where MariaDB is missing.

#![expect(clippy::disallowed_methods, reason = "a test makes and reads its own files")]

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use pinlake_core::testing::held_port::HeldPort;
use pinlake_emulator::{
    Datetimes, DumpOptions, EmulateOptions, Mode, Post, Posts, PostsOptions, Source, emulate, write_mysql_dump,
};
use tempfile::TempDir;

use crate::doors::Doors;

const ROWS: u64 = 2_300;

/// A MariaDB of the test's own, on a loopback port; it ends with the test.
struct MariaDb {
    process: Child,
    folder: TempDir,
    port: HeldPort,
}

fn server_program() -> Option<PathBuf> {
    let places = ["/usr/sbin/mariadbd", "/usr/bin/mariadbd", "/usr/local/bin/mariadbd", "/opt/homebrew/bin/mariadbd"];
    places.iter().map(PathBuf::from).find(|place| place.exists())
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl MariaDb {
    fn start(program: &Path) -> Self {
        let folder = TempDir::new().unwrap();
        let data = format!("--datadir={}", folder.path().join("data").display());
        let mut install = Command::new("mariadb-install-db");
        run(install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", &data]));
        let port = HeldPort::new();
        let socket = format!("--socket={}", folder.path().join("socket").display());
        let mut serve = Command::new(program);
        // The system's account may differ from the data's owner in a container; the server insists on being told.
        serve.args([
            "--no-defaults",
            "--user=root",
            "--bind-address=127.0.0.1",
            &format!("--port={}", port.address().port()),
            &data,
            &socket,
        ]);
        serve.args(["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M"]);
        let log = File::create(folder.path().join("log")).unwrap();
        let process = serve.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let server = Self { process, folder, port };
        // The client itself waits until the server answers.
        run(Command::new("mariadb-admin").args([
            "--no-defaults",
            "--user=root",
            "--wait=60",
            "--connect-timeout=5",
            &socket,
            "ping",
        ]));
        server
    }

    fn client(&self) -> Command {
        let mut client = Command::new("mariadb");
        let socket = format!("--socket={}", self.folder.path().join("socket").display());
        client.args(["--no-defaults", "--user=root", &socket]);
        client
    }

    fn sql(&self, text: &str) {
        run(self.client().args(["-e", text]));
    }

    fn url(&self, user: &str) -> String {
        format!("mysql://{user}@{}/pinterest_data", self.port.address())
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        // Its data goes with it, so nothing has to be saved.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn options(doors: &Doors, source: &str) -> EmulateOptions {
    EmulateOptions { source: source.parse().unwrap(), connections: 2, ..EmulateOptions::new(doors.url.parse().unwrap()) }
}

/// The generator's posts by key.
fn posts() -> HashMap<u64, Post> {
    let all = PostsOptions { posts: 11_154, duplicates: 0.0, datetimes: Datetimes::T };
    Posts::new(42, &all).unwrap().map(|post| (post.index, post)).collect()
}

#[tokio::test]
async fn the_dump_loads_and_its_rows_are_posted_as_the_generators() {
    let Some(program) = server_program() else {
        eprintln!("skipped: mariadbd is not installed");
        return;
    };
    let database = MariaDb::start(&program);
    let dump = database.folder.path().join("classic.sql");
    write_mysql_dump(&dump, &DumpOptions { rows: ROWS, seed: 42 }, &|_, _| ()).unwrap();
    run(database.client().stdin(File::open(&dump).unwrap()));
    database.sql("CREATE USER 'pin'@'%' IDENTIFIED BY 'wall'; GRANT SELECT ON pinterest_data.* TO 'pin'@'%'");

    let doors = Doors::open().await;
    let run_once = EmulateOptions {
        mode: Mode::Batch,
        records_a_request: 100,
        connections: 1,
        ..options(&doors, &database.url("pin:wall"))
    };
    let summary = emulate(&run_once, &|_, _| ()).await.unwrap();
    assert_eq!((summary.posts, summary.records), (ROWS, 3 * ROWS));
    let (posts, expected) = (posts(), 0..ROWS);
    let [pins, geos, users] = ["pin", "geo", "user"].map(|kind| doors.values(&format!("0a1b2c3d4e5f.{kind}")));
    for key in expected {
        let (post, row) = (&posts[&key], key as usize);
        assert_eq!((&pins[row], &users[row]), (&post.pin, &post.user));
        // MariaDB writes a whole degree without its ".0".
        assert_eq!(geos[row].replace(".0,", ","), post.geo.replace(".0,", ","));
    }

    // More than there is: from the first key again.
    let again = EmulateOptions {
        count: Some(ROWS + 3),
        start_at: ROWS - 1,
        connections: 1,
        ..options(&doors, &database.url("pin:wall"))
    };
    assert_eq!(emulate(&again, &|_, _| ()).await.unwrap().posts, 4);
    assert_eq!(doors.values("0a1b2c3d4e5f.pin")[ROWS as usize..], [ROWS - 1, 0, 1, 2].map(|key| posts[&key].pin.clone()));

    // Tables that are emptied while they are read end the run.
    let emptied = EmulateOptions { count: Some(4 * ROWS), ..options(&doors, &database.url("pin:wall")) };
    let empty = |done, _| {
        if done == 1 {
            database.sql("USE pinterest_data; DELETE FROM pinterest_data; DELETE FROM geolocation_data; DELETE FROM user_data");
        }
    };
    let error = emulate(&emptied, &empty).await.unwrap_err().to_string();
    assert!(error.contains("the tables have no rows any more"), "{error}");
    run(database.client().stdin(File::open(&dump).unwrap()));

    let told = |source: String| {
        let doors = doors.clone();
        async move { emulate(&options(&doors, &source), &|_, _| ()).await.unwrap_err().to_string() }
    };
    let error = told(database.url("pin:wrong")).await;
    assert!(error.contains("check user, password and database") && !error.contains("wrong"), "{error}");
    database.sql("USE pinterest_data; RENAME TABLE user_data TO people");
    let error = told(database.url("pin:wall")).await;
    assert!(error.contains("cannot read table 'user_data'"), "{error}");
    database.sql("USE pinterest_data; RENAME TABLE people TO user_data; DELETE FROM geolocation_data");
    let error = told(database.url("pin:wall")).await;
    assert!(error.contains("table 'geolocation_data' is empty"), "{error}");
}

#[test]
fn a_database_url_is_a_source() {
    assert!(matches!("mysql://u:p@h/pinterest_data".parse(), Ok(Source::MySql(_))));
}
