//! Our side, as a CLAP plug-in sees it: it may ask for things, and tell that it has changed.
//!
//! Some plug-ins (those made with DPF) call what they expect of a host without looking whether it is there, and
//! crash if it is not; so it is here, also where there is nothing to do.

use clack_extensions::audio_ports::{AudioPortRescanFlags, HostAudioPorts, HostAudioPortsImpl};
use clack_extensions::latency::{HostLatency, HostLatencyImpl};
use clack_extensions::note_ports::{HostNotePorts, HostNotePortsImpl, NoteDialects, NotePortRescanFlags};
use clack_extensions::params::{
    HostParams, HostParamsImplMainThread, HostParamsImplShared, ParamClearFlags, ParamRescanFlags,
};
use clack_extensions::state::{HostState, HostStateImpl};
use clack_host::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The host as clack wants it.
pub struct Backline;

/// What a plug-in has asked for, from any of its threads.
#[derive(Default)]
pub struct Requests {
    wants_callback: AtomicBool,
}

/// What a plug-in tells its main thread. The panel it was described with stands; nothing is asked again.
pub struct MainThread;

impl HostHandlers for Backline {
    type Shared<'a> = Requests;
    type MainThread<'a> = MainThread;
    type AudioProcessor<'a> = ();

    fn declare_extensions(builder: &mut HostExtensions<Self>, _shared: &Requests) {
        builder.register::<HostAudioPorts>();
        builder.register::<HostLatency>();
        builder.register::<HostNotePorts>();
        builder.register::<HostParams>();
        builder.register::<HostState>();
    }
}

impl SharedHandler<'_> for Requests {
    // A plug-in that wants to be restarted or woken is always running here; its next reset is its restart.
    fn request_restart(&self) {}

    fn request_process(&self) {}

    fn request_callback(&self) {
        self.wants_callback.store(true, Relaxed);
    }
}

impl HostParamsImplShared for Requests {
    // Every block carries the events there are.
    fn request_flush(&self) {}
}

impl MainThreadHandler<'_> for MainThread {}

impl HostAudioPortsImpl for MainThread {
    fn is_rescan_flag_supported(&self, _flag: AudioPortRescanFlags) -> bool {
        false
    }

    fn rescan(&self, _flags: AudioPortRescanFlags) {}
}

impl HostLatencyImpl for MainThread {
    fn changed(&self) {}
}

impl HostNotePortsImpl for MainThread {
    fn supported_dialects(&self) -> NoteDialects {
        NoteDialects::CLAP | NoteDialects::MIDI
    }

    fn rescan(&self, _flags: NotePortRescanFlags) {}
}

impl HostParamsImplMainThread for MainThread {
    fn rescan(&self, _flags: ParamRescanFlags) {}

    fn clear(&self, _param_id: ClapId, _flags: ParamClearFlags) {}
}

impl HostStateImpl for MainThread {
    fn mark_dirty(&self) {}
}

/// Does what the plug-in has asked for on its main thread.
pub fn answer_callback(instance: &mut PluginInstance<Backline>) {
    if instance.access_shared_handler(|requests| requests.wants_callback.swap(false, Relaxed)) {
        instance.call_on_main_thread_callback();
    }
}
