//! A LADSPA library in memory, and one of its descriptors with everything copied out that can be copied.

use super::abi::{Descriptor, DescriptorFunction, Handle, Port, RangeHint};
use crate::host::error::HostError;
use libloading::os::unix::{Library as Opened, RTLD_LOCAL, RTLD_NOW};
use std::ffi::{CStr, c_char, c_int, c_ulong};
use std::path::Path;
use std::rc::Rc;

/// More types in a library are a mistake, and an endless list a trap.
const MAX_TYPES: c_ulong = 1024;
/// More ports are a mistake.
const MAX_PORTS: usize = 1024;

/// An open library.
pub struct Library {
    /// Keeps `descriptor` where it is.
    _opened: Opened,
    descriptor: DescriptorFunction,
}

/// One type of an open library.
pub struct Ladspa {
    /// Keeps the code and all it points to where they are.
    _library: Rc<Library>,
    /// Its descriptor, inside the library.
    pub descriptor: *const Descriptor,
    pub name: String,
    pub maker: String,
    pub ports: Vec<Port>,
    pub instantiate: unsafe extern "C" fn(*const Descriptor, c_ulong) -> Handle,
    pub connect_port: unsafe extern "C" fn(Handle, c_ulong, *mut f32),
    pub activate: Option<unsafe extern "C" fn(Handle)>,
    pub run: unsafe extern "C" fn(Handle, c_ulong),
    pub deactivate: Option<unsafe extern "C" fn(Handle)>,
    pub cleanup: Option<unsafe extern "C" fn(Handle)>,
}

impl Library {
    /// Opens a library. All its symbols are resolved now, so that none is looked up while it plays.
    pub fn open(origin: &Path) -> Result<Rc<Self>, HostError> {
        let unopened =
            |cause: libloading::Error| HostError::Unopened { origin: origin.to_owned(), cause: cause.into() };
        // SAFETY: runs the library's constructors. Nobody can vouch for those; a process of its own has tried them
        // before one that matters does.
        let opened = unsafe { Opened::open(Some(origin), RTLD_NOW | RTLD_LOCAL) }.map_err(unopened)?;
        // SAFETY: `ladspa.h` gives the symbol of this name this type. The pointer is kept beside the library only.
        let symbol = unsafe { opened.get::<DescriptorFunction>(b"ladspa_descriptor\0") }.map_err(unopened)?;
        let descriptor = *symbol;
        Ok(Rc::new(Self { _opened: opened, descriptor }))
    }

    /// Labels of all types.
    pub fn labels(&self) -> Result<Vec<String>, HostError> {
        self.descriptors().map(|descriptor| text(descriptor.label, "a type has a label")).collect()
    }

    fn descriptors(&self) -> impl Iterator<Item = &Descriptor> {
        let at = |index| {
            // SAFETY: the function of an open library (`self` has it), called as `ladspa.h` says.
            let descriptor = unsafe { (self.descriptor)(index) };
            // SAFETY: null, or a descriptor that `ladspa.h` keeps valid while the library is open, that is while
            // `self` lives; nobody writes to it.
            unsafe { descriptor.as_ref() }
        };
        (0..MAX_TYPES).map_while(at)
    }

    /// The type `label`, checked.
    pub fn find(self: &Rc<Self>, label: &str, origin: &Path) -> Result<Ladspa, HostError> {
        let is_it = |descriptor: &&Descriptor| text(descriptor.label, "").is_ok_and(|known| known == label);
        let found = self.descriptors().find(is_it);
        let found = found.ok_or_else(|| HostError::NotInside { origin: origin.to_owned() })?;
        let malformed = |rule| HostError::Malformed { rule };
        Ok(Ladspa {
            _library: Rc::clone(self),
            descriptor: found,
            name: text(found.name, "a type has a name")?,
            maker: text(found.maker, "a type has a maker").unwrap_or_else(|_| "nobody".to_owned()),
            ports: ports(found)?,
            instantiate: found.instantiate.ok_or(malformed("instantiate() is there"))?,
            connect_port: found.connect_port.ok_or(malformed("connect_port() is there"))?,
            activate: found.activate,
            run: found.run.ok_or(malformed("run() is there"))?,
            deactivate: found.deactivate,
            cleanup: found.cleanup,
        })
    }
}

fn ports(descriptor: &Descriptor) -> Result<Vec<Port>, HostError> {
    let count = descriptor.port_count as usize;
    if count > MAX_PORTS {
        return Err(HostError::Malformed { rule: "a type has a sane number of ports" });
    }
    let kinds = table(descriptor, descriptor.port_descriptors, count)?;
    let names = table(descriptor, descriptor.port_names, count)?;
    let ranges = table(descriptor, descriptor.port_range_hints, count)?;
    let port = |((&kind, &name), range): ((&c_int, &*const c_char), &RangeHint)| {
        let name = text(name, "a port has a name")?;
        let port = Port { kind, name, hint: range.hint, lower: range.lower, upper: range.upper };
        let is_valid = port.is_valid();
        is_valid.then_some(port).ok_or(HostError::Malformed { rule: "a port is in or out, audio or control" })
    };
    kinds.iter().zip(names).zip(ranges).map(port).collect()
}

/// One of the descriptor's tables, which have an entry for each of its `count` ports.
fn table<T>(_owner: &Descriptor, first: *const T, count: usize) -> Result<&[T], HostError> {
    if count == 0 {
        return Ok(&[]);
    }
    if first.is_null() || !first.is_aligned() {
        return Err(HostError::Malformed { rule: "every port is described" });
    }
    // SAFETY:
    // - not null and aligned; `ladspa.h` promises `port_count` entries, of which there are at most MAX_PORTS;
    // - all three tables hold plain numbers and pointers, for which any bits are valid;
    // - they stay as they are for as long as their descriptor, to which the result is bound.
    Ok(unsafe { std::slice::from_raw_parts(first, count) })
}

/// A copy of a C string of a descriptor.
fn text(pointer: *const c_char, rule: &'static str) -> Result<String, HostError> {
    if pointer.is_null() {
        return Err(HostError::Malformed { rule });
    }
    // SAFETY: not null, and `ladspa.h` says it ends with a zero; its library is open, the caller has a reference to
    // the descriptor it comes from.
    let text = unsafe { CStr::from_ptr(pointer) };
    Ok(text.to_string_lossy().into_owned())
}
