//! GraphQL executable documents (GraphQL specification, October 2021, §2) at `[gql]`.
//!
//! Operations, fields and arguments become steps of points. String and enum literals, long number literals and comments
//! become values. What remains is names and punctuation, so a valid document is covered.

use super::{Applicability, Candidate, Emitter, ParseError, Parsed};
use crate::model::{AnomalyKind, ByteClasses, GraphqlStats, ParserSet, Segment, SkipReason, Stop, Tag};
use crate::normalize::json_text::unescape;
use apollo_parser::{Parser, SyntaxElement, SyntaxKind, SyntaxNode, SyntaxToken};
use std::collections::HashMap;

/// Media types of a document that is not wrapped in JSON.
const MEDIA: &[&str] = &["application/graphql", "application/graphql+json"];
/// Parameters that hold documents.
const NAMES: &[&[u8]] = &[b"query", b"mutation", b"subscription", b"graphql", b"gql", b"document"];
/// Words that a document begins with, unless it begins with `{`.
const KEYWORDS: &[&[u8]] = &[b"query", b"mutation", b"subscription", b"fragment"];
/// Names of arguments and directives that enable debugging.
const DEBUG: &[&str] = &["debug", "_debug", "trace", "tracing"];
/// Work units of a token: the parser makes a node of it, and often a message.
const TOKEN_COST: usize = 16;
/// Longest number that is not emitted, because it carries no syntax.
const MAX_PLAIN_NUMBER: usize = 32;
/// Rounds in which the depths of fragments are added up. Fragments that refer to each other in a cycle never end.
const MAX_FRAGMENT_ROUNDS: usize = 32;

/// Values declared as GraphQL, and parameters and bodies that may be a document.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    if value.is_declared(ParserSet::GQL) || value.is_media(MEDIA) {
        return Applicability::Declared;
    }
    if !value.classes.contains(ByteClasses::LBRACE.with(ByteClasses::RBRACE)) {
        return Applicability::No;
    }
    Applicability::sniffed(match value.tag {
        Tag::Hash | Tag::Get | Tag::FormUrlencoded | Tag::Multipart => true,
        Tag::Post => begins_with_keyword(value.bytes),
        _ => false,
    })
}

fn begins_with_keyword(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    let ends = |rest: &[u8]| rest.first().is_some_and(|&b| !b.is_ascii_alphanumeric() && b != b'_');
    KEYWORDS.iter().any(|word| text.strip_prefix(*word).is_some_and(ends))
}

/// What one scan of a document that knows texts and comments can tell. The parser builds a tree before it says the same, at a
/// hundred times the cost.
#[derive(Debug, Default)]
struct Survey {
    /// Most brackets that are open at once.
    depth: usize,
    /// About how many tokens there are.
    tokens: usize,
    /// Whether there is a byte that no token has.
    broken: bool,
}

impl Survey {
    fn of(text: &[u8]) -> Self {
        let mut found = Self::default();
        let (mut depth, mut at, mut in_word) = (0_usize, 0, false);
        while let Some(&byte) = text.get(at) {
            at += 1;
            let word = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'+');
            found.tokens += usize::from(!(word && in_word || byte.is_ascii_whitespace() || byte == b','));
            in_word = word;
            match byte {
                b'{' | b'(' | b'[' => depth += 1,
                b'}' | b')' | b']' => depth = depth.saturating_sub(1),
                b'#' => at += memchr::memchr2(b'\n', b'\r', &text[at..]).unwrap_or(text.len() - at),
                b'"' => at += past_text(&text[at..]),
                b'`' | b'\'' | b';' | b'<' | b'>' | b'\\' | b'^' | b'~' | b'/' | b'*' | b'?' | b'%' => {
                    found.broken = true
                }
                _ => {}
            }
            found.depth = found.depth.max(depth);
        }
        found
    }
}

/// Bytes of a text behind its opening quote, up to the quote that closes it or the end of the line.
fn past_text(text: &[u8]) -> usize {
    if text.starts_with(b"\"\"") {
        let mut ends = memchr::memmem::find_iter(&text[2..], b"\"\"\"").map(|end| 2 + end);
        return ends.find(|end| text[end - 1] != b'\\').map_or(text.len(), |end| end + 3);
    }
    let mut at = 0;
    while let Some(offset) = memchr::memchr3(b'"', b'\\', b'\n', &text[at..]) {
        at += offset + 1;
        if text[at - 1] != b'\\' {
            return at;
        }
        at += 1;
        if at >= text.len() {
            break;
        }
    }
    text.len()
}

/// Emits the values of the document and records its measurements.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    let declared = applicability(value) == Applicability::Declared;
    let keyword = begins_with_keyword(value.bytes);
    let named = em.current_name().is_some_and(|name| NAMES.iter().any(|n| name.eq_ignore_ascii_case(n)));
    let begins = matches!(value.bytes.trim_ascii_start().first(), Some(b'{' | b'#')) || keyword;
    if !declared && !(begins && (named || value.tag == Tag::Post)) {
        return Err(ParseError::NotApplicable);
    }
    let text = std::str::from_utf8(value.bytes).map_err(|_| ParseError::NotApplicable)?;
    // Lexing, parsing and the walk each examine every byte.
    em.budget.spend(text.len().saturating_mul(3))?;
    let limits = em.limits;
    let survey = Survey::of(value.bytes);
    if survey.depth > limits.gql_depth {
        return Err(over_limit(em, text.len(), SkipReason::DepthLimit));
    }
    let broken = if declared { ParseError::Broken(AnomalyKind::BadGraphql) } else { ParseError::NotApplicable };
    if survey.broken {
        return Err(broken);
    }
    em.budget.spend(survey.tokens.min(limits.gql_tokens) * TOKEN_COST)?;
    let tree = Parser::new(text).recursion_limit(limits.gql_depth).token_limit(limits.gql_tokens).parse();
    let too_deep = tree.recursion_limit().high > limits.gql_depth;
    if too_deep || tree.token_limit().high > limits.gql_tokens {
        let reason = if too_deep { SkipReason::DepthLimit } else { SkipReason::CountLimit };
        return Err(over_limit(em, text.len(), reason));
    }
    if tree.errors().next().is_some() {
        return Err(broken);
    }
    let root = tree.document();
    let root = apollo_parser::cst::CstNode::syntax(&root);
    em.enter(Segment::plain(Tag::Gql))?;
    let mut walker =
        Walker { em, text: value.bytes, facts: GraphqlStats::default(), depths: Depths::default(), fields: 0 };
    walker.all(root)?;
    let depth = walker.depths.deepest();
    let facts = GraphqlStats { documents: 1, depth, document_bytes: text.len(), ..walker.facts };
    em.leave();
    em.graphql(facts);
    // `{id,whoami}` is a document, but also a brace expansion of a shell: inspect it unless GraphQL is certain.
    Ok(if declared || keyword || value.tag == Tag::Hash { Parsed::Covered } else { Parsed::Added })
}

/// Reports a document of `bytes` bytes that is over the limit of `reason`.
fn over_limit(em: &mut Emitter<'_, '_>, bytes: usize, reason: SkipReason) -> ParseError {
    em.skip(reason);
    let depth = if reason == SkipReason::DepthLimit { em.limits.gql_depth + 1 } else { 0 };
    em.graphql(GraphqlStats { documents: 1, depth, document_bytes: bytes, ..GraphqlStats::default() });
    ParseError::Limit
}

struct Walker<'w, 'x, 'a> {
    em: &'w mut Emitter<'x, 'a>,
    text: &'a [u8],
    facts: GraphqlStats,
    depths: Depths<'a>,
    /// Number of fields that contain the current node.
    fields: usize,
}

impl<'a> Walker<'_, '_, 'a> {
    /// Walks the tree without recursion.
    fn all(&mut self, root: &SyntaxNode) -> Result<(), Stop> {
        let mut open = vec![(root.children_with_tokens(), 0, false)];
        while let Some((children, steps, field)) = open.last_mut() {
            match children.next() {
                Some(SyntaxElement::Node(node)) => {
                    self.em.budget.spend(1)?;
                    let field = node.kind() == SyntaxKind::FIELD;
                    let steps = self.down(&node)?;
                    self.fields += usize::from(field);
                    open.push((node.children_with_tokens(), steps, field));
                }
                Some(SyntaxElement::Token(token)) => self.token(&token)?,
                None => {
                    (0..*steps).for_each(|_| self.em.leave());
                    self.fields -= usize::from(*field);
                    open.pop();
                }
            }
        }
        Ok(())
    }

    /// Moves the current point down for `node`. Returns by how many steps.
    fn down(&mut self, node: &SyntaxNode) -> Result<u32, Stop> {
        let tag = match node.kind() {
            SyntaxKind::OPERATION_DEFINITION => {
                self.depths.begin(None);
                self.operation(node)
            }
            SyntaxKind::FRAGMENT_DEFINITION => {
                let name = self.name(node, SyntaxKind::FRAGMENT_NAME);
                self.depths.begin(Some(name));
                return self.named(Tag::GqlFragment, name);
            }
            SyntaxKind::FIELD => return self.field(node),
            SyntaxKind::FRAGMENT_SPREAD => {
                let name = self.name(node, SyntaxKind::FRAGMENT_NAME);
                self.depths.spread(self.fields, name);
                return self.named(Tag::GqlSpread, name);
            }
            SyntaxKind::INLINE_FRAGMENT => {
                self.em.enter(Segment::plain(Tag::GqlInline))?;
                return Ok(1);
            }
            SyntaxKind::VARIABLE_DEFINITION => {
                let name = self.name(node, SyntaxKind::VARIABLE);
                return self.named(Tag::GqlVar, name);
            }
            SyntaxKind::ARGUMENT => Tag::GqlArg,
            SyntaxKind::DIRECTIVE => Tag::GqlDir,
            SyntaxKind::NAMED_TYPE => Tag::GqlType,
            SyntaxKind::OBJECT_FIELD => Tag::Hash,
            SyntaxKind::STRING_VALUE | SyntaxKind::ENUM_VALUE | SyntaxKind::INT_VALUE | SyntaxKind::FLOAT_VALUE => {
                self.literal(node)?;
                return Ok(0);
            }
            SyntaxKind::LIST_VALUE | SyntaxKind::OBJECT_VALUE => {
                self.facts.value_bytes = self.facts.value_bytes.max(self.slice(node).len());
                return Ok(0);
            }
            _ => return Ok(0),
        };
        let name = self.name(node, SyntaxKind::NAME);
        if matches!(tag, Tag::GqlArg | Tag::GqlDir) {
            self.facts.debug |= DEBUG.iter().any(|word| name.eq_ignore_ascii_case(word.as_bytes()));
        }
        self.named(tag, name)
    }

    fn operation(&self, node: &SyntaxNode) -> Tag {
        let kind = node.children().find(|child| child.kind() == SyntaxKind::OPERATION_TYPE);
        match kind.map(|kind| self.slice(&kind)) {
            Some(kind) if kind.starts_with(b"mutation") => Tag::GqlMutation,
            Some(kind) if kind.starts_with(b"subscription") => Tag::GqlSubscription,
            _ => Tag::GqlQuery,
        }
    }

    fn field(&mut self, node: &SyntaxNode) -> Result<u32, Stop> {
        let name = self.name(node, SyntaxKind::NAME);
        self.depths.field(self.fields + 1);
        self.facts.introspection |= matches!(name, b"__schema" | b"__type");
        let mut steps = 0;
        if node.children().any(|child| child.kind() == SyntaxKind::ALIAS) {
            self.facts.aliases += 1;
            let alias = self.name(node, SyntaxKind::ALIAS);
            steps += self.named(Tag::GqlAlias, alias)?;
        }
        Ok(steps + self.named(Tag::Hash, name)?)
    }

    fn named(&mut self, tag: Tag, name: &'a [u8]) -> Result<u32, Stop> {
        self.em.enter(Segment::named(tag, name))?;
        Ok(1)
    }

    /// The name in the child of `node` of this kind; empty if there is none.
    fn name(&self, node: &SyntaxNode, kind: SyntaxKind) -> &'a [u8] {
        let Some(child) = node.children().find(|child| child.kind() == kind) else { return b"" };
        let text = self.slice(&child);
        let start = text.iter().position(|b| b.is_ascii_alphabetic() || *b == b'_').unwrap_or(text.len());
        let rest = &text[start..];
        &rest[..rest.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'_').unwrap_or(rest.len())]
    }

    /// The bytes of `node`. The tree of a valid document keeps every byte.
    fn slice(&self, node: &SyntaxNode) -> &'a [u8] {
        let range = node.text_range();
        self.text.get(range.start().into()..range.end().into()).unwrap_or_default()
    }

    fn literal(&mut self, node: &SyntaxNode) -> Result<(), Stop> {
        let text = self.slice(node).trim_ascii();
        self.facts.value_bytes = self.facts.value_bytes.max(text.len());
        if matches!(node.kind(), SyntaxKind::INT_VALUE | SyntaxKind::FLOAT_VALUE) && text.len() <= MAX_PLAIN_NUMBER {
            return Ok(());
        }
        // The node of a literal includes a comment or comma after it.
        let Some(block) = text.strip_prefix(b"\"\"\"") else {
            let Some(inner) = text.strip_prefix(b"\"") else { return self.em.value(text) };
            let inner = &inner[..memchr::memrchr(b'"', inner).unwrap_or(inner.len())];
            if !inner.contains(&b'\\') {
                return self.em.value(inner);
            }
            self.em.charge_decoded(inner.len())?;
            let mut out = bumpalo::collections::Vec::with_capacity_in(inner.len(), self.em.bump);
            unescape(inner, |piece| out.extend_from_slice_copy(piece));
            return self.em.value(out.into_bump_slice());
        };
        let end = memchr::memmem::rfind(block, b"\"\"\"").unwrap_or(block.len());
        self.em.value(&block[..end])
    }

    fn token(&mut self, token: &SyntaxToken) -> Result<(), Stop> {
        if token.kind() != SyntaxKind::COMMENT {
            return Ok(());
        }
        let range = token.text_range();
        self.em.value(self.text.get(range.start().into()..range.end().into()).unwrap_or_default())
    }
}

/// Depth of each definition, and the fragment spreads that may add to it.
#[derive(Default)]
struct Depths<'a> {
    definitions: Vec<Definition<'a>>,
    fragments: HashMap<&'a [u8], usize>,
}

#[derive(Default)]
struct Definition<'a> {
    depth: usize,
    spreads: Vec<(usize, &'a [u8])>,
}

impl<'a> Depths<'a> {
    fn begin(&mut self, fragment: Option<&'a [u8]>) {
        if let Some(name) = fragment {
            self.fragments.insert(name, self.definitions.len());
        }
        self.definitions.push(Definition::default());
    }

    fn field(&mut self, depth: usize) {
        if let Some(last) = self.definitions.last_mut() {
            last.depth = last.depth.max(depth);
        }
    }

    fn spread(&mut self, at: usize, name: &'a [u8]) {
        if let Some(last) = self.definitions.last_mut() {
            last.spreads.push((at, name));
        }
    }

    /// The depth of the deepest definition, with all fragments expanded.
    fn deepest(&mut self) -> usize {
        for _ in 0..MAX_FRAGMENT_ROUNDS {
            let mut changed = false;
            for at in 0..self.definitions.len() {
                let behind =
                    |(depth, name): &(usize, &[u8])| Some(depth + self.definitions[*self.fragments.get(name)?].depth);
                let depth = self.definitions[at].spreads.iter().filter_map(behind).max().unwrap_or(0);
                changed |= depth > self.definitions[at].depth;
                self.definitions[at].depth = self.definitions[at].depth.max(depth);
            }
            if !changed {
                break;
            }
        }
        self.definitions.iter().map(|definition| definition.depth).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::parse_body;
    use proptest::prelude::*;

    #[test]
    fn literals_have_points_and_the_document_is_covered() {
        let text = r#"query Q($v: String = "dv") { a: user(id: "x\u0027", in: {k: ["l", ENUM]}) @inc(if: "d") { name ...F ... on T { f(b: """blk""") } } } # note
            fragment F on U { g(z: "frag") }"#;
        let body = serde_json::to_string(&serde_json::json!({ "query": text })).unwrap();
        let parsed = parse_body("application/json", body.as_bytes());
        let gql = "[post][json_doc][hash,'query'][gql]";
        let user = format!("{gql}[gql_query,'Q'][gql_alias,'a'][hash,'user']");
        parsed.has(&format!("{user}[gql_arg,'id']"), "x'");
        parsed.has(&format!("{user}[gql_arg,'in'][hash,'k']"), "l");
        parsed.has(&format!("{user}[gql_arg,'in'][hash,'k']"), "ENUM");
        parsed.has(&format!("{user}[gql_dir,'inc'][gql_arg,'if']"), "d");
        parsed.has(&format!("{user}[gql_inline][hash,'f'][gql_arg,'b']"), "blk");
        parsed.has(&format!("{gql}[gql_query,'Q'][gql_var,'v']"), "dv");
        parsed.has(&format!("{gql}[gql_fragment,'F'][hash,'g'][gql_arg,'z']"), "frag");
        assert!(parsed.values.iter().any(|(_, v, _)| v.starts_with("# note")), "{parsed:#?}");
        assert!(parsed.covered("[post][json_doc][hash,'query']"));
        let facts = parsed.graphql.as_ref().unwrap();
        assert_eq!((facts.documents, facts.depth, facts.aliases, facts.introspection), (1, 2, 1, false));
        assert_eq!(facts.document_bytes, text.len());
    }

    #[test]
    fn documents_are_found_in_known_parameters() {
        for (media, body, found) in [
            ("application/graphql", "mutation M { a(b: \"x\") }", true),
            ("text/plain", "query { a(b: \"x\") }", true),
            ("application/x-www-form-urlencoded", "query={a(b:\"x\")}", true),
            ("application/json", r#"[{"query":"{a}"},{"query":"{b}"}]"#, true),
            ("application/json", r#"{"text":"{a(b:1)}"}"#, false),
            ("application/json", r#"{"query":"{a b"}"#, false),
            ("application/json", r#"{"query":"what is {this} about"}"#, false),
        ] {
            let parsed = parse_body(media, body.as_bytes());
            assert_eq!(parsed.graphql.is_some(), found, "{body}");
        }
        assert_eq!(
            parse_body("application/json", br#"[{"query":"{a}"},{"query":"{b}"}]"#).graphql.unwrap().documents,
            2
        );
        assert_eq!(parse_body("application/graphql", b"{a").anomalies, ["bad_graphql"]);
    }

    #[test]
    fn what_no_token_has_may_be_in_texts_and_comments() {
        for text in [
            "{a(b: \"x; `y` \\\" <z>\")}",
            "{a(b: \"\"\"it's \\\"\"\" ; <x> \\\\ \"\"\")} # 100 %; `c`",
            "# <?\r{a}",
            "{a(b: \"\", c: \"é\")}",
        ] {
            assert!(parse_body("application/graphql", text.as_bytes()).anomalies.is_empty(), "{text}");
        }
        assert_eq!(parse_body("application/graphql", b"{a; b}").anomalies, ["bad_graphql"]);
    }

    #[test]
    fn tokens_are_paid_for() {
        for unit in ["a b ", "{a}", "a(b:1)", "[1]", "...a "] {
            let work =
                |tokens: usize| parse_body("application/graphql", format!("{{{}", unit.repeat(tokens)).as_bytes()).work;
            let (few, many) = (work(500), work(1000));
            assert!(many >= few + 500 * super::TOKEN_COST as u64, "{unit}: {few} and {many}");
            assert!(many <= 3 * few, "{unit}: {few} and {many}");
        }
    }

    #[test]
    fn documents_are_measured() {
        for (text, depth, aliases, introspection, debug) in [
            ("{a{b{c}}}", 3, 0, false, false),
            ("{a:x b:x c:x}", 1, 3, false, false),
            ("query {__schema{types{name}}}", 3, 0, true, false),
            ("{__type(name:\"Q\"){name}}", 2, 0, true, false),
            ("{__typename}", 1, 0, false, false),
            ("{a ...F} fragment F on T {b{...G}} fragment G on T {c{d}}", 3, 0, false, false),
            ("{a(debug: true)}", 1, 0, false, true),
        ] {
            let facts = parse_body("application/graphql", text.as_bytes()).graphql.unwrap();
            assert_eq!(
                (facts.depth, facts.aliases, facts.introspection, facts.debug),
                (depth, aliases, introspection, debug),
                "{text}"
            );
        }
        let circle = parse_body("application/graphql", b"{...F} fragment F on T {a{...F}}").graphql.unwrap();
        assert!(circle.depth > 10);
    }

    #[test]
    fn hostile_documents_are_bounded() {
        let deep = format!("query {{{}{}", "a{".repeat(5_000), "}".repeat(5_001));
        let parsed = parse_body("application/graphql", deep.as_bytes());
        assert!(
            parsed.skipped.contains(&"depth_limit")
                && parsed.graphql.as_ref().unwrap().depth > 200
                && !parsed.covered("[post]")
        );
        let long = format!("query {{{}}}", "a ".repeat(30_000));
        assert!(parse_body("application/graphql", long.as_bytes()).skipped.contains(&"count_limit"));
        for piece in ["{a(b:[", "{a(b:{c:", "query($a:[", "{a @b(c:"] {
            parse_body("application/graphql", piece.repeat(20_000).as_bytes());
        }
    }

    proptest! {
        #[test]
        fn a_survey_refuses_only_what_the_parser_refuses(text in r#"(query|a|[{}()\[\]:$!@|&=.,;'`<>^~/*?%\\#" \n-]|"""|\\"|é|"[a;]*"){0,24}"#) {
            let survey = super::Survey::of(text.as_bytes());
            if survey.broken {
                prop_assert!(apollo_parser::Parser::new(&text).parse().errors().next().is_some(), "{}", text);
            }
        }

        #[test]
        fn never_panics(text in "(query |fragment |\\{)[{}()\\[\\]:$@!.a \"#,é0-9on]{0,50}") {
            parse_body("application/graphql", text.as_bytes());
        }
    }
}
