//! What plug-ins there are, without opening one here.
//!
//! In:  formats, or names. Out: one [`Line`] for each plug-in, in the order of folders and files, or of the names.
//! Thread: control. Every file is opened by a child ([`crate::child`]); one that crashes, hangs or ends there is a
//!      fault line, and the rest of its file is tried by another child.

use crate::child::{self, Account};
use crate::folders;
use crate::host::{Format, reason};
use crate::nearest::nearest;
use crate::report::{Fault, Line, Word};
use crate::trial::{Trial, Wanted, shown};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a child may say nothing.
const LIMIT: Duration = Duration::from_secs(5);

/// Finds and tries plug-ins.
pub struct Scanner {
    program: PathBuf,
    rate_hz: f32,
    limit: Duration,
}

/// Where the plug-ins of some formats are.
#[derive(Default)]
struct Index {
    /// The first file of each name.
    origins: HashMap<String, PathBuf>,
    /// All names, in order.
    names: Vec<String>,
    /// Files that cannot be looked into.
    faults: Vec<(Format, Fault)>,
}

impl Scanner {
    /// A scanner whose children are `program`, which must hand `--scan-one` and what follows to
    /// [`crate::child::parse`] and then to [`crate::trial::run`].
    pub fn new(program: PathBuf, rate_hz: f32) -> Self {
        Self { program, rate_hz, limit: LIMIT }
    }

    /// The same, for children that may be silent for `limit` only.
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Tries every plug-in of `formats` and tells each as soon as it is known.
    pub fn scan(&self, formats: &[Format], tell: &mut dyn FnMut(Line)) {
        for &format in formats {
            let mut origins: HashMap<String, PathBuf> = HashMap::new();
            for origin in folders::files(format) {
                self.scan_file(format, &origin, &mut |line| tell(without_twins(line, &mut origins)));
            }
        }
    }

    fn scan_file(&self, format: Format, origin: &Path, tell: &mut dyn FnMut(Line)) {
        let mut first = 0;
        loop {
            let account = self.account(format, origin, Wanted::AllFrom(first));
            lines(&account).for_each(&mut *tell);
            let Some((fault, index)) = accident(&account, origin) else { return };
            tell(Line::Fault(fault));
            match index {
                // Each child comes further than the one before it, so this ends.
                Some(index) => first = first.max(index) + 1,
                None => return,
            }
        }
    }

    /// Tries the named plug-ins, in this order.
    pub fn describe(&self, names: &[String], tell: &mut dyn FnMut(Line)) {
        let index = self.index(names);
        for name in names {
            match index.origin(name) {
                Ok(origin) => self.describe_one(name, origin, tell),
                Err(fault) => tell(Line::Fault(fault)),
            }
        }
    }

    fn describe_one(&self, name: &str, origin: &Path, tell: &mut dyn FnMut(Line)) {
        let format = match Format::split(name) {
            Ok((format, _)) => format,
            Err(error) => return tell(Line::Fault(Fault { name: name.to_owned(), reason: reason(&error) })),
        };
        let account = self.account(format, origin, Wanted::Only(name.to_owned()));
        lines(&account).for_each(&mut *tell);
        if let Some((fault, _)) = accident(&account, origin) {
            tell(Line::Fault(Fault { name: name.to_owned(), ..fault }));
        }
    }

    /// The file or bundle that plug-in `name` is in.
    pub fn origin(&self, name: &str) -> Result<PathBuf, Fault> {
        self.index(std::slice::from_ref(&name.to_owned())).origin(name).map(Path::to_owned)
    }

    /// Looks into files until all `names` are found, or there are no more.
    fn index(&self, names: &[String]) -> Index {
        let mut index = Index::default();
        for format in Format::ALL {
            let is_missing = |index: &Index| {
                let of_format =
                    names.iter().filter(|name| Format::split(name).is_ok_and(|(of, _)| of == format));
                of_format.into_iter().any(|name| !index.origins.contains_key(name))
            };
            for origin in folders::files(format) {
                if !is_missing(&index) {
                    break;
                }
                let account = self.account(format, &origin, Wanted::Names);
                index.add(format, &account, &origin);
            }
        }
        index
    }

    fn account(&self, format: Format, origin: &Path, wanted: Wanted) -> Account {
        let trial = Trial { format, origin: origin.to_owned(), wanted, rate_hz: self.rate_hz };
        child::run(&self.program, &trial, self.limit).unwrap_or_else(|error| Account {
            words: Vec::new(),
            accident: Some(format!("no process can be started to try it: {error}")),
        })
    }
}

impl Index {
    fn add(&mut self, format: Format, account: &Account, origin: &Path) {
        for word in &account.words {
            match word {
                Word::Names(names) => names.iter().for_each(|name| self.add_name(name, origin)),
                Word::Line(Line::Fault(fault)) => self.faults.push((format, fault.clone())),
                _ => {}
            }
        }
        self.faults.extend(accident(account, origin).map(|(fault, _)| (format, fault)));
    }

    fn add_name(&mut self, name: &str, origin: &Path) {
        if !self.origins.contains_key(name) {
            self.origins.insert(name.to_owned(), origin.to_owned());
            self.names.push(name.to_owned());
        }
    }

    fn origin(&self, name: &str) -> Result<&Path, Fault> {
        if let Some(origin) = self.origins.get(name) {
            return Ok(origin);
        }
        let reason =
            Format::split(name).map_or_else(|error| reason(&error), |(format, _)| self.absence(format, name));
        Err(Fault { name: name.to_owned(), reason })
    }

    /// Why there is no `name`.
    fn absence(&self, format: Format, name: &str) -> String {
        let folders: Vec<String> = folders::folders(format).iter().map(|folder| shown(folder)).collect();
        let mut reason = format!("there is no such plug-in in {}", folders.join(":"));
        if let Some(guess) = nearest(
            name,
            self.names.iter().filter(|known| Format::split(known).is_ok_and(|(of, _)| of == format)),
        ) {
            reason.push_str(&format!("; did you mean '{guess}'?"));
        }
        for (_, fault) in self.faults.iter().filter(|(of, _)| *of == format) {
            reason.push_str(&format!("; {} could not be looked into: {}", fault.name, fault.reason));
        }
        reason
    }
}

fn lines(account: &Account) -> impl Iterator<Item = Line> {
    account.words.iter().filter_map(|word| match word {
        Word::Line(line) => Some(line.clone()),
        _ => None,
    })
}

/// What the last words say about the accident, and which of the file's plug-ins it is about.
fn accident(account: &Account, origin: &Path) -> Option<(Fault, Option<usize>)> {
    let accident = account.accident.as_ref()?;
    let last_step = account.words.iter().rev().find_map(|word| match word {
        Word::Step { index, name, doing } => Some((*index, name.clone(), *doing)),
        _ => None,
    });
    let Some((index, name, doing)) = last_step else {
        return Some((Fault { name: shown(origin), reason: accident.clone() }, None));
    };
    let is_over = matches!(account.words.last(), Some(Word::Line(_)));
    let fault = if is_over {
        Fault { name: shown(origin), reason: format!("{accident} after {name} was done with") }
    } else {
        Fault { name, reason: format!("{accident} while it was {}", doing.participle()) }
    };
    Some((fault, index))
}

/// A second plug-in of a name could never be asked for.
fn without_twins(line: Line, origins: &mut HashMap<String, PathBuf>) -> Line {
    let Line::Type(description) = line else { return line };
    match origins.get(&description.name) {
        Some(first) => {
            let (name, origin) = (description.name, shown(&description.origin));
            Line::Fault(Fault {
                name,
                reason: format!("the one in {origin} is hidden by the one in {}", shown(first)),
            })
        }
        None => {
            origins.insert(description.name.clone(), description.origin.clone());
            Line::Type(description)
        }
    }
}
