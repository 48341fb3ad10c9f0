//! What a worker of another kind says of its module types before it plays any: lines of JSON on its standard output,
//! one a type, when it is started with `--describe`. The engine offers what it reads here, and each worker is held to it
//! by [`fingerprint`].
//!
//! ```
//! use backline_abi::panel::Line;
//! let line = r#"{"type":{"name":"ring","summary":"Ring modulator","inputs":[{"name":"in","summary":"audio"}],
//!     "outputs":[{"name":"out","summary":"audio"}],"params":[]}}"#;
//! let Line::Type(panel) = serde_json::from_str(line).unwrap() else { unreachable!() };
//! assert_eq!((panel.name.as_str(), panel.most_channels, panel.is_exact), ("ring", 1, false));
//! ```

use serde::{Deserialize, Serialize};

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// A module type.
    Type(Panel),
    /// Something that should have been one, or several, and is none.
    Fault(Fault),
    /// How far the worker has come: words for a person who waits.
    Stage(String),
    /// Everything has been said; so many types there are.
    Ready(usize),
}

/// A file or a name that gives no module type, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// A file, or what was asked for.
    pub name: String,
    /// In words; of a traceback the end.
    pub reason: String,
}

/// A module type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Panel {
    /// What `/create` calls it.
    pub name: String,
    /// One line for a person choosing a module.
    pub summary: String,
    /// Input ports; the first is the main one.
    pub inputs: Vec<Port>,
    /// Output ports; the first is the main one.
    pub outputs: Vec<Port>,
    /// Parameters.
    pub params: Vec<Param>,
    /// Whether `/gate` means something to it.
    #[serde(default)]
    pub is_gated: bool,
    /// Channels a module of it may have at most.
    #[serde(default = "one")]
    pub most_channels: u32,
    /// Words (`u32`) of state in the arena.
    #[serde(default)]
    pub state_words: u32,
    /// Whether another worker goes on with it bit by bit.
    #[serde(default)]
    pub is_exact: bool,
    /// File it comes from.
    #[serde(default)]
    pub origin: String,
}

/// An input or output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The name in `id.NAME`.
    pub name: String,
    /// What it carries.
    #[serde(default)]
    pub summary: String,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Param {
    /// The name in `/set id NAME value`.
    pub name: String,
    /// What it does.
    #[serde(default)]
    pub summary: String,
    /// `Hz`, `s`, `dB`, or empty for a plain number.
    #[serde(default)]
    pub unit: String,
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
    /// Value when `/create` does not name it.
    pub default: f32,
    /// How a cable into it counts.
    #[serde(default)]
    pub modulation: Modulation,
    /// For a parameter that chooses by word, the words; the value is the index.
    #[serde(default)]
    pub choices: Vec<String>,
}

/// How a cable into a parameter counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Modulation {
    /// Takes none.
    #[default]
    None,
    /// value x 2^cv.
    Octaves,
    /// value + cv x (max - min).
    FullScale,
}

const fn one() -> u32 {
    1
}

/// A number that differs between lists of types that differ in names, order or sizes (FNV-1a).
pub fn fingerprint(panels: &[Panel]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let mut hash = OFFSET;
    let mut add = |bytes: &[u8]| {
        // A length before each, so that no name ends in the next one.
        let length = (bytes.len() as u64).to_le_bytes();
        length.iter().chain(bytes).for_each(|byte| hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME));
    };
    for panel in panels {
        add(panel.name.as_bytes());
        add(&panel.state_words.to_le_bytes());
        add(&panel.most_channels.to_le_bytes());
        panel.params.iter().for_each(|param| add(param.name.as_bytes()));
        panel.inputs.iter().chain(&panel.outputs).for_each(|port| add(port.name.as_bytes()));
    }
    hash
}
