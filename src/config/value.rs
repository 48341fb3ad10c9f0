//! A raw value -> what a setting holds; `None` if it will not do.

use super::AudioClock;
use super::layer::Raw;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

pub(super) fn replace<T>(place: &mut T, value: Option<T>) -> bool {
    value.map(|value| *place = value).is_some()
}

pub(super) fn whole<T: TryFrom<i64>>(raw: &Raw) -> Option<T> {
    match raw {
        Raw::Whole(number) => T::try_from(*number).ok(),
        _ => None,
    }
}

pub(super) fn truth(raw: &Raw) -> Option<bool> {
    match raw {
        Raw::Truth(is_true) => Some(*is_true),
        _ => None,
    }
}

pub(super) fn text(raw: &Raw) -> Option<String> {
    match raw {
        Raw::Text(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

pub(super) fn path(raw: &Raw) -> Option<PathBuf> {
    match raw {
        Raw::Path(path) => Some(path.clone()),
        _ => text(raw).map(PathBuf::from),
    }
}

/// Several paths, or one.
pub(super) fn paths(raw: &Raw) -> Option<Vec<PathBuf>> {
    match raw {
        Raw::List(list) => Some(list.iter().map(PathBuf::from).collect()),
        one => path(one).map(|path| vec![path]),
    }
}

/// Several texts, or one.
pub(super) fn texts(raw: &Raw) -> Option<Vec<String>> {
    match raw {
        Raw::List(list) => Some(list.clone()),
        one => text(one).map(|text| vec![text]),
    }
}

pub(super) fn shown_list<T>(list: &[T], show: impl Fn(&T) -> String) -> String {
    if list.is_empty() {
        return "(none)".to_owned();
    }
    list.iter().map(show).collect::<Vec<_>>().join(" ")
}

pub(super) fn shown_folder(folder: Option<&Path>) -> String {
    folder.map_or_else(|| "(none: HOME is not set)".to_owned(), |folder| folder.display().to_string())
}

pub(super) fn clock(raw: &Raw) -> Option<AudioClock> {
    let name = text(raw)?;
    AudioClock::ALL.into_iter().find(|clock| clock.name() == name)
}

pub(super) fn address(raw: &Raw) -> Option<SocketAddr> {
    parse_address(&text(raw)?)
}

/// `ADDRESS:PORT`, `localhost:PORT`, or a port of this machine alone.
pub fn parse_address(text: &str) -> Option<SocketAddr> {
    let port = text.strip_prefix("localhost:").unwrap_or(text);
    let loopback = port.parse::<u16>().ok().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    loopback.or_else(|| text.parse().ok())
}

pub(super) fn networks(raw: &Raw) -> Option<Vec<IpNet>> {
    match raw {
        Raw::List(list) => list.iter().map(|network| one_network(network)).collect(),
        Raw::Text(network) => one_network(network).map(|network| vec![network]),
        _ => None,
    }
}

fn one_network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

pub(super) fn shown_networks(networks: &[IpNet]) -> String {
    if networks.is_empty() {
        return "(this machine)".to_owned();
    }
    networks.iter().map(IpNet::to_string).collect::<Vec<_>>().join(" ")
}

/// It becomes part of file names, so it may not wander.
pub(super) fn session(raw: &Raw) -> Option<String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text(raw).filter(|name| name.len() <= 32 && name.bytes().all(is_allowed))
}
