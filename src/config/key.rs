//! The table of settings: names, units, ranges, and where each lives in [`Settings`].

mod kinds;

use super::Settings;
use super::layer::Raw;
use super::value::{
    address, clock, networks, path, replace, session, shown_folder, shown_networks, text, truth, whole,
};

/// The most native workers an engine keeps.
pub const MAX_WORKERS: usize = 64;

/// A setting; its row in [`SETTINGS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Clock of the block cycle.
    Audio,
    /// Audio device by name.
    Device,
    /// Sample rate.
    Rate,
    /// Frames in a block.
    Block,
    /// Worker processes.
    Workers,
    /// Address of the OSC sockets.
    Listen,
    /// Networks that may send OSC.
    Allow,
    /// Whether anybody may send OSC.
    Insecure,
    /// File to record to.
    Record,
    /// Name of the session.
    Session,
    /// Blocks of output held back.
    Lookahead,
    /// Whether to ask for priority and locked memory.
    Realtime,
    /// Size of a worker's arena.
    ArenaMib,
    /// The most modules.
    MaxModules,
    /// The most connections.
    MaxConnections,
    /// The most memory of modules.
    MaxMemoryMib,
    /// The most commands that wait for their time.
    MaxScheduled,
    /// The most modules of one client.
    ClientMaxModules,
    /// The most connections of one client.
    ClientMaxConnections,
    /// The most memory of one client's modules.
    ClientMaxMemoryMib,
    /// The most commands of one client that wait for their time.
    ClientMaxScheduled,
    /// Folder of patches.
    Patches,
    /// Folder of recordings.
    Recordings,
    /// File of the audit log.
    Audit,
    /// Age at which a worker is replaced.
    RecycleTtl,
    /// Modules set up in a worker after which it is replaced.
    RecycleJobs,
    /// Memory of a worker's own beyond which it is replaced.
    MemorySoft,
    /// Memory of a worker's own beyond which it is killed.
    MemoryHard,
    /// Whether nobody is replaced who plays well.
    FreezeRecycling,
    /// Folders with kinds of worker.
    Kinds,
    /// Files and folders with Python classes.
    Modules,
    /// Plug-ins to preload.
    Plugins,
    /// Python interpreter.
    Python,
}

/// One row.
#[derive(Debug)]
pub struct Setting {
    /// Which one.
    pub key: Key,
    /// Its name in a file.
    pub name: &'static str,
    /// Its option on the command line.
    pub flag: &'static str,
    /// `Hz`, `frames`, ..., or empty.
    pub unit: &'static str,
    /// Whether a patch may say it: what belongs to the music may travel with it, what opens doors of this
    /// machine may not.
    pub is_for_patches: bool,
    /// What it takes, in words.
    pub takes: Takes,
    /// Puts a value in its place; false if it will not do. A number is in range already.
    pub put: fn(&mut Settings, &Raw) -> bool,
    /// The value in words, without the unit.
    pub show: fn(&Settings) -> String,
}

/// What values a setting takes.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// A whole number from..=to.
    Whole(i64, i64),
    /// Something else, in words.
    Words(&'static str),
}

impl Key {
    /// Its row.
    pub fn setting(self) -> &'static Setting {
        &SETTINGS[self as usize]
    }

    /// The setting of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        SETTINGS.iter().find(|setting| setting.name == name).map(|setting| setting.key)
    }
}

impl Setting {
    /// `16..=1024 frames`
    pub fn wanted(&self) -> String {
        match self.takes {
            Takes::Whole(min, max) => {
                format!("a whole number {min}..={max} {}", self.unit).trim_end().to_owned()
            }
            Takes::Words(words) => words.to_owned(),
        }
    }

    /// Puts a value in its place if it is in range; false if it will not do.
    pub(super) fn apply(&self, settings: &mut Settings, raw: &Raw) -> bool {
        let is_in_range = match (self.takes, raw) {
            (Takes::Whole(min, max), Raw::Whole(number)) => (min..=max).contains(number),
            (Takes::Whole(..), _) => false,
            (Takes::Words(_), _) => true,
        };
        is_in_range && (self.put)(settings, raw)
    }
}

/// Every setting, in the order of [`Key`] and of `--print-config`.
pub static SETTINGS: [Setting; 33] = [
    Setting {
        key: Key::Audio,
        name: "audio",
        flag: "--audio",
        unit: "",
        is_for_patches: false,
        takes: Takes::Words("one of: auto cpal jack null"),
        put: |settings, raw| replace(&mut settings.audio, clock(raw)),
        show: |settings| settings.audio.name().to_owned(),
    },
    Setting {
        key: Key::Device,
        name: "device",
        flag: "--device",
        unit: "",
        is_for_patches: false,
        takes: Takes::Words("the name of an audio device; backline doctor lists them"),
        put: |settings, raw| replace(&mut settings.device, text(raw).map(Some)),
        show: |settings| settings.device.clone().unwrap_or_else(|| "(the system's own)".to_owned()),
    },
    Setting {
        key: Key::Rate,
        name: "rate",
        flag: "--rate",
        unit: "Hz",
        is_for_patches: true,
        takes: Takes::Whole(8_000, 192_000),
        put: |settings, raw| replace(&mut settings.rate_hz, whole(raw)),
        show: |settings| settings.rate_hz.to_string(),
    },
    Setting {
        key: Key::Block,
        name: "block",
        flag: "--block",
        unit: "frames",
        is_for_patches: true,
        takes: Takes::Whole(16, 1_024),
        put: |settings, raw| replace(&mut settings.block_frames, whole(raw)),
        show: |settings| settings.block_frames.to_string(),
    },
    Setting {
        key: Key::Workers,
        name: "workers",
        flag: "--workers",
        unit: "processes",
        is_for_patches: true,
        takes: Takes::Whole(1, MAX_WORKERS as i64),
        put: |settings, raw| replace(&mut settings.workers, whole(raw)),
        show: |settings| settings.workers.to_string(),
    },
    Setting {
        key: Key::Listen,
        name: "listen",
        flag: "--listen",
        unit: "",
        is_for_patches: false,
        takes: Takes::Words("ADDRESS:PORT such as 127.0.0.1:57190; port 0 picks a free one"),
        put: |settings, raw| replace(&mut settings.listen, address(raw)),
        show: |settings| settings.listen.to_string(),
    },
    Setting {
        key: Key::Allow,
        name: "allow",
        flag: "--allow",
        unit: "",
        is_for_patches: false,
        takes: Takes::Words("networks such as 192.168.1.0/24, or single addresses"),
        put: |settings, raw| replace(&mut settings.allow, networks(raw)),
        show: |settings| shown_networks(&settings.allow),
    },
    Setting {
        key: Key::Insecure,
        name: "insecure",
        flag: "--insecure",
        unit: "",
        is_for_patches: false,
        takes: Takes::Words("true or false"),
        put: |settings, raw| replace(&mut settings.insecure, truth(raw)),
        show: |settings| settings.insecure.to_string(),
    },
    Setting {
        key: Key::Record,
        name: "record",
        flag: "--record",
        unit: "",
        is_for_patches: false,
        takes: Takes::Words("the path of a WAV file"),
        put: |settings, raw| replace(&mut settings.record, path(raw).map(Some)),
        show: |settings| {
            settings.record.as_ref().map_or_else(|| "(nothing)".to_owned(), |path| path.display().to_string())
        },
    },
    Setting {
        key: Key::Session,
        name: "session",
        flag: "--session",
        unit: "",
        is_for_patches: false,
        takes: Takes::Words("a name of 1 to 32 letters, digits, - and _"),
        put: |settings, raw| replace(&mut settings.session, session(raw).map(Some)),
        show: |settings| settings.session.clone().unwrap_or_else(|| "(none)".to_owned()),
    },
    Setting {
        key: Key::Lookahead,
        name: "lookahead",
        flag: "--lookahead",
        unit: "blocks",
        is_for_patches: true,
        takes: Takes::Whole(0, 1),
        put: |settings, raw| replace(&mut settings.lookahead_blocks, whole(raw)),
        show: |settings| settings.lookahead_blocks.to_string(),
    },
    Setting {
        key: Key::Realtime,
        name: "realtime",
        flag: "--no-realtime",
        unit: "",
        is_for_patches: false,
        takes: Takes::Words("true or false"),
        put: |settings, raw| replace(&mut settings.wants_realtime, truth(raw)),
        show: |settings| settings.wants_realtime.to_string(),
    },
    Setting {
        key: Key::ArenaMib,
        name: "arena_mib",
        flag: "--arena",
        unit: "MiB",
        is_for_patches: true,
        takes: Takes::Whole(1, 1_024),
        put: |settings, raw| replace(&mut settings.arena_mib, whole(raw)),
        show: |settings| settings.arena_mib.to_string(),
    },
    Setting {
        is_for_patches: true,
        put: |settings, raw| replace(&mut settings.max_modules, whole(raw)),
        show: |settings| settings.max_modules.to_string(),
        ..limit(Key::MaxModules, "max_modules", "--max-modules", "modules", 1_024)
    },
    Setting {
        is_for_patches: true,
        put: |settings, raw| replace(&mut settings.max_connections, whole(raw)),
        show: |settings| settings.max_connections.to_string(),
        ..limit(Key::MaxConnections, "max_connections", "--max-connections", "connections", 4_096)
    },
    Setting {
        is_for_patches: true,
        put: |settings, raw| replace(&mut settings.max_memory_mib, whole(raw)),
        show: |settings| settings.max_memory_mib.to_string(),
        ..limit(Key::MaxMemoryMib, "max_memory_mib", "--max-memory", "MiB", 1_024)
    },
    Setting {
        is_for_patches: true,
        put: |settings, raw| replace(&mut settings.max_scheduled, whole(raw)),
        show: |settings| settings.max_scheduled.to_string(),
        ..limit(Key::MaxScheduled, "max_scheduled", "--max-scheduled", "commands", 65_536)
    },
    Setting {
        is_for_patches: false,
        put: |settings, raw| replace(&mut settings.client_max_modules, whole(raw)),
        show: |settings| settings.client_max_modules.to_string(),
        ..limit(Key::ClientMaxModules, "client_max_modules", "--client-max-modules", "modules", 1_024)
    },
    Setting {
        is_for_patches: false,
        put: |settings, raw| replace(&mut settings.client_max_connections, whole(raw)),
        show: |settings| settings.client_max_connections.to_string(),
        ..limit(
            Key::ClientMaxConnections,
            "client_max_connections",
            "--client-max-connections",
            "connections",
            4_096,
        )
    },
    Setting {
        is_for_patches: false,
        put: |settings, raw| replace(&mut settings.client_max_memory_mib, whole(raw)),
        show: |settings| settings.client_max_memory_mib.to_string(),
        ..limit(Key::ClientMaxMemoryMib, "client_max_memory_mib", "--client-max-memory", "MiB", 1_024)
    },
    Setting {
        is_for_patches: false,
        put: |settings, raw| replace(&mut settings.client_max_scheduled, whole(raw)),
        show: |settings| settings.client_max_scheduled.to_string(),
        ..limit(Key::ClientMaxScheduled, "client_max_scheduled", "--client-max-scheduled", "commands", 65_536)
    },
    Setting {
        key: Key::Patches,
        name: "patches",
        flag: "--patches",
        unit: "",
        is_for_patches: false,
        takes: Takes::Words("the path of a folder"),
        put: |settings, raw| replace(&mut settings.patches, path(raw).map(Some)),
        show: |settings| shown_folder(settings.patches.as_deref()),
    },
    Setting {
        key: Key::Recordings,
        name: "recordings",
        flag: "--recordings",
        unit: "",
        is_for_patches: false,
        takes: Takes::Words("the path of a folder"),
        put: |settings, raw| replace(&mut settings.recordings, path(raw).map(Some)),
        show: |settings| shown_folder(settings.recordings.as_deref()),
    },
    Setting {
        key: Key::Audit,
        name: "audit",
        flag: "--audit",
        unit: "",
        is_for_patches: false,
        takes: Takes::Words("the path of a file for the audit log"),
        put: |settings, raw| replace(&mut settings.audit, path(raw).map(Some)),
        show: |settings| {
            let usual = || "(in the state folder)".to_owned();
            settings.audit.as_ref().map_or_else(usual, |path| path.display().to_string())
        },
    },
    Setting {
        key: Key::RecycleTtl,
        name: "recycle_ttl",
        flag: "--recycle-ttl",
        unit: "s",
        is_for_patches: false,
        takes: Takes::Whole(0, 604_800),
        put: |settings, raw| replace(&mut settings.recycling.ttl_s, whole(raw)),
        show: |settings| settings.recycling.ttl_s.to_string(),
    },
    Setting {
        key: Key::RecycleJobs,
        name: "recycle_jobs",
        flag: "--recycle-jobs",
        unit: "modules",
        is_for_patches: false,
        takes: Takes::Whole(0, 1_000_000_000),
        put: |settings, raw| replace(&mut settings.recycling.jobs, whole(raw)),
        show: |settings| settings.recycling.jobs.to_string(),
    },
    Setting {
        key: Key::MemorySoft,
        name: "memory_soft",
        flag: "--memory-soft",
        unit: "MiB",
        is_for_patches: false,
        takes: Takes::Whole(0, 1_048_576),
        put: |settings, raw| replace(&mut settings.recycling.soft_mib, whole(raw)),
        show: |settings| settings.recycling.soft_mib.to_string(),
    },
    Setting {
        key: Key::MemoryHard,
        name: "memory_hard",
        flag: "--memory-hard",
        unit: "MiB",
        is_for_patches: false,
        takes: Takes::Whole(0, 1_048_576),
        put: |settings, raw| replace(&mut settings.recycling.hard_mib, whole(raw)),
        show: |settings| settings.recycling.hard_mib.to_string(),
    },
    Setting {
        key: Key::FreezeRecycling,
        name: "freeze_recycling",
        flag: "--freeze-recycling",
        unit: "",
        is_for_patches: false,
        takes: Takes::Words("true or false"),
        put: |settings, raw| replace(&mut settings.recycling.is_frozen, truth(raw)),
        show: |settings| settings.recycling.is_frozen.to_string(),
    },
    kinds::KINDS,
    kinds::MODULES,
    kinds::PLUGINS,
    kinds::PYTHON,
];

/// A limit of 1..=`most`; whose it is has to be said beside it.
const fn limit(key: Key, name: &'static str, flag: &'static str, unit: &'static str, most: i64) -> Setting {
    let takes = Takes::Whole(1, most);
    Setting {
        key,
        name,
        flag,
        unit,
        is_for_patches: false,
        takes,
        put: |_, _| false,
        show: |_| String::new(),
    }
}
