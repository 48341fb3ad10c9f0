//! Real signals to real workers at random moments of a render, and not one sample differs. Longer: `scripts/chaos`.

mod support;

use std::path::Path;
use std::process::Command;
use support::render::{Piece, Rendered, Way};
use support::{file, output, program, stderr, stdout};

const SECONDS: f64 = 8.0;
const WORKERS: usize = 4;

fn harmed(piece: &Piece, block: usize, spec: &str) -> Rendered {
    let (mut command, wav) = piece.command(Way { workers: WORKERS, block });
    command.args(["--no-realtime", "--chaos", spec]);
    piece.finish(command.spawn().expect("backline starts"), wav)
}

#[test]
fn killed_crashed_aborted_stopped_and_recycled_workers_change_no_sample() {
    let (patch, score) = (file("patches/demo.toml"), file("patches/demo.score"));
    let piece = Piece::of_files(&patch, &score, SECONDS);
    let clean = piece.render(Way { workers: 0, block: 64 });
    let harms = [
        ("kill", "kill=0.05"),
        ("segv", "segv=0.05"),
        ("abort", "abort=0.05"),
        ("stop", "stop=0.003"),
        ("recycle", "recycle=0.5"),
        ("kill", "kill=0.04,segv=0.02,abort=0.02,stop=0.002,recycle=0.1"),
    ];
    for block in [64, 256] {
        for (seed, (kind, harm)) in harms.iter().enumerate() {
            let spec = format!("seed={seed},{harm}");
            let Rendered { sha256, told, .. } = harmed(&piece, block, &spec);
            assert!(told["injected"][kind].as_u64() > Some(0), "block {block}, {spec}: {told}");
            assert_eq!(told["concealed"], 0, "block {block}, {spec}: {told}");
            assert_eq!(sha256, clean.sha256, "block {block}, {spec}: {told}");
        }
    }
}

#[test]
fn the_long_run_of_faults_runs_and_finds_nothing() {
    let folder = Path::new(program()).parent().expect("it lies in a folder");
    let mut command = Command::new("python3");
    command
        .arg(file("scripts/chaos"))
        .args(["kills", "leaks", "engine", "--faults", "40", "--release"])
        .arg(folder);
    let ended = output(command);
    assert!(ended.status.success(), "{}{}", stdout(&ended), stderr(&ended));
    assert_eq!(stdout(&ended).matches("\"is_well\": true").count(), 3, "{}", stdout(&ended));
}
