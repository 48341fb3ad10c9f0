//! Why a plug-in cannot be hosted.

use std::error::Error;
use std::path::PathBuf;

/// Why a plug-in cannot be hosted. The plug-in's name stands beside it wherever it is shown.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Its file is missing, no library, or lacks another library.
    #[error("{} cannot be opened", origin.display())]
    Unopened {
        /// The file.
        origin: PathBuf,
        /// What the loader said.
        #[source]
        cause: Box<dyn Error + Send + Sync>,
    },
    /// The file has no plug-in of that name.
    #[error("{} has no such plug-in", origin.display())]
    NotInside {
        /// The file.
        origin: PathBuf,
    },
    /// The name says no format.
    #[error("a plug-in's name starts with ladspa:, lv2: or clap:")]
    NoFormat,
    /// It breaks a rule of its format.
    #[error("it breaks a rule of its format: {rule}")]
    Malformed {
        /// The rule.
        rule: &'static str,
    },
    /// More audio inputs or outputs than a module may have.
    #[error("it has {count} audio {ports}, and a module has at most {most}")]
    TooManyPorts {
        /// How many it has.
        count: usize,
        /// `inputs` or `outputs`.
        ports: &'static str,
        /// How many a module may have.
        most: usize,
    },
    /// Nothing to hear.
    #[error("it has no audio output")]
    Silent,
    /// It needs something of its host that this one lacks.
    #[error("it needs {feature} of its host, which this one lacks")]
    Lacks {
        /// The URI of it.
        feature: String,
    },
    /// A port of a kind that is not known here.
    #[error("its port '{port}' is of a kind this host does not know: {kind}")]
    UnknownPort {
        /// The port's symbol.
        port: String,
        /// Its classes.
        kind: String,
    },
    /// The plug-in itself said no.
    #[error("it refused to {step}")]
    Refused {
        /// `be instantiated`, `start`, ...
        step: &'static str,
    },
}

/// An error and its causes in one line.
pub fn reason(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
