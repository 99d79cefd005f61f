//! Code pages of EBCDIC by the names that Java, Python and .NET know.

use super::ebcdic::*;

/// Names by which IANA calls a page of a country or a script, behind `ebcdic-` and `ebcdic-cp-`.
const PLACES: &[(&[u8], u16)] = &[
    (b"us", 37),
    (b"ca", 37),
    (b"nl", 37),
    (b"wt", 37),
    (b"dk", 277),
    (b"no", 277),
    (b"fi", 278),
    (b"se", 278),
    (b"sv", 278),
    (b"it", 280),
    (b"es", 284),
    (b"gb", 285),
    (b"jp-kana", 290),
    (b"fr", 297),
    (b"ar1", 420),
    (b"he", 424),
    (b"be", 500),
    (b"bh", 500),
    (b"ch", 500),
    (b"roece", 870),
    (b"yu", 870),
    (b"is", 871),
    (b"ar2", 918),
];

/// What registries put before a name.
const LEADS: &[&[u8]] = &[b"cs-", b"cs", b"x-"];
/// What vendors put before a number.
const VENDORS: &[&[u8]] = &[b"cpibm", b"ccsid", b"ibm", b"cp"];

/// The table of a label in lower case: `ibm037`, `cp037`, `csIBM037`, `x-IBM833`, `ccsid01140`, `037`, `ebcdic-cp-fr`,
/// `ebcdic-de-273+euro`.
pub(super) fn of(label: &[u8]) -> Option<&'static [u8; 256]> {
    let label = LEADS.iter().find_map(|lead| label.strip_prefix(*lead)).unwrap_or(label);
    let number = match label.strip_prefix(b"ebcdic-") {
        Some(place) => place_of(place.strip_prefix(b"cp-").unwrap_or(place))?,
        None => numbered(label)?,
    };
    table(number)
}

/// The number of a page with the name of a place, which may say its number.
fn place_of(place: &[u8]) -> Option<u16> {
    let named = PLACES.iter().find(|(name, _)| *name == place).map(|(_, number)| *number);
    named.or_else(|| {
        let bare = place.strip_suffix(b"+euro").unwrap_or(place);
        digits(bare.rsplit(|&b| b == b'-').next()?)
    })
}

/// The number behind the letters of a vendor.
fn numbered(label: &[u8]) -> Option<u16> {
    if label == b"ibm-thai" {
        return Some(838);
    }
    let vendor = VENDORS.iter().find_map(|lead| label.strip_prefix(*lead)).unwrap_or(label);
    digits(vendor.strip_prefix(b"-").unwrap_or(vendor))
}

fn digits(text: &[u8]) -> Option<u16> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The table of a page. Pages with the sign of the Euro have a number of their own, and the same ASCII.
fn table(number: u16) -> Option<&'static [u8; 256]> {
    match number {
        37 | 424 | 937 | 1097 | 1112 | 1140 => Some(&IBM037),
        273 | 1141 => Some(&IBM273),
        277 | 1142 => Some(&IBM277),
        278 | 1122 | 1143 => Some(&IBM278),
        280 | 1144 => Some(&IBM280),
        284 | 1145 => Some(&IBM284),
        285 | 1146 => Some(&IBM285),
        290 | 930 => Some(&IBM290),
        297 | 1147 => Some(&IBM297),
        420 => Some(&IBM420),
        500 | 1148 => Some(&IBM500),
        833 | 933 | 1364 => Some(&IBM833),
        838 => Some(&IBM838),
        870 | 875 | 1025 | 1123 | 1166 => Some(&IBM870),
        871 | 1149 => Some(&IBM871),
        918 => Some(&IBM918),
        935 => Some(&IBM935),
        1026 => Some(&IBM1026),
        939 | 1047 => Some(&IBM1047),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_page() {
        for (label, page) in [
            ("037", &IBM037),
            ("cpibm37", &IBM037),
            ("cs-ebcdic-cp-us", &IBM037),
            ("ccsid01140", &IBM037),
            ("ebcdic-us-037+euro", &IBM037),
            ("x-ibm1112", &IBM037),
            ("csibm297", &IBM297),
            ("ebcdic-sv", &IBM278),
            ("ebcdic-jp-kana", &IBM290),
            ("ebcdic-international-500+euro", &IBM500),
            ("ibm-thai", &IBM838),
            ("1166", &IBM870),
            ("ibm-1047", &IBM1047),
        ] {
            assert_eq!(of(label.as_bytes()), Some(page), "{label}");
        }
        for label in ["", "cp1252", "ibm866", "850", "ebcdic-", "ebcdic-cp-xx", "x-37-", "utf-8", "ibm", "cs"] {
            assert_eq!(of(label.as_bytes()), None, "{label}");
        }
    }
}
