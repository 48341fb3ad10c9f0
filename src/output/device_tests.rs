//! Names, errors and remedies; playing itself is tested in `tests/jack_device.rs` and `tests/alsa_device.rs`.

use super::*;

fn name(id: &str, description: &str) -> DeviceName {
    DeviceName { host: "ALSA", id: id.to_owned(), description: description.to_owned() }
}

fn spec(host: DeviceHost, name: &str) -> DeviceSpec {
    DeviceSpec { host, name: Some(name.to_owned()), rate_hz: 48_000, block_frames: 128 }
}

/// Opens `spec` with a render function that carries a mark, and returns the error and the mark.
fn failure(spec: &DeviceSpec) -> (DeviceError, Arc<str>) {
    let mark: Arc<str> = "the same render function".into();
    let render = {
        let mark = mark.clone();
        move |_: &mut [f32], _: CallbackTiming| drop(mark.clone())
    };
    let (notices, _) = bounded(1);
    match open(spec, render, || {}, notices) {
        Ok(device) => panic!("{:?} was opened", device.report()),
        Err(failure) => {
            assert!(failure.render.is_some());
            (failure.error, mark)
        }
    }
}

#[test]
fn a_device_is_found_by_id_by_description_and_by_a_part_that_fits_only_one() {
    let names = [name("hw:0", "HDMI"), name("hw:1", "USB Audio"), name("plughw:1", "USB Audio, converted")];
    let found = |wanted| position(wanted, names.iter());
    assert_eq!(found("hw:1"), Some(1), "an exact id wins over a part of another");
    assert_eq!(found("usb audio"), Some(1), "case does not matter");
    assert_eq!(found("converted"), Some(2));
    assert_eq!(found("USB"), None, "two fit");
    assert_eq!(found("Bluetooth"), None);
}

#[test]
fn a_device_that_is_not_there_is_named_with_a_remedy_and_the_render_function_survives() {
    let (error, mark) = failure(&spec(DeviceHost::Alsa, "no such card"));
    assert!(error.is_absent());
    assert!(error.to_string().contains("'no such card'"), "{error}");
    assert!(error.to_string().contains("--audio null"), "{error}");
    assert_eq!(Arc::strong_count(&mark), 1, "the render function came back and was dropped here");
}

#[test]
#[cfg(not(feature = "jack"))]
fn jack_that_is_not_built_in_is_answered_with_how_to_build_it() {
    let (error, _) = failure(&spec(DeviceHost::Jack, "backline"));
    assert!(error.is_absent());
    assert!(error.to_string().contains("cargo build --release --features jack"), "{error}");
}

#[test]
fn a_lost_device_is_told_and_an_xrun_is_counted() {
    let xruns = Arc::new(AtomicU64::new(0));
    let (notices, told) = bounded(4);
    let mut on_error = error_callback(xruns.clone(), notices);
    on_error(cpal::Error::new(cpal::ErrorKind::Xrun));
    on_error(cpal::Error::new(cpal::ErrorKind::DeviceNotAvailable));
    on_error(cpal::Error::new(cpal::ErrorKind::RealtimeDenied));
    assert_eq!(xruns.load(Ordering::Relaxed), 1);
    assert!(matches!(told.try_recv(), Ok(DeviceNotice::Lost { .. })));
    assert!(matches!(told.try_recv(), Ok(DeviceNotice::Degraded { .. })));
    assert!(told.try_recv().is_err());
}

#[test]
fn every_error_of_the_sound_system_says_what_to_do_about_it() {
    use cpal::ErrorKind;
    let remedies = [
        (ErrorKind::DeviceBusy, "fuser"),
        (ErrorKind::PermissionDenied, "usermod -aG audio"),
        (ErrorKind::DeviceNotAvailable, "--audio null"),
        (ErrorKind::BackendError, "backline doctor"),
    ];
    for (kind, remedy) in remedies {
        let error = explain("hw:0".to_owned(), cpal::Error::new(kind)).to_string();
        assert!(error.contains("'hw:0'") && error.contains(remedy), "{error}");
    }
}
