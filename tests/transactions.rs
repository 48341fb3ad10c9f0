//! Many edits in one block, none at all, and the end of everything; and the other ways to say the same.

mod support;

use backline::command::Arg;
use support::sound::{first_sound, last_sound};
use support::{Rig, undisturbed};

const BLOCK: usize = 256;

fn recording() -> Rig {
    Rig::recording(&["--block", "256"])
}

#[test]
fn edits_between_begin_and_commit_appear_in_one_block_together() {
    let heard = undisturbed(|| {
        let mut rig = recording();
        rig.must_all(&["/create out out", "/begin", "/create noise a", "/create noise b"]);
        rig.must_all(&["/connect a out.left 0.3", "/connect b out.right 0.3"]);
        let before = rig.blocks();
        rig.play_blocks(20);
        rig.must("/commit");
        rig.play_blocks(10);
        let disturbances = rig.disturbances();
        let heard = rig.stop().recording();
        (disturbances == 0).then_some((heard, before))
    });
    let (heard, before) = heard;
    let (left, right) = (first_sound(&heard.left), first_sound(&heard.right));
    assert_eq!(left, right, "both sides begin on the same sample");
    let first = left.expect("something is heard");
    assert!(first.is_multiple_of(BLOCK), "frame {first} begins no block");
    assert!(first >= (before + 20) * BLOCK, "heard at {first}, before the commit");
}

#[test]
fn an_abort_changes_nothing_and_edits_out_of_place_are_refused() {
    let mut rig = recording();
    rig.must_all(&["/create vco 1", "/begin", "/create vco 2", "/free vco1", "/set vco2 freq 99"]);
    assert!(rig.refused("/begin").contains("/commit"));
    rig.must("/abort");
    assert_eq!(rig.modules(), [r#"Text("vco1") Text("vco")"#]);
    assert!(rig.refused("/commit").contains("/begin"));
    assert!(rig.refused("/abort").contains("/begin"));
    rig.must("/create vco 2");
    let status = rig.status();
    let placed: usize = status["workers"]
        .as_array()
        .expect("workers")
        .iter()
        .map(|w| w["modules"].as_array().map_or(0, Vec::len))
        .sum();
    assert_eq!(placed, 2, "{status}");
}

#[test]
fn panic_is_silence_within_a_block_and_frees_everything() {
    let mut rig = recording();
    rig.must_all(&["/create noise 1", "/create out out", "/connect noise1 out 0.5"]);
    rig.play_blocks(20);
    rig.must("/panic");
    let after = rig.blocks();
    assert!(rig.modules().is_empty());
    rig.play_blocks(20);
    let (used, concealed) =
        (rig.status()["memory"]["arena_used_bytes"].clone(), rig.status()["audio"]["concealed"].clone());
    let heard = rig.stop().recording();
    let last = last_sound(&heard.left).expect("it was heard before");
    assert!(last < (after + 1) * BLOCK + 64, "sound until frame {last}, {after} blocks were played by then");
    assert_eq!(concealed, 0);
    assert!(used.as_u64().is_some(), "{used}");
}

#[test]
fn the_seeds_aliases_and_the_text_form_do_what_their_addresses_do() {
    let mut rig = recording();
    rig.must_all(&["/patch/create lead vco", "/patch/create env adsr", "/patch/create amp vca"]);
    rig.must_all(&["/patch/connect lead amp", "/mod/lead/freq 330", "/gate/env 1"]);
    rig.must("/cmd 'create out --id out --level 0.5'");
    rig.must("/cmd 'connect amp out.left --gain 0.5'");
    assert_eq!(rig.modules().len(), 4);
    rig.must("/set l* freq 220");
    rig.must("/gate * 0");
    rig.must("/free {lead,amp}");
    assert_eq!(rig.modules().len(), 2);
    assert_eq!(rig.status()["connections"], 0);
}

#[test]
fn questions_are_answered_in_the_shapes_of_the_interface() {
    let mut rig = recording();
    rig.must_all(&["/create vco 1", "/create out out", "/connect vco1 out"]);
    let version = rig.ask("/version");
    assert_eq!((version.address.as_str(), version.args.len()), ("/version.reply", 4));
    let status = rig.ask("/status");
    assert_eq!(status.address, "/status.reply");
    assert_eq!(status.args.len(), 9);
    assert_eq!(status.args[..3], [Arg::Int(1), Arg::Int(2), Arg::Int(1)]);
    let synced = rig.ask("/sync 42");
    assert_eq!((synced.address.as_str(), synced.args.as_slice()), ("/synced", [Arg::Int(42)].as_slice()));
    let schema = rig.ask("/schema vco");
    assert_eq!(schema.address, "/schema.reply");
    assert_eq!(schema.args[0], Arg::Text("vco".to_owned()));
    let created = rig.must("/create lfo");
    assert_eq!(created.args[..2], [Arg::Text("/create".to_owned()), Arg::Text("lfo1".to_owned())]);
    assert_eq!(created.args.len(), 5, "id slot pid ack_us: {created:?}");
    let pids: Vec<_> = rig.workers().iter().map(|worker| worker["pid"].as_i64()).collect();
    let Arg::Int(pid) = created.args[3] else { panic!("{created:?}") };
    assert!(pids.contains(&Some(pid.into())), "{pid} is none of {pids:?}");
}
