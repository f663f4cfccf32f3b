//! All of these tests again over Postgres, each with a database of its own. Skipped, with a message, where Postgres is missing.

#![expect(clippy::disallowed_methods, reason = "a test starts a server in a folder of its own")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pinlake_core::jobs::{JobSpec, Run};
use pinlake_core::{Clock, ErrorKind};
use tempfile::TempDir;

use super::world::{DATABASES, Deed, START, World, has_succeeded, job, run_of, schedule};
use crate::scheduler::Settings;
use crate::store::Store;

const SECOND: Duration = Duration::from_secs(1);

/// A part of the socket's name, nothing else.
const PORT: u16 = 5432;

/// A Postgres of the test's own, at a socket in its folder: a port could be somebody else's by the time that it listens. It ends with the test.
struct Postgres {
    programs: PathBuf,
    folder: TempDir,
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
        // A socket's path has 107 bytes at most.
        let is_long = std::env::temp_dir().as_os_str().len() > 70;
        let folder = if is_long { tempfile::tempdir_in("/tmp") } else { tempfile::tempdir() }.unwrap();
        // Whoever the server runs as makes its own folder there.
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let server = Self { programs, folder };
        let data = server.data();
        run(program(&server.programs.join("initdb"))
            .args(["--auth=trust", "--username=pinlake", "--no-sync", "--locale=C", "--encoding=UTF8", "-D"])
            .arg(&data));
        let place = server.folder.path().display();
        let options = format!("-c listen_addresses= -p {PORT} -k {place} -c fsync=off -c max_connections=400");
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

    fn url(&self) -> String {
        let place = self.folder.path().to_str().unwrap().replace('/', "%2F");
        format!("postgres://pinlake@{place}:{PORT}/postgres")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // It is of no use to anybody any more, however that ends.
        let _ = program(&self.programs.join("pg_ctl")).args(["stop", "-m", "immediate", "-D"]).arg(self.data()).output();
    }
}

/// Set where a test may not be left out because Postgres is missing.
const NEEDED: &str = "PINLAKE_TEST_NEEDS_POSTGRES";

#[test]
fn the_same_holds_over_postgres() {
    if is_here() {
        return;
    }
    let Some(programs) = programs() else {
        assert!(std::env::var_os(NEEDED).is_none(), "{NEEDED} is set, and there is no Postgres (Debian's package is postgresql)");
        // Past the test's own output, which nobody sees of a test that passes.
        writeln!(
            std::io::stderr(),
            "\nSKIPPED: no test of jobs over Postgres, which is missing (Debian's package is postgresql)\n"
        )
        .unwrap();
        return;
    };
    let server = Postgres::start(programs);
    let mut again = Command::new(std::env::current_exe().unwrap());
    let output = again.args(["scheduler::tests::", "--test-threads=2"]).env(DATABASES, server.url()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    for test in
        ["a_death_at_any_commit_loses_no_run_and_doubles_no_effect", "two_living_processes_share_the_work_and_double_nothing"]
    {
        assert!(said.contains(&format!("{test} ... ok")), "{said}");
    }
}

/// Whether this is what runs over Postgres.
fn is_here() -> bool {
    std::env::var_os(DATABASES).is_some()
}

/// The processes that made a run's attempts.
fn owners(run: &Run) -> Vec<&str> {
    run.tasks.iter().flat_map(|task| &task.attempts).map(|attempt| attempt.owner.as_str()).collect()
}

async fn none_underway(worlds: [&World; 2]) {
    for world in worlds {
        let inner = &world.scheduler.inner;
        while !inner.underway.lock().unwrap().is_empty() {
            inner.changed.notified().await;
        }
    }
}

#[tokio::test]
async fn two_living_processes_share_the_work_and_double_nothing() {
    if !is_here() {
        return;
    }
    let one = World::with(Settings { tasks_max: 2, ..Settings::default() }).await;
    let two = one.another().await;
    let jobs: Vec<JobSpec> = (0..6)
        .map(|number| JobSpec { schedule: schedule("* * * * *"), ..job(&format!("job_{number}"), &["first", "second"]) })
        .collect();
    one.install(&jobs).await;
    two.install(&jobs).await;
    one.deeds.set("first", Deed::Hangs);
    for _ in 0..12 {
        one.clock.advance(5 * SECOND);
        let (first, second) = tokio::join!(one.scheduler.tick(), two.scheduler.tick());
        first.unwrap();
        second.unwrap();
    }
    let held = |world: &World| world.scheduler.inner.underway.lock().unwrap().len();
    assert_eq!((held(&one), held(&two)), (2, 2), "places of each are full, and nobody's attempts were taken over");
    while one.deeds.attempts("first") < 4 {
        one.deeds.changed.notified().await;
    }
    one.deeds.mend("first");
    one.deeds.let_go();
    none_underway([&one, &two]).await;
    while one.scheduler.inner.store.has_due(one.clock.now()).await.unwrap() {
        let (first, second) = tokio::join!(one.scheduler.tick(), two.scheduler.tick());
        first.unwrap();
        second.unwrap();
        none_underway([&one, &two]).await;
    }
    let mut processes = BTreeSet::new();
    for spec in &jobs {
        let runs = one.runs(&spec.name).await;
        assert_eq!(runs.len(), 1);
        assert!(has_succeeded(&runs[0]), "{:?}", runs[0]);
        assert_eq!(owners(&runs[0]).len(), 2, "each task was tried once");
        processes.extend(owners(&runs[0]).into_iter().map(str::to_owned));
    }
    assert_eq!(processes.len(), 2);
    assert!(one.deeds.rows.lock().unwrap().values().all(|times| *times == 1));
}

#[tokio::test]
async fn what_a_silent_process_does_is_begun_again_and_counts_once() {
    if !is_here() {
        return;
    }
    let one = World::new().await;
    one.install(&[job("daily", &["load"])]).await;
    one.settle().await;
    one.deeds.set("load", Deed::Hangs);
    let id = one.start("daily").await;
    one.settle().await;
    let two = one.another().await;
    one.deeds.mend("load");
    two.clock.advance(15 * SECOND);
    two.scheduler.tick().await.unwrap();
    assert_eq!(two.read(id).await.tasks[0].attempts.len(), 1, "its lease has not run out");
    two.clock.advance(6 * SECOND);
    let run = two.ended(id).await;
    assert!(has_succeeded(&run), "{run:?}");
    assert_eq!(owners(&run), [one.scheduler.inner.owner.as_str(), two.scheduler.inner.owner.as_str()]);
    // It wakes up, sees that it was given up, and goes on with other work.
    one.scheduler.tick().await.unwrap();
    none_underway([&one, &two]).await;
    assert_eq!(one.read(id).await.tasks, run.tasks);
    assert!(has_succeeded(&one.run("daily").await));
    assert!(one.deeds.rows.lock().unwrap().values().all(|times| *times == 1));
}

#[tokio::test]
async fn whoever_waits_for_a_change_that_does_not_end_is_told_to_try_again() {
    if !is_here() {
        return;
    }
    let one = World::new().await;
    let two = one.another().await;
    let change = one.scheduler.inner.store.change().await.unwrap();
    let refused = two.scheduler.start(run_of("daily")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Retry, "{refused}");
    drop(change);
    assert_eq!(two.scheduler.start(run_of("daily")).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn leases_go_by_the_clock_of_the_database() {
    if !is_here() {
        return;
    }
    let world = World::new().await;
    let mut change = world.scheduler.inner.store.change().await.unwrap();
    assert!(change.time(&Clock::System).await.unwrap() > START);
    // But where a test owns the time.
    assert_eq!(change.time(&world.clock).await.unwrap(), START);
}

#[tokio::test]
async fn the_first_runs_of_many_backfills_are_woken_by_their_index() {
    if !is_here() {
        return;
    }
    let world = World::new().await;
    let mut change = world.scheduler.inner.store.change().await.unwrap();
    // One of many backfills has runs that wait, and most runs are of it: by number the search would go through all runs for each of the others.
    for sql in [
        "INSERT INTO backfill (id, job_id, parallel, made_at, request) SELECT i, 1, 1, 0, '' FROM generate_series(1, 300) AS i",
        "INSERT INTO run (id, job_id, kind, state, ending, created_at, ended_at, changes, document) \
         SELECT i, 1, 'schedule', 'succeeded', 0, 0, 1, 0, '' FROM generate_series(1, 2000) AS i",
        "INSERT INTO run (id, job_id, kind, state, ending, created_at, backfill, changes, document) \
         SELECT i, 1, 'backfill', 'queued', 0, 0, 300, 0, '' FROM generate_series(2001, 6000) AS i",
        "ANALYZE",
    ] {
        change.damage(sql).await;
    }
    let plan = change.plan_of_waking().await;
    assert_eq!(plan.iter().filter(|step| step.contains("using run_parked")).count(), 2, "{plan:#?}");
    change.wake_next(1).await.unwrap();
    assert_eq!(change.woken().await, [2001]);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    if !is_here() {
        return;
    }
    let world = World::new().await;
    let mut change = world.scheduler.inner.store.change().await.unwrap();
    change.damage("INSERT INTO _sqlx_migrations VALUES (99, 'later', now(), true, '', 0)").await;
    change.commit().await.unwrap();
    let error = Store::open(&world.url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("a newer version"), "{error}");
}
