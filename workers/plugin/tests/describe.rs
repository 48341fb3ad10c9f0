//! Asking for plug-ins by name: what comes back is in order, complete, and helps.

mod support;

use backline_plugin::description::Description;
use backline_plugin::report::Line;
use support::{describe, lines, panel, reason};

#[test]
fn answers_come_in_the_order_of_the_questions() {
    let names =
        ["lv2:urn:zamaudio:ZamTube", "ladspa:no_such", "clap:com.zamaudio.ZamTube", "ladspa:delay_5s"];
    let answered: Vec<String> = describe(&names)
        .into_iter()
        .map(|line| match line {
            Line::Type(description) => description.name,
            Line::Fault(fault) => fault.name,
        })
        .collect();
    assert_eq!(answered, names);
}

#[test]
fn an_unknown_name_gets_the_one_that_was_probably_meant() {
    let lines = describe(&["ladspa:delay_6s", "lv2:zamtube", "clap:com.zamaudio.ZamTub", "vst:x", "nothing"]);
    let has_hint = |name: &str, hint: &str| {
        let reason = reason(&lines, name);
        assert!(reason.ends_with(&format!("did you mean '{hint}'?")), "{reason}");
    };
    has_hint("ladspa:delay_6s", "ladspa:delay_5s");
    has_hint("lv2:zamtube", "lv2:urn:zamaudio:ZamTube");
    has_hint("clap:com.zamaudio.ZamTub", "clap:com.zamaudio.ZamTube");
    assert_eq!(reason(&lines, "vst:x"), "a plug-in's name starts with ladspa:, lv2: or clap:");
    assert_eq!(reason(&lines, "nothing"), "a plug-in's name starts with ladspa:, lv2: or clap:");
}

fn param<'a>(panel: &'a Description, name: &str) -> &'a backline_plugin::description::Param {
    let found = panel.params.iter().find(|param| param.name == name);
    found.unwrap_or_else(|| panic!("{} has no {name}: {:?}", panel.name, panel.params))
}

#[test]
fn a_ladspa_panel_says_what_the_library_says() {
    let panel = panel("ladspa:lowpass_iir");
    let cutoff = param(&panel, "cutoff_frequency");
    // 0.0001 and 0.45 of the sample rate; a logarithmic middle.
    assert!((cutoff.min - 4.8).abs() < 0.001 && (cutoff.max - 21_600.0).abs() < 0.1, "{cutoff:?}");
    let stages = param(&panel, "stages_2_poles_per_stage");
    assert!(stages.summary.ends_with("whole numbers"), "{stages:?}");
    assert_eq!(param(&support::panel("ladspa:gverb"), "reverb_time").unit, "s");
    assert_eq!((panel.inputs[0].name.as_str(), panel.outputs[0].name.as_str()), ("in", "out"));
    assert!(!panel.is_gated);
}

#[test]
fn an_lv2_panel_has_words_for_choices_and_a_note_for_instruments() {
    let combo = panel("lv2:http://drobilla.net/plugins/mda/Combo");
    let model = param(&combo, "model");
    assert_eq!(model.choices[2], "small_radio_speaker");
    assert_eq!((model.min, model.max), (0.0, 6.0));
    let piano = panel("lv2:http://drobilla.net/plugins/mda/EPiano");
    assert!(piano.is_gated);
    assert_eq!((piano.params[0].name.as_str(), piano.params[0].default), ("note", 60.0));
    assert_eq!(piano.outputs[1].name, "out2");
}

#[test]
fn a_plugin_that_comes_late_says_by_how_much() {
    for name in ["ladspa:ZaMaximX2", "lv2:urn:zamaudio:ZaMaximX2", "clap:com.zamaudio.ZaMaximX2"] {
        assert_eq!(panel(name).latency_frames, Some(480), "{name} looks 10 ms ahead");
    }
    assert_eq!(panel("ladspa:delay_5s").latency_frames, None);
}

#[test]
fn a_plugin_that_is_not_clean_after_a_reset_is_told() {
    assert!(panel("ladspa:delay_5s").is_clean_after_reset);
    // Its envelope goes on where it was: activate() does not touch it.
    assert!(!panel("ladspa:sc4").is_clean_after_reset);
}

#[test]
fn the_sample_rate_is_that_of_the_set() {
    let at_96_khz = lines(&["--rate", "96000", "--describe", "ladspa:lowpass_iir"], &[]);
    let [Line::Type(panel)] = &at_96_khz[..] else { panic!("{at_96_khz:?}") };
    assert!((param(panel, "cutoff_frequency").max - 43_200.0).abs() < 0.1);
}
