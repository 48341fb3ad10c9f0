//! Every patch that comes with Backline loads, and every score fits its patch.

use std::path::{Path, PathBuf};

use backline::command::Command;
use backline::osc::score;
use backline::patch::file::{PatchFile, load};
use backline::patch::{Limits, Patch};
use backline_dsp::catalogue::CATALOGUE;

fn patches() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("patches");
    let files = std::fs::read_dir(folder).expect("patches/").map(|file| file.expect("a file").path());
    let mut patches: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|is| is == "toml")).collect();
    patches.sort();
    patches
}

fn loaded(path: &Path) -> PatchFile {
    let text = std::fs::read_to_string(path).expect("a patch");
    load(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The patch as it is when its score begins.
fn built(file: &PatchFile) -> Patch {
    let (mut patch, mut next_instance, limits) = (Patch::default(), 1, Limits::default());
    for command in &file.commands {
        match command {
            Command::Create { type_name, id, params } => {
                patch
                    .create(type_name, id.as_deref(), params, &mut next_instance, &limits)
                    .expect("load tried it");
            }
            Command::Connect { source, target, gain } => {
                let connected = patch.connect(source, target, *gain, &limits).expect("load tried it");
                assert!(!connected.is_feedback, "{source} -> {target} closes a loop");
            }
            other => panic!("a patch file made {other:?}"),
        }
    }
    patch
}

#[test]
fn every_patch_loads_and_has_no_loop() {
    assert!(patches().len() >= 2);
    for path in patches() {
        built(&loaded(&path));
    }
}

#[test]
fn every_event_of_a_score_finds_its_module_and_parameter() {
    for path in patches() {
        let score_path = path.with_extension("score");
        let text = std::fs::read_to_string(&score_path).expect("every patch has its score");
        let events = score::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", score_path.display()));
        assert!(!events.is_empty());
        let mut patch = built(&loaded(&path));
        for (time_s, request) in events {
            let outcome = match &request.command {
                Command::Gate { target, .. } => patch.gate(target).map(|_| ()),
                Command::Set { target, params } => patch.set(target, params).map(|_| ()),
                other => panic!("{} at {time_s} s: {other:?}", score_path.display()),
            };
            outcome.unwrap_or_else(|error| panic!("{} at {time_s} s: {error}", score_path.display()));
        }
    }
}

#[test]
fn every_module_type_is_in_the_patch_of_that_name() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("patches/every-module.toml");
    let patch = built(&loaded(&path));
    for entry in CATALOGUE {
        let name = entry.panel.name;
        assert!(
            patch.modules().iter().any(|module| module.panel().name == name),
            "add a {name} to patches/every-module.toml, with a connection that makes it audible"
        );
    }
}
