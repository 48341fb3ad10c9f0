//! `worker.toml`: what the maker of a kind of worker says of it. Unknown keys are refused: they are most likely misspelt.

use crate::nearest::{hint, shown};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Name of the file.
pub const FILE: &str = "worker.toml";
/// The most workers of one kind.
const MOST_WORKERS: usize = 16;

/// A manifest, checked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What people and settings call the kind.
    pub name: String,
    /// What `ps` shows of its workers.
    #[serde(default)]
    pub process: String,
    /// Program and arguments; a program with a `/` is looked for from the manifest's folder, `{python}` is the interpreter.
    pub command: Vec<String>,
    /// How workers come to be.
    #[serde(default)]
    pub start: StartBy,
    /// Names or patterns (`*`, `?`) of the module types that it answers for.
    #[serde(default = "everything")]
    pub types: Vec<String>,
    /// What it loads before the set: its own words.
    #[serde(default)]
    pub preload: Vec<String>,
    /// Whether a worker plays several modules, one after another or at once.
    #[serde(default)]
    pub trust: Trust,
    /// Workers that are kept warm.
    #[serde(default = "two")]
    pub count: usize,
    /// What its workers may do once everything is loaded.
    #[serde(default)]
    pub sandbox: Sandbox,
    /// What a worker may take.
    #[serde(default)]
    pub limits: KindLimits,
    /// Where it stands.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// How workers come to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartBy {
    /// Each is started as a program.
    #[default]
    Exec,
    /// One process loads everything, and is forked.
    Zygote,
}

/// Whose code runs in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// The performer's own: a worker plays many modules.
    #[default]
    Own,
    /// Somebody else's: a worker plays one module, and is replaced.
    ThirdParty,
}

/// What workers may do once everything is loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sandbox {
    /// Whatever the engine may.
    #[default]
    None,
    /// Render, and nothing else.
    Strict,
}

impl Sandbox {
    /// As manifests, workers and `status` say it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Strict => "strict",
        }
    }
}

/// What a worker may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindLimits {
    /// Memory of its own in MiB beyond which it is killed; 0 for what the settings say of all workers.
    #[serde(default)]
    pub memory_mib: u64,
}

/// A manifest that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It cannot be read.
    #[error("{path} cannot be read: {cause}")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        cause: String,
    },
    /// It is not what a manifest is.
    #[error("{path}: {problem}")]
    Wrong {
        /// Which.
        path: String,
        /// Why, and what would do.
        problem: String,
    },
}

fn everything() -> Vec<String> {
    vec!["*".to_owned()]
}

const fn two() -> usize {
    2
}

impl Manifest {
    /// Reads the manifest at `path`, with `changes` of the settings in it.
    pub fn read(path: &Path, changes: impl Fn(&str) -> Option<toml::Table>) -> Result<Self, ManifestError> {
        let shown_path = path.display().to_string();
        let wrong = |problem: String| ManifestError::Wrong { path: shown_path.clone(), problem };
        let text = std::fs::read_to_string(path).map_err(|cause| ManifestError::Unreadable {
            path: shown_path.clone(),
            cause: cause.to_string(),
        })?;
        let parsed = text.parse::<toml::Table>().map_err(|error| wrong(told(&error)))?;
        // By itself first: what is wrong here is the maker's to mend, not the performer's.
        let own: Self = toml::from_str(&text).map_err(|error| wrong(told(&error)))?;
        let changed = match changes(&own.name) {
            None => own,
            Some(changes) => {
                let origin = format!("[kind.{}] of the settings", own.name);
                let merged: toml::Table = parsed.into_iter().chain(changes).collect();
                let wrong = |problem| ManifestError::Wrong { path: origin.clone(), problem };
                merged.try_into().map_err(|error: toml::de::Error| wrong(told(&error)))?
            }
        };
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        let manifest = Self { folder, ..changed };
        manifest.check().map_err(wrong)?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
        if self.name == "native" || !(1..=32).contains(&self.name.len()) || !self.name.chars().all(is_plain) {
            return Err(format!(
                "name '{}' is not [a-z0-9_-]{{1,32}}, or is our own workers'",
                shown(&self.name)
            ));
        }
        if self.command.first().is_none_or(String::is_empty) {
            return Err(
                "command is empty; say program and arguments, as in command = [\"./ring\"]".to_owned()
            );
        }
        if !(1..=MOST_WORKERS).contains(&self.count) {
            return Err(format!("count is {}; it takes 1..={MOST_WORKERS} workers", self.count));
        }
        if self.process.len() > 15 {
            return Err(format!(
                "process '{}' is longer than the 15 bytes that ps shows",
                shown(&self.process)
            ));
        }
        if self.types.is_empty() {
            return Err("types is empty: no module would ever play here; leave it out for all".to_owned());
        }
        Ok(())
    }
}

/// What the parser says, with the line, in one line; a misspelt key gets the nearest one.
fn told(error: &toml::de::Error) -> String {
    let text = error.to_string();
    let line = text
        .lines()
        .next()
        .and_then(|first| first.split("line ").nth(1))
        .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    let line = line.filter(|line| !line.is_empty()).map_or(String::new(), |line| format!("line {line}: "));
    let message = error.message();
    let misspelt = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    match misspelt {
        Some(key) => {
            let known = [
                "name",
                "process",
                "command",
                "start",
                "types",
                "preload",
                "trust",
                "count",
                "sandbox",
                "limits",
                "memory_mib",
            ];
            format!("{line}there is no key '{}'{}", shown(key), hint(key, known))
        }
        None => format!("{line}{message}"),
    }
}
