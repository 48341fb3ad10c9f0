//! The page for authors says what is so: its worker is compiled as it tells, and says what it has.

mod support;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use support::c::{folder_for, inside, library_folder, panels};

fn page() -> String {
    std::fs::read_to_string(inside("../../docs/write-a-worker-in-c.md")).expect("the page is there")
}

/// The blocks of `language` in the page.
fn blocks(language: &str) -> Vec<String> {
    let page = page();
    let start = format!("```{language}\n");
    page.split(&start).skip(1).filter_map(|rest| Some(rest.split_once("```\n")?.0.to_owned())).collect()
}

/// Types `line` in `folder`.
fn typed(folder: &Path, line: &str) -> String {
    let output =
        Command::new("sh").args(["-c", line]).current_dir(folder).env_remove("LD_LIBRARY_PATH").output();
    let Output { status, stdout, stderr } = output.expect("there is a shell");
    let said = String::from_utf8_lossy(&stderr);
    assert!(status.success() && said.is_empty(), "{line}: {said}");
    String::from_utf8(stdout).expect("what it prints is text")
}

/// A folder like the repository's, as far as the page tells, with the library that was built with this test.
fn repository(test: &str) -> std::path::PathBuf {
    let folder = folder_for(test);
    for (target, link) in [(inside("include"), "workers/sdk/include"), (library_folder(), "target/release")] {
        let link = folder.join(link);
        std::fs::create_dir_all(link.parent().expect("it is in a folder")).expect("a folder can be made");
        symlink(target, link).expect("a link can be made");
    }
    folder
}

#[test]
fn its_worker_is_compiled_as_it_tells_and_says_what_it_has() {
    let folder = repository("page");
    let lines = blocks("sh");
    let line = |beginning: &str| {
        let found = lines.iter().filter(|line| line.starts_with(beginning));
        found.map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    let [mkdir, ask, compile] = [line("mkdir"), line("kinds/ring/ring"), line("gcc")];
    assert_eq!((mkdir.len(), ask.len(), compile.len()), (1, 1, 2), "{lines:?}");
    typed(&folder, &mkdir[0]);
    let sources = blocks("c");
    assert_eq!(sources.len(), 1);
    assert!(page().contains("Save this as `kinds/ring/ring.c`"));
    std::fs::write(folder.join("kinds/ring/ring.c"), &sources[0]).expect("it can be saved");
    for gcc in compile {
        typed(&folder, &gcc);
        let types = panels(&typed(&folder, &ask[0]));
        assert_eq!((types.len(), types[0].name.as_str(), types[0].is_exact), (1, "ring", true));
        std::fs::remove_file(folder.join("kinds/ring/ring")).expect("it was made");
    }
    std::fs::remove_dir_all(folder).expect("it is ours");
}

#[test]
fn its_worker_is_the_one_that_is_played_and_killed_in_tests() {
    let tested = std::fs::read_to_string(inside("tests/c_worker/ring.c")).expect("it is there");
    assert_eq!(blocks("c"), [tested]);
}
