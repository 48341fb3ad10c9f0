//! Step 1, first half: is this packet sound enough to be given to a codec?
//!
//! In:  bytes from anybody. Out: a promise that the codec will neither recurse deeply, nor allocate much, nor
//! skip a part in silence; or the first fault found.
//! Thread: control. Iterative: the stack used is the same for every packet; one pass over the bytes.
//! A packet with one fault is refused whole: its lengths cannot be trusted any more.

use super::refusal::{Reason, Refusal};

/// Longest packet, over any transport.
pub const MAX_PACKET_BYTES: usize = 64 * 1024;
/// Longest datagram that IPv4 can carry, and so the longest answer over UDP.
pub const MAX_DATAGRAM_BYTES: usize = 65_507;
/// Bundles inside bundles, the outermost counted.
pub const MAX_BUNDLE_NESTING: usize = 8;
/// Arrays inside arrays, the outermost counted.
pub const MAX_ARRAY_NESTING: usize = 4;
/// Elements of all the bundles of a packet together.
pub const MAX_ELEMENTS: usize = 1_024;
/// Arguments of one message; an array counts as one, and so does each thing in it.
pub const MAX_ARGUMENTS: usize = 256;
/// Longest address; the interface needs about 80.
pub const MAX_ADDRESS_BYTES: usize = 255;

const BUNDLE_TAG: &[u8; 8] = b"#bundle\0";
/// The tag and the time.
const BUNDLE_HEADER_BYTES: usize = 16;

/// Judges a packet; the refusal names the address of the faulty message where it can be read.
pub fn check(packet: &[u8]) -> Result<(), Refusal> {
    if packet.len() > MAX_PACKET_BYTES {
        return Err(refuse(packet, Reason::PacketTooLong(packet.len())));
    }
    let mut open = OpenBundles::default();
    let (mut start, mut end) = (0, packet.len());
    loop {
        let element = &packet[start..end];
        let read_to = check_element(element, &mut open, end).map_err(|reason| refuse(element, reason))?;
        match next_element(packet, start + read_to, &mut open)? {
            Some(next) => (start, end) = next,
            None => return Ok(()),
        }
    }
}

/// The address at the start of `message`, if it begins like one.
pub fn address_of(message: &[u8]) -> Option<&str> {
    let head = &message[..message.len().min(MAX_ADDRESS_BYTES + 1)];
    let end = head.iter().position(|&byte| byte == 0)?;
    let is_sound = head.first() == Some(&b'/') && head[..end].iter().copied().all(is_address_byte);
    if is_sound { std::str::from_utf8(&head[..end]).ok() } else { None }
}

/// True if `text` could stand as an address in a packet.
pub fn is_address(text: &str) -> bool {
    text.starts_with('/') && text.len() <= MAX_ADDRESS_BYTES && text.bytes().all(is_address_byte)
}

fn refuse(element: &[u8], reason: Reason) -> Refusal {
    Refusal::new(address_of(element).unwrap_or("/"), reason)
}

/// Ends of the bundles that the walk is inside of, outermost first.
#[derive(Default)]
struct OpenBundles {
    ends: [usize; MAX_BUNDLE_NESTING],
    depth: usize,
    elements_seen: usize,
}

/// Checks a message whole, or a bundle's header. Returns how many bytes are done with.
fn check_element(element: &[u8], open: &mut OpenBundles, end: usize) -> Result<usize, Reason> {
    if element.is_empty() {
        return Err(Reason::Empty);
    }
    if !element.len().is_multiple_of(4) {
        let what = if open.depth == 0 { "the packet" } else { "a bundle element" };
        return Err(Reason::Unaligned { what, bytes: element.len() });
    }
    if !element.starts_with(BUNDLE_TAG) {
        check_message(element)?;
        return Ok(element.len());
    }
    if element.len() < BUNDLE_HEADER_BYTES {
        return Err(Reason::Truncated("a bundle's time tag"));
    }
    let slot = open.ends.get_mut(open.depth).ok_or(Reason::BundlesTooDeep)?;
    *slot = end;
    open.depth += 1;
    Ok(BUNDLE_HEADER_BYTES)
}

/// Bounds of the element whose length stands at `position`, after leaving the bundles that end there.
fn next_element(
    packet: &[u8],
    position: usize,
    open: &mut OpenBundles,
) -> Result<Option<(usize, usize)>, Refusal> {
    while open.depth > 0 && open.ends[open.depth - 1] == position {
        open.depth -= 1;
    }
    let Some(depth_below) = open.depth.checked_sub(1) else {
        return Ok(None);
    };
    let bundle_rest = &packet[position..open.ends[depth_below]];

    let (length, after) = take_u32(bundle_rest, "a bundle element").map_err(|reason| refuse(&[], reason))?;
    let length = length as usize;
    open.elements_seen += 1;
    if open.elements_seen > MAX_ELEMENTS {
        return Err(refuse(after, Reason::TooManyElements));
    }
    if length == 0 {
        return Err(refuse(&[], Reason::EmptyElement));
    }
    if length > after.len() {
        return Err(refuse(after, Reason::Truncated("a bundle element")));
    }
    Ok(Some((position + 4, position + 4 + length)))
}

fn check_message(message: &[u8]) -> Result<(), Reason> {
    if message[0] != b'/' {
        return Err(Reason::NotOsc);
    }
    let (address, rest) = take_string(message, "the address")?;
    if address.len() > MAX_ADDRESS_BYTES || !address.iter().copied().all(is_address_byte) {
        return Err(Reason::BadAddress(MAX_ADDRESS_BYTES));
    }
    if rest.first() != Some(&b',') {
        return Err(Reason::NoTypeTags);
    }
    let (tags, arguments) = take_string(rest, "the type tag string")?;
    check_arguments(&tags[1..], arguments)
}

fn check_arguments(tags: &[u8], mut rest: &[u8]) -> Result<(), Reason> {
    let count = tags.iter().filter(|&&tag| tag != b']').count();
    if count > MAX_ARGUMENTS || tags.len() > 2 * MAX_ARGUMENTS {
        return Err(Reason::TooManyArguments(count));
    }
    let mut array_depth = 0_usize;
    for &tag in tags {
        match tag {
            b'[' if array_depth == MAX_ARRAY_NESTING => return Err(Reason::ArraysTooDeep),
            b'[' => array_depth += 1,
            b']' => array_depth = array_depth.checked_sub(1).ok_or(Reason::UnbalancedArray)?,
            _ => rest = skip_argument(tag, rest)?,
        }
    }
    if array_depth > 0 {
        return Err(Reason::UnbalancedArray);
    }
    if rest.is_empty() { Ok(()) } else { Err(Reason::LeftOver(rest.len())) }
}

/// What follows the argument that `tag` announces.
fn skip_argument(tag: u8, bytes: &[u8]) -> Result<&[u8], Reason> {
    match tag {
        b'T' | b'F' | b'N' | b'I' => Ok(bytes),
        b'i' | b'f' | b'r' | b'm' => skip(bytes, 4, "an argument"),
        b'h' | b'd' | b't' => skip(bytes, 8, "an argument"),
        b'c' => {
            let (code, rest) = take_u32(bytes, "an argument")?;
            char::from_u32(code).map(|_| rest).ok_or(Reason::NotAChar(code))
        }
        b's' => {
            let (text, rest) = take_string(bytes, "a string argument")?;
            std::str::from_utf8(text).map(|_| rest).map_err(|_| Reason::NotUtf8("a string argument"))
        }
        b'b' => {
            let (length, rest) = take_u32(bytes, "a blob")?;
            skip(rest, u64::from(length).next_multiple_of(4), "a blob")
        }
        unknown => Err(Reason::UnknownTag(char::from(unknown).escape_default().to_string())),
    }
}

/// A string up to its zero byte, and what follows its padding.
fn take_string<'a>(bytes: &'a [u8], what: &'static str) -> Result<(&'a [u8], &'a [u8]), Reason> {
    let end = bytes.iter().position(|&byte| byte == 0).ok_or(Reason::Truncated(what))?;
    let padded = (end + 1).next_multiple_of(4) as u64;
    Ok((&bytes[..end], skip(bytes, padded, what)?))
}

fn take_u32<'a>(bytes: &'a [u8], what: &'static str) -> Result<(u32, &'a [u8]), Reason> {
    let (head, rest) = bytes.split_first_chunk::<4>().ok_or(Reason::Truncated(what))?;
    Ok((u32::from_be_bytes(*head), rest))
}

fn skip<'a>(bytes: &'a [u8], count: u64, what: &'static str) -> Result<&'a [u8], Reason> {
    usize::try_from(count).ok().and_then(|count| bytes.get(count..)).ok_or(Reason::Truncated(what))
}

/// Printable ASCII but for space and `#`; the characters of patterns are welcome.
fn is_address_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'#'
}
