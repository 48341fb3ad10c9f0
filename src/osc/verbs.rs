//! Every address there is, what its arguments mean, and the nearest one to a mistyped one.
//!
//! In:  an address and its arguments. Out: a `Command`.
//! To add an address, add a row to `VERBS`.

use super::args::{Args, whole};
use super::names;
use super::refusal::Reason;
use crate::command::Command;
use rosc::OscType;

/// Why not, and the module meant if it was named before the fault.
pub type Fault = (Reason, Option<String>);

struct Verb {
    address: &'static str,
    usage: &'static str,
    read: fn(&mut Args) -> Result<Command, Reason>,
}

const fn verb(
    address: &'static str,
    usage: &'static str,
    read: fn(&mut Args) -> Result<Command, Reason>,
) -> Verb {
    Verb { address, usage, read }
}

/// The busiest first.
static VERBS: &[Verb] = &[
    verb("/gate", GATE_USAGE, gate),
    verb("/set", "/set id param value [param value]...", set),
    verb("/create", "/create type [id] [param value]...", create),
    verb("/free", "/free id", free),
    verb("/connect", "/connect src dst [gain]", connect),
    verb("/disconnect", "/disconnect src dst", disconnect),
    verb("/sync", "/sync n", sync),
    verb("/begin", "/begin", |_| Ok(Command::Begin)),
    verb("/commit", "/commit", |_| Ok(Command::Commit)),
    verb("/abort", "/abort", |_| Ok(Command::Abort)),
    verb("/status", "/status", |_| Ok(Command::Status)),
    verb("/status/json", "/status/json", |_| Ok(Command::StatusJson)),
    verb("/list", "/list", |_| Ok(Command::List)),
    verb("/schema", "/schema [type]", schema),
    verb("/version", "/version", |_| Ok(Command::Version)),
    verb("/panic", "/panic", panic_button),
    verb("/quit", "/quit", |_| Ok(Command::Quit)),
    verb("/notify", "/notify 1 or 0", notify),
    verb("/patch/save", "/patch/save name", |args| file_name(args).map(Command::PatchSave)),
    verb("/patch/load", "/patch/load name", |args| file_name(args).map(Command::PatchLoad)),
    verb("/patch/clear", "/patch/clear", |_| Ok(Command::PatchClear)),
    verb("/record/start", "/record/start name", |args| file_name(args).map(Command::RecordStart)),
    verb("/record/stop", "/record/stop", |_| Ok(Command::RecordStop)),
    verb("/patch/create", "/patch/create id type", create_in_seed_order),
    verb("/patch/connect", "/patch/connect src dst [gain]", connect),
];

const GATE_USAGE: &str = "/gate id on [velocity]";
const CMD_USAGE: &str = "/cmd \"a command as text\"";

/// Whose argument is a name of a file, also where it looks like a number.
const WITH_FILE_NAME: [&str; 3] = ["/patch/save", "/patch/load", "/record/start"];

/// Whether the words after `address` are names, whatever they look like.
pub fn takes_file_name(address: &str) -> bool {
    WITH_FILE_NAME.contains(&address)
}

/// The command that an address and its arguments ask for.
pub fn command(address: &str, args: Vec<OscType>) -> Result<Command, Fault> {
    match VERBS.iter().find(|verb| verb.address == address) {
        Some(verb) => read(verb.usage, verb.read, args),
        None => aliased(address, args),
    }
}

/// The text of `/cmd`.
pub fn cmd_text(args: Vec<OscType>) -> Result<String, Reason> {
    let mut args = Args::new(CMD_USAGE, args);
    let text = args.text("the text")?;
    args.end().map(|()| text)
}

/// The form of an address, for refusals; of an unknown one, its own name.
pub fn usage(address: &str) -> &'static str {
    let known = VERBS.iter().find(|verb| verb.address == address);
    known.map_or("ADDRESS ARGS...", |verb| verb.usage)
}

fn read(
    usage: &'static str,
    read: fn(&mut Args) -> Result<Command, Reason>,
    args: Vec<OscType>,
) -> Result<Command, Fault> {
    let mut args = Args::new(usage, args);
    let command = read(&mut args).and_then(|command| args.end().map(|()| command));
    command.map_err(|reason| (reason, args.id))
}

/// Addresses that carry an id: `/mod/ID/PARAM value` and `/gate/ID on [velocity]`.
fn aliased(address: &str, args: Vec<OscType>) -> Result<Command, Fault> {
    let in_mod = address.strip_prefix("/mod/").and_then(|rest| rest.split_once('/'));
    if let Some((id, param)) = in_mod {
        return read("/mod/ID/PARAM value", set_one, preceded_by([id, param], args));
    }
    if let Some(id) = address.strip_prefix("/gate/") {
        return read("/gate/ID on [velocity]", gate, preceded_by([id], args));
    }
    Err((Reason::UnknownAddress { nearest: nearest(address) }, None))
}

fn preceded_by<const N: usize>(words: [&str; N], args: Vec<OscType>) -> Vec<OscType> {
    words.into_iter().map(OscType::from).chain(args).collect()
}

/// The known address with the fewest letters to change. The work is bounded: all of them are short.
fn nearest(address: &str) -> &'static str {
    const ENOUGH_CHARS: usize = 40;
    let clipped: String = address.chars().take(ENOUGH_CHARS).collect();
    let known = VERBS.iter().map(|verb| verb.address).chain(["/cmd"]);
    known.min_by_key(|known| strsim::damerau_levenshtein(known, &clipped)).unwrap_or("/status")
}

/// Reads the module or modules meant, and remembers them for refusals.
fn target(args: &mut Args) -> Result<String, Reason> {
    let target = names::target(args.text("the id")?)?;
    args.id = Some(target.clone());
    Ok(target)
}

fn create(args: &mut Args) -> Result<Command, Reason> {
    let type_name = args.type_name()?;
    // Parameters come in pairs, so an odd one out can only be an id.
    let has_id = !args.len().is_multiple_of(2);
    let id = if has_id { Some(names::new_id(&type_name, args.any("the id")?)?) } else { None };
    args.id.clone_from(&id);
    Ok(Command::Create { type_name, id, params: args.params()? })
}

fn create_in_seed_order(args: &mut Args) -> Result<Command, Reason> {
    let id = args.any("the id")?;
    let type_name = args.type_name()?;
    let id = names::new_id(&type_name, id)?;
    args.id = Some(id.clone());
    Ok(Command::Create { type_name, id: Some(id), params: Vec::new() })
}

fn free(args: &mut Args) -> Result<Command, Reason> {
    Ok(Command::Free { target: target(args)? })
}

fn gate(args: &mut Args) -> Result<Command, Reason> {
    let target = target(args)?;
    let is_on = args.number("on (1 or 0)")? > 0.0;
    let velocity = args.optional_number("the velocity")?.unwrap_or(1.0);
    if !(0.0..=1.0).contains(&velocity) {
        return Err(Reason::OutOfRange { what: "the velocity", low: 0.0, high: 1.0, found: velocity.into() });
    }
    Ok(Command::Gate { target, is_on, velocity })
}

fn set(args: &mut Args) -> Result<Command, Reason> {
    let target = target(args)?;
    let params = args.params()?;
    if params.is_empty() {
        Err(args.missing("a parameter's name"))
    } else {
        Ok(Command::Set { target, params })
    }
}

fn set_one(args: &mut Args) -> Result<Command, Reason> {
    match args.len() {
        ..=3 => set(args),
        many => {
            Err(Reason::Usage { fault: format!("{} values instead of one", many - 2), usage: args.usage })
        }
    }
}

fn connect(args: &mut Args) -> Result<Command, Reason> {
    let source = names::port(args.text("the source")?)?;
    let target = names::port(args.text("the destination")?)?;
    let gain = args.optional_number("the gain")?.unwrap_or(1.0);
    Ok(Command::Connect { source, target, gain })
}

fn disconnect(args: &mut Args) -> Result<Command, Reason> {
    let source = names::port(args.text("the source")?)?;
    let target = names::port(args.text("the destination")?)?;
    Ok(Command::Disconnect { source, target })
}

fn sync(args: &mut Args) -> Result<Command, Reason> {
    let number = whole("n", &args.any("n")?)?;
    let (low, high) = (i32::MIN.into(), i32::MAX.into());
    let out_of_range = |_| Reason::OutOfRange { what: "n", low, high, found: number as f64 };
    i32::try_from(number).map(Command::Sync).map_err(out_of_range)
}

fn notify(args: &mut Args) -> Result<Command, Reason> {
    Ok(Command::Notify(args.number("1 or 0")? > 0.0))
}

fn file_name(args: &mut Args) -> Result<String, Reason> {
    names::file(args.any("the name")?)
}

fn schema(args: &mut Args) -> Result<Command, Reason> {
    let type_name = if args.is_empty() { None } else { Some(args.type_name()?) };
    Ok(Command::Schema(type_name))
}

/// Buttons of control surfaces send their own arguments; a panic button must work whatever comes with it.
fn panic_button(args: &mut Args) -> Result<Command, Reason> {
    args.ignore_rest();
    Ok(Command::Panic)
}
