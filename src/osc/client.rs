//! The other end of the wire: ask a running engine, wait for its answer.
//!
//! In:  one message. Out: the engine's answer to it, or that there was none.
//! Thread: of a command-line program or a bench; it blocks, so never of the engine.

use super::guard::MAX_DATAGRAM_BYTES;
use super::reply::{packed, parse_reply};
use crate::command::{Arg, Reply};
use rosc::{OscMessage, OscType};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How long an engine is waited for unless told otherwise.
pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(2);

/// Why there is no answer to show.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answered, or nobody listens there.
    #[error("no engine answered at {engine} within {patience:?}; start one with: backline run")]
    NoAnswer {
        /// Who was asked.
        engine: SocketAddr,
        /// How long.
        patience: Duration,
    },
    /// The message does not fit a datagram.
    #[error("the message has {bytes} bytes, a datagram holds {MAX_DATAGRAM_BYTES}; send it in parts")]
    TooLong {
        /// Its length, encoded.
        bytes: usize,
    },
    /// The socket itself failed.
    #[error("cannot reach {engine}; check the address")]
    Socket {
        /// Who was to be asked.
        engine: SocketAddr,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}

/// A socket that talks with one engine.
#[derive(Debug)]
pub struct Client {
    socket: UdpSocket,
    engine: SocketAddr,
    buffer: Vec<u8>,
    syncs_sent: i32,
}

impl Client {
    /// Opens a socket towards `engine`. Nothing is sent yet.
    pub fn connect(engine: SocketAddr) -> Result<Self, ClientError> {
        let any: SocketAddr = match engine {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).and_then(|socket| socket.connect(engine).map(|()| socket));
        let socket = socket.map_err(|cause| ClientError::Socket { engine, cause })?;
        Ok(Self { socket, engine, buffer: vec![0; MAX_DATAGRAM_BYTES], syncs_sent: 0 })
    }

    /// Sends a message and waits for the first answer to it.
    pub fn ask(&mut self, message: OscMessage, patience: Duration) -> Result<Reply, ClientError> {
        let asked = message.addr.clone();
        let until = Instant::now() + patience;
        self.send(message, patience)?;
        loop {
            let reply = self.receive(until, patience)?;
            if is_answer_to(&asked, &reply) {
                return Ok(reply);
            }
        }
    }

    /// Sends a message that may have several answers, such as `/schema`, and waits for all of them: a `/sync`
    /// sent after it is answered last.
    pub fn ask_all(&mut self, message: OscMessage, patience: Duration) -> Result<Vec<Reply>, ClientError> {
        let asked = message.addr.clone();
        let until = Instant::now() + patience;
        self.syncs_sent = self.syncs_sent.wrapping_add(1);
        let number = self.syncs_sent;
        self.send(message, patience)?;
        self.send(OscMessage { addr: "/sync".to_owned(), args: vec![OscType::Int(number)] }, patience)?;
        let mut replies = Vec::new();
        loop {
            let reply = self.receive(until, patience)?;
            if reply.address == "/synced" && reply.args == [Arg::Int(number)] {
                return Ok(replies);
            }
            if is_answer_to(&asked, &reply) {
                replies.push(reply);
            }
        }
    }

    fn send(&self, message: OscMessage, patience: Duration) -> Result<(), ClientError> {
        let bytes = packed(message);
        if bytes.len() > MAX_DATAGRAM_BYTES {
            return Err(ClientError::TooLong { bytes: bytes.len() });
        }
        self.socket.send(&bytes).map(|_| ()).map_err(|cause| self.failed(cause, patience))
    }

    fn receive(&mut self, until: Instant, patience: Duration) -> Result<Reply, ClientError> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ClientError::NoAnswer { engine: self.engine, patience });
            }
            let received =
                self.socket.set_read_timeout(Some(left)).and_then(|()| self.socket.recv(&mut self.buffer));
            match received {
                Ok(bytes) => {
                    if let Some(reply) = parse_reply(&self.buffer[..bytes]) {
                        return Ok(reply);
                    }
                }
                Err(cause) if is_passing(&cause) => {}
                Err(cause) => return Err(self.failed(cause, patience)),
            }
        }
    }

    /// On loopback the kernel says at once that nobody listens.
    fn failed(&self, cause: std::io::Error, patience: Duration) -> ClientError {
        match cause.kind() {
            ErrorKind::ConnectionRefused => ClientError::NoAnswer { engine: self.engine, patience },
            _ => ClientError::Socket { engine: self.engine, cause },
        }
    }
}

/// Time is up or a signal came: the deadline decides.
fn is_passing(cause: &std::io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// `/cmd` is answered as the command it holds, and a packet that nobody could read under `/`.
fn is_answer_to(asked: &str, reply: &Reply) -> bool {
    match (reply.address.as_str(), reply.args.first()) {
        ("/done" | "/fail", Some(Arg::Text(about))) => about == asked || about == "/" || asked == "/cmd",
        ("/synced", _) => asked == "/sync" || asked == "/cmd",
        (address, _) => address.strip_suffix(".reply").is_some_and(|about| about == asked || asked == "/cmd"),
    }
}
