//! Location and type of a client address.

use std::fmt;

/// A short upper-case ASCII code of at most `N` bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code<const N: usize>([u8; N]);

/// Country: ISO 3166-1 alpha-2, e.g. `DE`.
pub type Country = Code<2>;
/// Region: ISO 3166-2, e.g. `DE-BY` or `GB-ENG`.
pub type Region = Code<6>;

impl<const N: usize> Code<N> {
    /// The code in `text`, in upper case; `None` unless it has 1 to `N` letters, digits and dashes.
    pub fn new(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let fits =
            !bytes.is_empty() && bytes.len() <= N && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
        fits.then(|| {
            let mut code = [0; N];
            code[..bytes.len()].copy_from_slice(bytes);
            code.make_ascii_uppercase();
            Self(code)
        })
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|&b| b == 0).unwrap_or(N);
        std::str::from_utf8(&self.0[..len]).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Display for Code<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for Code<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Codes of source types, in the order of their bits in [`SourceKinds`]: the documented proxy types, then the
/// documented data centres.
pub const SOURCE_KINDS: &[&str] = &[
    "dch",
    "mip",
    "pub",
    "web",
    "ses",
    "tor",
    "vpn",
    "alibaba",
    "aws",
    "azure",
    "docean",
    "gce",
    "hetzner",
    "huawei",
    "ibm",
    "linode",
    "oracle",
    "ovh",
    "plusserver",
    "rackspace",
    "tencent",
];

/// A set of source types: what kind of network or service the address belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SourceKinds(u32);

impl SourceKinds {
    /// The empty set.
    pub const NONE: SourceKinds = SourceKinds(0);

    /// The single type called `code` (any case), e.g. `TOR` or `aws`.
    pub fn from_code(code: &str) -> Option<SourceKinds> {
        let bit = SOURCE_KINDS.iter().position(|known| known.eq_ignore_ascii_case(code))?;
        Some(SourceKinds(1 << bit))
    }

    /// The union of both.
    pub const fn with(self, other: SourceKinds) -> SourceKinds {
        SourceKinds(self.0 | other.0)
    }

    /// Whether any member is shared.
    pub const fn intersects(self, other: SourceKinds) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there is no member.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Numbers of the members in [`SOURCE_KINDS`].
    pub fn members(self) -> impl Iterator<Item = usize> {
        (0..SOURCE_KINDS.len()).filter(move |bit| self.0 & (1 << bit) != 0)
    }
}

/// Location and type of the client's address, from the databases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Country of the address.
    pub country: Option<Country>,
    /// Region of the address.
    pub region: Option<Region>,
    /// Autonomous system that announces the address.
    pub asn: Option<u32>,
    /// Types of the source.
    pub kinds: SourceKinds,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_fold_and_bound() {
        assert_eq!(Country::new("de").unwrap().as_str(), "DE");
        assert_eq!(Region::new("gb-eng").unwrap().to_string(), "GB-ENG");
        assert_eq!(Region::new("DE-B").unwrap().as_str(), "DE-B");
        for bad in ["", "DEU", "D\0", "é"] {
            assert!(Country::new(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn kinds_are_a_set_of_unique_codes() {
        assert!(SOURCE_KINDS.len() <= 32);
        let all = SOURCE_KINDS.iter().fold(SourceKinds::NONE, |all, code| {
            let one = SourceKinds::from_code(&code.to_uppercase()).unwrap();
            assert!(!all.intersects(one), "{code} twice");
            all.with(one)
        });
        assert_eq!(all.members().count(), SOURCE_KINDS.len());
        assert_eq!(SourceKinds::from_code("carrier"), None);
    }
}
