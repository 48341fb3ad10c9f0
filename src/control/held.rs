//! Commands that have to wait for a file: what a client sends after a `/patch/load` means the patch that is being
//! loaded, and a `/sync` means everything before it. What others send is not held up.
//!
//! In and out: commands, in the order of each client. They count as scheduled for its limits.

use super::Conductor;
use super::apply::Moment;
use crate::command::{Client, Command, Request};
use std::collections::{BTreeMap, VecDeque};

/// A command that waits.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// What.
    pub request: Request,
    /// Whose.
    pub client: Client,
    /// When it was to take effect.
    pub moment: Moment,
}

/// Commands that wait for files, those of each client in the order they came.
#[derive(Debug, Default)]
pub struct Held {
    by_client: BTreeMap<Client, VecDeque<Waiting>>,
}

impl Held {
    /// Whether a command that has come now has to wait.
    pub fn must_wait(&self, conductor: &Conductor, command: &Command, client: Client) -> bool {
        match command {
            // The button, the door, and a look at what takes so long.
            Command::Panic | Command::Quit | Command::Status | Command::StatusJson => false,
            Command::Sync(_) => conductor.has_file_work(client) || self.holds_edits_of(client),
            _ => conductor.is_loading(client) || self.holds_edits_of(client),
        }
    }

    /// Nobody overtakes an edit of his own; a question about order may be overtaken.
    fn holds_edits_of(&self, client: Client) -> bool {
        let is_edit = |held: &Waiting| !matches!(held.request.command, Command::Sync(_));
        self.by_client.get(&client).is_some_and(|waiting| waiting.iter().any(is_edit))
    }

    /// Puts a command behind the others of its client.
    pub fn push(&mut self, waiting: Waiting) {
        self.by_client.entry(waiting.client).or_default().push_back(waiting);
    }

    /// A command that need not wait any more.
    pub fn pop(&mut self, conductor: &Conductor) -> Option<Waiting> {
        let is_free = |held: &Waiting| match held.request.command {
            Command::Sync(_) => !conductor.has_file_work(held.client),
            _ => !conductor.is_loading(held.client),
        };
        let is_through = |waiting: &VecDeque<Waiting>| waiting.front().is_some_and(is_free);
        let client = *self.by_client.iter().find(|(_, waiting)| is_through(waiting))?.0;
        let waiting = self.by_client.get_mut(&client)?;
        let first = waiting.pop_front();
        if waiting.is_empty() {
            self.by_client.remove(&client);
        }
        first
    }

    /// Takes all of them, to be refused.
    pub fn drain(&mut self) -> impl Iterator<Item = Waiting> + use<> {
        std::mem::take(&mut self.by_client).into_values().flatten()
    }

    /// True if none waits.
    pub fn is_empty(&self) -> bool {
        self.by_client.is_empty()
    }
}
