//! Each rule against samples that it must pass and samples that it must refuse.

use super::edges::Crate;
use super::rust::LongFunctions;
use super::{Problem, Severity, docs, edges, rust, source, text};

fn rust_problems(path: &str, content: &str) -> Vec<String> {
    messages(rust::check(path, content, &mut LongFunctions::parse("list", "")))
}

fn messages(problems: Vec<Problem>) -> Vec<String> {
    problems.into_iter().map(|problem| problem.to_string()).collect()
}

#[track_caller]
fn one_of(found: &[String], expected: &str) {
    assert!(found.len() == 1 && found[0].contains(expected), "expected one problem with {expected:?}, found {found:#?}");
}

fn krate(name: &str, dependencies: &[&str]) -> Crate {
    Crate { name: name.to_owned(), dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect() }
}

/// A function of so many lines, its signature and its closing brace among them.
fn function_of(lines: usize) -> String {
    format!("fn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
}

#[test]
fn crates_know_the_core_and_the_binary_knows_all() {
    let good = [
        krate("pinlake-core", &["serde", "pinlake-core"]),
        krate("pinlake-log", &["pinlake-core", "rustix"]),
        krate(
            "pinlake-lake",
            &["pinlake-core", "arrow", "arrow-json", "datafusion", "deltalake-core", "object_store", "parquet"],
        ),
        krate("pinlake", &["pinlake-core", "pinlake-log", "pinlake-lake", "axum"]),
        krate("xtask", &["anyhow"]),
    ];
    assert_eq!(edges::check(&good), []);
}

#[test]
fn an_edge_between_middle_crates_is_refused() {
    one_of(&messages(edges::check(&[krate("pinlake-web", &["pinlake-core", "pinlake-lake"])])), "crates/pinlake-web/Cargo.toml");
    one_of(&messages(edges::check(&[krate("pinlake-core", &["pinlake-log"])])), "vocabulary");
    one_of(&messages(edges::check(&[krate("pinlake-emulator", &["pinlake"])])), "crates meet in the binary");
    one_of(&messages(edges::check(&[krate("xtask", &["pinlake-core"])])), "xtask must not depend");
}

#[test]
fn only_the_lake_names_the_query_engine() {
    for heavy in ["arrow", "arrow-schema", "parquet", "datafusion", "datafusion-common", "deltalake-core", "object_store"] {
        one_of(&messages(edges::check(&[krate("pinlake", &[heavy])])), "only pinlake-lake");
    }
    assert_eq!(edges::check(&[krate("pinlake-log", &["arrowhead", "parquetry"])]), []);
    assert_eq!(edges::check(&[krate("pinlake-sink", &["arrow", "arrow-json", "parquet", "object_store"])]), []);
    for engine in ["datafusion", "deltalake-core"] {
        one_of(&messages(edges::check(&[krate("pinlake-sink", &[engine])])), "only pinlake-lake");
    }
}

#[test]
fn versions_stand_in_the_workspace_alone() {
    let good = "[package]\nversion = \"1\"\n[dependencies]\nserde.workspace = true\ncore = { workspace = true, features = [\"x\"] }\n[lints]\na = 1\n";
    assert_eq!(edges::check_manifest("crates/a/Cargo.toml", good), []);
    one_of(&messages(edges::check_manifest("crates/a/Cargo.toml", "[dev-dependencies]\nserde = \"1\"\n")), "Cargo.toml:2: error");
    assert_eq!(edges::check_manifest("Cargo.toml", "[workspace.dependencies]\nserde = \"1\"\n"), []);
    assert_eq!(edges::check_manifest("fuzz/Cargo.toml", "[workspace]\n[dependencies]\nserde = \"1\"\n"), []);
}

#[test]
fn a_file_opens_with_what_it_is_for() {
    assert_eq!(rust_problems("crates/a/src/lib.rs", "//! What it is for.\n"), [""; 0]);
    one_of(&rust_problems("crates/a/src/lib.rs", "// plain\n"), "open the file with '//!'");
    one_of(&rust_problems("crates/a/tests/main.rs", "use x;\n"), "open the file with '//!'");
}

#[test]
fn a_long_function_is_refused_outside_tests() {
    let (fits, long) = (format!("//! x\n{}", function_of(70)), format!("//! x\n{}", function_of(71)));
    assert_eq!(rust_problems("crates/a/src/a.rs", &fits), [""; 0]);
    one_of(&rust_problems("crates/a/src/a.rs", &long), "a.rs:2: error: 'long' takes 71 lines");
    assert_eq!(rust_problems("crates/a/src/a/tests.rs", &long), [""; 0]);
}

#[test]
fn the_list_of_long_functions_only_shrinks() {
    let judge = |entry: &str, lines: usize| {
        let mut long = LongFunctions::parse("list.txt", entry);
        let mut found = messages(rust::check("a.rs", &format!("//! x\n{}", function_of(lines)), &mut long));
        found.extend(messages(long.unused().collect()));
        found
    };
    assert_eq!(judge("# comment\na.rs long 80\n", 80), [""; 0]);
    one_of(&judge("a.rs long 80\n", 81), "grew from 80 to 81");
    one_of(&judge("a.rs long 80\n", 75), "lower its 80");
    one_of(&judge("a.rs long 80\n", 20), "list.txt:1: error");
    assert_eq!(judge("a.rs other 80\n", 71).len(), 2, "another function's entry allows nothing");
}

#[test]
fn a_large_file_warns_and_then_fails() {
    let of = |lines: usize| rust::check("a.rs", &"//! x\n".repeat(lines), &mut LongFunctions::parse("list", ""));
    assert_eq!(of(500), []);
    assert_eq!(of(501)[0].severity, Severity::Warning);
    assert_eq!(of(800)[0].severity, Severity::Warning);
    assert_eq!(of(801)[0].severity, Severity::Error);
}

#[test]
fn tests_stand_in_a_file_of_their_own() {
    assert_eq!(rust_problems("a.rs", "//! x\n#[cfg(test)]\nmod tests;\nfn f() {}\n"), [""; 0]);
    one_of(&rust_problems("a.rs", "//! x\n#[cfg(test)]\nmod tests {\n}\n"), "a.rs:2: error: put the tests into a sibling");
}

#[test]
fn names_say_what_a_thing_does() {
    let good = "//! x\nuse tokio_util::sync; // a helper\nfn utility(s: &str) { let x = \"struct Manager\"; DiskManager::new(); }\nstruct Managed;\n";
    assert_eq!(rust_problems("a.rs", good), [""; 0]);
    for bad in ["struct TopicManager;", "fn parse_helper() {}", "mod util;", "const UTILS_MAX: u8 = 1;", "trait HTTPProcessor {}"]
    {
        one_of(&rust_problems("a.rs", &format!("//! x\n{bad}\n")), "a.rs:2: error");
    }
    one_of(&rust_problems("crates/a/src/utils.rs", "//! x\n"), "in a file's name");
    one_of(&rust_problems("a.rs", "//! x\nmacro_rules! shout { () => {}; }\n"), "no macros of its own");
}

#[test]
fn no_file_names_a_machine_or_a_registry() {
    let machine = ["/wo", "rk/x"].concat();
    let registry = ["https://index.crates", ".io/"].concat();
    one_of(&messages(text::check("a.md", &format!("see `{machine}`\n"))), "a.md:1: error");
    one_of(&messages(text::check("a.sh", &format!("ok\nfile://{machine}\n"))), "a.sh:2: error");
    one_of(&messages(text::check("a.yml", &registry)), "package registry");
    assert_eq!(text::check("a.md", &format!("conformance{machine} {{root}}{machine}")), []);
}

#[test]
fn the_lock_file_names_one_source() {
    let good = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
    assert_eq!(text::check("Cargo.lock", good), []);
    one_of(&messages(text::check("Cargo.lock", "source = \"git+https://example.com/a\"\n")), "public registry");
}

#[test]
fn a_decision_has_a_status() {
    let check = |path: &str, content: &str| messages(docs::check(path, content, &|_| true));
    assert_eq!(check("docs/decisions/0001-a.md", "# A\n\nStatus: accepted\n"), [""; 0]);
    one_of(&check("docs/decisions/0001-a.md", "# A\n"), "Status");
    assert_eq!(check("docs/decisions/README.md", "# All\n"), [""; 0]);
}

#[test]
fn a_relative_link_leads_somewhere() {
    let exists = |path: &str| ["docs/a.md", "README.md", ""].contains(&path);
    let check = |content: &str| messages(docs::check("docs/b.md", content, &exists));
    let good =
        "[a](a.md#part) [`r`](../README.md \"title\") [w](https://x.y/z) [h](#here) `[c](none.md)`\n```\n[c](none.md)\n```\n";
    assert_eq!(check(good), [""; 0]);
    one_of(&check("x\n[a](../a.md)\n"), "docs/b.md:2: error: the link to '../a.md' leads nowhere");
}

#[test]
fn comments_and_literals_are_no_code() {
    let code =
        source::code_of("a // b\n/* c /* d */ e */ 'x' '\\'' b'{' \"fn {\" r#\"\"}\"# br\"\\\" 'life: 'ä' bar\"z\" r#type");
    let words: Vec<&str> = source::words(&code).into_iter().map(|word| word.text).collect();
    assert_eq!(words, ["a", "life", "bar", "r", "type"]);
    assert_eq!(code.lines().count(), 2);
}

#[test]
fn functions_are_found_with_their_lengths() {
    let code = "fn a(x: [u8; 2]) -> u8 {\n  fn b() {}\n  1\n}\ntrait T {\n  fn c(&self);\n}\ntype F = fn(u8) -> u8;\n";
    let found: Vec<(String, usize, usize)> =
        source::functions(code).into_iter().map(|function| (function.name, function.line, function.lines)).collect();
    assert_eq!(found, [("a".to_owned(), 1, 4), ("b".to_owned(), 2, 1)]);
}
