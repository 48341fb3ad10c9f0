//! `backline send`: one command to a running engine, and its reply.

use std::io::Write;

use super::args::SendArgs;
use super::exit::Exit;
use crate::command::{Arg, Reply};
use crate::osc::client::{Client, ClientError, DEFAULT_PATIENCE};
use crate::osc::text;

/// Answered with one message a module type, so all are waited for.
const MANY_ANSWERS: &str = "/schema";

/// Sends the words and prints what comes back.
pub fn run(args: &SendArgs) -> anyhow::Result<Exit> {
    let message = match text::message(&args.words) {
        Ok(message) => message,
        Err(refusal) => {
            eprintln!("backline: {refusal}");
            return Ok(Exit::Usage);
        }
    };
    let answered = Client::connect(args.to).and_then(|mut client| {
        if message.addr == MANY_ANSWERS {
            client.ask_all(message, DEFAULT_PATIENCE)
        } else {
            client.ask(message, DEFAULT_PATIENCE).map(|reply| vec![reply])
        }
    });
    let replies = match answered {
        Ok(replies) => replies,
        Err(error) => return unanswered(error),
    };
    let mut out = std::io::stdout().lock();
    for reply in &replies {
        writeln!(out, "{}", if args.json { as_json(reply) } else { as_words(reply) })?;
    }
    Ok(if replies.iter().any(Reply::is_failure) { Exit::Failure } else { Exit::Success })
}

/// Prints why there is no reply; says with which code to end.
pub fn unanswered(error: ClientError) -> anyhow::Result<Exit> {
    let exit = match error {
        ClientError::NoAnswer { .. } => Exit::Busy,
        ClientError::TooLong { .. } => Exit::Usage,
        ClientError::Socket { .. } => return Err(error.into()),
    };
    eprintln!("backline: {error}");
    Ok(exit)
}

/// A reply as a line of words; a word with a space in it is quoted.
pub fn as_words(reply: &Reply) -> String {
    let mut line = reply.address.clone();
    for arg in &reply.args {
        line.push(' ');
        line.push_str(&match arg {
            Arg::Int(number) => number.to_string(),
            Arg::Float(number) => number.to_string(),
            Arg::Double(number) => number.to_string(),
            Arg::Text(text) if text.is_empty() || text.contains(char::is_whitespace) => format!("{text:?}"),
            Arg::Text(text) => text.clone(),
        });
    }
    line
}

/// A reply as a line of JSON: `{"address":"/done","args":["/gate","adsr1"]}`.
pub fn as_json(reply: &Reply) -> String {
    let args = reply.args.iter().map(|arg| match arg {
        Arg::Int(number) => serde_json::json!(number),
        Arg::Float(number) => serde_json::json!(as_written(*number)),
        Arg::Double(number) => serde_json::json!(number),
        Arg::Text(text) => serde_json::json!(text),
    });
    let args: Vec<_> = args.collect();
    serde_json::json!({"address": reply.address, "args": args}).to_string()
}

/// `0.99` for 0.99, not the 0.9900000095 that a widened f32 shows.
pub fn as_written(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, UdpSocket};

    use super::*;
    use crate::osc::reply::encode;

    /// An engine that gives one answer to whatever comes first.
    fn engine(answer: Reply) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let (_, client) = socket.recv_from(&mut [0; 1_024]).unwrap();
            socket.send_to(&encode(&answer).unwrap(), client).unwrap();
        });
        address
    }

    fn send(to: SocketAddr, words: &[&str]) -> Exit {
        let words = words.iter().map(|&word| word.to_owned()).collect();
        run(&SendArgs { to, json: false, words }).unwrap()
    }

    #[test]
    fn done_is_success_and_fail_is_failure() {
        let gate = ["gate", "adsr1", "1"];
        assert_eq!(send(engine(Reply::done("/gate", [])), &gate), Exit::Success);
        assert_eq!(send(engine(Reply::fail("/gate", "no such module", None)), &gate), Exit::Failure);
    }

    #[test]
    fn nobody_there_is_busy_and_no_command_is_usage() {
        let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(send(free, &["/status"]), Exit::Busy);
        assert_eq!(send(free, &["/"]), Exit::Usage);
    }

    #[test]
    fn a_reply_is_a_line_that_a_script_can_split() {
        let reply = Reply::fail("/set", "freq is\nout of range", Some("vco1"));
        assert_eq!(as_words(&reply), "/fail /set \"freq is\\nout of range\" vco1");
        let reply = Reply::done("/create", [Arg::Text("vco1".to_owned()), Arg::Int(3), Arg::Float(0.1)]);
        assert_eq!(as_words(&reply), "/done /create vco1 3 0.1");
        assert_eq!(as_json(&reply), r#"{"address":"/done","args":["/create","vco1",3,0.1]}"#);
    }
}
