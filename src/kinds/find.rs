//! Settings -> the kinds of worker that shall be warm, in the order in which they are asked for a name.
//!
//! Manifests stand in folders: those of `--kinds`, then `backline/workers` in the user's data folder, then `workers` beside
//! or above the program. Of two of one name the first counts. Python is warm if there are modules for it, plug-ins if
//! there is one to preload; every other kind that is found is.

use super::manifest::{FILE, Manifest, ManifestError, StartBy, Trust};
use super::{Kind, Recipe};
use crate::config::Settings;
use etcetera::BaseStrategy;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Kind of the Python workers.
pub const PYTHON: &str = "python";
/// Kind of the plug-in workers.
pub const PLUGIN: &str = "plugin";
/// Overrules where the library is that foreign workers load.
pub const SDK_VARIABLE: &str = "BACKLINE_SDK";
/// Folders above the program that are looked at: it may stand in target/release, or in bin.
const ABOVE: usize = 5;

/// Why the kinds cannot be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KindError {
    /// A manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A folder without one.
    #[error("--kinds {0}: there is no {FILE} in it, nor in a folder of it")]
    NoManifest(PathBuf),
    /// No interpreter.
    #[error(
        "no Python with numpy was found ({tried}); install it (apt install python3-numpy python3-scipy), or name one \
         with --python"
    )]
    NoPython {
        /// What was tried.
        tried: String,
    },
    /// The settings speak of a kind that is not there.
    #[error(
        "{what} is for kind '{name}', and there is no such kind of worker (its {FILE} was looked for in: {folders})"
    )]
    Missing {
        /// What needs it.
        what: String,
        /// The kind.
        name: String,
        /// Where it was looked for.
        folders: String,
    },
    /// The library is not there.
    #[error(
        "{0} is missing, which workers of other kinds load; build it (cargo build --workspace), or set {SDK_VARIABLE}"
    )]
    NoLibrary(PathBuf),
    /// Something to load that is not there.
    #[error("--modules {0}: there is no such file or folder")]
    NoModules(PathBuf),
}

/// The kinds to be warmed.
pub fn find(settings: &Settings) -> Result<Vec<Kind>, KindError> {
    let modules = python_modules(settings)?;
    let folders = folders(settings);
    let mut manifests: Vec<Manifest> = Vec::new();
    for (folder, is_asked_for) in &folders {
        let found = manifests_in(folder);
        if found.is_empty() && *is_asked_for {
            return Err(KindError::NoManifest(folder.clone()));
        }
        for path in found {
            let manifest = Manifest::read(&path, |name| settings.kind_changes.get(name).cloned())?;
            if manifests.iter().all(|other| other.name != manifest.name) {
                manifests.push(manifest);
            }
        }
    }
    check_all_are_there(settings, &modules, &manifests, &folders)?;
    let is_wanted = |manifest: &Manifest| match manifest.name.as_str() {
        PYTHON => !modules.is_empty(),
        PLUGIN => !settings.plugins.is_empty(),
        _ => true,
    };
    let wanted = manifests.into_iter().filter(is_wanted);
    wanted.map(|manifest| kind(settings, &modules, manifest)).collect()
}

fn kind(settings: &Settings, modules: &[PathBuf], manifest: Manifest) -> Result<Kind, KindError> {
    let (first, rest) = manifest.command.split_first().expect("a manifest has a command");
    let program = match first.as_str() {
        "{python}" => python(settings)?,
        name if name.contains('/') => manifest.folder.join(name),
        name => beside_us(name).unwrap_or_else(|| PathBuf::from(name)),
    };
    let mut variables = vec![(SDK_VARIABLE, library()?.into_os_string())];
    let preload = if manifest.name == PLUGIN { &settings.plugins } else { &manifest.preload };
    variables
        .push(("BACKLINE_PRELOAD", preload.join(if manifest.name == PLUGIN { "\n" } else { ":" }).into()));
    if manifest.name == PYTHON {
        variables.push(("BACKLINE_MODULES", joined(modules.iter().cloned())));
        let own = std::env::var_os("PYTHONPATH").into_iter().map(PathBuf::from);
        variables.push(("PYTHONPATH", joined(std::iter::once(manifest.folder.clone()).chain(own))));
    }
    if manifest.name == PLUGIN {
        variables.push(("BACKLINE_RATE", settings.rate_hz.to_string().into()));
        variables.push(("BACKLINE_BLOCK", settings.block_frames.to_string().into()));
        let is_trusted = manifest.trust == Trust::Own;
        variables.push(("BACKLINE_INSTANCES", if is_trusted { "4" } else { "1" }.into()));
    }
    // Said in any case, so that nobody inherits what the engine was started with.
    variables.push(("BACKLINE_SANDBOX", manifest.sandbox.word().into()));
    variables.push(("BACKLINE_MEMORY_MIB", manifest.limits.memory_mib.to_string().into()));
    let start = manifest.start;
    let args = rest.iter().map(OsString::from).collect();
    Ok(Kind { manifest, recipe: Recipe { program, args, variables, start } })
}

fn joined(paths: impl Iterator<Item = PathBuf>) -> OsString {
    let mut text = OsString::new();
    for path in paths {
        if !text.is_empty() {
            text.push(":");
        }
        text.push(path);
    }
    text
}

/// Files and folders with Python classes: those that were named, else the user's own if there is a file in it.
fn python_modules(settings: &Settings) -> Result<Vec<PathBuf>, KindError> {
    if let Some(missing) = settings.modules.iter().find(|path| !path.exists()) {
        return Err(KindError::NoModules(missing.clone()));
    }
    if !settings.modules.is_empty() {
        return Ok(settings
            .modules
            .iter()
            .map(|path| std::path::absolute(path).unwrap_or(path.clone()))
            .collect());
    }
    let own = data_folder().map(|folder| folder.join("modules"));
    let has_one =
        |folder: &PathBuf| entries(folder).iter().any(|path| path.extension().is_some_and(|end| end == "py"));
    Ok(own.into_iter().filter(has_one).collect())
}

fn check_all_are_there(
    settings: &Settings,
    modules: &[PathBuf],
    manifests: &[Manifest],
    folders: &[(PathBuf, bool)],
) -> Result<(), KindError> {
    let folders =
        folders.iter().map(|(folder, _)| folder.display().to_string()).collect::<Vec<_>>().join(" ");
    let missing = |what: &str, name: &str| match manifests.iter().any(|manifest| manifest.name == name) {
        true => Ok(()),
        false => {
            Err(KindError::Missing { what: what.to_owned(), name: name.to_owned(), folders: folders.clone() })
        }
    };
    if !modules.is_empty() {
        missing("a folder of modules", PYTHON)?;
    }
    if !settings.plugins.is_empty() {
        missing("a plug-in", PLUGIN)?;
    }
    for name in settings.kind_changes.keys() {
        missing(&format!("[kind.{name}] of the settings"), name)?;
    }
    for (type_name, name) in settings.routes.iter().filter(|(_, name)| *name != "native") {
        missing(&format!("the route of '{type_name}'"), name)?;
    }
    Ok(())
}

/// Folders with manifests, and whether somebody has named them.
fn folders(settings: &Settings) -> Vec<(PathBuf, bool)> {
    let named = settings.kinds.iter().map(|folder| (folder.clone(), true));
    let own = data_folder().map(|folder| (folder.join("workers"), false));
    let program = std::env::current_exe().ok();
    let above = program.iter().flat_map(|program| program.ancestors().skip(1).take(ABOVE));
    let shipped = above.map(|folder| folder.join("workers")).find(|folder| !manifests_in(folder).is_empty());
    named.chain(own).chain(shipped.map(|folder| (folder, false))).collect()
}

fn data_folder() -> Option<PathBuf> {
    Some(etcetera::choose_base_strategy().ok()?.data_dir().join("backline"))
}

/// The manifest of `folder`, or else those of the folders in it, by name.
fn manifests_in(folder: &Path) -> Vec<PathBuf> {
    let own = folder.join(FILE);
    if own.is_file() {
        return vec![own];
    }
    let mut found: Vec<PathBuf> =
        entries(folder).into_iter().map(|entry| entry.join(FILE)).filter(|path| path.is_file()).collect();
    found.sort();
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// A program of ours.
fn beside_us(name: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    own.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn library() -> Result<PathBuf, KindError> {
    const NAME: &str = "libbackline_sdk.so";
    let named = std::env::var_os(SDK_VARIABLE).map(PathBuf::from);
    match named.or_else(|| beside_us(NAME)) {
        Some(path) if path.is_file() => Ok(path),
        other => Err(KindError::NoLibrary(other.unwrap_or_else(|| PathBuf::from(NAME)))),
    }
}

/// The interpreter that was named, else the first that has numpy.
fn python(settings: &Settings) -> Result<PathBuf, KindError> {
    let named = settings.python.clone().or_else(|| std::env::var_os("BACKLINE_PYTHON").map(PathBuf::from));
    let usual = ["python3", "/usr/bin/python3"].map(PathBuf::from).to_vec();
    let candidates = named.map_or(usual, |named| vec![named]);
    let tried = candidates.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    candidates.into_iter().find(|path| has_numpy(path)).ok_or(KindError::NoPython { tried })
}

fn has_numpy(interpreter: &Path) -> bool {
    let question = "import importlib.util, sys; sys.exit(importlib.util.find_spec('numpy') is None)";
    let mut command = Command::new(interpreter);
    command.args(["-c", question]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Whether workers of `recipe` come from a process that is forked.
pub const fn is_forked(recipe: &Recipe) -> bool {
    matches!(recipe.start, StartBy::Zygote)
}
