use clap::CommandFactory;

use super::*;
use crate::config::resolve;

fn parse(line: &str) -> Result<Verb, clap::Error> {
    let words = std::iter::once("backline").chain(line.split_whitespace());
    CommandLine::try_parse_from(words).map(|line| line.verb)
}

fn run(line: &str) -> RunArgs {
    match parse(line).unwrap() {
        Verb::Run(args) => *args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_command_line_holds_together() {
    CommandLine::command().debug_assert();
}

#[test]
fn every_option_of_run_reaches_its_setting() {
    let args = run(
        "run set.toml --audio null --device hw:0 --rate 44100 --block 64 --workers 3 --listen 0.0.0.0:0 \
         --allow 10.0.0.0/8 --allow 192.168.1.7 --record out.wav --session gig --lookahead 1 --arena 8 \
         --max-modules 10 --max-connections 20 --max-memory 3 --max-scheduled 40 --client-max-modules 5 \
         --client-max-connections 6 --client-max-memory 2 --client-max-scheduled 8 --patches sets \
         --recordings takes --audit log.jsonl --no-realtime --json",
    );
    let settings = resolve(&[args.layer()]).unwrap().settings;
    assert_eq!(args.patch, Some("set.toml".into()));
    assert_eq!(settings.audio.name(), "null");
    assert_eq!(settings.device.as_deref(), Some("hw:0"));
    assert_eq!((settings.rate_hz, settings.block_frames, settings.workers), (44_100, 64, 3));
    assert_eq!(settings.listen.to_string(), "0.0.0.0:0");
    assert_eq!(settings.allow.len(), 2);
    assert_eq!(settings.record, Some("out.wav".into()));
    assert_eq!(settings.session.as_deref(), Some("gig"));
    assert_eq!((settings.lookahead_blocks, settings.arena_mib), (1, 8));
    assert_eq!((settings.max_modules, settings.max_connections), (10, 20));
    assert_eq!(settings.audit, Some("log.jsonl".into()));
    assert_eq!((settings.max_memory_mib, settings.max_scheduled), (3, 40));
    assert_eq!((settings.client_max_modules, settings.client_max_connections), (5, 6));
    assert_eq!((settings.client_max_memory_mib, settings.client_max_scheduled), (2, 8));
    assert_eq!(settings.patches, Some("sets".into()));
    assert_eq!(settings.recordings, Some("takes".into()));
    assert!(!settings.wants_realtime && !settings.insecure && args.engine.json);
}

#[test]
fn a_setting_out_of_range_is_refused_by_config_with_its_option() {
    for line in ["run --block 8", "run --block -1"] {
        let refusal = resolve(&[run(line).layer()]).unwrap_err().to_string();
        assert!(refusal.contains("--block") && refusal.contains("16..=1024 frames"), "{refusal}");
    }
}

#[test]
fn send_takes_everything_after_the_first_word_as_it_is() {
    let Ok(Verb::Send(args)) = parse("send create vco --id 1 --detune -5 --json") else { panic!("a send") };
    assert_eq!(args.words, ["create", "vco", "--id", "1", "--detune", "-5", "--json"]);
    assert!(!args.json);
    let Ok(Verb::Send(args)) = parse("send --to 9000 --json /gate a 1") else { panic!("a send") };
    assert_eq!((args.to.to_string().as_str(), args.json), ("127.0.0.1:9000", true));
    assert!(parse("send").is_err());
}

#[test]
fn bench_takes_json_with_and_without_a_file() {
    let json = |line| match parse(line).unwrap() {
        Verb::Bench(args) => args.json,
        other => panic!("{other:?}"),
    };
    assert_eq!(json("bench create"), None);
    assert_eq!(json("bench create --json"), Some(None));
    assert_eq!(json("bench cycle --json x.json --n 10"), Some(Some("x.json".into())));
}

#[test]
fn render_wants_a_patch_a_length_and_a_file() {
    assert!(parse("render a.toml --seconds 2 --out a.wav --in-process").is_ok());
    for line in ["render --seconds 2 --out a.wav", "render a.toml --out a.wav", "render a.toml --seconds 2"] {
        assert!(parse(line).is_err(), "{line}");
    }
    for seconds in ["0", "-1", "nan", "inf", "1e9", "long"] {
        assert!(parse(&format!("render a.toml --out a.wav --seconds {seconds}")).is_err(), "{seconds}");
    }
}

#[test]
fn the_first_help_shows_examples_and_exit_codes() {
    let help = CommandLine::command().render_help().to_string();
    assert!(help.contains("backline send create vco") && help.contains("Exit codes"));
}
