//! The first command of the README.

use tokio::process::Command;

#[tokio::test]
async fn the_demo_answers_every_question_and_closes_the_ledger() {
    let demo = Command::new(env!("CARGO_BIN_EXE_pinlake")).args(["demo", "--exit", "--posts", "1000"]).output().await.unwrap();
    let shown = String::from_utf8(demo.stdout).unwrap();
    assert!(demo.status.success(), "{shown}\n{}", String::from_utf8_lossy(&demo.stderr));
    assert!(shown.contains("✓ 10 questions answered"), "{shown}");
    assert!(shown.contains("the ledger closes: 0 lost, 0 doubled"), "{shown}");
}

#[tokio::test]
async fn the_pipelines_own_tests_pass() {
    let tests = Command::new(env!("CARGO_BIN_EXE_pinlake")).arg("test").output().await.unwrap();
    assert!(tests.status.success(), "{}", String::from_utf8_lossy(&tests.stdout));
}

#[tokio::test]
async fn wrong_usage_ends_with_2_and_failed_work_with_1() {
    let run = |args: &'static [&'static str]| Command::new(env!("CARGO_BIN_EXE_pinlake")).args(args).output();
    assert_eq!(run(&["nonsense"]).await.unwrap().status.code(), Some(2));
    let unreachable = run(&["query", "SELECT 1", "--server", "http://127.0.0.1:1"]).await.unwrap();
    assert_eq!(unreachable.status.code(), Some(1));
    let reason = String::from_utf8(unreachable.stderr).unwrap();
    assert!(reason.contains("no server answers at http://127.0.0.1:1"), "{reason}");
}
