//! `backline stop`: ask a running engine to fade out and exit.

use std::io::Write;

use rosc::OscMessage;

use super::args::AskArgs;
use super::exit::Exit;
use super::send::{as_json, as_words, unanswered};
use crate::osc::client::{Client, DEFAULT_PATIENCE};

/// Sends `/quit` and prints the reply; the engine exits after it.
pub fn run(args: &AskArgs) -> anyhow::Result<Exit> {
    let quit = OscMessage { addr: "/quit".to_owned(), args: Vec::new() };
    match Client::connect(args.to).and_then(|mut client| client.ask(quit, DEFAULT_PATIENCE)) {
        Ok(reply) => {
            writeln!(std::io::stdout(), "{}", if args.json { as_json(&reply) } else { as_words(&reply) })?;
            Ok(if reply.is_failure() { Exit::Failure } else { Exit::Success })
        }
        Err(error) => unanswered(error),
    }
}
