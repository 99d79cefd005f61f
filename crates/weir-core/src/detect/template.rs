//! Server-side template injection: an expression in template delimiters that computes or accesses the template engine.
//!
//! Users who write about templates write `{{name}}` and `${price}`. They do not write `{{7*7}}`, `{{''.__class__}}` and
//! `${T(java.lang.Runtime)}`.

mod item;
mod joined;
mod request;
mod smarty;
mod words;

use super::ahead::Ahead;
use super::{Detector, Match, Samples, Subject, is_document, shown, work};
use crate::model::{AttackType, ByteClassFilter, ByteClasses, Confidence, Zone};
use words::{ENGINE_OBJECTS, SANDBOX_ESCAPES};

/// The detector.
pub const DETECTOR: Detector = Detector {
    name: "ssti.expression",
    attack: AttackType::Ssti,
    about: "A template expression that computes, calls, or reaches into the template engine",
    zones: Zone::PARAMETERS.with(Zone::HEADER),
    filter: FILTER,
    run,
    samples: Samples {
        positive: &[
            "{{7*7}}",
            "${3*3}",
            "#{ 7 * 7 }",
            "*{7*7}",
            "<%= 7 * 7 %>",
            "{{7*'7'}}",
            "{{''.__class__.__mro__[1]}}",
            "@(6+5)",
            "${T(java.lang.Runtime).getRuntime().exec('id')}",
            "{{config.items()}}",
            "{{request|attr('x')}}",
            "{{dump(app)}}",
            "<%= File.open('/etc/passwd').read %>",
            "{$smarty.version}",
            "{% for x in ().__class__.__base__.__subclasses__() %}",
            "{{['id']|filter('system')}}",
            "${self.module.cache.util.os.system('id')}",
            "{{constructor.constructor('x')()}}",
            "{{-7*7-}}",
            "{{'7'|int*7}}",
            "{% set a=7*7 %}{{a}}",
            "{%print(7*7)%}",
            "<% x=7*7 %>${x}",
            "{{_context|json_encode}}",
            "{{config.SECRET_KEY}}",
            "{{ 'id' | system }}",
            "${@systemProperties}",
            "{{#if (lookup this \"__proto__\")}}x{{/if}}",
            "{{['a','b']|join}}",
            "{{messages.storages.0.signer.key}}",
            "{{ 6 | times: 9 }}",
            "${ab|6*9}",
            "{{request.args.a}}",
            "{% include request.GET.page %}",
            "${class.getClassLoader()}",
            "{{lookup name \"constructor\"}}",
            "{{['id',0]|sort('system')}}",
            "${self.module}",
            "<%=__send__(:system,'id')%>",
            "{{self.__dict__}}",
            "${\"\".class}",
            "*{''.class}",
            "{{ config.from_object('os') }}",
            "{% for k in config.items() %}",
            "{{self.__class__.__name__}}",
            "{{('__cla','ss__')|join('')}}",
            "{{$el.ownerDocument.defaultView.alert(1)}}",
            "{7*7}",
            "{'id'|system}",
            "{math equation='7*7'}",
            "{if 7*7}x{/if}",
            "{include file='string:{system(\"id\")}'}",
            "{assign var=x value=system('id')}",
        ],
        negative: &[
            "{{name}}",
            "${price}",
            "Hello {{ user.name }}!",
            "#{id}",
            "{% if user %}x{% endif %}",
            "${{ secrets.TOKEN }}",
            "{}",
            "{\"a\": {\"b\": 1}}",
            "{{ .Values.image }}",
            "cost ${5}",
            "{{ count }} * {{ price }}",
            "{{ 'a' + 'b' }}",
            "${user.name.toUpperCase()}",
            "{{environment_name}}",
            "# cut\n\nShows a range of\nlines:\n\n`cut {{3-9}} {{10.0.0.0/16}} {{config}}`\n",
            "mail me @(noon)",
            "<% %>",
            "{{config.title}}",
            "{{ price | times: 2 }}",
            "{{ 3 | ordinal }}",
            "{{request.path}}",
            "{% if request.GET.page %}x{% endif %}",
            "{$smarty.config.title}",
            "{{ result.stdout_lines | join(', ') }}",
            "{{ item['a'].class_name }}",
            "${row.class}",
            "{{ states.sensor | map(attribute='entity_id') | join(', ') }}",
            "{{ tags|join:' ' }}",
            "{{ ([first] + others) | join(' ') }}",
            "{{ web_environment.public_ip }}",
            "{% include \"a.html\" with attrs=self.attrs %}",
            "{% set total = price * 2 %}",
            "{a, b} and {1, 2}",
            "{if you can} come",
            "{'a': 1}",
            "{1}",
            "{include the file}",
            "exec perl -x ${1+\"$@\"}",
            "[a-z]{2,3}",
        ],
    },
};

/// Longest expression inspected, in bytes.
const MAX_EXPRESSION: usize = 1024;
/// Bytes that could be examined while an expression is judged, besides four times its own.
const EXPRESSION_BYTES: usize = 32;
/// Most multiplications of a statement that are looked at.
const MAX_PRODUCTS: usize = 16;
/// Most bytes of white space around an expression that has a line for itself.
const MAX_INDENT: usize = 32;
/// Bytes of expressions inspected per byte of the text. Delimiters may nest, so expressions may overlap.
const FUEL_RATIO: usize = 4;
/// Filters that compute with a number.
const NUMERIC_FILTERS: &[&[u8]] =
    &[b"times", b"plus", b"minus", b"divided_by", b"modulo", b"add", b"multiply", b"mul", b"round"];

const FILTER: ByteClassFilter =
    ByteClassFilter::any(ByteClasses::LBRACE.with(ByteClasses::LT).with(ByteClasses::LBRACKET).with(ByteClasses::AT))
        .and(ByteClasses::RBRACE.with(ByteClasses::GT).with(ByteClasses::RBRACKET).with(ByteClasses::RPAREN));

fn run(subject: &Subject<'_>) -> Option<Match> {
    find(subject.bytes, is_document(subject.bytes), &|| subject.pays())
}

/// What speaks for an injection in an expression.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Evidence {
    /// Placeholders and code of documents may look like it: a name, or braces around a call.
    Named,
    /// It computes, or reaches into the engine.
    Certain,
}

/// The first expression that computes or reaches into the engine. A `document` may have ranges, networks and names of
/// settings between its own delimiters.
fn find(text: &[u8], document: bool, pays: &work::Pays<'_>) -> Option<Match> {
    let mut from = 0;
    let mut fuel = text.len() * FUEL_RATIO + MAX_EXPRESSION;
    let mut ends = [Ahead::default(); CLOSING.len()];
    while let Some(offset) =
        text[from..].iter().position(|b| matches!(b, b'{' | b'$' | b'#' | b'*' | b'<' | b'[' | b'@' | b'~' | b'%'))
    {
        let start = from + offset;
        from = start + 1;
        work::count(offset + 1);
        if !pays() {
            return None;
        }
        let Some((open, closing)) = delimiters(&text[start..]) else { continue };
        let begin = start + open.len();
        if open.len() == 1 && !smarty::may_begin(&text[begin..]) {
            continue;
        }
        let close = CLOSING[closing];
        let Some(until) = ends[closing].next(text, close, begin, text.len().min(begin + MAX_EXPRESSION)) else {
            continue;
        };
        let end = until + close.len();
        if until - begin > fuel {
            from = end;
            continue;
        }
        fuel -= until - begin;
        let Some(evidence) = classify(open, &text[begin..until], document) else { continue };
        if item::is_shown(&text[begin..until], text.len() - (end - start)) {
            continue;
        }
        if evidence == Evidence::Certain || !document || stands_alone(text, start, end) {
            return Some(Match { confidence: Confidence::High, start, end });
        }
    }
    None
}

/// Delimiters that close an expression.
const CLOSING: [&[u8]; 11] = [b"}}", b"%}", b"#}", b"}", b"{/php}", b")", b"%>", b">", b"]]", b"]", b")]"];

/// The delimiter with which `text` begins, and the index in [`CLOSING`] of the one that closes it.
#[inline]
fn delimiters(text: &[u8]) -> Option<(&[u8], usize)> {
    let (length, closing) = match text {
        [b'{', b'{', ..] => (2, 0),
        [b'{', b'%', ..] => (2, 1),
        [b'{', b'#', ..] => (2, 2),
        [b'{', b'$', ..] | [b'$' | b'#' | b'*' | b'~' | b'@' | b'%', b'{', ..] => (2, 3),
        [b'{', b'p', b'h', b'p', b'}', ..] => (5, 4),
        [b'{', ..] => (1, 3),
        [b'@', b'(', ..] => (2, 5),
        [b'<', b'%', ..] => (2, 6),
        [b'<', b'#', ..] => (2, 7),
        [b'[', b'[', ..] => (2, 8),
        [b'[', b'(', ..] => (2, 10),
        [b'[', b'=', ..] => (2, 9),
        _ => return None,
    };
    Some((&text[..length], closing))
}

/// Whether an expression begins the value or has a line for itself.
fn stands_alone(text: &[u8], start: usize, end: usize) -> bool {
    let blank = |b: &&u8| matches!(b, b' ' | b'\t' | b'\r');
    let before = text[..start].iter().rev().take(MAX_INDENT).find(|b| !blank(b));
    let after = text[end..].iter().take(MAX_INDENT).find(|b| !blank(b));
    let line = |b: Option<&u8>| b.is_none_or(|b| *b == b'\n');
    line(before) && line(after) || shown::leads(text, start)
}

/// What speaks for an injection in an expression.
fn classify(open: &[u8], inside: &[u8], document: bool) -> Option<Evidence> {
    work::count(EXPRESSION_BYTES + 4 * inside.len());
    let expression: Vec<u8> = inside.iter().filter(|b| **b > b' ').map(u8::to_ascii_lowercase).collect();
    let braces = matches!(
        open,
        b"{{" | b"${" | b"#{" | b"*{" | b"{%" | b"<%" | b"@(" | b"[[" | b"%{" | b"~{" | b"@{" | b"[(" | b"[="
    );
    if braces && is_arithmetic(expression.trim_ascii(), document) {
        return Some(Evidence::Certain);
    }
    if open == b"{" {
        return smarty::is_attack(inside, &expression).then_some(Evidence::Named);
    }
    if matches!(open, b"{%" | b"<%") && multiplies(&expression) {
        return Some(Evidence::Certain);
    }
    if open == b"@(" || open == b"[[" && !expression.starts_with(b"$") || open == b"*{" && expression.len() > 200 {
        return None;
    }
    if open == b"{$" {
        let object = expression.strip_prefix(b"smarty.")?;
        let placeholder = smarty::PLACEHOLDERS.iter().any(|name| object.starts_with(name));
        return (!placeholder).then_some(Evidence::Certain);
    }
    let reaches = SANDBOX_ESCAPES.is_in(&expression)
        || words::names_object(&expression, inside)
        || joined::hides_a_name(&expression, inside);
    if reaches && document && words::names_class(&expression) {
        return Some(Evidence::Named);
    }
    let shell = matches!(open, b"<%" | b"#{") && runs_command(inside);
    if reaches || shell {
        return Some(Evidence::Certain);
    }
    let named = match open {
        b"{{" => is_engine_object(inside, &expression) || request::is_read(&expression),
        b"{%" => request::is_loaded(&expression),
        _ => false,
    };
    named.then_some(Evidence::Named)
}

/// Whether the expression is an object of the engine, or filters one: `self`, `_context|keys`, `config.SECRET`.
fn is_engine_object(inside: &[u8], expression: &[u8]) -> bool {
    // `{{-` and `-}}` remove the white space around an expression.
    let expression = expression.strip_prefix(b"-").unwrap_or(expression);
    let expression = expression.strip_suffix(b"-").unwrap_or(expression);
    let filtered = [&b"_context|"[..], b"_self|", b"config|", b"self|", b"config['", b"config[\""];
    // Settings of an application are in capitals; `config.title` is a placeholder.
    let setting = expression.starts_with(b"config.")
        && memchr::memchr(b'.', inside).is_some_and(|dot| {
            let name = &inside[dot + 1..];
            name.len() > 1 && name[0].is_ascii_uppercase() && name[1].is_ascii_uppercase()
        });
    ENGINE_OBJECTS.contains(&expression) || setting || filtered.iter().any(|start| expression.starts_with(start))
}

/// Whether `rest`, which is behind a number, computes with it by a filter: `|times:7`, `|round(2)`.
fn filters_number(rest: &[u8]) -> bool {
    let Some(filter) = rest.strip_prefix(b"|") else { return false };
    let name = filter.iter().position(|b| !(b.is_ascii_alphanumeric() || *b == b'_')).unwrap_or(filter.len());
    let argument = matches!(filter[name..], [b':' | b'(', b'0'..=b'9' | b'-' | b'\'' | b'"', ..]);
    argument && NUMERIC_FILTERS.contains(&&filter[..name])
}

/// Whether a statement multiplies two literals: `set a=7*7`, `for x in [7*7]`, `print(7*7)`. Templates that users write
/// multiply variables.
fn multiplies(expression: &[u8]) -> bool {
    memchr::memchr_iter(b'*', expression).take(MAX_PRODUCTS).any(|at| {
        let digits = expression[..at].iter().rev().take_while(|b| b.is_ascii_digit()).count();
        let before = expression[..at - digits].last();
        let starts = before.is_none_or(|b| matches!(b, b'=' | b'(' | b'[' | b',')) || expression.starts_with(b"if");
        digits > 0 && starts && expression.get(at + 1).is_some_and(u8::is_ascii_digit)
    })
}

/// Whether an expression of Ruby runs a command: one text in backticks, where an operand may be, that begins with a word.
fn runs_command(inside: &[u8]) -> bool {
    let mut parts = inside.split(|b| *b == b'`');
    let (Some(before), Some(command), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let operand = before.trim_ascii_end().last().is_none_or(|b| matches!(b, b'=' | b'(' | b',' | b'+' | b';' | b'|'));
    let command = command.trim_ascii_start();
    let word =
        command.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-')).count();
    let ends = command.get(word).is_none_or(|b| matches!(b, b' ' | b'\t' | b';' | b'|' | b'&' | b'$' | b'>'));
    operand && word > 1 && ends
}

/// Whether the expression starts by computing with literals: `7*7`, `=7*7`, `3*'3'`, `(1+1)`. Two texts are joined, not
/// computed; a `document` has ranges, dates and networks such as `10.0.0.0/16`.
fn is_arithmetic(expression: &[u8], document: bool) -> bool {
    let text = expression.strip_prefix(b"=").unwrap_or(expression);
    // `${name|7*7}`: alternatives of Chameleon.
    let name = text.iter().take(32).take_while(|b| b.is_ascii_lowercase()).count();
    let text = if name > 0 { text[name..].strip_prefix(b"|").unwrap_or(text) } else { text };
    // `{{-` removes the white space before an expression.
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let text = &text[text.iter().take_while(|b| matches!(b, b'{' | b'(' | b'$' | b'[')).count()..];
    let Some(rest) = literal(text) else { return false };
    if text[0].is_ascii_digit() && filters_number(rest) {
        return true;
    }
    let filtered = text.starts_with(b"'") || text.starts_with(b"\"");
    let rest = rest.strip_prefix(b"|int").filter(|_| filtered).unwrap_or(rest);
    let Some((&operator, rest)) = rest.split_first() else { return false };
    let rest = if operator == b'*' { rest.strip_prefix(b"*").unwrap_or(rest) } else { rest };
    let number = text.first().is_some_and(u8::is_ascii_digit) || rest.first().is_some_and(u8::is_ascii_digit);
    let range = document && matches!(operator, b'-' | b'/');
    matches!(operator, b'*' | b'+' | b'-' | b'/' | b'%')
        && number
        && !range
        && !(rest.starts_with(b"\"$") || rest.starts_with(b"'$"))
        && literal(rest)
            .is_some_and(|tail| tail.first().is_none_or(|b| !b.is_ascii_alphabetic() && !b"`^{@#$~\\_".contains(b)))
}

/// The part after a number or a quoted text at the start of `text`; `None` if there is neither.
fn literal(text: &[u8]) -> Option<&[u8]> {
    match text.first()? {
        quote @ (b'\'' | b'"') => memchr::memchr(*quote, &text[1..]).map(|end| &text[end + 2..]),
        b if b.is_ascii_digit() => Some(&text[text.iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count()..]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{find, work};

    proptest::proptest! {
        #[test]
        fn never_panics(text in r#"[{}$#*<%>@()\[\]7'=+ a-z_.|`]{0,120}"#) {
            if let Some(m) = find(text.as_bytes(), false, &|| true) {
                proptest::prop_assert!(m.start < m.end && m.end <= text.len());
            }
        }
    }

    /// An opening delimiter without its closing one costs a search through a whole window.
    #[test]
    fn work_on_hostile_text_is_linear() {
        for unit in ["{{", "${", "<%", "@(", "{", "{{a}", "{{a}}", "{{{{a}}", "[[ ", "{php}", "{{1 "] {
            work::assert_linear(unit, 1 << 14, 1100, |text| find(text, false, &|| true));
        }
    }
}
