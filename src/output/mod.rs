//! Step 7 of 7: the mix, to a device ([`device`]), a timer ([`null`]), chosen by [`clock`] and kept alive by [`failover`], or a file ([`record`], [`wav`]; [`tap`] begins and ends that while it plays).

pub mod clock;
pub mod device;
pub mod device_error;
mod device_format;
pub mod failover;
pub mod null;
pub mod record;
pub mod tap;
pub mod wav;
