//! Attack types: the classes under which a finding is reported.

use serde::{Deserialize, Serialize};

/// Declares the attack types once: variant, wire code, CWE, OWASP category, human name.
macro_rules! attack_types {
    ($($variant:ident = $code:literal, $cwe:literal, $owasp:literal, $name:literal;)*) => {
        /// The class of an attack. Codes are those that users of comparable nodes already filter by.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum AttackType { $(#[doc = $name] #[serde(rename = $code)] $variant,)* }

        impl AttackType {
            /// Every attack type, in declaration order.
            pub const ALL: &'static [AttackType] = &[$(AttackType::$variant,)*];

            /// Stable wire code, e.g. `sqli`.
            pub const fn code(self) -> &'static str { match self { $(AttackType::$variant => $code,)* } }

            /// The CWE entry that describes the weakness under attack; 0 where none fits.
            pub const fn cwe(self) -> u32 { match self { $(AttackType::$variant => $cwe,)* } }

            /// OWASP Top 10 (2021) or OWASP API Security Top 10 (2023) category.
            pub const fn owasp(self) -> &'static str { match self { $(AttackType::$variant => $owasp,)* } }

            /// Name for people.
            pub const fn name(self) -> &'static str { match self { $(AttackType::$variant => $name,)* } }

            /// The attack type with this wire code.
            pub fn from_code(code: &str) -> Option<AttackType> {
                match code { $($code => Some(AttackType::$variant),)* _ => None }
            }
        }
    };
}

attack_types! {
    Sqli = "sqli", 89, "A03:2021", "SQL injection";
    Xss = "xss", 79, "A03:2021", "Cross-site scripting";
    Rce = "rce", 78, "A03:2021", "Remote code execution";
    Ptrav = "ptrav", 22, "A01:2021", "Path traversal";
    Crlf = "crlf", 93, "A03:2021", "CRLF injection";
    Nosqli = "nosqli", 943, "A03:2021", "NoSQL injection";
    Ldapi = "ldapi", 90, "A03:2021", "LDAP or XPath injection";
    Ssi = "ssi", 97, "A03:2021", "Server-side include injection";
    Ssti = "ssti", 1336, "A03:2021", "Server-side template injection";
    Xxe = "xxe", 611, "A05:2021", "XML external entity";
    Redir = "redir", 601, "A01:2021", "Open redirect";
    Ssrf = "ssrf", 918, "A10:2021", "Server-side request forgery";
    MailInjection = "mail_injection", 93, "A03:2021", "Email header injection";
    MassAssignment = "mass_assignment", 915, "API3:2023", "Mass assignment or prototype pollution";
    Scanner = "scanner", 200, "API8:2023", "Resource scanning";
    Infoleak = "infoleak", 200, "A01:2021", "Information exposure";
    DataBomb = "data_bomb", 409, "API4:2023", "Decompression or entity bomb";
    OverlimitRes = "overlimit_res", 400, "API4:2023", "Inspection limit exceeded";
    InvalidXml = "invalid_xml", 20, "A05:2021", "Invalid XML";
    Protocol = "protocol", 444, "A05:2021", "HTTP protocol anomaly";
    FileUploadViolation = "file_upload_violation", 434, "A04:2021", "File upload policy violation";
    GqlDepth = "gql_depth", 674, "API4:2023", "GraphQL query depth";
    GqlValueSize = "gql_value_size", 770, "API4:2023", "GraphQL value size";
    GqlAliases = "gql_aliases", 770, "API4:2023", "GraphQL alias count";
    GqlDocSize = "gql_doc_size", 770, "API4:2023", "GraphQL document size";
    GqlDocsPerBatch = "gql_docs_per_batch", 770, "API4:2023", "GraphQL batch size";
    GqlIntrospection = "gql_introspection", 200, "API8:2023", "GraphQL introspection";
    GqlDebug = "gql_debug", 489, "API8:2023", "GraphQL debug mode";
    Brute = "brute", 307, "API2:2023", "Brute force";
    CredentialStuffing = "credential_stuffing", 307, "API2:2023", "Credential stuffing";
    ForcedBrowsing = "dirbust", 425, "API8:2023", "Forced browsing";
    Bola = "bola", 639, "API1:2023", "Enumeration of objects (BOLA)";
    RateLimit = "rate_limit", 770, "API4:2023", "Rate limit exceeded";
    KnownExploit = "cve", 1395, "A06:2021", "Exploit of a known vulnerability";
    Vpatch = "vpatch", 0, "", "Virtual patch";
    BlockedSource = "blocked_source", 0, "", "Denylisted source";
}

impl std::fmt::Display for AttackType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::AttackType;

    #[test]
    fn codes_are_unique_and_round_trip() {
        let mut seen = std::collections::HashSet::new();
        for &kind in AttackType::ALL {
            assert!(seen.insert(kind.code()), "duplicate code {kind}");
            assert_eq!(AttackType::from_code(kind.code()), Some(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        }
    }
}
