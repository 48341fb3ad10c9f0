//! Why an edit was refused, in words for the performer who asked for it.

use crate::command::Client;

/// An edit was refused and nothing has changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EditError {
    /// No such type.
    #[error("there is no module type '{name}'{hint}")]
    UnknownType {
        /// As asked for.
        name: String,
        /// Nearest and known names.
        hint: String,
    },
    /// No such module.
    #[error("there is no module '{id}'{hint}")]
    UnknownId {
        /// As asked for.
        id: String,
        /// Nearest and known ids.
        hint: String,
    },
    /// No such parameter.
    #[error("a {type_name} has no parameter '{name}'{hint}")]
    UnknownParam {
        /// Type that lacks it.
        type_name: &'static str,
        /// As asked for.
        name: String,
        /// Nearest and known names.
        hint: String,
    },
    /// No such output.
    #[error("'{id}' ({type_name}) has no output '{name}'{hint}")]
    UnknownOutput {
        /// Module.
        id: String,
        /// Its type.
        type_name: &'static str,
        /// As asked for.
        name: String,
        /// Nearest and known names.
        hint: String,
    },
    /// No such input or parameter.
    #[error("'{id}' ({type_name}) has no input or parameter '{name}'{hint}")]
    UnknownInput {
        /// Module.
        id: String,
        /// Its type.
        type_name: &'static str,
        /// As asked for.
        name: String,
        /// Nearest and known names.
        hint: String,
    },
    /// A sink as a source.
    #[error("'{id}' ({type_name}) has no output; its sound goes to the speakers")]
    NoOutput {
        /// Module.
        id: String,
        /// Its type.
        type_name: &'static str,
    },
    /// A main input where there is none.
    #[error("'{id}' ({type_name}) has no input port; name a parameter of it: {params}")]
    NoInput {
        /// Module.
        id: String,
        /// Its type.
        type_name: &'static str,
        /// Parameters that take cables.
        params: String,
    },
    /// A cable into a choice or a set-once parameter.
    #[error("'{id}.{param}' takes no cable; change it with /set {id} {param} VALUE")]
    NoCable {
        /// Module.
        id: String,
        /// Parameter.
        param: &'static str,
    },
    /// Outside the panel's range.
    #[error("{param} {value} is out of range: it takes {range}")]
    OutOfRange {
        /// Parameter.
        param: &'static str,
        /// As asked for.
        value: f32,
        /// With unit.
        range: String,
    },
    /// NaN or infinite.
    #[error("{param} cannot be {value}: it takes {range}")]
    NotFinite {
        /// Parameter.
        param: &'static str,
        /// As asked for.
        value: f32,
        /// With unit.
        range: String,
    },
    /// A word where a number is due.
    #[error("{param} '{word}' is not a number: it takes {range}")]
    NotANumber {
        /// Parameter.
        param: &'static str,
        /// As asked for.
        word: String,
        /// With unit.
        range: String,
    },
    /// A word or number that is none of the choices.
    #[error("{param} cannot be '{value}'{hint}; or by number, 0..={last}")]
    NotAChoice {
        /// Parameter.
        param: &'static str,
        /// As asked for.
        value: String,
        /// Nearest and known words.
        hint: String,
        /// Number of the last choice.
        last: usize,
    },
    /// More channels than the type has.
    #[error("'{type_name}' plays {most} channels at most, not {asked}")]
    TooManyChannels {
        /// Type.
        type_name: &'static str,
        /// As asked for.
        asked: usize,
        /// What it can.
        most: usize,
    },
    /// `/set id channels`.
    #[error("the channels of a module are fixed for its life; /free it and /create it with channels {asked}")]
    ChannelsFixed {
        /// As asked for.
        asked: String,
    },
    /// Not `[a-z0-9_]{1,32}`.
    #[error("'{id}' cannot be an id: use 1 to 32 of a-z, 0-9 and _")]
    InvalidId {
        /// As asked for.
        id: String,
    },
    /// Taken.
    #[error("there is a module '{id}' already; '{free}' is free, or /free {id} first")]
    DuplicateId {
        /// As asked for.
        id: String,
        /// An id that is not taken.
        free: String,
    },
    /// A pattern where one module is due.
    #[error("'{id}' is a pattern; a cable runs between two modules, so name each by its id")]
    PatternInCable {
        /// As asked for.
        id: String,
    },
    /// A pattern for nobody.
    #[error("no module matches '{pattern}'; /list names them all")]
    NoMatch {
        /// As asked for.
        pattern: String,
    },
    /// `/gate` on a module without a gate.
    #[error("'{id}' ({type_name}) has no gate; these types have: {gated}")]
    NotGated {
        /// Module.
        id: String,
        /// Its type.
        type_name: &'static str,
        /// Types with a gate.
        gated: String,
    },
    /// A gain that is not a number.
    #[error("gain cannot be {gain}: it takes any finite number, 1 for unchanged")]
    GainNotFinite {
        /// As asked for.
        gain: f32,
    },
    /// Nothing to disconnect.
    #[error("'{from}' is not connected to '{to}'; {remedy}")]
    NotConnected {
        /// Source as asked for.
        from: String,
        /// Target as asked for.
        to: String,
        /// What does leave the source.
        remedy: String,
    },
    /// The configured maximum of modules.
    #[error("there are {max} modules already, the most this engine accepts; /free one, or raise max_modules")]
    TooManyModules {
        /// The limit.
        max: usize,
    },
    /// The configured maximum of connections.
    #[error(
        "there are {max} connections already, the most this engine accepts; /disconnect one, or raise max_connections"
    )]
    TooManyConnections {
        /// The limit.
        max: usize,
    },
    /// The configured maximum of modules of one client.
    #[error(
        "client {client} has {max} modules already, the most one client may have; \
         /free one, or raise client_max_modules"
    )]
    ClientModules {
        /// Whose.
        client: Client,
        /// The limit.
        max: usize,
    },
    /// The configured maximum of connections of one client.
    #[error(
        "client {client} has {max} connections already, the most one client may have; \
         /disconnect one, or raise client_max_connections"
    )]
    ClientConnections {
        /// Whose.
        client: Client,
        /// The limit.
        max: usize,
    },
    /// 2^32 modules were made.
    #[error("this engine has used up its 4,294,967,295 module numbers; save the patch and start it again")]
    OutOfInstances,
}
