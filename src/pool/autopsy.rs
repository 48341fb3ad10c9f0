//! What a dead worker was doing. In: its arena, which nobody writes any more. Out: its last word, and the module
//! that it was rendering. Thread: control.
//!
//! Nothing here is believed that the engine does not know better: an instance that does not exist, or does not
//! live in this slot, is not blamed.

use super::rig::Rig;
use crate::catalogue;
use crate::supervise::audit::{Audit, Event};
use crate::supervise::blame::{Culprit, Verdict};
use crate::supervise::ending::Doing;
use backline_abi::commit::{self, NEVER, next_block};
use backline_abi::crash::CrashWord;
use backline_abi::layout::ModuleMemory;
use backline_abi::plan::ModuleRecord;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// The death of a worker, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// Where.
    pub slot: usize,
    /// How, in words.
    pub cause: String,
    /// Whose doing it was.
    pub doing: Doing,
    /// Who is blamed, and what follows from it: who has to be bypassed.
    pub verdict: Verdict,
}

impl Death {
    /// Writes it into the audit log.
    pub fn tell(&self, audit: &Audit) {
        let Verdict { blamed, poisoned, given_up_type, pause } = self.verdict;
        audit.note(Event::Judged {
            slot: self.slot,
            doing: self.doing.words(),
            blamed: blamed.map(|culprit| culprit.instance),
            block: blamed.map(|culprit| culprit.block),
            pause_ms: pause.as_millis() as u64,
        });
        if let (Some(culprit), Some(poison)) = (blamed, poisoned) {
            audit.note(Event::Poisoned { instance: culprit.instance, why: poison.words() });
        }
        if let Some(type_key) = given_up_type {
            audit.note(Event::TypeGivenUp { type_name: catalogue::name_of(type_key) });
        }
    }
}

/// The last word of process `pid` in `slot`; `None` if it left none.
pub fn last_word(rig: &Rig, slot: usize, pid: u32) -> Option<CrashWord> {
    let head = rig.head(slot);
    // Acquire: pairs with the dying worker's store.
    let word = head.crash.load(Acquire);
    // A dead predecessor's words do not count.
    CrashWord::decode(word).filter(|_| head.pid.load(Relaxed) == pid)
}

/// What process `pid` in `slot` was rendering when it died; `None` if it was between modules. To be asked before the
/// module may have left a second worker. Real-time safe.
pub fn was_rendering(rig: &Rig, slot: usize, pid: u32) -> Option<Culprit> {
    let head = rig.head(slot);
    let rendering = head.rendering.load(Relaxed);
    // A second thread renders beside the first: only the last word tells which of the two it was.
    let word = last_word(rig, slot, pid).map_or(rendering as u16, |word| word.instance);
    let is_it = |instance: u32| {
        if word == rendering as u16 { instance == rendering } else { instance as u16 == word }
    };
    if word == 0 && rendering == 0 || head.pid.load(Relaxed) != pid {
        return None;
    }
    let control = rig.control();
    let lives_here = |cell: usize| {
        let place = &control.places[cell];
        let [left, previous] = place.sources();
        [place.current(), left, previous]
            .iter()
            .any(|location| !location.is_nowhere() && location.slot as usize == slot)
    };
    let records = control.modules.iter().map(|record| record.load()).enumerate();
    let (_, record) = records
        .filter(|(_, record)| record.instance != 0 && is_it(record.instance))
        .find(|(cell, _)| lives_here(*cell))?;
    let instance = record.instance;
    let block = block_after_commit(rig, slot, &record).unwrap_or(NEVER);
    Some(Culprit { instance, type_key: catalogue::key_of(&record), block })
}

/// The block after the last one that `slot` committed of a module: the one that was being rendered. `NEVER` before
/// its first, which stays the same block however long nobody gets through it.
fn block_after_commit(rig: &Rig, slot: usize, record: &ModuleRecord) -> Option<u32> {
    let memory = ModuleMemory::of(record, rig.header.block_frames as usize, rig.arena_words())?;
    let last = commit::observe(rig.arenas().get(slot)?.commit_word(memory.commit)?).block;
    Some(if last == NEVER { NEVER } else { next_block(last) })
}
