//! Where OSC arrives: one UDP socket, one buffer.
//!
//! In:  datagrams. Out: their bytes and who sent them; answers the other way.
//! Thread: control, which polls the descriptor; nothing here blocks.
//! The port is never shared (no SO_REUSEADDR): with it a second engine would take packets from the first.
//! The kernel tells where nobody listened any more to what was sent ([`Listener::unreachable`]).

use super::holder::{Holder, udp_port_holder};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, getsockopt, recvmsg, setsockopt,
    sockopt::{Ipv4RecvErr, Ipv6RecvErr, RcvBuf, RcvBufForce},
};
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// Asked of the kernel, which counts some 768 bytes for a short message and doubles what is asked: some 40,000 of them.
/// It grants this to root, and to others as much as `net.core.rmem_max`.
const WANTED_BUFFER_BYTES: usize = 16 * 1024 * 1024;
/// A whole datagram, whatever its size, so none is cut.
const LARGEST_DATAGRAM_BYTES: usize = 65_536;

/// Errors taken from the kernel in one go.
const MAX_ERRORS_AT_ONCE: usize = 64;

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
        let _ = setsockopt(&socket, RcvBufForce, &WANTED_BUFFER_BYTES)
            .or_else(|_| setsockopt(&socket, RcvBuf, &WANTED_BUFFER_BYTES));
        // Without it listeners that are gone are found out only by their silence.
        let asked = match address.ip() {
            IpAddr::V4(_) => setsockopt(&socket, Ipv4RecvErr, &true),
            IpAddr::V6(_) => setsockopt(&socket, Ipv6RecvErr, &true),
        };
        if let Err(cause) = asked {
            tracing::warn!(%cause, "clients that are gone cannot be told from silent ones");
        }
        Ok(Self { socket, address, buffer: vec![0; LARGEST_DATAGRAM_BYTES] })
    }

    /// Where it listens, with the port that was picked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes the kernel keeps for us between two looks, as it counts them.
    pub fn receive_buffer_bytes(&self) -> usize {
        getsockopt(&self.socket, RcvBuf).unwrap_or(0)
    }

    /// The next datagram and its sender, or `None` if none waits.
    pub fn receive(&mut self) -> io::Result<Option<(&[u8], SocketAddr)>> {
        loop {
            match self.socket.recv_from(&mut self.buffer) {
                Ok((bytes, sender)) => return Ok(Some((&self.buffer[..bytes], sender))),
                Err(cause) if cause.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                // About something that was sent before; each is reported once.
                Err(cause) if is_about_a_receiver(&cause) => {}
                Err(cause) => return Err(cause),
            }
        }
    }

    /// Sends an answer, at once or not at all.
    pub fn send(&self, bytes: &[u8], receiver: SocketAddr) -> io::Result<()> {
        match self.socket.send_to(bytes, receiver) {
            // That was about an earlier receiver, and this one has been sent nothing yet.
            Err(cause) if is_about_a_receiver(&cause) => self.socket.send_to(bytes, receiver).map(|_| ()),
            sent => sent.map(|_| ()),
        }
    }

    /// Addresses at which nobody listened to what was sent there, as far as the kernel has heard by now.
    pub fn unreachable(&self) -> Vec<SocketAddr> {
        let next = || self.next_error();
        std::iter::from_fn(next).take(MAX_ERRORS_AT_ONCE).flatten().collect()
    }

    /// The next error that the kernel keeps; inside, the address if it says that nobody listens there.
    fn next_error(&self) -> Option<Option<SocketAddr>> {
        // Of the datagram that failed nothing is needed but where it went.
        let (mut datagram, mut control) = ([0; 8], [0; 256]);
        let mut parts = [IoSliceMut::new(&mut datagram)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let socket = self.socket.as_raw_fd();
        let message = recvmsg::<SockaddrStorage>(socket, &mut parts, Some(&mut control), flags).ok()?;
        let is_refusal = |message: ControlMessageOwned| match message {
            ControlMessageOwned::Ipv4RecvErr(error, _) => error.ee_errno == libc::ECONNREFUSED as u32,
            ControlMessageOwned::Ipv6RecvErr(error, _) => error.ee_errno == libc::ECONNREFUSED as u32,
            _ => false,
        };
        let is_refused = message.cmsgs().is_ok_and(|mut messages| messages.any(is_refusal));
        Some(message.address.filter(|_| is_refused).and_then(|address| as_std(&address)))
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

/// An error that the network sent back for an earlier datagram, whoever that went to.
fn is_about_a_receiver(cause: &io::Error) -> bool {
    use ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    matches!(cause.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
}

fn as_std(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from((v4.ip(), v4.port())));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::from((v6.ip(), v6.port()))))
}

fn refused(address: SocketAddr, cause: io::Error) -> ListenError {
    let port = address.port();
    match cause.kind() {
        ErrorKind::AddrInUse => ListenError::PortInUse { port, holder: udp_port_holder(port) },
        ErrorKind::PermissionDenied => ListenError::NotPermitted { port },
        _ => ListenError::Unusable { address, cause },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_told_of(listener: &Listener, gone: SocketAddr) -> bool {
        (0..2_000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            listener.unreachable().contains(&gone)
        })
    }

    #[test]
    fn a_receiver_that_is_gone_is_named_and_spoils_nothing_for_the_others() {
        for here in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(mut listener) = Listener::bind(here.parse().unwrap()) else {
                println!("SKIPPED: no {here} on this machine");
                continue;
            };
            let there = UdpSocket::bind(here).unwrap();
            let gone = UdpSocket::bind(here).unwrap().local_addr().unwrap();
            listener.send(b"anybody?", gone).unwrap();
            assert!(is_told_of(&listener, gone));
            assert!(listener.unreachable().is_empty(), "each is told once");
            for _ in 0..3 {
                listener.send(b"anybody?", gone).unwrap();
                listener.send(b"you", there.local_addr().unwrap()).unwrap();
                let mut bytes = [0; 8];
                assert_eq!(there.recv(&mut bytes).unwrap(), 3);
                assert!(matches!(listener.receive(), Ok(None)));
            }
        }
    }
}
