//! Why a rack from another language is refused: which thing, and what its author does about it.

/// Why a rack is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RackError {
    /// Worker and library were built apart.
    #[error(
        "worker speaks ABI version {worker}, libbackline_sdk {library}; \
         compile the worker with the backline.h of this library"
    )]
    Version {
        /// What the rack says.
        worker: u32,
        /// Ours.
        library: u32,
    },
    /// They disagree about a structure.
    #[error(
        "{what} is {worker} bytes in the worker, {library} in libbackline_sdk; begin the rack with \
         BACKLINE_RACK_INIT and compile it with the backline.h of this library"
    )]
    Size {
        /// Which structure.
        what: &'static str,
        /// What the rack says.
        worker: u32,
        /// Ours.
        library: u32,
    },
    /// A pointer that leads nowhere.
    #[error("{thing} is NULL or not aligned; set it")]
    Null {
        /// Which.
        thing: String,
    },
    /// A text that is none.
    #[error("{thing} is not UTF-8; spell it in UTF-8")]
    NotText {
        /// Which.
        thing: String,
    },
    /// Too few or too many.
    #[error("{thing} is {found}; it must be {least} to {most}")]
    Count {
        /// Of what.
        thing: String,
        /// What the rack says.
        found: u32,
        /// At least.
        least: u32,
        /// At most.
        most: u32,
    },
    /// A name that nobody could type.
    #[error("{thing} cannot be called {found:?}; a name is {rule}")]
    Name {
        /// What would be called so.
        thing: String,
        /// The name.
        found: String,
        /// What names are like.
        rule: &'static str,
    },
    /// A name that means two things.
    #[error("{thing}: the name {name:?} is taken; call one of the two something else")]
    Twice {
        /// The second of them.
        thing: String,
        /// The name.
        name: String,
    },
    /// A range that is none, or a default outside.
    #[error("{thing}: min {min}, default {default}, max {max} must be finite numbers in this order")]
    Range {
        /// Of which parameter.
        thing: String,
        /// Smallest value.
        min: f32,
        /// Default.
        default: f32,
        /// Largest value.
        max: f32,
    },
    /// A parameter that chooses by word, with other values than these words have.
    #[error("{thing} chooses among {choices} words, so its min must be 0 and its max {}", choices - 1)]
    Choices {
        /// Which parameter.
        thing: String,
        /// How many words.
        choices: usize,
    },
    /// Another worker cannot go on bit by bit with what is somewhere on its way to being heard.
    #[error("{thing} is rendered ahead and says it is exact; set is_exact or render_ahead_blocks to 0")]
    AheadAndExact {
        /// Which module type.
        thing: String,
    },
}
