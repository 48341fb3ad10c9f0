//! Who holds a UDP port, from the kernel's own tables.
//!
//! In:  a port. Out: a process, if this user may see it.
//! Thread: control, before anything sounds. The search is bounded, so a crowded machine only makes the answer
//! less exact.

use std::fmt;
use std::fs;
use std::io::Read;
use std::path::Path;

/// Socket tables are read this far.
const MAX_TABLE_BYTES: u64 = 4 * 1024 * 1024;
/// Descriptors looked at before giving up.
const MAX_DESCRIPTORS: usize = 200_000;

/// A process that holds a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its name, as `ps` shows it.
    pub command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} ({})", self.pid, self.command)
    }
}

/// The process that holds UDP port `port`.
pub fn udp_port_holder(port: u16) -> Option<Holder> {
    let tables = ["/proc/net/udp", "/proc/net/udp6"];
    let sockets: Vec<String> =
        tables.iter().flat_map(|table| sockets_on_port(&read_table(table), port)).collect();
    if sockets.is_empty() {
        return None;
    }
    let mut descriptors_left = MAX_DESCRIPTORS;
    let pids =
        fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let pid: u32 = pids.into_iter().find(|&pid| holds_any(pid, &sockets, &mut descriptors_left))?;
    let command = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(Holder { pid, command: command.trim_end().to_owned() })
}

fn read_table(path: &str) -> String {
    let mut table = String::new();
    if let Ok(file) = fs::File::open(path) {
        // What was read before a fault is still worth searching.
        let _ = file.take(MAX_TABLE_BYTES).read_to_string(&mut table);
    }
    table
}

/// Sockets bound to `port`, spelled as descriptor links spell them. Columns: 1 is `ADDRESS:PORT` in
/// hexadecimal, 9 the inode.
fn sockets_on_port(table: &str, port: u16) -> Vec<String> {
    let socket = |line: &str| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let (_, hex_port) = columns.next()?.rsplit_once(':')?;
        let inode = columns.nth(7)?;
        (u16::from_str_radix(hex_port, 16) == Ok(port)).then(|| format!("socket:[{inode}]"))
    };
    table.lines().skip(1).filter_map(socket).collect()
}

fn holds_any(pid: u32, sockets: &[String], descriptors_left: &mut usize) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors.flatten().any(|descriptor| {
        *descriptors_left = descriptors_left.saturating_sub(1);
        *descriptors_left > 0 && is_link_to_any(&descriptor.path(), sockets)
    })
}

fn is_link_to_any(link: &Path, sockets: &[String]) -> bool {
    fs::read_link(link).is_ok_and(|end| sockets.iter().any(|socket| end.as_os_str() == socket.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_in_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            7: 0100007F:DF66 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 4711 2 0 0\n\
            8: 0100007F:DF67 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 4712 2 0 0\n\
            9: broken\n";
        assert_eq!(sockets_on_port(table, 57190), ["socket:[4711]"]);
        assert!(sockets_on_port(table, 1).is_empty());
    }

    #[test]
    fn a_process_that_holds_a_port_is_named() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let holder = udp_port_holder(socket.local_addr().unwrap().port()).unwrap();
        assert_eq!(holder.pid, std::process::id());
        assert!(!holder.command.is_empty());
    }
}
