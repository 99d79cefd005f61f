//! Evasions: known payloads, each behind one disguise. Each must be found, or the gap must be listed in `not_inspected`.
//! The same disguise around harmless text must not be reported as an attack.

mod bodies; // compressed and binary ones, character sets
mod codecs; // what payloads are hidden in
mod encodings; // of a value in query, path, headers and cookies
mod forms; // urlencoded and multipart
mod run; // the check of a table
mod texts; // JSON, XML, GraphQL
