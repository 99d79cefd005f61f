//! Data of the request in a template, by which an expression takes further text from its sender.

/// Tags that load what they name: a template, a library.
const LOADERS: &[&[u8]] = &[b"include", b"extends", b"load", b"import", b"from"];
/// Names of the request's data in frameworks of Python.
const REQUEST_DATA: &[&[u8]] = &[
    b"request.args",
    b"request.form",
    b"request.values",
    b"request.cookies",
    b"request.headers",
    b"request.get.",
    b"request.get[",
    b"request.post.",
    b"request.post[",
];

/// Whether the expression reads data of the request: `request.args.x`, `render(request.GET.x)`.
pub fn is_read(expression: &[u8]) -> bool {
    REQUEST_DATA.iter().any(|name| memchr::memmem::find(expression, name).is_some())
}

/// Whether the expression is a tag that loads what the request names: `include request.GET.page`.
pub fn is_loaded(expression: &[u8]) -> bool {
    LOADERS.iter().any(|word| expression.starts_with(word)) && is_read(expression)
}
