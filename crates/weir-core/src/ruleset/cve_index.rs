//! Known vulnerabilities whose exploits the rules block: the index that comes with them.

use serde::Serialize;

/// A known vulnerability and the rule that blocks its exploit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CveEntry {
    /// Number, e.g. `CVE-2025-29927`.
    pub cve: String,
    /// Product that has the vulnerability.
    pub product: String,
    /// Signature or detector that blocks the exploit.
    pub by: String,
    /// Public description of the vulnerability.
    pub source: String,
    /// A request that exploits it, which the rule must report: head and body as in HTTP/1.1, lines ending in LF.
    pub request: String,
}

impl CveEntry {
    /// Whether `text` is the number of a vulnerability: `CVE-`, a year, `-` and four digits or more.
    pub fn is_cve(text: &str) -> bool {
        let digits = |text: &str, fewest: usize| text.len() >= fewest && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.strip_prefix("CVE-").and_then(|rest| rest.split_once('-'));
        number.is_some_and(|(year, number)| year.len() == 4 && digits(year, 4) && digits(number, 4))
    }

    /// The request as a client sends it: the lines of its head end in CR LF, the body has no line end behind it.
    pub fn raw_request(&self) -> Vec<u8> {
        let (head, body) = self.request.split_once("\n\n").unwrap_or((self.request.trim_end_matches('\n'), ""));
        let mut raw = head.replace('\n', "\r\n").into_bytes();
        raw.extend_from_slice(b"\r\n\r\n");
        raw.extend_from_slice(body.strip_suffix('\n').unwrap_or(body).as_bytes());
        raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_recognised() {
        assert!(["CVE-2025-29927", "CVE-1999-0001", "CVE-2024-1234567"].into_iter().all(CveEntry::is_cve));
        assert!(
            ["cve-2025-29927", "CVE-25-29927", "CVE-2025-123", "CVE-2025-12a4", ""]
                .iter()
                .all(|t| !CveEntry::is_cve(t))
        );
    }

    #[test]
    fn requests_are_written_as_clients_send_them() {
        let of = |request: &str| {
            let text = String::new;
            let entry = CveEntry { cve: text(), product: text(), by: text(), source: text(), request: request.into() };
            String::from_utf8(entry.raw_request()).unwrap()
        };
        assert_eq!(of("GET / HTTP/1.1\nHost: a\n"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(of("POST / HTTP/1.1\nHost: a\n\nx\n\ny\n"), "POST / HTTP/1.1\r\nHost: a\r\n\r\nx\n\ny");
    }
}
