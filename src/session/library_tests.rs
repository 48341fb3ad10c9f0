//! A folder with everything in it that a name could lead to.

use super::*;
use rustix::fs::{FileType, mknodat};
use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use std::fs::File;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

fn library() -> (tempfile::TempDir, Library) {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let library = Library::new(&folder.path().join("deep/patches"), "toml");
    (folder, library)
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, LibraryError>) -> String {
    outcome.expect_err("this is refused").to_string()
}

fn names_in(library: &Library) -> Vec<String> {
    let entries = std::fs::read_dir(&library.folder).expect("it is there").flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn what_is_written_is_read_again_and_nothing_else_is_left() {
    let (_folder, library) = library();
    assert!(refused(library.read("a")).contains("nothing was saved yet"));
    for text in ["one\n", "and another\n", ""] {
        assert_eq!(library.write("a", text).expect("it can be written"), library.path("a"));
        assert_eq!(library.read("a").expect("it is there"), text);
    }
    assert_eq!(names_in(&library), ["a.toml"]);
    let missing = refused(library.read("b"));
    assert!(missing.contains("b.toml") && missing.contains("there is: a"), "{missing}");
}

#[test]
fn a_name_is_never_a_path() {
    let (folder, library) = library();
    let outside = folder.path().join("x.toml");
    for name in ["../x", "../../x", "/etc/passwd", "a/b", ".", "..", "", "A", "a.b", "a\0", &"a".repeat(65)] {
        assert!(matches!(library.read(name), Err(LibraryError::BadName(_))), "{name:?}");
        assert!(matches!(library.write(name, "x"), Err(LibraryError::BadName(_))), "{name:?}");
        assert!(matches!(library.free_path(name), Err(LibraryError::BadName(_))), "{name:?}");
    }
    assert!(!outside.exists() && !library.folder.exists());
}

#[test]
fn only_regular_files_are_read_or_replaced() {
    let (folder, library) = library();
    library.write("real", "kept").expect("it can be written");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "secret").expect("it can be written");
    symlink(&secret, library.path("link")).expect("links can be made");
    symlink("nowhere", library.path("dangling")).expect("links can be made");
    std::fs::create_dir(library.path("folder")).expect("folders can be made");
    let folder_fd = library.opened().expect("it is there");
    mknodat(&folder_fd, "pipe.toml", FileType::Fifo, Mode::from_raw_mode(0o644), 0)
        .expect("pipes can be made");
    let _socket = std::os::unix::net::UnixListener::bind(library.path("socket")).expect("a path for it");
    let before = names_in(&library);
    for (name, kind) in [
        ("link", "a link"),
        ("dangling", "a link"),
        ("folder", "a folder"),
        ("pipe", "a pipe"),
        ("socket", "a socket"),
    ] {
        let reading = refused(library.read(name));
        assert!(reading.contains(kind) && reading.contains(name), "{reading}");
        let writing = refused(library.write(name, "overwritten"));
        assert!(writing.contains(kind) && writing.contains(name), "{writing}");
        assert!(refused(library.free_path(name)).contains("there already"));
    }
    assert_eq!(names_in(&library), before);
    assert_eq!(std::fs::read_to_string(&secret).expect("it is there"), "secret");
    assert_eq!(library.read("real").expect("it is there"), "kept");
}

#[test]
fn what_is_too_large_or_no_text_is_refused() {
    let (_folder, library) = library();
    library.write("a", "fine").expect("it can be written");
    let large = File::create(library.path("large")).expect("it can be made");
    large.set_len(MAX_BYTES + 1).expect("a file of holes");
    assert!(refused(library.read("large")).contains("8388609 bytes"));
    std::fs::write(library.path("bytes"), b"version = 1\n\xff\xfe").expect("it can be written");
    assert!(refused(library.read("bytes")).contains("line 2: this is not UTF-8"));
}

#[test]
fn a_write_that_fails_leaves_the_old_file_and_nothing_beside_it() {
    let (folder, library) = library();
    let file = folder.path().join("deep");
    std::fs::write(&file, "a file where a folder should be").expect("it can be written");
    let refusal = refused(library.write("a", "x"));
    assert!(refusal.contains("patches cannot be used"), "{refusal}");
    assert!(file.is_file());
}

#[test]
fn what_a_killed_engine_left_is_swept_and_what_a_living_one_writes_is_not() {
    let (_folder, library) = library();
    library.write("a", "x").expect("it can be written");
    // No process has a number beyond the largest that Linux gives.
    let orphan = library.folder.join(format!("{UNFINISHED}4194305-a"));
    let ours = library.folder.join(format!("{UNFINISHED}{}-b", std::process::id()));
    for path in [&orphan, &ours] {
        std::fs::write(path, "half").expect("it can be written");
    }
    library.sweep();
    assert!(!orphan.exists() && ours.exists());
    assert_eq!(library.read("a").expect("it is there"), "x");
}

/// What the process that is killed is told: the folder, and after how many bytes it is.
const KILLED_IN: &str = "BACKLINE_TEST_KILLED_IN";
const KILLED_AFTER: &str = "BACKLINE_TEST_KILLED_AFTER";

/// Kills this process when it writes further into a file than `bytes`.
fn write_until_killed(folder: &Path, text: &str) {
    let bytes = std::env::var(KILLED_AFTER).ok().and_then(|bytes| bytes.parse().ok());
    let limit = |current| Rlimit { current, maximum: None };
    setrlimit(Resource::Core, limit(Some(0))).expect("less is permitted");
    setrlimit(Resource::Fsize, limit(bytes)).expect("less is permitted");
    Library::new(folder, "toml").write("a", text).expect("there is room");
}

#[test]
fn a_process_that_is_killed_at_any_byte_leaves_the_old_file_or_the_new_one() {
    let (old, new) = ("version = 1\ntitle = \"old\"\n", "version = 1\n# And now something longer.\n");
    if let Some(folder) = std::env::var_os(KILLED_IN) {
        return write_until_killed(Path::new(&folder), new);
    }
    let (_folder, library) = library();
    let name =
        concat!(module_path!(), "::a_process_that_is_killed_at_any_byte_leaves_the_old_file_or_the_new_one");
    let name = name.split_once("::").expect("the crate comes first").1;
    for bytes in 0..=new.len() {
        library.write("a", old).expect("it can be written");
        let mut writer = Command::new(std::env::current_exe().expect("this test is a program"));
        writer.args(["--exact", name]).env(KILLED_IN, &library.folder).env(KILLED_AFTER, bytes.to_string());
        let ended = writer.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it can be started");
        let is_whole = bytes == new.len();
        assert_eq!(ended.signal(), (!is_whole).then_some(Signal::XFSZ.as_raw()), "after {bytes} bytes");
        assert_eq!(library.read("a").expect("it is there"), if is_whole { new } else { old });
        assert_eq!(names_in(&library).len(), if is_whole { 1 } else { 2 }, "after {bytes} bytes");
        library.sweep();
        assert_eq!(names_in(&library), ["a.toml"]);
    }
}
