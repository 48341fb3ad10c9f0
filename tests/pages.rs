//! The pages that tell people how to write modules, followed literally against a real engine.

mod support;

use std::path::Path;
use std::process::Command;
use support::python::{Classes, kind, until_warm, worker_of};
use support::sound::peak;
use support::{Rig, file, program};

/// The fenced blocks of `page` in `language`.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(file(page)).expect("the page is there");
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// The `backline send` lines of a page, as they are typed.
fn sent_lines(page: &str) -> Vec<String> {
    let shell = blocks(page, "sh").concat();
    shell.lines().filter_map(|line| line.strip_prefix("backline send ")).map(str::to_owned).collect()
}

fn send_all(rig: &Rig, page: &str) {
    let lines = sent_lines(page);
    assert!(lines.len() >= 5, "{page} sends nothing: {lines:?}");
    for line in lines {
        let mut command = Command::new(program());
        command.args(["send", "--to", &rig.address.to_string()]).args(line.split_whitespace());
        let ended = support::output(command);
        assert!(ended.status.success(), "{page}: {line}: {}", support::stdout(&ended));
    }
}

#[test]
fn the_page_about_python_is_true() {
    let page = "docs/write-a-module-in-python.md";
    let first = blocks(page, "python").into_iter().next().expect("the page has a module");
    let classes = Classes::of(&[("ladder.py", &first)]);
    let mut rig = Rig::recording(&classes.option());
    until_warm(&mut rig, "python");
    send_all(&rig, page);
    rig.play_blocks(200);
    let heard = rig.stop().recording();
    assert!(peak(&heard.left) > 0.01, "what the page makes is silent");
}

#[test]
fn the_page_about_c_is_true() {
    let page = "docs/write-a-worker-in-c.md";
    let folder = tempfile::tempdir().expect("a folder of our own");
    let kinds = folder.path().join("kinds/ring");
    std::fs::create_dir_all(&kinds).expect("our folder is writable");
    let source = blocks(page, "c").into_iter().next().expect("the page has a worker");
    let manifest = blocks(page, "toml").into_iter().next().expect("the page has a manifest");
    std::fs::write(kinds.join("ring.c"), source).expect("our folder is writable");
    std::fs::write(kinds.join("worker.toml"), manifest).expect("our folder is writable");
    build(folder.path(), &blocks(page, "sh"));
    let option = ["--kinds", kinds.to_str().expect("temporary folders have plain names")];
    let mut rig = Rig::recording(&option);
    until_warm(&mut rig, "ring");
    assert_eq!(kind(&mut rig, "ring")["types"], serde_json::json!(["ring"]));
    send_all(&rig, page);
    assert_eq!(worker_of(&mut rig, "ring1")["kind"], "ring");
    rig.play_blocks(200);
    let heard = rig.stop().recording();
    assert!(peak(&heard.left) > 0.01, "what the page makes is silent");
}

/// Runs the page's compiler line, with this build's library and header.
fn build(folder: &Path, shell: &[String]) {
    let line = shell
        .iter()
        .flat_map(|text| text.lines())
        .find(|line| line.starts_with("gcc "))
        .expect("a compiler line");
    let built = Path::new(program()).parent().expect("the program is in a folder");
    // `cargo test` makes the library beside the tests, `cargo build` beside the programs.
    let library = [built.join("libbackline_sdk.a"), built.join("deps/libbackline_sdk.a")];
    let library =
        library.iter().find(|path| path.is_file()).expect("the library is built: cargo build --workspace");
    let line = line
        .replace("target/release/libbackline_sdk.a", &library.display().to_string())
        .replace("workers/sdk/include", &file("workers/sdk/include").display().to_string());
    let status = Command::new("sh").args(["-c", &line]).current_dir(folder).status();
    assert!(status.is_ok_and(|status| status.success()), "{line}");
}
