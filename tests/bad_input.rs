//! Bad input gets a clear answer that names the thing and the remedy, changes nothing and loses nothing.

mod support;

use rosc::OscType;
use std::process::Command;
use support::packets::throw;
use support::{Rig, backline, output, stderr};

/// A patch to do harm to.
const PATCH: [&str; 5] = [
    "/create vco 1 freq 220",
    "/create vcf 1",
    "/create out out",
    "/connect vco1 vcf1",
    "/connect vcf1 out.left 0.5",
];

/// What must not change: modules in order, and the counts of the status.
fn fingerprint(rig: &mut Rig) -> String {
    let status = rig.status();
    format!("{:?} {} {}", rig.modules(), status["modules"], status["connections"])
}

fn rig_with_patch() -> Rig {
    let mut rig = Rig::start(&["--workers", "2"]);
    rig.must_all(&PATCH);
    rig
}

#[test]
fn what_does_not_exist_is_refused_with_the_nearest_name_and_changes_nothing() {
    let mut rig = rig_with_patch();
    let before = fingerprint(&mut rig);
    for (line, words) in [
        ("/create vcoo 2", ["vcoo", "did you mean 'vco'"]),
        ("/free vco7", ["vco7", "vco1"]),
        ("/set vco1 frek 100", ["frek", "freq"]),
        ("/set nobody freq 100", ["nobody", "vco1"]),
        ("/connect vco1.uot vcf1", ["uot", "out"]),
        ("/connect vco1 vcf1.on", ["on", "in"]),
        ("/connect ghost vcf1", ["ghost", "no module"]),
        ("/disconnect vco1 out.left", ["vco1", "not"]),
        ("/gate vco1 1", ["vco1", "no gate"]),
        ("/schema vcg", ["vcg", "did you mean"]),
        ("/creaet vco 1", ["unknown address", "/create"]),
    ] {
        let reason = rig.refused(line);
        assert!(words.iter().all(|word| reason.contains(word)), "{line}: {reason}");
    }
    assert_eq!(fingerprint(&mut rig), before);
}

#[test]
fn values_out_of_range_or_of_the_wrong_kind_are_refused_with_the_range() {
    let mut rig = rig_with_patch();
    let before = fingerprint(&mut rig);
    for (line, word) in [
        ("/set vco1 freq -1", "freq"),
        ("/set vco1 freq 1e9", "freq"),
        ("/set vcf1 res 1.5", "res"),
        ("/set vco1 shape sow", "saw"),
        ("/set vco1 freq loud", "freq"),
        ("/create vco 1", "vco1"),
        ("/create vco 2 channels 17", "channels"),
        ("/create vco UPPER", "UPPER"),
        ("/set vco1 freq", "freq"),
        ("/connect vco1 vcf1.mode", "mode"),
        ("/gate vcf1", "on"),
    ] {
        let reason = rig.refused(line);
        assert!(reason.contains(word), "{line}: {reason}");
    }
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let words = |word: &str| OscType::String(word.to_owned());
        let reply = rig.ask_osc("/set", vec![words("vco1"), words("freq"), OscType::Float(bad)]);
        assert!(reply.is_failure(), "{bad}: {reply:?}");
        let reply = rig.ask_osc("/connect", vec![words("vco1"), words("out.right"), OscType::Float(bad)]);
        assert!(reply.is_failure(), "{bad}: {reply:?}");
    }
    assert_eq!(fingerprint(&mut rig), before);
}

#[test]
fn a_connection_that_closes_a_loop_is_one_block_late_and_says_so() {
    let mut rig = rig_with_patch();
    let reply = rig.must("/connect vcf1 vco1.fm 0.1");
    assert!(format!("{reply:?}").contains("feedback"), "{reply:?}");
    let reply = rig.must("/connect vcf1 vcf1.cutoff 0.1");
    assert!(format!("{reply:?}").contains("feedback"), "{reply:?}");
    rig.play_blocks(20);
    assert_eq!(rig.status()["audio"]["silenced_samples"], 0);
}

#[test]
fn packets_of_nonsense_are_survived_and_change_nothing() {
    let mut rig = rig_with_patch();
    let before = fingerprint(&mut rig);
    let whole = b"/create\0,ss\0vco\0hacked\0\0";
    let mut packets: Vec<Vec<u8>> =
        (0..whole.len()).filter(|n| !n.is_multiple_of(4)).map(|n| whole[..n].to_vec()).collect();
    packets.push(Vec::new());
    packets.push(nested(3_200));
    packets.push((0..65_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect());
    packets.push([b"/x\0\0,".as_slice(), &[b'T'; 60_000], &[0, 0, 0]].concat());
    packets.push(vec![0xff; 1_000]);
    for packet in &packets {
        throw(rig.address, packet);
        // One socket after another: the engine answers this only after it has judged that.
        rig.must("/sync 1");
    }
    assert_eq!(fingerprint(&mut rig), before);
    let refused = rig.status()["network"]["malformed"].as_u64().expect("a count");
    assert!(refused as usize >= packets.len() - 2, "{refused} of {} were counted", packets.len());
}

/// A bundle in a bundle in a bundle.
fn nested(depth: usize) -> Vec<u8> {
    let mut packet = Vec::new();
    for level in (0..depth).rev() {
        packet.extend_from_slice(b"#bundle\0\0\0\0\0\0\0\0\x01");
        packet.extend_from_slice(&((level * 20) as u32).to_be_bytes());
    }
    packet
}

#[test]
fn a_flood_is_survived_and_gates_get_through() {
    let mut rig = rig_with_patch();
    rig.must("/create adsr 1");
    let flood = b"/set\0\0\0\0,ssf\0\0\0\0vco1\0\0\0\0freq\0\0\0\0\x43\x5c\0\0";
    for _ in 0..20_000 {
        throw(rig.address, flood);
    }
    rig.must("/gate adsr1 1");
    rig.must("/gate adsr1 0");
    assert_eq!(rig.modules().len(), 4);
}

#[test]
fn limits_are_kept_and_named() {
    let mut rig = Rig::start(&["--max-modules", "3", "--max-connections", "1", "--arena", "1"]);
    rig.must_all(&["/create vco 1", "/create vcf 1", "/create out out", "/connect vco1 vcf1"]);
    assert!(rig.refused("/create vco 2").contains('3'));
    assert!(rig.refused("/connect vcf1 out").contains('1'));
    rig.must("/free vcf1");
    // 1 MiB holds no delay of sixteen channels.
    let reason = rig.refused("/create delay 1 channels 16");
    assert!(reason.contains("KiB") && reason.contains("--arena"), "{reason}");
    rig.must("/create vcf 2");
    assert_eq!(rig.modules().len(), 3);
}

#[test]
fn a_patch_file_that_makes_no_sense_is_refused_with_the_line() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let patch = folder.path().join("bad.toml");
    for (text, words) in [
        ("version = 1\n[[module]]\ntype = \"vcx\"\n", ["vcx", "vco"]),
        ("version = 1\n[[module]]\ntype = \"vco\"\nfreqq = 3\n", ["freqq", "freq"]),
        ("version = 1\n[[module]]\ntype = \"vco\"\nfreq = 1e9\n", ["freq", "line"]),
        ("version = 99\n", ["99", "version"]),
        ("version = 1\n[[module\n", ["line 2", "TOML"]),
        ("version = 1\n[[connect]]\nfrom = \"a\"\nto = \"b\"\n", ["'a'", "line"]),
    ] {
        std::fs::write(&patch, text).expect("our folder is writable");
        let mut command: Command = backline();
        command.arg("render").arg(&patch).args(["--seconds", "1", "--out"]).arg(folder.path().join("x.wav"));
        let ended = output(command);
        let said = stderr(&ended);
        assert_eq!(ended.status.code(), Some(1), "{text}: {said}");
        assert!(words.iter().all(|word| said.contains(word)), "{text}: {said}");
    }
    assert!(!folder.path().join("x.wav").exists(), "nothing is written for a patch that is refused");
}
