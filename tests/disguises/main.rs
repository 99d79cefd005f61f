//! The parsers as an attacker tries them: known payloads behind one evasion each. Every one must be found, or the gap
//! be told in `not_inspected`; the harmless twin of each evasion must not be called an attack.

mod bodies;
mod encodings;
mod run;
