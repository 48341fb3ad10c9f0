//! Settings about kinds of worker beside our own.

use super::{Key, Setting, Takes};
use crate::config::value::{path, paths, replace, shown_list, texts};

pub(super) const KINDS: Setting = Setting {
    key: Key::Kinds,
    name: "kinds",
    flag: "--kinds",
    unit: "",
    is_for_patches: false,
    takes: Takes::Words("folders with a worker.toml in them, or in their folders"),
    put: |settings, raw| replace(&mut settings.kinds, paths(raw)),
    show: |settings| shown_list(&settings.kinds, |path| path.display().to_string()),
};

pub(super) const MODULES: Setting = Setting {
    key: Key::Modules,
    name: "modules",
    flag: "--modules",
    unit: "",
    is_for_patches: false,
    takes: Takes::Words("files and folders with Python classes"),
    put: |settings, raw| replace(&mut settings.modules, paths(raw)),
    show: |settings| shown_list(&settings.modules, |path| path.display().to_string()),
};

pub(super) const PLUGINS: Setting = Setting {
    key: Key::Plugins,
    name: "plugins",
    flag: "--plugin",
    unit: "",
    is_for_patches: false,
    takes: Takes::Words("plug-ins to preload, each lv2:URI, clap:ID or ladspa:LABEL"),
    put: |settings, raw| {
        let is_plugin =
            |name: &String| ["lv2:", "clap:", "ladspa:"].iter().any(|format| name.starts_with(format));
        replace(&mut settings.plugins, texts(raw).filter(|names| names.iter().all(is_plugin)))
    },
    show: |settings| shown_list(&settings.plugins, Clone::clone),
};

pub(super) const PYTHON: Setting = Setting {
    key: Key::Python,
    name: "python",
    flag: "--python",
    unit: "",
    is_for_patches: false,
    takes: Takes::Words("the path of a Python interpreter (3.10 or newer) with numpy"),
    put: |settings, raw| replace(&mut settings.python, path(raw).map(Some)),
    show: |settings| settings.python.as_ref().map_or("(found)".to_owned(), |path| path.display().to_string()),
};
