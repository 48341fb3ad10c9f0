//! The stock worker, which dies where and how `BACKLINE_FATE` says: `POINT END AFTER APART AT FOLDER`. Files `1`, `2`,
//! ... in FOLDER are tokens, for one death each, to be taken in this order by whoever comes first: the first one by a
//! process that has rendered AFTER modules in its life, the next ones by one that has rendered APART more each; if
//! APART is 0, by anybody at once.

#[path = "../../../sdk/tests/support/fate.rs"]
mod fate;
#[path = "../../../sdk/tests/support/frail.rs"]
mod frail;

use fate::{End, Fate, Point};
use std::cell::Cell;
use std::ffi::CString;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;

/// Tokens in a folder: each is taken once, by whoever deletes its file.
const MOST_TOKENS: usize = 4;

/// Decides when it is time.
struct Tokens {
    fate: Fate,
    after: u32,
    apart: u32,
    rendered: Cell<u32>,
    /// Paths, made before the render thread may not allocate any more.
    paths: Vec<CString>,
}

impl Tokens {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut number = || words.next()?.parse::<usize>().ok();
        let (point, end) = (*Point::ALL.get(number()?)?, *End::ALL.get(number()?)?);
        let (after, apart, at) = (number()? as u32, number()? as u32, number()? as u32);
        let folder = words.next()?;
        let path = |token| CString::new(format!("{folder}/{token}")).ok();
        let paths = (1..=MOST_TOKENS).map(path).collect::<Option<Vec<_>>>()?;
        Some(Self { fate: Fate { number: 1, point, end, at }, after, apart, rendered: Cell::new(0), paths })
    }

    /// The fate, if it is met at such a point and there is a token that may be taken.
    fn due(&self, is_at: &dyn Fn(Point) -> bool) -> Option<Fate> {
        let rendered = self.rendered.replace(self.rendered.get() + 1);
        if !is_at(self.fate.point) {
            return None;
        }
        // SAFETY: each path is a C string that outlives the call.
        let is_there = |path: &&CString| unsafe { libc::access(path.as_ptr(), libc::F_OK) } == 0;
        let (before, next) = self
            .paths
            .iter()
            .zip(0..)
            .map(|(path, number)| (number, path))
            .find(|(_, path)| is_there(path))?;
        let wanted = if before > 0 && self.apart == 0 { 0 } else { self.after + before * self.apart };
        // SAFETY: as above. Of several processes one succeeds.
        let is_ours = rendered >= wanted && unsafe { libc::unlink(next.as_ptr()) } == 0;
        is_ours.then_some(self.fate)
    }
}

fn main() -> ExitCode {
    let Some(tokens) = std::env::var("BACKLINE_FATE").ok().and_then(|text| Tokens::parse(&text)) else {
        eprintln!("mortal-worker: BACKLINE_FATE is 'POINT END AFTER APART AT FOLDER'");
        return ExitCode::from(2);
    };
    let words: Vec<String> = std::env::args().skip(1).collect();
    let frail = frail::Frail::new(&words, move |_record, is_at| tokens.due(is_at));
    match backline_sdk::run(words.into_iter(), frail) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("mortal-worker: {refusal}");
            ExitCode::FAILURE
        }
    }
}
