//! A Python worker with a module that tries to escape from its sandbox (`tests/escapes`), one block at a time.

use super::zygote::{Forked, Zygote};
use super::{Module, Stage};
use backline_abi::block::Event;
use backline_abi::layout::sandbox_bits;
use backline_abi::panel::Panel;
use backline_abi::refused::RefusedCall;
use std::path::{Path, PathBuf};
use std::sync::atomic::{Ordering::Acquire, Ordering::Relaxed};

/// Asks for a sandbox.
pub const STRICT: (&str, &str) = ("BACKLINE_SANDBOX", "strict");
/// What it plays that was refused.
pub const REFUSED: f32 = libc::EPERM as f32;

fn escapes() -> Vec<PathBuf> {
    vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/escapes/escapes.py")]
}

/// Whether the kernel knows a call, which is made with arguments that make no sense.
fn has_call(number: libc::c_long, arguments: [libc::c_long; 3]) -> bool {
    let [first, second, third] = arguments;
    // SAFETY: numbers and null pointers only; the calls refuse them or do nothing.
    let refused = unsafe { libc::syscall(number, first, second, third) } < 0;
    !refused || std::io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL)
}

/// What a worker obtains on this machine.
pub fn obtainable() -> u32 {
    let asks_for_version = 1;
    let optional = [
        (sandbox_bits::LANDLOCK, has_call(libc::SYS_landlock_create_ruleset, [0, 0, asks_for_version])),
        (sandbox_bits::SEALED, has_call(libc::SYS_mseal, [0, 0, 0])),
    ];
    let everywhere = sandbox_bits::NO_NEW_PRIVS | sandbox_bits::RLIMITS | sandbox_bits::SECCOMP;
    optional.iter().fold(everywhere, |bits, (bit, has)| {
        if !has {
            println!("this kernel has no sandbox of bit {bit}: it is not tested");
        }
        bits | if *has { *bit } else { 0 }
    })
}

/// What the `what` of a module can be.
fn choice(panels: &[Panel], what: &str) -> f32 {
    let choices =
        &panels.iter().find(|panel| panel.name == "escapes").expect("it is there").params[0].choices;
    choices.iter().position(|choice| choice == what).unwrap_or_else(|| panic!("no {what}")) as f32
}

/// A module that tries to escape, and whoever plays it.
pub struct Prison {
    /// Where it plays.
    pub on: Stage,
    /// Where workers come from.
    pub zygote: Zygote,
    /// The worker in slot 0.
    pub worker: Forked,
    /// The module.
    pub module: Module,
    blocks: f32,
}

impl Prison {
    /// The worker is started with `variables`.
    pub fn with(test: &str, variables: &[(&str, &str)]) -> Self {
        Self::of(test, "escapes", variables)
    }

    /// The same with another module of that file.
    pub fn of(test: &str, name: &str, variables: &[(&str, &str)]) -> Self {
        let mut zygote = Zygote::ready_with(&escapes(), variables);
        let mut on = Stage::new(test, 1);
        on.mean_panels(&zygote.panels);
        let worker = zygote.worker(&on, 0);
        let module = on.add_described(&zygote.panels, name, 1, 0);
        on.plan(&[(&module, &[])]);
        Self { on, zygote, worker, module, blocks: 0.0 }
    }

    /// Announces a block in which it attempts `what`.
    pub fn announce(&mut self, what: &str) {
        let value = choice(&self.zygote.panels, what);
        self.on.announce(&[Event {
            instance: self.module.record.instance,
            offset_frames: 0,
            kind: 0,
            value,
        }]);
    }

    /// What comes of an attempt; the block is rendered whatever that is.
    pub fn attempt(&mut self, what: &str) -> f32 {
        self.announce(what);
        self.on.await_commit(&self.module);
        let heard = self.on.heard(&self.module);
        self.blocks += 1.0;
        assert_eq!(f32::from_bits(heard[64]), self.blocks, "{what}: every block is rendered");
        f32::from_bits(heard[0])
    }

    /// How many calls were refused, and the last of them.
    pub fn refused(&self) -> (u32, RefusedCall) {
        let count = self.on.head(0).refused_calls.load(Acquire);
        (count, RefusedCall::decode(self.on.head(0).refused_call.load(Relaxed)))
    }
}
