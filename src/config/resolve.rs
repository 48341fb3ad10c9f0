//! Layers -> settings that hold, each with its origin.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::key::{SETTINGS, Setting};
use super::{ConfigError, Key, Layer, Origin, RecyclePolicy, Settings};

/// Settings, and who said so.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// What holds.
    pub settings: Settings,
    /// Keys of a patch that were passed over, in words for the log.
    pub notices: Vec<String>,
    /// In the order of [`SETTINGS`].
    origins: Vec<Origin>,
}

impl Resolved {
    /// Who said so.
    pub fn origin(&self, key: Key) -> &Origin {
        &self.origins[key as usize]
    }

    /// One JSON object: name -> value, unit and origin in words.
    pub fn to_json(&self) -> serde_json::Value {
        let row = |(setting, origin): (&Setting, &Origin)| {
            let value = (setting.show)(&self.settings);
            let row = serde_json::json!({"value": value, "unit": setting.unit, "origin": origin.to_string()});
            (setting.name.to_owned(), row)
        };
        SETTINGS.iter().zip(&self.origins).map(row).collect::<serde_json::Map<_, _>>().into()
    }
}

impl std::fmt::Display for Resolved {
    /// A line a setting: name, value with unit, origin.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (setting, origin) in SETTINGS.iter().zip(&self.origins) {
            let value = format!("{} {}", (setting.show)(&self.settings), setting.unit);
            writeln!(f, "{:<22} {:<24} {origin}", setting.name, value.trim_end())?;
        }
        for (kind, changes) in &self.settings.kind_changes {
            for (key, value) in changes {
                writeln!(f, "{:<22} {value:<24} settings file", format!("kind.{kind}.{key}"))?;
            }
        }
        for (type_name, kind) in &self.settings.routes {
            writeln!(f, "{:<22} {kind:<24} settings file", format!("routes.{type_name}"))?;
        }
        Ok(())
    }
}

/// Gathers all layers and checks them: the command line, the patch (its path and text), and `config_file` or
/// else `backline/backline.toml` in the user's configuration folder, which need not be there.
pub fn load(
    command_line: Layer,
    patch: Option<(&Path, &str)>,
    config_file: Option<&Path>,
) -> Result<Resolved, ConfigError> {
    let mut layers = vec![command_line];
    if let Some((path, text)) = patch {
        layers.push(Layer::of_patch(path, text)?);
    }
    let (path, must_exist) = match config_file {
        Some(path) => (Some(path.to_owned()), true),
        None => (usual_file(), false),
    };
    if let Some(path) = path {
        match std::fs::read_to_string(&path) {
            Ok(text) => layers.push(Layer::of_file(&path, &text)?),
            Err(cause) if cause.kind() == ErrorKind::NotFound && !must_exist => {}
            Err(cause) => {
                return Err(ConfigError::Unreadable { path: path.display().to_string(), cause });
            }
        }
    }
    resolve(&layers)
}

/// Where `backline.toml` is looked for when `--config` does not say: the XDG configuration folder.
pub fn usual_file() -> Option<PathBuf> {
    let folders = etcetera::choose_base_strategy().ok()?;
    Some(folders.config_dir().join("backline").join("backline.toml"))
}

/// Checks layers, strongest first, over the defaults. Weaker layers are checked too, so that a mistake in a
/// file shows before the option that hides it is left out.
pub fn resolve(layers: &[Layer]) -> Result<Resolved, ConfigError> {
    let mut settings = Settings::default();
    let mut origins = vec![Origin::Default; SETTINGS.len()];
    for given in layers.iter().rev().flat_map(|layer| &layer.given) {
        let setting = given.key.setting();
        if !setting.apply(&mut settings, &given.raw) {
            return Err(ConfigError::BadValue {
                key: setting.name,
                value: given.raw.to_string(),
                origin: given.origin.clone(),
                wanted: setting.wanted(),
            });
        }
        origins[given.key as usize] = given.origin.clone();
    }
    for layer in layers.iter().rev() {
        settings.kind_changes.extend(layer.kind_changes.clone());
        settings.routes.extend(layer.routes.clone());
    }
    let notices = layers.iter().flat_map(|layer| layer.notices.clone()).collect();
    let resolved = Resolved { settings, notices, origins };
    check_exposure(&resolved)?;
    check_memory(&resolved)?;
    Ok(resolved)
}

fn check_memory(resolved: &Resolved) -> Result<(), ConfigError> {
    let RecyclePolicy { soft_mib, hard_mib, .. } = resolved.settings.recycling;
    if hard_mib == 0 || soft_mib <= hard_mib {
        return Ok(());
    }
    // Whichever was said: the other one may be the default.
    let key =
        if *resolved.origin(Key::MemoryHard) == Origin::Default { Key::MemorySoft } else { Key::MemoryHard };
    let (value, wanted) = match key {
        Key::MemorySoft => (soft_mib, format!("at most memory_hard, which is {hard_mib} MiB")),
        _ => (hard_mib, format!("0 or at least memory_soft, which is {soft_mib} MiB")),
    };
    Err(ConfigError::BadValue {
        key: key.setting().name,
        value: value.to_string(),
        origin: resolved.origin(key).clone(),
        wanted,
    })
}

fn check_exposure(resolved: &Resolved) -> Result<(), ConfigError> {
    let Settings { listen, allow, insecure, .. } = &resolved.settings;
    if listen.ip().is_loopback() || !allow.is_empty() || *insecure {
        return Ok(());
    }
    Err(ConfigError::Exposed { listen: *listen, origin: resolved.origin(Key::Listen).clone() })
}
