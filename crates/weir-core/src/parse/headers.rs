//! Headers at `[header,NAME]` or `[response_header,NAME]`, names in upper case; a repeated one as array and pollution.
//!
//! The query of a Referer is split into its fields. Cookies are emitted whole, for the cookie parser; so is Authorization,
//! for the parsers of its schemes.

use super::Emitter;
use crate::model::{AnomalyKind, Header, Hint, Message, MessageKind, ParserSet, Segment, Stop, Tag, Zone};
use smallvec::SmallVec;

/// Emits every header of `message`.
pub fn run<'a>(message: &Message<'a>, em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
    let tag = if message.kind == MessageKind::Request { Tag::Header } else { Tag::ResponseHeader };
    let (separate, excess) = message.headers.split_at(message.headers.len().min(em.limits.headers));
    let mut pairs: SmallVec<[_; 16]> = SmallVec::with_capacity(separate.len());
    let mut cookies: SmallVec<[&'a [u8]; 2]> = SmallVec::new();
    for header in separate {
        if header.is("cookie") && tag == Tag::Header {
            cookies.push(header.value);
        } else if header.is("set-cookie") && tag == Tag::ResponseHeader {
            set_cookie(header.value, em)?;
        } else {
            pairs.push((upper(header.name, em)?, header.value));
        }
    }
    em.pairs_where(tag, Tag::HeaderName, &pairs, |name| !is_common(name))?;
    if tag == Tag::Header {
        referrers(separate, em)?;
    }
    cookie(&cookies, em)?;
    if excess.is_empty() { Ok(()) } else { emit_excess(tag, excess, em) }
}

/// Emits the fields of the query of each Referer, which is a URL: an attack in one of them begins where its value begins.
fn referrers<'a>(headers: &[Header<'a>], em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
    for header in headers.iter().filter(|header| header.is("referer")) {
        let Some(at) = memchr::memchr(b'?', header.value) else { continue };
        let query = &header.value[at + 1..];
        let query = &query[..memchr::memchr(b'#', query).unwrap_or(query.len())];
        em.enter(Segment::named(Tag::Header, b"REFERER"))?;
        let result = em.split_form(query);
        let result = result.and_then(|pairs| em.pairs(Tag::FormUrlencoded, Tag::FormUrlencodedName, &pairs));
        em.leave();
        result?;
    }
    Ok(())
}

fn upper<'a>(name: &'a [u8], em: &mut Emitter<'_, 'a>) -> Result<&'a [u8], Stop> {
    em.budget.spend(name.len())?;
    let upper = em.bump.alloc_slice_copy(name);
    upper.make_ascii_uppercase();
    Ok(upper)
}

/// Emits the Cookie headers as one value, joined as RFC 9113 §8.2.3 prescribes for HTTP/2.
fn cookie<'a>(cookies: &[&'a [u8]], em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
    let whole = match cookies {
        [] => return Ok(()),
        [one] => *one,
        several => {
            em.charge_decoded(several.iter().map(|c| c.len() + 2).sum())?;
            em.bump.alloc_slice_copy(&several.join(&b"; "[..]))
        }
    };
    em.enter(Segment::named(Tag::Header, b"COOKIE"))?;
    let result = em.value_as(whole, Zone::COOKIE, Hint::Parser(ParserSet::COOKIE));
    em.leave();
    result
}

fn set_cookie<'a>(value: &'a [u8], em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
    em.enter(Segment::named(Tag::ResponseHeader, b"SET-COOKIE"))?;
    let result = em.value_as(value, em.zone(), Hint::Parser(ParserSet::COOKIE));
    em.leave();
    result
}

/// Emits the headers past [`crate::model::Limits::headers`] as one text, so that they are inspected, though without
/// points of their own.
fn emit_excess<'a>(tag: Tag, headers: &[Header<'a>], em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
    em.anomaly(AnomalyKind::TooManyHeaders);
    let size = headers.iter().map(|h| h.name.len() + h.value.len() + 3).sum();
    em.charge_decoded(size)?;
    let mut text = bumpalo::collections::Vec::with_capacity_in(size, em.bump);
    for header in headers {
        [header.name, b": ", header.value, b"\n"].iter().for_each(|part| text.extend_from_slice(part));
    }
    em.child(Segment::named(tag, b""), text.into_bump_slice())
}

/// Whether every client sends this header. Such names carry no client data, so they are not emitted as values.
fn is_common(upper: &[u8]) -> bool {
    matches!(
        upper,
        b"HOST"
            | b"USER-AGENT"
            | b"ACCEPT"
            | b"ACCEPT-ENCODING"
            | b"ACCEPT-LANGUAGE"
            | b"ACCEPT-CHARSET"
            | b"AUTHORIZATION"
            | b"CACHE-CONTROL"
            | b"CONNECTION"
            | b"CONTENT-ENCODING"
            | b"CONTENT-LENGTH"
            | b"CONTENT-TYPE"
            | b"DATE"
            | b"DNT"
            | b"ETAG"
            | b"EXPECT"
            | b"IF-MODIFIED-SINCE"
            | b"IF-NONE-MATCH"
            | b"KEEP-ALIVE"
            | b"LAST-MODIFIED"
            | b"LOCATION"
            | b"ORIGIN"
            | b"PRAGMA"
            | b"PRIORITY"
            | b"RANGE"
            | b"REFERER"
            | b"SEC-CH-UA"
            | b"SEC-CH-UA-MOBILE"
            | b"SEC-CH-UA-PLATFORM"
            | b"SEC-FETCH-DEST"
            | b"SEC-FETCH-MODE"
            | b"SEC-FETCH-SITE"
            | b"SEC-FETCH-USER"
            | b"SERVER"
            | b"TE"
            | b"TRACEPARENT"
            | b"TRACESTATE"
            | b"TRANSFER-ENCODING"
            | b"UPGRADE"
            | b"UPGRADE-INSECURE-REQUESTS"
            | b"VARY"
            | b"VIA"
            | b"X-FORWARDED-FOR"
            | b"X-FORWARDED-HOST"
            | b"X-FORWARDED-PORT"
            | b"X-FORWARDED-PROTO"
            | b"X-REAL-IP"
            | b"X-REQUEST-ID"
            | b"X-REQUESTED-WITH"
    )
}

#[cfg(test)]
mod tests {
    use crate::parse::message::response;
    use crate::parse::testing::messages::{extract_message, extract_raw};

    fn values(head: &str) -> Vec<String> {
        let parsed = extract_raw(format!("GET / HTTP/1.1\r\n{head}\r\n\r\n").as_bytes());
        parsed.values.into_iter().filter(|v| !v.contains("[uri]")).collect()
    }

    #[test]
    fn headers_are_emitted_under_their_names() {
        for (head, want) in [
            ("Host: h", vec!["[header,'HOST']=h"]),
            ("x-odd: v", vec!["[header_name]=X-ODD", "[header,'X-ODD']=v"]),
            (
                "Accept: a\r\naccept: b",
                vec![
                    "[header,'ACCEPT'][array,0]=a",
                    "[header,'ACCEPT'][array,1]=b",
                    "[header,'ACCEPT'][pollution]=a,b",
                ],
            ),
            ("no colon", vec!["[header_name]=NO COLON"]),
            (
                "Authorization: Basic YTonIG9yIDE9MQ==",
                vec![
                    "[header,'AUTHORIZATION']=Basic YTonIG9yIDE9MQ==",
                    "[header,'AUTHORIZATION'][base64]=a:' or 1=1",
                    "[header,'AUTHORIZATION'][base64][hash,'username']=a",
                    "[header,'AUTHORIZATION'][base64][hash,'password']=' or 1=1",
                ],
            ),
            (
                "Referer: https://h/p?q=a%27b&r=c#d",
                vec![
                    "[header,'REFERER']=https://h/p?q=a%27b&r=c#d",
                    "[header,'REFERER'][form_urlencoded_name]=q",
                    "[header,'REFERER'][form_urlencoded,'q']=a'b",
                    "[header,'REFERER'][form_urlencoded_name]=r",
                    "[header,'REFERER'][form_urlencoded,'r']=c",
                    "[header,'REFERER'][percent]=https://h/p?q=a'b&r=c#d",
                ],
            ),
            ("Authorization: Bearer a.b.c", vec!["[header,'AUTHORIZATION']=Bearer a.b.c"]),
        ] {
            let got: Vec<_> = values(head).into_iter().map(|v| v.trim_start_matches('-').to_string()).collect();
            assert_eq!(got, want, "{head}");
        }
    }

    #[test]
    fn cookies_are_read_as_servers_do() {
        for (head, want) in [
            (
                "Cookie: a=b; c = \"d e\" ",
                vec!["[cookie_name]=a", "[cookie,'a']=b", "[cookie_name]=c", "[cookie,'c']=d e"],
            ),
            (
                "Cookie: a=b\r\nCookie: c=d",
                vec!["[cookie_name]=a", "[cookie,'a']=b", "[cookie_name]=c", "[cookie,'c']=d"],
            ),
            ("Cookie: alone;;", vec!["[cookie,'']=alone"]),
            ("Cookie: a=b=c", vec!["[cookie_name]=a", "[cookie,'a']=b=c"]),
            (
                "Cookie: $Version=1; a=\"x;\\047y\"",
                vec![
                    "[cookie_name]=$Version",
                    "[cookie,'$Version']=1",
                    "[cookie_name]=a",
                    "[cookie,'a']=\"x",
                    "[cookie,'']=\\\\047y\"",
                    "[cookie,'a']=x;'y",
                ],
            ),
            ("Cookie: a=1'+or%201", vec!["[cookie_name]=a", "[cookie,'a']=1'+or%201", "[cookie,'a'][percent]=1' or 1"]),
        ] {
            let got = values(head);
            assert!(got[0].starts_with("-[header,'COOKIE']="), "{head}");
            let got: Vec<_> = got[1..].iter().map(|v| v.replace("[header,'COOKIE']", "")).collect();
            assert!(want.iter().all(|w| got.iter().any(|g| g == w)), "{head}: {got:?}");
        }
    }

    #[test]
    fn responses_have_points_of_their_own() {
        let parsed =
            extract_message(&response(b"HTTP/1.1 200 OK\r\nServer: s\r\nSet-Cookie: a=b; Path=/\r\n\r\nhello"));
        assert!(parsed.has("[response_header,'SERVER']=s"), "{:?}", parsed.values);
        assert!(parsed.has("[response_header,'SET-COOKIE'][cookie,'a']=b") && parsed.has("[response_body]=hello"));
    }
}
