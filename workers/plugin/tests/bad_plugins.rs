//! Plug-ins that crash, hang, leave or lie cost a line each, and nothing else.

mod support;

use backline_plugin::report::Line;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use support::{compile, lines, reason, types};

/// A LADSPA library that misbehaves as the compiler is told: `OPENING` runs when it is loaded; `STARTING`, `RUNNING`
/// and `STOPPING` when its second type is activated, run and cleaned up.
const SOURCE: &str = r#"
#include <fcntl.h>
#include <ladspa.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifndef OPENING
#define OPENING
#endif
#ifndef STARTING
#define STARTING
#endif
#ifndef RUNNING
#define RUNNING
#endif
#ifndef STOPPING
#define STOPPING
#endif
static void leave_a_child(const char *file) {
    pid_t child = fork();
    if (child == 0) for (;;) pause();
    FILE *told = fopen(file, "w");
    fprintf(told, "%d", child);
    fclose(told);
    _exit(3);
}
__attribute__((constructor)) static void opened(void) { (void)leave_a_child; OPENING; }

typedef struct { LADSPA_Data *in, *out; } Wire;
static LADSPA_Handle instantiate(const LADSPA_Descriptor *d, unsigned long rate) { return calloc(1, sizeof(Wire)); }
static void connect(LADSPA_Handle h, unsigned long port, LADSPA_Data *p) { ((LADSPA_Data **)h)[port] = p; }
static void run(LADSPA_Handle h, unsigned long n) {
    memcpy(((Wire *)h)->out, ((Wire *)h)->in, n * sizeof(LADSPA_Data));
}
static void bad_activate(LADSPA_Handle h) { STARTING; }
static void bad_run(LADSPA_Handle h, unsigned long n) { RUNNING; run(h, n); }
static void bad_cleanup(LADSPA_Handle h) { STOPPING; free(h); }

static const LADSPA_PortDescriptor kinds[] = {
    LADSPA_PORT_INPUT | LADSPA_PORT_AUDIO, LADSPA_PORT_OUTPUT | LADSPA_PORT_AUDIO};
static const char *const names[] = {"In", "Out"};
static const LADSPA_PortRangeHint hints[2];
#define TYPE(id, label, activate, run, cleanup) \
    {id, label, 0, label, "a test", "None", 2, kinds, names, hints, NULL, instantiate, connect, activate, run, \
     NULL, NULL, NULL, cleanup}
static const LADSPA_Descriptor types[] = {
    TYPE(1, PREFIX "_before", NULL, run, free),
    TYPE(2, PREFIX "_bad", bad_activate, bad_run, bad_cleanup),
    TYPE(3, PREFIX "_after", NULL, run, free),
};
const LADSPA_Descriptor *ladspa_descriptor(unsigned long index) { return index < 3 ? &types[index] : NULL; }
"#;

/// Compiles the library `NAME.so` whose types are `NAME_before`, `NAME_bad` and `NAME_after`.
fn build(folder: &Path, name: &str, misbehaviour: &str) {
    let prefix = format!("PREFIX=\"{name}\"");
    compile(SOURCE, &folder.join(format!("{name}.so")), &[&prefix, misbehaviour]);
}

fn scan(folder: &Path) -> Vec<Line> {
    lines(&["--scan", "ladspa"], &[("LADSPA_PATH", folder)])
}

#[test]
fn a_file_that_crashes_hangs_or_leaves_when_opened_is_a_fault_and_the_rest_is_scanned() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    build(folder, "a_crash", "OPENING=*(volatile int*)0=1");
    build(folder, "b_abort", "OPENING=abort()");
    build(folder, "c_hang", "OPENING=for(;;)");
    build(folder, "d_exit", "OPENING=exit(0)");
    build(folder, "e_good", "OPENING=");
    fs::write(folder.join("f_text.so"), "no library").expect("the folder is ours");

    let lines = scan(folder);
    let of = |name: &str| reason(&lines, &folder.join(name).display().to_string()).to_owned();
    assert_eq!(of("a_crash.so"), "it was killed by SIGSEGV while it was opened");
    assert_eq!(of("b_abort.so"), "it was killed by SIGABRT while it was opened");
    assert_eq!(of("c_hang.so"), "it gave no answer for 5 s while it was opened");
    assert_eq!(of("d_exit.so"), "it exited with code 0 while it was opened");
    assert!(of("f_text.so").contains("cannot be opened: "), "{}", of("f_text.so"));
    assert_eq!(types(&lines), ["ladspa:e_good_before", "ladspa:e_good_bad", "ladspa:e_good_after"]);
}

#[test]
fn a_type_that_crashes_when_it_is_used_does_not_hide_its_neighbours() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    build(folder, "start", "STARTING=raise(SIGILL)");
    build(folder, "run", "RUNNING=*(volatile int*)0=1");
    build(folder, "stop", "STOPPING=abort()");

    let lines = scan(folder);
    assert_eq!(reason(&lines, "ladspa:start_bad"), "it was killed by SIGILL while it was started");
    assert_eq!(reason(&lines, "ladspa:run_bad"), "it was killed by SIGSEGV while it was run");
    assert_eq!(reason(&lines, "ladspa:stop_bad"), "it was killed by SIGABRT while it was stopped");
    let others = ["run_before", "run_after", "start_before", "start_after", "stop_before", "stop_after"];
    assert_eq!(types(&lines), others.map(|name| format!("ladspa:{name}")));
}

#[test]
fn what_a_plugin_prints_is_no_line_of_the_scan() {
    let folder = tempfile::tempdir().expect("a folder");
    build(folder.path(), "chatty", "OPENING=puts(\"nonsense\");fflush(stdout)");
    assert_eq!(types(&scan(folder.path())).len(), 3);
}

#[test]
fn a_type_that_writes_without_end_is_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    // It has found the pipe to the scanner, which is neither of the first three, and does not stop.
    let flood = "RUNNING=for(;;)for(int fd=3;fd<16;fd++)write(fd,\"xxxxxxxxxxxxxxxx\",16)";
    build(folder.path(), "flood", flood);
    let lines = scan(folder.path());
    assert_eq!(reason(&lines, "ladspa:flood_bad"), "it said more than 4 MiB while it was run");
    assert_eq!(types(&lines).len(), 2);
}

/// Whether a process runs; a zombie that nobody waits for does not.
fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn what_a_plugin_has_started_goes_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = folder.path().join("child");
    build(folder.path(), "parent", &format!("OPENING=leave_a_child(\"{}\")", told.display()));
    let lines = scan(folder.path());
    let file = folder.path().join("parent.so").display().to_string();
    assert_eq!(reason(&lines, &file), "it exited with code 3 while it was opened");
    let pid = fs::read_to_string(&told).expect("it told its child");
    let gives_up = Instant::now() + Duration::from_secs(30);
    while is_alive(&pid) && Instant::now() < gives_up {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(!is_alive(&pid), "process {pid} is still there");
}

#[test]
fn of_two_plugins_of_one_name_the_first_counts_and_the_other_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, second) = (folder.path().join("1.so"), folder.path().join("2.so"));
    compile(SOURCE, &first, &["PREFIX=\"twin\""]);
    fs::copy(&first, &second).expect("the folder is ours");
    let lines = scan(folder.path());
    assert_eq!(types(&lines).len(), 3);
    let hidden = format!("the one in {} is hidden by the one in {}", second.display(), first.display());
    assert_eq!(reason(&lines, "ladspa:twin_before"), hidden);
}

/// The Turtle files of an LV2 bundle whose one plug-in has `body`; it needs no library to be refused.
fn bundle(folder: &Path, name: &str, body: &str) {
    let bundle = folder.join(format!("{name}.lv2"));
    fs::create_dir(&bundle).expect("the folder is ours");
    let turtle = format!(
        "@prefix lv2: <http://lv2plug.in/ns/lv2core#> .\n@prefix doap: <http://usefulinc.com/ns/doap#> .\n\
         <urn:test:{name}> a lv2:Plugin ; doap:name \"{name}\" ; lv2:binary <none.so> ; {body} .\n"
    );
    fs::write(bundle.join("manifest.ttl"), turtle).expect("the folder is ours");
}

#[test]
fn an_lv2_plugin_that_needs_more_than_we_have_is_told_what() {
    let folder = tempfile::tempdir().expect("a folder");
    bundle(folder.path(), "needy", "lv2:requiredFeature <urn:test:a-pony>");
    let port = |class: &str| {
        format!("lv2:port [ a lv2:OutputPort, {class} ; lv2:index 0 ; lv2:symbol \"o\" ; lv2:name \"Odd\" ]")
    };
    bundle(folder.path(), "odd", &port("<urn:test:SmellPort>"));
    bundle(folder.path(), "mute", &port("lv2:ControlPort"));
    bundle(folder.path(), "hollow", &port("lv2:AudioPort"));
    let lines = lines(&["--scan", "lv2"], &[("LV2_PATH", folder.path())]);
    let of = |name: &str| reason(&lines, &format!("lv2:urn:test:{name}")).to_owned();
    assert_eq!(of("needy"), "it needs urn:test:a-pony of its host, which this one lacks");
    assert!(of("odd").starts_with("its port 'Odd' is of a kind this host does not know: "), "{}", of("odd"));
    assert!(of("odd").contains("urn:test:SmellPort"), "{}", of("odd"));
    assert_eq!(of("mute"), "it has no audio output");
    assert_eq!(of("hollow"), "it refused to be instantiated");
    assert!(types(&lines).is_empty());
}

#[test]
fn a_clap_file_that_is_none_is_a_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let vendor = folder.path().join("vendor");
    fs::create_dir(&vendor).expect("the folder is ours");
    compile("int nothing;", &vendor.join("empty.clap"), &[]);
    compile(
        "#include <unistd.h>\n__attribute__((constructor)) void f(void){_exit(9);}",
        &vendor.join("exit.clap"),
        &[],
    );
    let lines = lines(&["--scan", "clap"], &[("CLAP_PATH", folder.path())]);
    let of = |name: &str| reason(&lines, &vendor.join(name).display().to_string()).to_owned();
    assert!(of("empty.clap").contains("clap_entry"), "{}", of("empty.clap"));
    assert_eq!(of("exit.clap"), "it exited with code 9 while it was opened");
}

#[test]
fn a_folder_that_is_not_there_has_no_plugins() {
    assert!(scan(Path::new("/nonexistent/ladspa")).is_empty());
}
