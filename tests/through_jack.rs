//! The engine as a client of a real JACK server, heard by JACK's own recorder.

mod support;

use std::process::{Command, Stdio};
use support::jack::JackServer;
use support::sound::{assert_pitch, first_sound, read};
use support::{Rig, backline, end_of, until};

#[test]
fn an_oscillator_created_over_osc_is_recorded_by_jack_at_its_pitch() {
    let Some(server) = JackServer::start("through") else { return };
    let mut rig = Rig::start_as(server.client(backline()), &["--audio", "jack", "--block", "128"]);
    rig.must_all(&["/create vco 1 shape sine freq 440", "/create out out", "/connect vco1 out.left 0.5"]);
    until("the engine plays into the server", || server.ports().contains("backline_out:out_0"));
    let wav = rig.folder().join("jack.wav");
    let mut recorder = server
        .client(Command::new("jack_rec"))
        .arg("-f")
        .arg(&wav)
        .args(["-d", "2", "-b", "32", "backline_out:out_0", "backline_out:out_1"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("jack_rec starts");
    assert!(end_of(&mut recorder).success());
    let status = rig.status();
    assert!(status["audio"]["clock"].as_str().is_some_and(|clock| clock.starts_with("JACK")), "{status}");
    let heard = read(&wav);
    let first = first_sound(&heard.left).expect("the oscillator is heard");
    assert_pitch(&heard.left[first..], 440.0);
    drop(rig.stop());
}
