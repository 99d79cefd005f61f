//! Patterns of the shipped signatures, one by one.

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind};
use weir_core::ruleset::format::Case;
use weir_core::ruleset::{Signature, builtin, compile};

/// Texts before states are counted: those that every text needs are built by then.
const WARM_UP: usize = 60;
/// Texts for which states are counted.
const COUNTED: usize = 40;
/// Bytes of a text.
const LENGTH: usize = 1800;
/// Bytes of new states that a pattern may cost for each byte of texts that no pattern has seen.
const MOST: f64 = 15.0;

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }
}

/// Beginnings and pieces of the samples of `signature`, among letters: matches begin everywhere and do not end.
fn text(signature: &Signature, random: &mut Random) -> Vec<u8> {
    let samples = &signature.doc.positive;
    let mut text = Vec::new();
    while text.len() < LENGTH {
        let sample = samples[random.below(samples.len())].as_bytes();
        text.extend_from_slice(&sample[..random.below(sample.len()).max(1)]);
        if random.below(2) == 0 {
            text.push(b" =/-.,a1\"\n"[random.below(10)]);
        }
        text.extend((0..random.below(40)).map(|_| b"abcdefg"[random.below(7)]));
        if random.below(2) == 0 {
            let from = random.below(sample.len());
            text.extend_from_slice(&sample[from..from + 1 + random.below(sample.len() - from)]);
        }
    }
    text
}

/// Takes a byte out of each match in `text`. What is left may match again, but hardly ever does.
fn without_matches(mut text: Vec<u8>, dfa: &DFA, cache: &mut Cache) -> Vec<u8> {
    let mut from = 0;
    while let Some(found) = dfa.try_search_fwd(cache, &Input::new(&text).range(from..)).expect("no byte makes it quit")
    {
        from = found.offset().saturating_sub(1);
        text.remove(from);
    }
    text
}

/// Where matches begin, and letters: literals of `signature` and the first bytes of its samples.
fn begun(signature: &Signature, random: &mut Random) -> Vec<u8> {
    /// Bytes that a piece has at most.
    const MOST: usize = 8;
    let heads = signature.doc.positive.iter().map(String::as_bytes);
    let pieces: Vec<&[u8]> = signature.doc.literals.iter().map(String::as_bytes).chain(heads).collect();
    let mut text = Vec::new();
    while text.len() < LENGTH {
        let piece = pieces[random.below(pieces.len())];
        text.extend_from_slice(&piece[..piece.len().min(1 + random.below(MOST))]);
        if random.below(5) < 2 {
            text.extend((0..random.below(12)).map(|_| b"abcdef ;/"[random.below(9)]));
        }
    }
    text
}

/// Bytes of states for each byte of such texts.
fn cost(signature: &Signature, text: fn(&Signature, &mut Random) -> Vec<u8>) -> f64 {
    let syntax =
        syntax::Config::new().unicode(false).utf8(false).case_insensitive(signature.doc.case == Case::Insensitive);
    let config = DFA::config()
        .match_kind(MatchKind::LeftmostFirst)
        .skip_cache_capacity_check(true)
        .unicode_word_boundary(true)
        .cache_capacity(64 << 20);
    let dfa =
        DFA::builder().syntax(syntax).configure(config).build(&signature.doc.pattern).expect("it is compiled already");
    let (mut cache, mut warm, mut random) = (Cache::new(&dfa), Cache::new(&dfa), Random(42));
    let (mut states, mut bytes) = (0, 0);
    for round in 0..WARM_UP + COUNTED {
        let text = without_matches(text(signature, &mut random), &dfa, &mut warm);
        let before = cache.memory_usage();
        let found = dfa.try_search_fwd(&mut cache, &Input::new(&text));
        if round >= WARM_UP && found == Ok(None) {
            states += cache.memory_usage() - before;
            bytes += text.len();
        }
    }
    states as f64 / bytes.max(LENGTH) as f64
}

/// A pattern is confirmed by an automaton whose states are built when a text needs them. A counted repetition, as in
/// `<a[^>]{0,200}b`, needs a state of its own for each distance from each place where a match may have begun: texts in
/// which many begin cost a hundred times as much as others. `[^>]*` needs one.
#[test]
fn patterns_need_few_states() {
    let ruleset = compile::compile(&builtin::files()).unwrap_or_else(|errors| panic!("{}", errors[0]));
    let mut costly: Vec<(f64, String)> = ruleset
        .signatures
        .iter()
        .map(|signature| (cost(signature, text).max(cost(signature, begun)), signature.id.to_string()))
        .filter(|(cost, _)| *cost > MOST)
        .collect();
    costly.sort_by(|a, b| b.0.total_cmp(&a.0));
    assert!(costly.is_empty(), "{} patterns, e.g. {:?}", costly.len(), &costly[..costly.len().min(40)]);
}
