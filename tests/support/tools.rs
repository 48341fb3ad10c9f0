//! Other people's programs, found or installed; who lacks one is told what was skipped.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// True if `name` can be run; else says what is skipped and what would bring it.
pub fn has(name: &str, package: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()));
    if !found {
        println!("SKIPPED: {name} is not installed; it comes with: apt install {package}");
    }
    found
}

/// A Python that has python-osc: the one named in BACKLINE_TEST_PYTHON, the system's, or one of our own under
/// the target folder. `None`, with a message, where none can be had.
pub fn python_with_osc() -> Option<PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(find_python).clone()
}

fn find_python() -> Option<PathBuf> {
    let named = std::env::var_os("BACKLINE_TEST_PYTHON").map(PathBuf::from);
    if let Some(python) = named.into_iter().chain([PathBuf::from("python3")]).find(has_osc) {
        return Some(python);
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("python-osc");
    let own = folder.join("bin/python");
    if has_osc(&own) {
        return Some(own);
    }
    println!("installing python-osc into {}", folder.display());
    runs(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "python-osc>=1.8,<2"];
    runs(Command::new(&own).args(pip));
    if has_osc(&own) {
        return Some(own);
    }
    println!("SKIPPED: there is no Python with python-osc, and none could be installed");
    None
}

fn has_osc(python: &PathBuf) -> bool {
    runs(Command::new(python).args(["-c", "import pythonosc"]))
}

fn runs(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
