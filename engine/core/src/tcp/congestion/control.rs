//! Which algorithm a connection uses, by its name.

use core::fmt;
use core::str::FromStr;

/// The algorithms, named as in Linux's `tcp_available_congestion_control`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum CongestionControl {
    /// Reno's window with recovery as NewReno does it (RFC 5681, RFC 6582, RFC 3465).
    Reno,
    /// CUBIC, with `HyStart++` in its first slow start (RFC 9438, RFC 9406).
    #[default]
    Cubic,
}

impl CongestionControl {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Cubic, Self::Reno];

    /// The name, as `TCP_CONGESTION` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reno => "reno",
            Self::Cubic => "cubic",
        }
    }
}

impl fmt::Display for CongestionControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No algorithm has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownAlgorithm;

impl fmt::Display for UnknownAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no congestion control of this name: ")?;
        for (place, algorithm) in CongestionControl::ALL.into_iter().enumerate() {
            write!(f, "{}{algorithm}", if place == 0 { "there is " } else { ", " })?;
        }
        Ok(())
    }
}

impl core::error::Error for UnknownAlgorithm {}

impl FromStr for CongestionControl {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name).ok_or(UnknownAlgorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn names_are_those_of_linux() {
        for algorithm in CongestionControl::ALL {
            assert_eq!(algorithm.name().parse(), Ok(algorithm));
        }
        let error = "vegas".parse::<CongestionControl>().unwrap_err();
        assert_eq!(error.to_string(), "no congestion control of this name: there is cubic, reno");
    }
}
