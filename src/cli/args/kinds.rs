//! Options about kinds of worker beside our own.

use crate::config::layer::Raw;
use crate::config::{Key, Layer};
use clap::Args;
use std::path::PathBuf;

/// Options that `run`, `render` and `modules` share.
#[derive(Debug, Clone, Default, Args)]
pub struct KindArgs {
    /// File or folder with Python classes to play; may be given more than once [default: backline/modules in the data folder]
    #[arg(long, value_name = "PATH")]
    pub modules: Vec<PathBuf>,
    /// Plug-in to preload: lv2:URI, clap:ID or ladspa:LABEL; may be given more than once
    #[arg(long = "plugin", value_name = "NAME")]
    pub plugins: Vec<String>,
    /// Folder with a kind of worker (worker.toml) of your own; may be given more than once
    #[arg(long, value_name = "FOLDER")]
    pub kinds: Vec<PathBuf>,
    /// Python interpreter with numpy [default: found]
    #[arg(long, value_name = "PROGRAM")]
    pub python: Option<PathBuf>,
}

impl KindArgs {
    /// What the command line says of them.
    pub fn layer(&self, layer: Layer) -> Layer {
        let paths = |paths: &[PathBuf]| {
            let texts = paths.iter().map(|path| path.display().to_string()).collect();
            (!paths.is_empty()).then_some(Raw::List(texts))
        };
        layer
            .option(Key::Modules, paths(&self.modules))
            .option(Key::Plugins, (!self.plugins.is_empty()).then(|| Raw::List(self.plugins.clone())))
            .option(Key::Kinds, paths(&self.kinds))
            .option(Key::Python, self.python.clone().map(Raw::Path))
    }
}
