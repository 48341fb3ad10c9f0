//! `include/backline.h` is what the Rust side says, and compilers of C and C++ take it without a word.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Set to 1, the header is written instead of compared.
const WRITE: &str = "BACKLINE_WRITE_HEADER";

fn inside(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn generated() -> String {
    let config = cbindgen::Config::from_file(inside("cbindgen.toml")).expect("the settings can be read");
    let bindings = cbindgen::Builder::new()
        .with_config(config)
        .with_src(inside("src/c_api/types.rs"))
        .with_src(inside("src/c_api/exports.rs"))
        .generate()
        .expect("the sources can be read");
    let mut text = Vec::new();
    bindings.write(&mut text);
    without_promises(&String::from_utf8(text).expect("a header is text"))
}

/// Without the sections in which Rust's own callers are told what they promise; C has no other functions.
fn without_promises(text: &str) -> String {
    let mut kept = String::new();
    let mut is_promise = false;
    for line in text.lines() {
        is_promise = line.starts_with("//") && (is_promise || line == "// # Safety");
        if is_promise {
            continue;
        }
        if !line.starts_with("//") {
            kept.truncate(kept.trim_end_matches("\n//\n").len() + usize::from(kept.ends_with("\n//\n")));
        }
        kept += line;
        kept.push('\n');
    }
    kept
}

/// Whether `compiler` takes a file that does nothing but include the header, with every warning an error.
fn compiles(compiler: &str, language: &str, standard: &str) {
    let output = Command::new(compiler)
        .args(["-x", language, standard, "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"])
        .arg(inside("tests/c_worker/includes.h"))
        .output()
        .expect("the compiler is installed");
    assert!(output.status.success(), "{standard}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn compilers_of_c_and_of_cpp_take_the_header_without_a_warning() {
    compiles("gcc", "c", "-std=c11");
    compiles("g++", "c++", "-std=c++17");
}

#[test]
fn the_header_is_what_the_sources_say() {
    let (path, text) = (inside("include/backline.h"), generated());
    if std::env::var(WRITE).is_ok_and(|word| word == "1") {
        std::fs::write(&path, &text).expect("the header can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = committed.lines().zip(text.lines()).position(|(old, new)| old != new);
    assert!(
        committed == text,
        "include/backline.h is not what src/c_api says (line {:?}); \
         {WRITE}=1 cargo test -p backline-sdk --test header",
        differs.map(|line| line + 1)
    );
}
