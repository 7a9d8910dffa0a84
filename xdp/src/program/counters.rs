//! The program's counters: one per verdict.

use std::fmt;

macro_rules! verdicts {
    ($($variant:ident $field:ident $doc:literal,)*) => {
        /// What the program decided about a frame; the number is the index of its counter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Verdict {
            $(#[doc = $doc] $variant,)*
        }

        impl Verdict {
            /// All verdicts, in the order of their numbers (`enum verdict` in `bywash.bpf.c`).
            pub const ALL: [Self; [$(stringify!($variant)),*].len()] = [$(Self::$variant),*];
        }

        /// Frames by verdict.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $(#[doc = $doc] pub $field: u64,)*
        }

        impl Counters {
            /// The counter of a verdict.
            pub fn of(&self, verdict: Verdict) -> u64 {
                match verdict {
                    $(Verdict::$variant => self.$field,)*
                }
            }

            pub(super) fn of_mut(&mut self, verdict: Verdict) -> &mut u64 {
                match verdict {
                    $(Verdict::$variant => &mut self.$field,)*
                }
            }
        }

        /// `name=count` for each counter that is not zero.
        impl fmt::Display for Counters {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                let all = [$((stringify!($field), self.$field)),*];
                let mut separator = "";
                for (name, count) in all.into_iter().filter(|(_, count)| *count > 0) {
                    write!(formatter, "{separator}{name}={count}")?;
                    separator = " ";
                }
                Ok(())
            }
        }
    };
}

verdicts! {
    PassNotIp pass_not_ip "Passed: neither IPv4, IPv6 nor ARP.",
    PassNotOurs pass_not_ours "Passed: for an address that is not ours.",
    PassSharedOther pass_shared_other "Passed: for a shared address, but not TCP or an ICMP error of ours.",
    PassMalformed pass_malformed "Passed: a header is truncated or contradicts itself.",
    RedirectOwnedTcp redirect_owned_tcp "To our socket: TCP to an owned address.",
    RedirectOwnedIcmp redirect_owned_icmp "To our socket: ICMP or `ICMPv6` to an owned address.",
    RedirectOwnedArp redirect_owned_arp "To our socket: ARP for an owned address.",
    RedirectOwnedNd redirect_owned_nd "To our socket: neighbour discovery for an owned address.",
    RedirectOwnedOther redirect_owned_other "To our socket: fragments and other protocols to an owned address.",
    RedirectSharedTcp redirect_shared_tcp "To our socket: TCP to a port that is ours on a shared address.",
    RedirectSharedIcmpError redirect_shared_icmp_error "To our socket: an ICMP error that quotes TCP of ours.",
    DropNoSocket drop_no_socket "Dropped: ours, but no socket reads this queue.",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_c_enumeration() {
        let source = include_str!("../../bpf/bywash.bpf.c");
        let (_, rest) = source.split_once("enum verdict {").unwrap();
        let (body, _) = rest.split_once("VERDICTS,").unwrap();
        let names: Vec<String> = body
            .split(',')
            .map(|name| name.trim().replace('_', "").to_lowercase())
            .filter(|name| !name.is_empty())
            .collect();
        let ours: Vec<String> =
            Verdict::ALL.iter().map(|verdict| format!("{verdict:?}").to_lowercase()).collect();
        assert_eq!(names, ours);
        for (number, verdict) in Verdict::ALL.into_iter().enumerate() {
            assert_eq!(verdict as usize, number);
        }
    }

    #[test]
    fn display_names_what_was_counted() {
        let mut counters = Counters::default();
        assert_eq!(counters.to_string(), "");
        *counters.of_mut(Verdict::PassNotIp) = 3;
        *counters.of_mut(Verdict::DropNoSocket) = 1;
        assert_eq!(counters.to_string(), "pass_not_ip=3 drop_no_socket=1");
        assert_eq!(counters.of(Verdict::PassNotIp), 3);
    }
}
