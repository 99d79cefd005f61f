//! The parsers as an attacker tries them: known payloads behind one evasion each. Every one must be found, or the gap
//! be told in `not_inspected`; the harmless twin of each evasion must not be called an attack.

mod bodies; // compressed and binary ones, character sets
mod codecs; // what payloads are hidden in
mod encodings; // of a value in query, path, headers and cookies
mod forms; // urlencoded and multipart
mod run; // the check of a table
mod texts; // JSON, XML, GraphQL
