//! Members of JSON that tell a deserialiser which class to make an object of (CWE-502).
//!
//! `@type` of Fastjson, `@class` and arrays of Jackson, `$type` of Json.NET. Other formats use the same names for types of
//! their own, so the value decides: the qualified name of a class of Java, or a class of .NET that runs or reads something.

use super::{Detector, Match, Samples, Subject, work};
use crate::model::{AttackType, ByteClassFilter, ByteClasses, Confidence, Key, Tag, Zone};

/// The detector.
pub const DETECTOR: Detector = Detector {
    name: "rce.type-member",
    attack: AttackType::Rce,
    about: "A JSON member or array that tells a deserialiser of Java or .NET which class to make an object of",
    zones: Zone::PARAMETERS.with(Zone::HEADER),
    filter: ByteClassFilter::any(ByteClasses::DOT).and(ByteClasses::ALPHA),
    run,
    samples: Samples {
        positive: &[
            r#"{"@type":"com.sun.rowset.JdbcRowSetImpl"}"#,
            r#"{"a": {"@type" : "Lorg.apache.shiro.jndi.JndiObjectFactory;"}}"#,
            r#"{"@class":"org.springframework.context.support.ClassPathXmlApplicationContext"}"#,
            r#"{"$type":"System.IO.FileInfo, mscorlib"}"#,
            r#"["ch.qos.logback.core.db.DriverManagerConnectionSource", {"url":"x"}]"#,
        ],
        negative: &[
            r#"{"@type":"Person"}"#,
            r#"{"@type":"type.googleapis.com/google.protobuf.Any"}"#,
            r#"{"@type":"https://schema.org/Thing"}"#,
            r#"{"@type":"com.example"}"#,
            r#"{"$type":"Shop.Models.Cart, Shop"}"#,
            r#"{"$type":"app.bsky.feed.post"}"#,
            r#"{"type":"org.example.Event"}"#,
            r#"["java", "go"]"#,
            r#"["com.example.App", "x"]"#,
            "com.sun.rowset",
        ],
    },
};

/// Most bytes of the name of a class.
const MAX_CLASS: usize = 160;
/// Members that name a class.
const MEMBERS: &[&[u8]] = &[b"@type", b"@class", b"$type"];
/// First packages of classes.
const ROOTS: &[&[u8]] = &[
    b"java", b"javax", b"com", b"org", b"net", b"sun", b"ch", b"oracle", b"br", b"jdk", b"groovy", b"lombok", b"io",
    b"oadd", b"jakarta",
];
/// Packages with classes of which published chains are made.
const GADGETS: &[&[u8]] = &[
    b"java.",
    b"javax.",
    b"sun.",
    b"com.sun.",
    b"com.mchange.",
    b"com.zaxxer.",
    b"com.alibaba.",
    b"com.p6spy.",
    b"com.newrelic.",
    b"com.pastdev.",
    b"com.oracle.",
    b"oracle.jdbc.",
    b"org.apache.",
    b"org.springframework.",
    b"org.jboss.",
    b"org.hibernate.",
    b"org.h2.",
    b"org.aoju.",
    b"org.docx4j.",
    b"ch.qos.logback.",
    b"oadd.",
    b"br.com.",
    b"net.sf.",
    b"com.nqadmin.",
    b"org.arrah.",
    b"com.caucho.",
];
/// Namespaces of .NET with classes that run programs, load code, or reach files and hosts; lower case.
const NAMESPACES: &[&[u8]] = &[
    b"system.io.",
    b"system.windows.",
    b"system.diagnostics.",
    b"system.configuration.",
    b"system.management.",
    b"system.web.",
    b"system.activities.",
    b"system.security.",
    b"system.workflow.",
    b"system.xaml.",
    b"system.drawing.",
    b"system.runtime.",
    b"system.reflection.",
    b"system.identitymodel.",
    b"system.data.services.",
    b"microsoft.exchange.",
    b"microsoft.visualstudio.",
    b"microsoft.identitymodel.",
];

fn run(subject: &Subject<'_>) -> Option<Match> {
    let text = subject.bytes;
    let found = if matches!(text.first(), Some(b'{' | b'[')) {
        in_json(text)
    } else {
        is_member(subject).then_some((0, text.len()))
    };
    found.map(|(start, end)| Match { confidence: Confidence::High, start, end })
}

/// Whether the value is a class, at a member that names one or at the head of an array.
fn is_member(subject: &Subject<'_>) -> bool {
    let class = subject.bytes;
    if class.len() > MAX_CLASS || !(is_java(class) || is_dotnet(class)) {
        return false;
    }
    let step = subject.ancestors().next();
    step.is_some_and(|step| match step.key {
        Key::Name(name) => MEMBERS.contains(&name),
        Key::Index(0) => step.tag == Tag::Array && is_gadget(class),
        _ => false,
    })
}

/// The first member of JSON text, or its first element, that names a class.
fn in_json(text: &[u8]) -> Option<(usize, usize)> {
    if let Some(rest) = text.strip_prefix(b"[") {
        let at = text.len() - rest.trim_ascii_start().len();
        let class = quoted(&text[at..]).filter(|class| is_gadget(class) && is_java(class));
        if let Some(class) = class {
            return Some((at, at + class.len() + 2));
        }
    }
    let mut from = 0;
    while let Some(offset) = memchr::memchr2(b'@', b'$', &text[from..]) {
        let at = from + offset;
        work::count(offset + 1);
        from = at + 1;
        let Some(member) = MEMBERS.iter().find(|name| text[at..].starts_with(name)) else { continue };
        let rest = &text[at + member.len()..];
        let Some(rest) = rest.strip_prefix(b"\"").or(rest.strip_prefix(b"'")) else { continue };
        let blanks = |rest: &[u8]| rest.iter().take(8).take_while(|b| b.is_ascii_whitespace()).count();
        let Some(rest) = rest[blanks(rest)..].strip_prefix(b":") else { continue };
        let rest = &rest[blanks(rest)..];
        let class = quoted(rest).filter(|class| is_java(class) || is_dotnet(class));
        if let Some(class) = class {
            return Some((at, text.len() - rest.len() + class.len() + 2));
        }
    }
    None
}

/// The text between quotes at the beginning of `text`.
fn quoted(text: &[u8]) -> Option<&[u8]> {
    let quote = *text.first().filter(|b| matches!(b, b'"' | b'\''))?;
    let text = &text[1..text.len().min(MAX_CLASS + 2)];
    work::count(text.len());
    memchr::memchr(quote, text).map(|end| &text[..end])
}

/// Whether a text is the qualified name of a class of Java: packages in lower case, then a name with a capital.
fn is_java(class: &[u8]) -> bool {
    // A name of a package, and behind its last dot that of a class.
    if !class.rsplit(|b| *b == b'.').next().is_some_and(|name| name.first().is_some_and(u8::is_ascii_uppercase)) {
        return false;
    }
    let class = class.strip_prefix(b"[").unwrap_or(class);
    let class = class.strip_suffix(b";").and_then(|class| class.strip_prefix(b"L")).unwrap_or(class);
    let mut parts = class.split(|b| *b == b'.');
    work::count(class.len());
    let (Some(root), Some(name)) = (parts.next(), parts.next_back()) else { return false };
    let word =
        |part: &[u8]| !part.is_empty() && part.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$'));
    ROOTS.contains(&root) && name.first().is_some_and(u8::is_ascii_uppercase) && word(name) && parts.all(word)
}

/// Whether a class is of a package of which chains are made.
fn is_gadget(class: &[u8]) -> bool {
    GADGETS.iter().any(|package| class.starts_with(package))
}

/// Whether a text names a class of .NET that is harmful to make.
fn is_dotnet(class: &[u8]) -> bool {
    work::count(class.len().min(32));
    matches!(class.first(), Some(b's' | b'S' | b'm' | b'M'))
        && NAMESPACES
            .iter()
            .any(|namespace| class.get(..namespace.len()).is_some_and(|head| head.eq_ignore_ascii_case(namespace)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_on_hostile_text_is_linear() {
        for unit in ["{@type\":\"com.", "[\"com.", "{$type\" : '", "{@class@type\":"] {
            work::assert_linear(unit, 1 << 14, 60, in_json);
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in r#"[\[{]?["'@$:{\[ ]{0,6}(@type|\$type|@class)?["': ]{0,4}[a-zA-Z.;$]{0,40}["']?"#) {
            if let Some((start, end)) = in_json(text.as_bytes()) {
                proptest::prop_assert!(start < end && end <= text.len());
            }
        }
    }
}
