//! Where plug-ins are kept: the folders of each format, and the files and bundles in them.
//!
//! `LADSPA_PATH`, `LV2_PATH` and `CLAP_PATH` say which folders, separated by colons; without them, the usual ones.
//! Nothing is opened here.

use crate::host::Format;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// How deep a CLAP folder is searched; vendors have folders of their own there.
const MAX_DEPTH: usize = 4;

fn variable(format: Format) -> &'static str {
    match format {
        Format::Ladspa => "LADSPA_PATH",
        Format::Lv2 => "LV2_PATH",
        Format::Clap => "CLAP_PATH",
    }
}

/// The usual folders, in the order in which they are searched; `~` is the home folder.
fn usual(format: Format) -> &'static [&'static str] {
    match format {
        Format::Ladspa => &["/usr/lib/ladspa", "/usr/local/lib/ladspa", "~/.ladspa"],
        // As lilv has them on Debian.
        Format::Lv2 => &["~/.lv2", "/usr/lib/x86_64-linux-gnu/lv2", "/usr/lib/lv2", "/usr/local/lib/lv2"],
        Format::Clap => &["/usr/lib/clap", "/usr/local/lib/clap", "~/.clap"],
    }
}

/// The folders of a format.
pub fn folders(format: Format) -> Vec<PathBuf> {
    let home = env::var_os("HOME").map(PathBuf::from);
    let in_home = |rest: &str| home.as_ref().map(|home| home.join(rest));
    let full = |folder: &str| match folder.strip_prefix("~/") {
        Some(rest) => in_home(rest),
        None => (!folder.is_empty()).then(|| PathBuf::from(folder)),
    };
    match env::var(variable(format)) {
        Ok(stated) => stated.split(':').filter_map(full).collect(),
        Err(_) => usual(format).iter().filter_map(|folder| full(folder)).collect(),
    }
}

/// Files (of LV2, bundles) of a format that may hold plug-ins: folder by folder, by name within each. A folder
/// that is not there has none.
pub fn files(format: Format) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in folders(format) {
        let from = files.len();
        gather(format, &folder, MAX_DEPTH, &mut files);
        files[from..].sort();
    }
    files
}

fn gather(format: Format, folder: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let ends_with = |ending: &str| path.extension().is_some_and(|found| found == ending);
        let is_wanted = match format {
            Format::Ladspa => ends_with("so") && path.is_file(),
            Format::Lv2 => path.join("manifest.ttl").is_file(),
            Format::Clap => ends_with("clap") && path.is_file(),
        };
        let has_folders = format == Format::Clap && depth > 0;
        if is_wanted {
            files.push(path);
        } else if has_folders && path.is_dir() {
            gather(format, &path, depth - 1, files);
        }
    }
}
