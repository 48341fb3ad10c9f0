//! Who may have how much: limits for the whole engine and for each client, known before anything is touched.
//!
//! A module or cable belongs to the client that made it, whoever frees it; what a patch file, a score or a journal
//! made belongs to nobody. A client is an address with its port: two programs of one machine are two clients. Where
//! both limits are reached the engine's is named, because a client cannot do anything about it alone.

use super::Conductor;
use crate::command::Client;
use crate::config::Settings;
use crate::patch::{ClientLimits, Limits, Patch, PatchModule};
use serde_json::json;
use std::collections::HashMap;

/// Clients that `status` tells about one by one: those with the most modules.
const CLIENTS_SHOWN: usize = 32;
const MIB: usize = 1024 * 1024;

/// A limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// Memory, of the whole engine.
    #[error(
        "this would take {needed_kib} KiB of memory for modules, the most this engine accepts is {max_mib} MiB; \
         /free some, or raise max_memory_mib"
    )]
    Memory {
        /// What all modules would take.
        needed_kib: usize,
        /// The limit.
        max_mib: usize,
    },
    /// Memory, of one client.
    #[error(
        "the modules of client {client} would take {needed_kib} KiB of memory, the most one client may have is \
         {max_mib} MiB; /free some, or raise client_max_memory_mib"
    )]
    ClientMemory {
        /// Whose.
        client: Client,
        /// What its modules would take.
        needed_kib: usize,
        /// The limit.
        max_mib: usize,
    },
    /// Commands that wait, of the whole engine.
    #[error(
        "{max} commands are scheduled already, the most this engine accepts; wait, or /panic, or raise max_scheduled"
    )]
    Scheduled {
        /// The limit.
        max: usize,
    },
    /// Commands that wait, of one client.
    #[error(
        "client {client} has scheduled {max} commands already, the most one client may; \
         wait, or /panic, or raise client_max_scheduled"
    )]
    ClientScheduled {
        /// Whose.
        client: Client,
        /// The limit.
        max: usize,
    },
}

/// Commands that wait for their time, by whose they are.
#[derive(Debug, Default)]
pub struct Scheduled {
    in_all: usize,
    by_client: HashMap<Client, usize>,
}

impl Scheduled {
    /// Counts one more of `client`, if that may be.
    pub fn add(&mut self, client: Client, settings: &Settings) -> Result<(), QuotaError> {
        if self.in_all >= settings.max_scheduled {
            return Err(QuotaError::Scheduled { max: settings.max_scheduled });
        }
        let own = self.of(client);
        if own >= settings.client_max_scheduled {
            return Err(QuotaError::ClientScheduled { client, max: settings.client_max_scheduled });
        }
        self.in_all += 1;
        self.by_client.insert(client, own + 1);
        Ok(())
    }

    /// One of `client` has been performed.
    pub fn remove(&mut self, client: Client) {
        let Some(own) = self.by_client.get_mut(&client) else { return };
        *own -= 1;
        self.in_all -= 1;
        if *own == 0 {
            self.by_client.remove(&client);
        }
    }

    /// Nothing waits any more.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn of(&self, client: Client) -> usize {
        self.by_client.get(&client).copied().unwrap_or(0)
    }
}

/// What one client has.
#[derive(Debug, Clone, Copy, Default)]
struct Use {
    modules: usize,
    connections: usize,
    memory_bytes: usize,
    scheduled: usize,
}

impl Conductor {
    /// Counts one more command of `client` that waits, if that may be.
    pub(super) fn schedule(&mut self, client: Client) -> Result<(), QuotaError> {
        self.scheduled.add(client, &self.settings)
    }

    /// One of them waits no more.
    pub(super) fn unschedule(&mut self, client: Client) {
        self.scheduled.remove(client);
    }

    /// None does.
    pub(super) fn forget_scheduled(&mut self) {
        self.scheduled.clear();
    }

    /// How much the patch may hold if whoever sent the command in hand adds to it.
    pub(super) fn limits(&self) -> Limits {
        let settings = &self.settings;
        Limits {
            max_modules: settings.max_modules,
            max_connections: settings.max_connections,
            client: self.client.map(|client| ClientLimits {
                client,
                max_modules: settings.client_max_modules,
                max_connections: settings.client_max_connections,
            }),
        }
    }

    /// Refuses a patch whose modules take more memory than they may.
    pub(super) fn check_memory(&self, patch: &Patch) -> Result<(), QuotaError> {
        let bytes_of = |is_counted: &dyn Fn(&PatchModule) -> bool| -> usize {
            let counted = patch.modules().iter().filter(|module| is_counted(module));
            counted.map(|module| self.cells.bytes_of(module)).fold(0, usize::saturating_add)
        };
        let (needed, max_mib) = (bytes_of(&|_| true), self.settings.max_memory_mib);
        if needed > max_mib * MIB {
            return Err(QuotaError::Memory { needed_kib: needed.div_ceil(1024), max_mib });
        }
        let Some(client) = self.client else { return Ok(()) };
        let max_mib = self.settings.client_max_memory_mib;
        // All that there is cannot be too much for one; this spares the second count.
        if needed <= max_mib * MIB {
            return Ok(());
        }
        let needed = bytes_of(&|module| module.owner == Some(client));
        if needed > max_mib * MIB {
            return Err(QuotaError::ClientMemory { client, needed_kib: needed.div_ceil(1024), max_mib });
        }
        Ok(())
    }

    /// Every limit, for `status`.
    pub(super) fn limits_json(&self) -> serde_json::Value {
        let settings = &self.settings;
        json!({
            "max_modules": settings.max_modules,
            "max_connections": settings.max_connections,
            "max_memory_mib": settings.max_memory_mib,
            "max_scheduled": settings.max_scheduled,
            "client_max_modules": settings.client_max_modules,
            "client_max_connections": settings.client_max_connections,
            "client_max_memory_mib": settings.client_max_memory_mib,
            "client_max_scheduled": settings.client_max_scheduled,
        })
    }

    /// What there is of what is limited: in all, and for each client that has any of it.
    pub(super) fn use_json(&self) -> serde_json::Value {
        let (in_all, by_client) = self.uses();
        let mut clients: Vec<(Client, Use)> = by_client.into_iter().collect();
        clients.sort_by_key(|(client, used)| (std::cmp::Reverse(used.modules), *client));
        let left_out = clients.len().saturating_sub(CLIENTS_SHOWN);
        clients.truncate(CLIENTS_SHOWN);
        let row = |(client, used): (Client, Use)| {
            let mut row = used.json();
            row["client"] = json!(client.to_string());
            row
        };
        let mut shown = in_all.json();
        shown["clients"] = clients.into_iter().map(row).collect();
        shown["clients_left_out"] = json!(left_out);
        shown
    }

    fn uses(&self) -> (Use, HashMap<Client, Use>) {
        let mut by_client: HashMap<Client, Use> = HashMap::new();
        let mut in_all = Use { scheduled: self.scheduled.in_all, ..Use::default() };
        for module in self.patch.modules() {
            let bytes = self.cells.bytes_of(module);
            let own = module.owner.map(|client| by_client.entry(client).or_default());
            for used in own.into_iter().chain([&mut in_all]) {
                used.modules += 1;
                used.memory_bytes += bytes;
            }
        }
        for cable in self.patch.connections() {
            in_all.connections += 1;
            if let Some(client) = cable.owner {
                by_client.entry(client).or_default().connections += 1;
            }
        }
        for (client, count) in &self.scheduled.by_client {
            by_client.entry(*client).or_default().scheduled = *count;
        }
        (in_all, by_client)
    }
}

impl Use {
    fn json(self) -> serde_json::Value {
        json!({
            "modules": self.modules,
            "connections": self.connections,
            "memory_bytes": self.memory_bytes,
            "scheduled": self.scheduled,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(port: u16) -> Client {
        Client(([127, 0, 0, 1], port).into())
    }

    #[test]
    fn the_limit_of_a_client_is_its_own_and_that_of_the_engine_wins() {
        let settings = Settings { max_scheduled: 3, client_max_scheduled: 2, ..Settings::default() };
        let mut scheduled = Scheduled::default();
        let (one, two) = (client(1), client(2));
        scheduled.add(one, &settings).expect("room");
        scheduled.add(one, &settings).expect("room");
        let full = QuotaError::ClientScheduled { client: one, max: 2 };
        assert_eq!(scheduled.add(one, &settings), Err(full));
        assert!(
            full.to_string().contains("127.0.0.1:1") && full.to_string().contains("client_max_scheduled")
        );
        scheduled.add(two, &settings).expect("room for somebody else");
        for client in [one, two] {
            assert_eq!(scheduled.add(client, &settings), Err(QuotaError::Scheduled { max: 3 }));
        }
        scheduled.remove(one);
        scheduled.add(two, &settings).expect("room again");
        scheduled.clear();
        scheduled.add(one, &settings).expect("room again");
    }

    #[test]
    fn nobody_who_has_nothing_is_remembered() {
        let settings = Settings::default();
        let mut scheduled = Scheduled::default();
        for port in 1..1_000 {
            scheduled.add(client(port), &settings).expect("room");
            scheduled.remove(client(port));
            scheduled.remove(client(port));
        }
        assert_eq!((scheduled.in_all, scheduled.by_client.len()), (0, 0));
    }
}
