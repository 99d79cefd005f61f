//! Operands, conditions and select lists: the parts of injected code.
//!
//! Nothing here backtracks. An operand is parsed once from its beginning, chains and look-ahead have a named maximum, and
//! parentheses and runs are measured beforehand, so a scan of all tokens takes linear time.

use super::lex::{Token, TokenKind};
use super::words::Word;

/// Most links of `a + b || c ...` that are followed.
const MAX_CHAIN: usize = 16;
/// Most opening parentheses and prefixes that are skipped before an operand.
const MAX_PREFIX: usize = 32;
/// Most tokens of a select list among which its `from` is looked for.
const MAX_LIST: usize = 64;

/// Most tokens of a `case` among which its `end` is looked for, and among which a nested query is.
const MAX_CASE: usize = 48;
const CASE_REACH: usize = 24;

/// Schemas of the system tables of databases.
const OWNERS: [&[u8]; 4] = [b"mysql", b"master", b"sys", b"performance_schema"];

/// The kind of an operand, ordered by how much it suggests an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OperandKind {
    /// A column, or any word.
    Name,
    /// A call of a function that SQL does not have.
    Call,
    /// A number, a text, `null`.
    Literal,
    /// A call of a function that SQL has, and other languages may have too.
    Soft,
    /// `sleep(...)`
    Sleep,
    /// `@@version`
    Global,
    /// A subquery.
    Query,
    /// A call that only makes sense in a SQL injection.
    Strong,
}

/// An operand.
#[derive(Clone, Copy, Debug)]
pub struct Operand {
    /// What it is.
    pub kind: OperandKind,
    /// Past its last token.
    pub end: usize,
}

/// A condition after `or`, `where`...
#[derive(Clone, Copy, Debug)]
pub enum Condition {
    /// `a = b`
    Compared(Compared),
    /// An operand by itself.
    Bare(Operand),
}

/// Two operands that are compared.
#[derive(Clone, Copy, Debug)]
pub struct Compared {
    /// The kind of the first.
    pub left: OperandKind,
    /// The kind of the second.
    pub right: OperandKind,
    /// Whether the operator is a word.
    pub by_word: bool,
    /// Whether both are the same bytes.
    pub same: bool,
    /// Past the last token.
    pub end: usize,
}

/// Whether a word is an article or a possessive of a sentence, which is no name of a table: "select 'Options' from the menu".
fn is_article(word: &[u8]) -> bool {
    const ARTICLES: [&[u8]; 8] = [b"the", b"my", b"your", b"our", b"their", b"this", b"that", b"these"];
    ARTICLES.iter().any(|article| word.eq_ignore_ascii_case(article))
}

/// A select list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct List {
    /// Whether it begins with something that no sentence has there: a number, a call, `*`, `@@x`...
    pub strong: bool,
    /// Whether it has a comma.
    pub several: bool,
    /// Whether a `from` with a name follows.
    pub from: bool,
    /// Whether it begins with a call that only an attack makes.
    pub attack_only_call: bool,
    /// Whether it reads from a catalogue.
    pub catalogue: bool,
    /// Whether the statement ends after a name: by the end of the value, a comment, `;`, `)`.
    pub ended: bool,
    /// Whether there is at least one item.
    pub any: bool,
    /// Past the last token inspected.
    pub end: usize,
}

/// Where in the code of a value a structure begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Just after the quote that closes the literal of the application, and closing parentheses.
    Break,
    /// At the beginning of a value that is outside of any literal.
    Start,
    /// After one number or literal, which completes the code of the application.
    Value,
    /// After one word.
    Word,
    /// Further inside.
    Inside,
}

/// A recognised structure: its weight, and the index of the token after it.
pub type Structure = (u8, usize);

/// Most keys of an `order by` that are inspected.
pub const MAX_KEYS: usize = 64;
impl List {
    /// Weight of a query with this list by itself.
    pub fn weight(&self) -> u8 {
        match self {
            List { catalogue: true, .. } | List { attack_only_call: true, .. } => 9,
            List { strong: true, from: true, .. } => 8,
            List { several: true, from: true, ended: true, .. } => 6,
            List { strong: true, .. } => 5,
            List { from: true, ended: true, .. } => 1,
            _ => 0,
        }
    }
}

#[cfg(test)]
thread_local! {
    /// How many tokens were read, so that tests can check that the work is linear.
    pub static TOKEN_READS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Tokens of a value in one context.
pub struct Code<'t> {
    /// The value.
    pub text: &'t [u8],
    /// Its tokens.
    pub tokens: &'t [Token],
    /// For each `(`, the place of its `)`, or the number of tokens.
    pub close: &'t [u32],
    /// For each `)`, `or`, `||` and the like, the index past the run of such tokens that it is part of.
    pub run_end: &'t [u32],
}

impl Code<'_> {
    /// Kind of token `i`; `None` past the end.
    #[inline]
    pub fn kind(&self, i: usize) -> Option<TokenKind> {
        #[cfg(test)]
        TOKEN_READS.with(|looks| looks.set(looks.get() + 1));
        self.tokens.get(i).map(|t| t.kind)
    }

    /// Meaning of token `i` if it is a word.
    #[inline]
    pub fn word(&self, i: usize) -> Option<Word> {
        match self.kind(i) {
            Some(TokenKind::Word(word)) => Some(word),
            _ => None,
        }
    }

    /// Bytes of token `i`.
    pub fn bytes(&self, i: usize) -> &[u8] {
        self.tokens.get(i).map_or(&[], |t| &self.text[t.start as usize..t.end as usize])
    }

    /// Whether code may end before token `i`.
    pub fn ends(&self, i: usize) -> bool {
        matches!(self.kind(i), None | Some(TokenKind::Tail | TokenKind::Semicolon | TokenKind::Right))
    }

    /// Whether token `i` is a name, which may be in double quotes.
    pub fn is_name(&self, i: usize) -> bool {
        match self.kind(i) {
            Some(TokenKind::Word(_)) => true,
            Some(TokenKind::Text) => self.bytes(i).starts_with(b"\""),
            _ => false,
        }
    }

    /// Past the name at token `i` and its qualifiers: `public.users`.
    pub fn past_name(&self, i: usize) -> Option<usize> {
        const MAX_QUALIFIERS: usize = 3;
        let mut end = i + usize::from(self.is_name(i));
        for _ in 0..MAX_QUALIFIERS {
            if self.kind(end) != Some(TokenKind::Dot) || !self.is_name(end + 1) {
                break;
            }
            end += 2;
        }
        (end > i).then_some(end)
    }

    /// Past the bracket that closes the one at token `left`.
    pub fn past_close(&self, left: usize) -> usize {
        (self.close[left] as usize + 1).min(self.tokens.len())
    }

    /// Index past the run of closing parentheses, or of logical operators, that token `i` is part of. Runs are measured
    /// beforehand, because walking a long run again from each of its tokens would take quadratic time.
    pub fn past_run(&self, i: usize) -> usize {
        self.run_end[i] as usize
    }

    /// The operand at token `i`, including what arithmetic or concatenation joins to it.
    pub fn operand(&self, i: usize) -> Option<Operand> {
        let mut all = self.atom(i)?;
        for _ in 0..MAX_CHAIN {
            if self.kind(all.end) == Some(TokenKind::Cast) && matches!(self.kind(all.end + 1), Some(TokenKind::Word(_)))
            {
                all.end += 2;
                continue;
            }
            if self.kind(all.end) == Some(TokenKind::Right) {
                all.end = self.past_run(all.end);
            }
            let joined = match self.kind(all.end) {
                Some(TokenKind::Operator | TokenKind::Star | TokenKind::Pipes | TokenKind::Word(Word::Arithmetic)) => {
                    self.atom(all.end + 1)
                }
                _ => None,
            };
            let Some(next) = joined else { break };
            all = Operand { kind: all.kind.max(next.kind), end: next.end };
        }
        Some(all)
    }

    fn atom(&self, mut i: usize) -> Option<Operand> {
        for _ in 0..MAX_PREFIX {
            match self.kind(i)? {
                // No operand begins with `/`, as the end of a tag does; `|/ 25` is PostgreSQL's root.
                TokenKind::Operator if self.bytes(i) == b"/" && !self.is_pipe_before(i) => return None,
                TokenKind::Operator | TokenKind::Word(Word::Prefix | Word::Quantifier) => i += 1,
                TokenKind::Left if self.word(i + 1) == Some(Word::Select) => {
                    return Some(Operand { kind: OperandKind::Query, end: self.past_close(i) });
                }
                TokenKind::Left => i += 1,
                // An ODBC escape: `{fn f(1)}`, `{x 1}`.
                TokenKind::Other if self.bytes(i) == b"{" && matches!(self.kind(i + 1), Some(TokenKind::Word(_))) => {
                    i += 2;
                }
                _ => break,
            }
        }
        let end = i + 1;
        let kind = match self.kind(i)? {
            TokenKind::Number if self.kind(end) == Some(TokenKind::Left) => {
                return Some(Operand { kind: OperandKind::Soft, end: self.past_close(end) });
            }
            // `session_user()`
            TokenKind::Word(Word::Constant)
                if self.kind(end) == Some(TokenKind::Left) && self.kind(end + 1) == Some(TokenKind::Right) =>
            {
                return Some(Operand { kind: OperandKind::Literal, end: end + 2 });
            }
            TokenKind::Number | TokenKind::Text | TokenKind::Open | TokenKind::Word(Word::Constant) => {
                OperandKind::Literal
            }
            TokenKind::Variable if self.bytes(i).starts_with(b"@@") => OperandKind::Global,
            TokenKind::Variable => OperandKind::Name,
            // A parameter that the application does not bind.
            TokenKind::Other if self.bytes(i) == b"?" => OperandKind::Name,
            TokenKind::Word(Word::Select) if self.selects(end) => OperandKind::Query,
            TokenKind::Word(Word::Case) if matches!(self.word(end), Some(Word::Condition)) => {
                let (end, asks) = self.case(i);
                return Some(Operand { kind: if asks { OperandKind::Query } else { OperandKind::Soft }, end });
            }
            TokenKind::Word(word) => return self.named(i, word),
            _ => return None,
        };
        Some(Operand { kind, end })
    }

    fn is_pipe_before(&self, i: usize) -> bool {
        i > 0 && self.bytes(i - 1).starts_with(b"|")
    }

    /// Past the `end` of the `case` at token `i`, and whether a query is nested in its conditions or results.
    fn case(&self, i: usize) -> (usize, bool) {
        let end = (i + 1..i + MAX_CASE)
            .take_while(|&at| self.kind(at).is_some())
            .find(|&at| self.word(at) == Some(Word::Then) && self.bytes(at).eq_ignore_ascii_case(b"end"));
        let end = end.map_or(i + 1, |at| at + 1);
        let asks = |at: usize| {
            self.kind(at) == Some(TokenKind::Left) && self.word(at + 1) == Some(Word::Select) && self.list(at + 2).from
        };
        (end, (i + 2..end.min(i + CASE_REACH)).any(asks))
    }

    /// Whether an item that no sentence has follows a `select`, which ends before token `i`.
    fn selects(&self, i: usize) -> bool {
        match self.kind(i) {
            Some(TokenKind::Left | TokenKind::Star) => true,
            Some(TokenKind::Variable) => self.bytes(i).starts_with(b"@@"),
            Some(TokenKind::Number | TokenKind::Text | TokenKind::Open) => {
                self.ends(i + 1) && i + 1 < self.tokens.len()
                    || self.kind(i + 1) == Some(TokenKind::Comma)
                    || self.word(i + 1) == Some(Word::From)
            }
            _ => false,
        }
    }

    /// A column or a call, possibly qualified: `a.b.c(...)`.
    fn named(&self, i: usize, first: Word) -> Option<Operand> {
        let (mut end, mut last) = (i + 1, first);
        while self.kind(end) == Some(TokenKind::Dot)
            && self.kind(end + 1).is_some_and(|k| matches!(k, TokenKind::Word(_)))
        {
            last = self.word(end + 1)?;
            end += 2;
        }
        if self.kind(end) == Some(TokenKind::Left) {
            let kind = match (first, last) {
                (Word::StrongCall, _) | (_, Word::StrongCall) => OperandKind::Strong,
                (_, Word::Sleep) => OperandKind::Sleep,
                // Unlike `insert` and `replace`, it is no function: `git-merge (hence git-pull)`.
                (_, Word::Insert) if self.bytes(end - 1).eq_ignore_ascii_case(b"merge") => OperandKind::Call,
                // `mod(9,2)`, `isnull(a)`, and `like(a,b)` of SQLite are calls of words that are operators elsewhere.
                (_, Word::SoftCall | Word::If | Word::Insert | Word::Object | Word::Execute)
                | (_, Word::Arithmetic | Word::Is | Word::Compare) => OperandKind::Soft,
                (_, Word::Plain | Word::Constant | Word::Delay | Word::Values) => OperandKind::Call,
                _ => return None,
            };
            // `strpos((select ...`: the argument is a query.
            let asks = self.kind(end + 1) == Some(TokenKind::Left) && self.word(end + 2) == Some(Word::Select);
            let kind = if asks { kind.max(OperandKind::Query) } else { kind };
            return Some(Operand { kind, end: self.past_close(end) });
        }
        let column = matches!(
            first,
            Word::Plain
                | Word::SoftCall
                | Word::StrongCall
                | Word::Object
                | Word::Catalogue
                | Word::Sleep
                | Word::Delay
        );
        column.then_some(Operand { kind: OperandKind::Name, end })
    }

    /// The condition at token `i`.
    pub fn condition(&self, i: usize) -> Option<Condition> {
        let left = self.operand(i)?;
        let mut at = left.end;
        if self.word(at) == Some(Word::Prefix) {
            at += 1;
        }
        let compared = |right: OperandKind, by_word: bool, from: usize, end: usize| {
            let same = self.bytes(i) == self.bytes(from);
            Some(Condition::Compared(Compared { left: left.kind, right, by_word, same, end }))
        };
        match self.kind(at) {
            Some(TokenKind::Compare) if !self.asks(at) => {
                while matches!(self.kind(at), Some(TokenKind::Compare)) {
                    at += 1;
                }
                if let Some(right) = self.operand(at) {
                    return compared(right.kind, false, at, right.end);
                }
            }
            Some(TokenKind::Word(Word::Compare)) => {
                at += 1 + usize::from(self.word(at + 1) == Some(Word::Compare));
                if let Some(right) = self.operand(at) {
                    return compared(right.kind, true, at, right.end);
                }
            }
            Some(TokenKind::Word(Word::In)) if self.kind(at + 1) == Some(TokenKind::Left) => {
                if let Some(right) = self.operand(at + 1) {
                    return compared(right.kind, true, at + 1, right.end);
                }
            }
            Some(TokenKind::Word(Word::Between)) => {
                if let Some(right) = self.operand(at + 1)
                    && self.word(right.end) == Some(Word::Logic)
                {
                    return compared(right.kind, true, at + 1, right.end + 2);
                }
            }
            Some(TokenKind::Word(Word::Is)) => {
                let value = at + 1 + usize::from(self.word(at + 1) == Some(Word::Prefix));
                // "1 and 1 is 2" is arithmetic of a sentence; only SQLite compares with `is`.
                let literal = left.kind == OperandKind::Literal
                    && (matches!(self.kind(value), Some(TokenKind::Text | TokenKind::Open))
                        || self.kind(value) == Some(TokenKind::Number)
                            && (value > at + 1 || self.bytes(value) == self.bytes(i)));
                if literal || self.word(value) == Some(Word::Constant) {
                    return compared(OperandKind::Literal, true, value, value + 1);
                }
            }
            _ => {}
        }
        Some(Condition::Bare(left))
    }

    /// Whether the operator at token `at` is the mark of a quoted question, `'is it 5 or 6?'`, rather than the one that looks for a
    /// key: that one has a document on its left side, and a name on its right.
    fn asks(&self, at: usize) -> bool {
        let number = at > 0 && self.kind(at - 1) == Some(TokenKind::Number);
        let closes = self.kind(at + 1) == Some(TokenKind::Open) && self.bytes(at + 1).len() == 1;
        self.bytes(at).starts_with(b"?") && (number || closes)
    }

    /// The select list at token `i`, just after `select`.
    pub fn list(&self, mut i: usize) -> List {
        let mut list = List::default();
        while matches!(self.kind(i), Some(TokenKind::Left | TokenKind::Word(Word::Quantifier))) {
            let top = self.bytes(i).eq_ignore_ascii_case(b"top");
            i += 1 + usize::from(top && self.kind(i + 1) == Some(TokenKind::Number));
        }
        if self.kind(i) == Some(TokenKind::Star) {
            (list.any, list.strong, list.end) = (true, self.word(i + 1) == Some(Word::From), i + 1);
        } else if let Some(first) = self.operand(i) {
            list.any = true;
            list.end = first.end;
            let sentence = first.kind == OperandKind::Literal && self.is_sentence(i, first.end);
            let text =
                first.kind == OperandKind::Literal && matches!(self.kind(i), Some(TokenKind::Text | TokenKind::Open));
            let variable = self.kind(i) == Some(TokenKind::Variable);
            list.strong =
                (first.kind >= OperandKind::Literal || variable) && !sentence && !(text && self.tokens.len() <= i + 1);
            list.attack_only_call =
                matches!(first.kind, OperandKind::Strong | OperandKind::Sleep | OperandKind::Global)
                    || first.kind == OperandKind::Soft && self.wraps_strong(i, first.end);
        } else {
            list.end = i;
            return list;
        }
        self.rest_of_list(&mut list);
        list
    }

    /// Whether a call that only attacks make is an argument within the tokens from `from` to `to`: `like(a,hex(randomblob(9)))`.
    fn wraps_strong(&self, from: usize, to: usize) -> bool {
        const REACH: usize = 32;
        (from..to.min(from + REACH)).any(|at| {
            self.word(at) == Some(Word::StrongCall)
                && self.kind(at + 1) == Some(TokenKind::Left)
                && self.bytes(at).eq_ignore_ascii_case(b"randomblob")
        })
    }

    /// Whether the word at `end` cannot follow the literal at `i` in a select list.
    fn is_sentence(&self, i: usize, end: usize) -> bool {
        // As in the version of a package: `select-1.0@2`.
        if matches!(self.kind(end), Some(TokenKind::Variable | TokenKind::Other | TokenKind::Number)) {
            return self.bytes(end) != b"}";
        }
        match self.word(end) {
            None | Some(Word::From | Word::As | Word::Into | Word::Union | Word::Condition) => false,
            Some(Word::Limit | Word::Sort | Word::Procedure) => false,
            Some(Word::Logic | Word::Compare) => self.word(i) == Some(Word::Constant),
            Some(_) => true,
        }
    }

    fn rest_of_list(&self, list: &mut List) {
        list.ended = self.ends(list.end);
        list.several = self.kind(list.end) == Some(TokenKind::Comma);
        let mut at = list.end;
        for _ in 0..MAX_LIST {
            match self.kind(at) {
                None | Some(TokenKind::Tail | TokenKind::Semicolon | TokenKind::Right) => break,
                Some(TokenKind::Left) => at = self.past_close(at),
                Some(TokenKind::Word(Word::From)) => {
                    at += 1;
                    while matches!(self.kind(at), Some(TokenKind::Left)) {
                        at += 1;
                    }
                    let noun = is_article(self.bytes(at)) && self.kind(at + 1) != Some(TokenKind::Dot);
                    list.strong &= !noun;
                    list.from = self.is_name(at) && !noun;
                    let owner = self.kind(at + 1) == Some(TokenKind::Dot)
                        && OWNERS.iter().any(|name| self.bytes(at).eq_ignore_ascii_case(name));
                    list.catalogue = owner
                        || self.word(at) == Some(Word::Catalogue)
                        || (self.kind(at + 1) == Some(TokenKind::Dot) && self.word(at + 2) == Some(Word::Catalogue));
                    at += 1;
                    while self.kind(at) == Some(TokenKind::Dot) && self.is_name(at + 1) {
                        at += 2;
                    }
                    let more = matches!(self.word(at), Some(Word::Condition | Word::Limit | Word::Sort | Word::As));
                    list.ended = more || self.ends(at) || self.kind(at) == Some(TokenKind::Comma);
                    break;
                }
                _ => at += 1,
            }
        }
        list.end = at.min(self.tokens.len());
    }
}
