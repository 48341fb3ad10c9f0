//! Where OSC arrives: one UDP socket, one buffer.
//!
//! In:  datagrams. Out: their bytes and who sent them; answers the other way.
//! Thread: control, which polls the descriptor; nothing here blocks.
//! The port is never shared (no SO_REUSEADDR): with it a second engine would take packets from the first.

use super::holder::{Holder, udp_port_holder};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// Asked of the kernel, which may grant less; some 10,000 short messages.
const WANTED_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// A whole datagram, whatever its size, so none is cut.
const LARGEST_DATAGRAM_BYTES: usize = 65_536;

/// Why nobody can listen there.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else does already.
    #[error(
        "port {port} is in use by {}; stop that, or choose another with --listen",
        holder.as_ref().map_or("another user's program".to_owned(), Holder::to_string)
    )]
    PortInUse {
        /// The port.
        port: u16,
        /// Who, if it may be known.
        holder: Option<Holder>,
    },
    /// Ports under 1024 belong to the system.
    #[error("port {port} may not be used; choose one of 1024 or more with --listen")]
    NotPermitted {
        /// The port.
        port: u16,
    },
    /// Anything else, such as an address that is not of this machine.
    #[error("cannot listen at {address}; check --listen")]
    Unusable {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// The engine's end of the wire.
#[derive(Debug)]
pub struct Listener {
    socket: UdpSocket,
    address: SocketAddr,
    buffer: Vec<u8>,
}

impl Listener {
    /// Listens at `address`; port 0 picks a free one.
    pub fn bind(address: SocketAddr) -> Result<Self, ListenError> {
        let opened = UdpSocket::bind(address).and_then(|socket| {
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            Ok((socket, address))
        });
        let (socket, address) = opened.map_err(|cause| refused(address, cause))?;
        // A smaller buffer than asked for is no reason not to play; `receive_buffer_bytes` tells.
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(WANTED_BUFFER_BYTES);
        Ok(Self { socket, address, buffer: vec![0; LARGEST_DATAGRAM_BYTES] })
    }

    /// Where it listens, with the port that was picked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes the kernel keeps for us between two looks, as it counts them.
    pub fn receive_buffer_bytes(&self) -> io::Result<usize> {
        socket2::SockRef::from(&self.socket).recv_buffer_size()
    }

    /// The next datagram and its sender, or `None` if none waits.
    pub fn receive(&mut self) -> io::Result<Option<(&[u8], SocketAddr)>> {
        loop {
            match self.socket.recv_from(&mut self.buffer) {
                Ok((bytes, sender)) => return Ok(Some((&self.buffer[..bytes], sender))),
                Err(cause) if cause.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
    }

    /// Sends an answer, at once or not at all.
    pub fn send(&self, bytes: &[u8], receiver: SocketAddr) -> io::Result<()> {
        self.socket.send_to(bytes, receiver).map(|_| ())
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

fn refused(address: SocketAddr, cause: io::Error) -> ListenError {
    let port = address.port();
    match cause.kind() {
        ErrorKind::AddrInUse => ListenError::PortInUse { port, holder: udp_port_holder(port) },
        ErrorKind::PermissionDenied => ListenError::NotPermitted { port },
        _ => ListenError::Unusable { address, cause },
    }
}
