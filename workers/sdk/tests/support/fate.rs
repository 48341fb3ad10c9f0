//! What shall happen to a worker, where in a block, and how.

/// Where in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The announcement is read, the inputs are not.
    Hearing,
    /// After sample `at` of the module's render; its line is partly written.
    Rendering,
    /// In the middle of storing outputs and state: at the first store into page `at` of the module's memory.
    Storing,
    /// Outputs and state are stored, the commit is not.
    Stored,
    /// The commit is stored, nobody is woken.
    Committed,
}

/// How.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// SIGKILL.
    Kill,
    /// A store into memory that it may not write.
    Segv,
    /// abort().
    Abort,
    /// exit(0), as if all were well.
    Exit,
    /// A panic.
    Panic,
    /// SIGSTOP; it goes on when it is told to.
    Stop,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Hearing, Self::Rendering, Self::Storing, Self::Stored, Self::Committed];
}

impl End {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Kill, Self::Segv, Self::Abort, Self::Exit, Self::Panic, Self::Stop];
}

/// A whole fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// Each is met once, whatever else is read of it.
    pub number: u32,
    /// Where.
    pub point: Point,
    /// How.
    pub end: End,
    /// See [`Point`].
    pub at: u32,
}
