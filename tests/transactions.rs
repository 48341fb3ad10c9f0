//! Edits that belong together, the panic button, questions, and every other way to spell a command.

mod support;

use backline::command::{Arg, Reply};
use rosc::OscType;
use support::sound::{first_sound, last_sound, peak};
use support::{Rig, undisturbed};

/// A voice with a gate on the right, and one without on the left.
const GATED: [&str; 9] = [
    "/create out out",
    "/create noise 1 seed 1",
    "/create noise 2 seed 2",
    "/create adsr 1 attack 0",
    "/create vca 1",
    "/connect noise1 out.left 0.5",
    "/connect noise2 vca1",
    "/connect adsr1 vca1.cv",
    "/connect vca1 out.right 0.5",
];

/// Frames of a block where a test counts in blocks.
const BLOCK: usize = 512;
const BLOCK_OPTION: [&str; 2] = ["--block", "512"];
/// Frames in which a sound that is gone fades.
const RAMP: usize = 64;

/// Noise is loud from its very first sample.
const TWO_NOISES: [&str; 6] = [
    "/create out out",
    "/create noise 1 seed 1",
    "/create noise 2 seed 2",
    "/connect noise1 out.left 0.5",
    "/connect noise2 out.right 0.5",
    "/set out level 0.9",
];

fn done(address: &str, args: impl IntoIterator<Item = Arg>) -> Reply {
    Reply::done(address, args)
}

fn text(word: &str) -> Arg {
    Arg::Text(word.to_owned())
}

#[test]
fn edits_between_begin_and_commit_are_heard_from_the_same_sample_on() {
    undisturbed(|| {
        let mut rig = Rig::recording(&BLOCK_OPTION);
        rig.play_blocks(5);
        rig.must("/begin");
        rig.must_all(&TWO_NOISES);
        rig.play_blocks(10);
        let disturbed = rig.disturbances();
        let before = rig.blocks();
        assert_eq!(rig.must("/commit"), done("/commit", []));
        let after = rig.blocks();
        rig.play_blocks(5);
        if rig.disturbances() > disturbed {
            return None;
        }
        let heard = rig.stop().recording();
        let left = first_sound(&heard.left).expect("the left noise is heard");
        let right = first_sound(&heard.right).expect("the right noise is heard");
        assert_eq!(left, right, "one side came first");
        assert_eq!(left % BLOCK, 0, "they began inside a block");
        let blocks = before..=after + 1;
        assert!(blocks.contains(&(left / BLOCK)), "they began at frame {left}, not in blocks {blocks:?}");
        Some(())
    });
}

#[test]
fn a_gate_in_a_transaction_is_heard_in_the_block_that_puts_it_in_force() {
    undisturbed(|| {
        let mut rig = Rig::recording(&["--block", "64"]);
        rig.play_blocks(5);
        let disturbed = rig.disturbances();
        rig.must("/begin");
        rig.must_all(&GATED);
        rig.must("/gate adsr1 1");
        rig.must("/commit");
        rig.play_blocks(20);
        if rig.disturbances() > disturbed {
            return None;
        }
        let heard = rig.stop().recording();
        let open = first_sound(&heard.left).expect("the voice without a gate is heard");
        assert_eq!(first_sound(&heard.right), Some(open), "the gate came in another block");
        Some(())
    });
}

#[test]
fn an_abort_leaves_everything_as_it_was() {
    let mut rig = Rig::recording(&[]);
    rig.must_all(&["/create vco 1", "/create out out"]);
    let (modules, status) = (rig.modules(), rig.status());
    rig.must("/begin");
    rig.must_all(&["/create noise 1", "/connect noise1 out", "/set noise1 color pink", "/free vco1"]);
    assert_eq!(rig.modules(), modules, "edits that are only gathered are not listed");
    assert_eq!(rig.must("/abort"), done("/abort", []));
    rig.play_blocks(20);
    assert_eq!(rig.modules(), modules);
    let after = rig.status();
    for key in ["modules", "connections"] {
        assert_eq!(after[key], status[key], "{key}");
    }
    let played = |status: &serde_json::Value| {
        let workers = status["workers"].as_array().cloned().unwrap_or_default();
        let ids = workers.iter().flat_map(|worker| worker["modules"].as_array().cloned().unwrap_or_default());
        ids.map(|id| id.to_string()).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(played(&after), played(&status), "somebody still plays what was aborted");
    assert!(rig.refused("/free noise1").contains("there is no module 'noise1'"));
    let heard = rig.stop().recording();
    assert_eq!(first_sound(&heard.left), None, "what was aborted was heard");
}

#[test]
fn a_refused_edit_in_a_transaction_takes_nothing_with_it() {
    let mut rig = Rig::start(&[]);
    rig.must("/begin");
    rig.must("/create vco 1");
    rig.refused("/create vcoo 2");
    rig.refused("/connect vco1 nobody");
    rig.refused("/begin");
    rig.must("/create out out");
    rig.must("/connect vco1 out");
    rig.must("/commit");
    assert_eq!(rig.modules().len(), 2);
    assert_eq!(rig.status()["connections"], 1);
    for address in ["/commit", "/abort"] {
        assert!(rig.refused(address).contains("send /begin first"));
    }
}

#[test]
fn panic_is_silence_within_one_block_and_frees_everything() {
    undisturbed(|| {
        let mut rig = Rig::recording(&BLOCK_OPTION);
        rig.must_all(&TWO_NOISES);
        rig.play_blocks(20);
        let disturbed = rig.disturbances();
        let before = rig.blocks();
        assert_eq!(rig.must("/panic"), done("/panic", []));
        let after = rig.blocks();
        rig.play_blocks(20);
        if rig.disturbances() > disturbed {
            return None;
        }
        assert_eq!(rig.modules(), [""; 0]);
        let status = rig.status();
        assert_eq!((&status["modules"], &status["connections"]), (&0.into(), &0.into()));
        let heard = rig.stop().recording();
        let last = last_sound(&heard.left).expect("the noise was heard");
        // From the block on in which the panic is in force there is one ramp, and nothing after it.
        let in_force = last / BLOCK;
        assert!((before..=after + 1).contains(&in_force), "{before} {in_force} {after}");
        assert!(last % BLOCK < RAMP, "sound goes on for {} frames", last % BLOCK);
        let full = &heard.left[(in_force - 1) * BLOCK..in_force * BLOCK];
        assert!(peak(full) > 0.2, "it was loud until then");
        Some(())
    });
}

#[test]
fn panic_forgets_what_is_scheduled_and_what_is_gathered_and_works_whatever_comes_with_it() {
    let mut rig = Rig::recording(&[]);
    rig.must("/create out out");
    let later = support::packets::tag_after(support::packets::ahead_ns(700), 0);
    rig.throw(&support::packets::tagged(later, &["/create noise 9", "/connect noise9 out"]));
    rig.must("/begin");
    rig.must("/create vco 1");
    rig.must("/panic 1 \"now!\"");
    assert!(rig.refused("/commit").contains("send /begin first"));
    let rate = 48_000 / 128;
    rig.play_blocks(rate);
    assert_eq!(rig.modules(), [""; 0]);
    rig.must_all(&TWO_NOISES);
    assert_eq!(rig.modules().len(), 3);
    rig.stop();
}

#[test]
fn sync_is_answered_after_everything_before_it() {
    let mut rig = Rig::start(&[]);
    let socket = rig.throw(&support::packets::bundle(&["/create vco 1", "/free vco1", "/sync 42"]));
    let mut answers = Vec::new();
    let mut buffer = [0; 4_096];
    while answers.len() < 3 {
        let bytes = socket.recv(&mut buffer).expect("each command is answered");
        answers.push(backline::osc::parse_reply(&buffer[..bytes]).expect("answers are OSC"));
    }
    let addresses: Vec<_> = answers.iter().map(|reply| reply.address.as_str()).collect();
    assert_eq!(addresses, ["/done", "/done", "/synced"]);
    assert_eq!(answers[2].args, [Arg::Int(42)]);
    assert_eq!(rig.ask_osc("/sync", vec![OscType::Float(7.0)]).args, [Arg::Int(7)]);
}

#[test]
fn status_list_version_and_schema_answer_as_promised() {
    let mut rig = Rig::start(&["--workers", "3"]);
    let made = rig.must("/create vco 1 freq 220");
    let [Arg::Text(address), Arg::Text(id), Arg::Int(slot), Arg::Int(pid), Arg::Int(ack_us)] = &made.args[..]
    else {
        panic!("/create answers with id slot pid ack_us: {made:?}");
    };
    assert_eq!((address.as_str(), id.as_str()), ("/create", "vco1"));
    assert!(*ack_us >= 0);
    assert_eq!(rig.workers()[*slot as usize]["pid"], *pid);
    assert_eq!(rig.must("/create lfo").args[1], text("lfo1"), "without an id the engine chooses one");
    rig.must("/free lfo1");
    let listed = rig.ask("/list");
    assert_eq!(listed.address, "/list.reply");
    assert_eq!(listed.args, [text("vco1"), text("vco"), Arg::Int(*slot)]);

    let status = rig.ask("/status");
    assert_eq!((status.address.as_str(), status.args.len()), ("/status.reply", 9));
    let counts = [1, 1, 0, 3, 3].map(Arg::Int);
    assert_eq!(status.args[..5], counts, "1 modules connections workers ready_workers");
    assert_eq!(status.args[7], Arg::Double(48_000.0));
    let version = rig.ask("/version");
    assert_eq!(version.address, "/version.reply");
    assert_eq!(version.args[0], text("backline"));
    let one = rig.ask("/schema vcf");
    assert_eq!((one.address.as_str(), &one.args[0]), ("/schema.reply", &text("vcf")));
    assert!(rig.refused("/schema vcff").contains("vcf"));
}

#[test]
fn schema_without_a_type_is_one_message_for_every_type() {
    let rig = Rig::start(&[]);
    let mut client = backline::osc::Client::connect(rig.address).expect("loopback is reachable");
    let all = client.ask_all(support::packets::line("/schema"), support::WATCHDOG).expect("it answers");
    let types: Vec<_> = all.iter().map(|reply| reply.args[0].clone()).collect();
    let known: Vec<_> =
        backline_dsp::catalogue::CATALOGUE.iter().map(|entry| text(entry.panel.name)).collect();
    assert_eq!(types, known);
}

#[test]
fn the_addresses_of_the_seed_project_still_work() {
    let mut rig = Rig::start(&[]);
    let made = rig.ask("/patch/create lead vco");
    assert_eq!(made.args[..2], [text("/patch/create"), text("lead")]);
    rig.must("/patch/create env adsr");
    rig.must("/patch/create out out");
    assert_eq!(rig.must("/patch/connect lead out.left").args[0], text("/patch/connect"));
    assert_eq!(rig.must("/mod/lead/freq 330").args[0], text("/mod/lead/freq"));
    assert!(rig.refused("/mod/lead/freq 1e9").contains("out of range"));
    assert_eq!(rig.must("/gate/env 1").args[0], text("/gate/env"));
    assert!(rig.refused("/gate/lead 1").contains("no gate"));
    assert_eq!(rig.status()["connections"], 1);
}

#[test]
fn patterns_mean_every_module_they_match() {
    let mut rig = Rig::start(&[]);
    rig.must_all(&["/create vco kick1", "/create vco kick2", "/create vco snare", "/create adsr env"]);
    rig.must("/set kick? freq 60");
    rig.must("/set * freq 80");
    rig.must("/gate * 1");
    rig.must("/gate {env,kick1} 0");
    assert!(rig.refused("/set tom* freq 80").contains("no module matches"));
    assert!(rig.refused("/gate kick* 1").contains("no gate"));
    assert!(rig.refused("/connect kick* snare.fm").contains("not a port"));
    rig.must("/free kick[12]");
    assert_eq!(rig.modules().len(), 2);
    rig.must("/free *");
    assert_eq!(rig.modules(), [""; 0]);
}

#[test]
fn any_command_can_be_sent_as_text() {
    let mut rig = Rig::start(&[]);
    let mut cmd = |words: &str| rig.ask_osc("/cmd", vec![OscType::String(words.to_owned())]);
    assert_eq!(cmd("create vco --id 1 --freq 220").args[..2], [text("/create"), text("vco1")]);
    assert_eq!(cmd("/create out --id out --level 0.5").args[..2], [text("/create"), text("out")]);
    assert_eq!(cmd("connect vco1 out.left --gain 0.5").address, "/done");
    assert_eq!(cmd("sync 5"), Reply { address: "/synced".to_owned(), args: vec![Arg::Int(5)] });
    assert!(cmd("create nonsense").is_failure());
    assert!(cmd("").is_failure());
    assert!(cmd("/cmd \"list\"").is_failure());
    assert_eq!(rig.modules().len(), 2);
}
