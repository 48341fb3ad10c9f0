//! What the Turtle files of a plug-in say about its ports.

use crate::host::naming::{plain, unit};
use crate::host::panel::{Control, Kind};
use livi::lilv::World as LilvWorld;
use livi::lilv::node::Node;
use livi::lilv::plugin::Plugin as LilvPlugin;
use livi::lilv::port::Port as LilvPort;

const CORE: &str = "http://lv2plug.in/ns/lv2core#";
const UNITS: &str = "http://lv2plug.in/ns/extensions/units#";
/// Units whose name in the ontology is not how they are written.
const SPELLINGS: [(&str, &str); 6] = [
    ("pc", "%"),
    ("cent", "cents"),
    ("semitone12TET", "semitones"),
    ("midiNote", "MIDI"),
    ("degree", "degrees"),
    ("frame", "frames"),
];

/// The words of the ontologies that are asked for.
pub struct Words<'w> {
    world: &'w LilvWorld,
    pub midi: Node,
    unit: Node,
    symbol_of_unit: Node,
    is_toggled: Node,
    is_integer: Node,
    is_enumeration: Node,
    is_sample_rate: Node,
    reports_latency: Node,
    designation: Node,
    latency: Node,
    kind: Node,
    known_kinds: [Node; 4],
    buffer_type: Node,
    sequence: Node,
}

impl<'w> Words<'w> {
    pub fn new(world: &'w LilvWorld) -> Self {
        let core = |word: &str| world.new_uri(&format!("{CORE}{word}"));
        Self {
            world,
            midi: world.new_uri("http://lv2plug.in/ns/ext/midi#MidiEvent"),
            unit: world.new_uri(&format!("{UNITS}unit")),
            symbol_of_unit: world.new_uri(&format!("{UNITS}symbol")),
            is_toggled: core("toggled"),
            is_integer: core("integer"),
            is_enumeration: core("enumeration"),
            is_sample_rate: core("sampleRate"),
            reports_latency: core("reportsLatency"),
            designation: core("designation"),
            latency: core("latency"),
            kind: world.new_uri("http://www.w3.org/1999/02/22-rdf-syntax-ns#type"),
            known_kinds: [
                core("AudioPort"),
                core("ControlPort"),
                core("CVPort"),
                world.new_uri("http://lv2plug.in/ns/ext/atom#AtomPort"),
            ],
            buffer_type: world.new_uri("http://lv2plug.in/ns/ext/atom#bufferType"),
            sequence: world.new_uri("http://lv2plug.in/ns/ext/atom#Sequence"),
        }
    }

    /// `MDA ePiano: instrument, by David Robillard`.
    pub fn summary(&self, plugin: &LilvPlugin) -> String {
        let name = plugin.name().as_str().unwrap_or("without a name").to_owned();
        let kinds: Vec<String> =
            plugin.value(&self.kind).iter().filter_map(|node| kind_word(&node)).collect();
        let kind = if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) };
        let author = plugin.author_name().and_then(|author| author.as_str().map(str::to_owned));
        let author = author.map(|author| format!(", by {author}")).unwrap_or_default();
        format!("{name}{kind}{author}")
    }

    /// One control input.
    pub fn control(&self, port: &LilvPort, rate_hz: f32) -> Control {
        let has = |property: &Node| port.has_property(property);
        let factor = if has(&self.is_sample_rate) { rate_hz } else { 1.0 };
        let range = port.range();
        let bound = |node: &Option<Node>| node.as_ref().and_then(number).map(|value| value * factor);
        let kind = match () {
            () if has(&self.is_enumeration) => Kind::Choice(points(port)),
            () if has(&self.is_toggled) => Kind::Toggle,
            () if has(&self.is_integer) => Kind::Whole,
            () => Kind::Number,
        };
        let symbol = port.symbol().and_then(|symbol| symbol.as_str().map(str::to_owned));
        Control {
            name: symbol.unwrap_or_default(),
            label: label(port),
            unit: self.unit(port),
            min: bound(&range.minimum),
            max: bound(&range.maximum),
            default: bound(&range.default),
            kind,
        }
    }

    /// A unit of the ontology, or one that the plug-in spells itself.
    fn unit(&self, port: &LilvPort) -> String {
        let Some(stated) = port.get(&self.unit) else { return String::new() };
        let named = stated.as_uri().and_then(|uri| uri.strip_prefix(UNITS));
        if let Some(named) = named {
            let spelling = SPELLINGS.iter().find(|(word, _)| *word == named).map(|(_, ours)| *ours);
            // A coefficient is a plain number.
            let plain_number = if named == "coef" { Some("") } else { None };
            return spelling.or(plain_number).or_else(|| unit(named)).unwrap_or(named).to_owned();
        }
        let own = self.world.get(Some(&stated), Some(&self.symbol_of_unit), None);
        own.and_then(|symbol| symbol.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Whether an output tells how late the plug-in is.
    pub fn tells_latency(&self, port: &LilvPort) -> bool {
        let is_designated = port.get(&self.designation).is_some_and(|word| word == self.latency);
        is_designated || port.has_property(&self.reports_latency)
    }

    /// Whether livi can connect a port.
    pub fn is_known(&self, port: &LilvPort) -> bool {
        let is_atom = port.is_a(&self.known_kinds[3]);
        let takes_sequence = || port.value(&self.buffer_type).iter().any(|kind| kind == self.sequence);
        self.known_kinds.iter().any(|kind| port.is_a(kind)) && (!is_atom || takes_sequence())
    }
}

/// `lv2:ReverbPlugin` is a `reverb`.
fn kind_word(node: &Node) -> Option<String> {
    let word = node.as_uri()?.strip_prefix(CORE)?.strip_suffix("Plugin")?;
    (!word.is_empty()).then(|| plain(word, "plug-in"))
}

/// What a person reads.
pub fn label(port: &LilvPort) -> String {
    let name = port.name().and_then(|name| name.as_str().map(str::to_owned));
    name.unwrap_or_else(|| "without a name".to_owned())
}

/// Scale points, lowest value first.
fn points(port: &LilvPort) -> Vec<(String, f32)> {
    let point = |point: livi::lilv::port::ScalePoint| {
        Some((point.label().as_str()?.to_owned(), number(&point.value())?))
    };
    let mut points: Vec<(String, f32)> = port.scale_points().iter().filter_map(point).collect();
    points.sort_by(|a, b| a.1.total_cmp(&b.1));
    points
}

fn number(node: &Node) -> Option<f32> {
    let whole = || node.as_int().map(|value| value as f32);
    let truth = || node.as_bool().map(|value| if value { 1.0 } else { 0.0 });
    node.as_float().or_else(whole).or_else(truth)
}
