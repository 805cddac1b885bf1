//! What the ranges of the IPv4 and IPv6 address space are, and which IPv4 addresses hide inside IPv6 ones. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::Ipv6Net;

use super::guard::Refusal;

/// IPv4 ranges that no public origin lives in (IANA special-purpose registry, RFC 6890): base, prefix length, name.
const RESERVED_V4: &[([u8; 4], u32, &str)] = &[
    ([0, 0, 0, 0], 8, "an address of \"this network\""),
    ([10, 0, 0, 0], 8, "a private address"),
    ([100, 64, 0, 0], 10, "an address behind carrier-grade NAT"),
    ([127, 0, 0, 0], 8, "a loopback address"),
    ([172, 16, 0, 0], 12, "a private address"),
    ([192, 0, 0, 0], 24, "an address for protocol assignments"),
    ([192, 0, 2, 0], 24, "a documentation address"),
    ([192, 88, 99, 0], 24, "a 6to4 relay address"),
    ([192, 168, 0, 0], 16, "a private address"),
    ([198, 18, 0, 0], 15, "a benchmarking address"),
    ([198, 51, 100, 0], 24, "a documentation address"),
    ([203, 0, 113, 0], 24, "a documentation address"),
    ([224, 0, 0, 0], 4, "a multicast address"),
    ([240, 0, 0, 0], 4, "a reserved or broadcast address"),
];

/// IPv6 ranges that no public origin lives in. What lies outside 2000::/3 is refused besides: nothing there is global unicast.
const RESERVED_V6: &[([u16; 8], u32, &str)] = &[
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, "the unspecified address"),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, "a loopback address"),
    ([0, 0, 0, 0, 0, 0, 0, 0], 96, "an IPv4-compatible address"),
    ([0, 0, 0, 0, 0xffff, 0, 0, 0], 96, "an IPv4-translated address"),
    ([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "a discard address"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "a Teredo address"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "an address for protocol assignments"),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "a documentation address"),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "a 6to4 address"),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "a documentation address"),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "a unique local address"),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "a site-local address"),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "a multicast address"),
];

/// Addresses that hand out a cloud machine's credentials. Link-local ones are covered as a class.
const METADATA_V4: &[([u8; 4], u32)] = &[
    ([169, 254, 0, 0], 16),     // link-local: AWS, GCP, Azure, Oracle and others at .169.254
    ([100, 100, 100, 200], 32), // Alibaba Cloud
    ([168, 63, 129, 16], 32),   // Azure's host agent, a public address that is none
    ([192, 0, 0, 192], 32),     // Oracle Cloud, first generation
];
const METADATA_V6: &[([u16; 8], u32)] = &[
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),         // link-local
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32),     // AWS: ::254 metadata, ::253 DNS, ::123 time
    ([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), // GCP
    ([0xfd00, 0xc1, 0, 0, 0, 0, 0, 0], 32),      // Oracle Cloud
];

/// The well-known and the local-use NAT64 prefix (RFC 6052, RFC 8215).
const NAT64: &[([u16; 8], u32)] = &[([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48)];

/// Every address that a packet to one address may end up at: itself and what is embedded in it.
pub(super) struct Faces([Option<IpAddr>; 3]);

impl Faces {
    /// Takes `address` apart.
    ///
    /// An IPv4-mapped address, and one under the configured NAT64 prefix, *is* its IPv4 address. In 6to4, Teredo, ISATAP,
    /// IPv4-compatible and IPv4-translated addresses (RFC 3056, 4380, 5214, 4291, 2765) a relay may unwrap the embedded
    /// one, so both must pass.
    ///
    /// # Errors
    /// [`Refusal::Nat64`] for a NAT64 address that no configured prefix explains.
    pub(super) fn of(address: IpAddr, nat64_prefix: Option<Ipv6Net>) -> Result<Faces, Refusal> {
        let v6 = match address {
            IpAddr::V4(_) => return Ok(Faces([Some(address), None, None])),
            IpAddr::V6(v6) => v6,
        };
        let only = |v4: Ipv4Addr| Ok(Faces([Some(v4.into()), None, None]));
        let both = |v4: Ipv4Addr| Ok(Faces([Some(address), Some(v4.into()), None]));
        if let Some(v4) = v6.to_ipv4_mapped() {
            return only(v4);
        }
        if let Some(prefix) = nat64_prefix.filter(|prefix| prefix.contains(&v6)) {
            return only(nat64_embedded(v6, prefix.prefix_len()).ok_or(Refusal::Nat64)?);
        }
        if NAT64.iter().any(|(base, length)| v6_within(v6, *base, *length)) {
            return Err(Refusal::Nat64);
        }
        let bits = v6.to_bits();
        match v6.segments() {
            [0x2002, ..] => both(Ipv4Addr::from_bits((bits >> 80) as u32)),
            [0x2001, 0, ..] => {
                // The client's address is stored inverted, its server's as it is (RFC 4380 §4).
                let client = Ipv4Addr::from_bits(!(bits as u32));
                let server = Ipv4Addr::from_bits((bits >> 64) as u32);
                Ok(Faces([Some(address), Some(client.into()), Some(server.into())]))
            }
            [_, _, _, _, 0 | 0x200, 0x5efe, ..] | [0, 0, 0, 0, 0, 0, 1..=0xffff, _] | [0, 0, 0, 0, 0xffff, 0, ..] => {
                both(Ipv4Addr::from_bits(bits as u32))
            }
            _ => Ok(Faces([Some(address), None, None])),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = IpAddr> {
        self.0.iter().copied().flatten()
    }
}

/// Whether this is link-local or a cloud's metadata service: never to be asked, whatever is allowed.
pub(super) fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => METADATA_V4.iter().any(|(base, length)| v4_within(v4, *base, *length)),
        IpAddr::V6(v6) => METADATA_V6.iter().any(|(base, length)| v6_within(v6, *base, *length)),
    }
}

/// What kind of address this is, if it is not one of the public internet.
pub(super) fn reserved(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => {
            RESERVED_V4.iter().find(|(base, length, _)| v4_within(v4, *base, *length)).map(|(_, _, name)| *name)
        }
        IpAddr::V6(v6) => {
            let named = RESERVED_V6.iter().find(|(base, length, _)| v6_within(v6, *base, *length));
            match (named, v6.segments()) {
                (Some((_, _, name)), _) => Some(name),
                (None, [_, _, _, _, 0 | 0x200, 0x5efe, ..]) => Some("an ISATAP address"),
                (None, [0x2000..=0x3fff, ..]) => None,
                (None, _) => Some("an address outside the public internet"),
            }
        }
    }
}

/// The IPv4 address inside an RFC 6052 address (§2.2): bits 64 to 71 are skipped. `None` for a length that has no such form.
fn nat64_embedded(address: Ipv6Addr, prefix_length: u8) -> Option<Ipv4Addr> {
    let bits = address.to_bits();
    // The 64 bits below the prefix, then the u-octet taken out of them.
    let after = |skip: u32| (bits << skip >> 64) as u64;
    let value = match prefix_length {
        32 => (bits >> 64) as u32,
        40 | 48 | 56 => {
            let before_u = 64 - u32::from(prefix_length);
            let high = (after(u32::from(prefix_length)) >> (64 - before_u)) as u32;
            let low_bits = 32 - before_u;
            let low = (after(72) >> (64 - low_bits)) as u32;
            high << low_bits | low
        }
        64 => (after(72) >> 32) as u32,
        96 => bits as u32,
        _ => return None,
    };
    Some(Ipv4Addr::from_bits(value))
}

fn v4_within(address: Ipv4Addr, base: [u8; 4], length: u32) -> bool {
    let differing = address.to_bits() ^ Ipv4Addr::from(base).to_bits();
    differing.leading_zeros() >= length
}

fn v6_within(address: Ipv6Addr, base: [u16; 8], length: u32) -> bool {
    let differing = address.to_bits() ^ Ipv6Addr::from(base).to_bits();
    differing.leading_zeros() >= length
}
