use super::*;

fn refused() -> io::Error {
    io::Error::from(io::ErrorKind::PermissionDenied)
}

#[test]
fn whatever_is_not_ok_comes_with_a_line_that_mends_it() {
    let poor = [
        priority(Err(refused()), 48, Some(0)),
        throttle(Some(0)),
        throttle(Some(100_000)),
        spinning(Some(200_000)),
        locking(Some(8 * MIB), 80 * MIB, ""),
        shared_memory(None, MIB),
        shared_memory(Some(MIB), 80 * MIB),
        governor(&["performance".to_owned(), "powersave".to_owned()]),
        cores(1),
        virtualised("flags\t\t: fpu hypervisor lahf_lm"),
        sound_card(Vec::new()),
        sound_card(vec!["null".to_owned()]),
        jack(true, Vec::new()),
    ];
    for finding in poor {
        assert_ne!(finding.verdict, Verdict::Ok, "{finding}");
        assert!(finding.to_string().contains("mend: "), "{finding}");
        assert!(finding.to_json()["remedy"].is_string(), "{finding}");
    }
}

#[test]
fn a_fit_machine_is_told_so_without_remedies() {
    let fit = [
        priority(Ok(()), 48, None),
        throttle(Some(950_000)),
        throttle(Some(-1)),
        spinning(None),
        locking(None, 80 * MIB, ""),
        locking(Some(0), 80 * MIB, "Name:\tx\nCapEff:\t000001ffffffffff\n"),
        shared_memory(Some(100 * MIB), 80 * MIB),
        governor(&["performance".to_owned()]),
        governor(&[]),
        cores(8),
        virtualised("flags\t\t: fpu lahf_lm"),
        sound_card(vec!["hw:0".to_owned()]),
        jack(false, Vec::new()),
    ];
    for finding in fit {
        assert_eq!((finding.verdict, &finding.remedy), (Verdict::Ok, &None), "{finding}");
    }
}

#[test]
fn capabilities_without_memory_locking_leave_the_limit_in_force() {
    let status = "CapEff:\t0000000000003fff\n";
    assert_eq!(locking(Some(MIB), 80 * MIB, status).verdict, Verdict::Fail);
}

#[test]
fn the_remedy_for_shared_memory_is_large_enough() {
    let needed = shared_bytes(16, 16);
    assert_eq!(needed, 272 * MIB);
    assert!(shared_memory(Some(0), needed).remedy.unwrap().contains("size=1024M"));
}
