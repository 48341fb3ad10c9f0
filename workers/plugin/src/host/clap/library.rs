//! A CLAP library in memory.

use crate::host::error::HostError;
use clack_host::entry::LibraryEntry;
use clack_host::prelude::PluginEntry;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use std::error::Error;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Opens a library and its entry. All its symbols are resolved now, so that none is looked up while it plays.
pub fn open(origin: &Path) -> Result<PluginEntry, HostError> {
    let unopened =
        |cause: Box<dyn Error + Send + Sync>| HostError::Unopened { origin: origin.to_owned(), cause };
    let path = CString::new(origin.as_os_str().as_bytes()).map_err(|cause| unopened(cause.into()))?;
    // SAFETY: runs the library's constructors. Nobody can vouch for those; a process of its own has tried them
    // before one that matters does.
    let library = unsafe { Library::open(Some(origin), RTLD_NOW | RTLD_LOCAL) };
    let library = library.map_err(|cause| unopened(cause.into()))?;
    // SAFETY: `clap/entry.h` gives the symbol `clap_entry` the type that is expected of it.
    let entry = unsafe { LibraryEntry::load_from_library(library.into()) };
    let entry = entry.map_err(|cause| unopened(cause.to_string().into()))?;
    // SAFETY: the entry of a library that follows `clap/entry.h`, with the path it was opened from; clack keeps the
    // library open for as long as the entry and its instances live.
    unsafe { PluginEntry::load_from(entry, &path) }.map_err(|cause| unopened(cause.to_string().into()))
}
