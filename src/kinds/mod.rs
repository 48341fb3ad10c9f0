//! Vocabulary: kinds of worker beside our own. Anybody's libraries can be warm in a process that keeps the contract of
//! `workers/abi`: Python, plug-ins, C.
//!
//! In: manifests ([`manifest`], `worker.toml`), and what the settings say of them. Out: [`Kind`]s that can be started, and
//! which of them answers for the name of a module type ([`route`]); what they have to say without an engine ([`describe`]).
//! Thread: main, at start. Refused: manifests with wrong keys, kinds that cannot be started, with the file and the remedy.

pub mod describe;
pub mod find;
pub mod manifest;
pub mod route;

use manifest::{Manifest, StartBy, Trust};
use std::ffi::OsString;
use std::path::PathBuf;

/// How a process of a kind is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The program.
    pub program: PathBuf,
    /// What stands before the words that the engine adds.
    pub args: Vec<OsString>,
    /// Variables beside those that the engine has itself.
    pub variables: Vec<(&'static str, OsString)>,
    /// By exec, or by the fork of a process that has everything loaded.
    pub start: StartBy,
}

impl Recipe {
    /// The native worker.
    pub fn native(program: PathBuf) -> Self {
        Self { program, args: Vec::new(), variables: Vec::new(), start: StartBy::Exec }
    }
}

/// A kind of worker that shall be warm.
#[derive(Debug, Clone, PartialEq)]
pub struct Kind {
    /// What its maker says of it, and what the settings changed of that.
    pub manifest: Manifest,
    /// How it is started.
    pub recipe: Recipe,
}

impl Kind {
    /// Whether a worker of it plays one module, and is replaced then.
    pub fn is_single_use(&self) -> bool {
        self.manifest.trust == Trust::ThirdParty
    }
}
