//! Names by which an expression reaches into the template engine and the language that it is written in.

use super::super::{any_of::AnyOf, work};

/// Words with which an expression escapes the sandbox of its template, lower case.
pub static SANDBOX_ESCAPES: AnyOf = AnyOf::new(&[
    b"__class__",
    b"__mro__",
    b"__subclasses__",
    b"__globals__",
    b"__builtins__",
    b"__init__",
    b"__import__",
    b"__base__",
    b"__getitem__",
    b"subclasses()",
    b"getruntime",
    b"java.lang",
    b"javax.",
    b"processbuilder",
    b"getclass(",
    b"forname(",
    b"freemarker.template",
    b"?new(",
    b"popen(",
    b".system(",
    b"system(",
    b"|attr(",
    b"filter('system",
    b"filter(\"system",
    b".constructor(",
    b"constructor.constructor",
    b"os.system",
    b"_templatereference__",
    b"smarty.",
    b"self::",
    b"dump(",
    b"getclassloader",
    b"\"constructor\"",
    b"'constructor'",
    b"'|system",
    b"\"|system",
    b"'|passthru",
    b"\"|passthru",
    b"@systemproperties",
    b"@systemenvironment",
    b"']['class']",
    b"'['class']",
    b"__proto__",
    b"constant('php",
    b"session.getattribute(",
    b".data_model",
    b"messages.storages",
    b".signer.key",
    b"getengine",
    b"_self.env",
    b"file.open",
    b"fopen(",
    b"passthru(",
    b"exec(",
    b"io.popen",
    b"file_get_contents",
    b"child_process",
    b"require(",
    b"phpinfo(",
    b"lipsum",
    b"cycler.",
    b"joiner.",
    b"namespace.__",
    b"#rt.",
    b"#rt=",
    b"@java",
    b"#context",
    b"#_memberaccess",
    b"t(java",
    b"t(org",
    b"\\x5f\\x5f",
    b"request.__",
    b"['__",
    b"[\"__",
    b"$eval(",
    b"tostring().constructor",
    b"'.touppercase()",
    b"\".touppercase()",
    b"erlang",
    b"dir.entries",
    b"@environment",
    b"system.getenv",
    b"runtime.exec",
    b"#foreach",
    b"#set",
    b"('system'",
    b"(\"system\"",
    b"('passthru'",
    b"('shell_exec'",
    b"('exec'",
    b"__send__(",
    b"kernel.`",
    b"env.to_h",
    b"process.spawn",
    b"const_get(",
    b"__dict__",
    b"'.class",
    b"\".class",
    b"ownerdocument.",
]);

/// Names of objects of an engine or an application, and of their members, by which an expression reaches into them.
const OBJECTS: &[&[u8]] = &[
    b"settings.databases",
    b"config.items",
    b"config.iteritems",
    b"settings.secret",
    b"request.server",
    b"request.application",
    b"request.query",
    b"environment.",
    b"environment(",
    b"environment[",
    b"self.module",
    b"self.template",
    b"self.attr",
    b"context.keys()",
    b"context.lookup",
    b"config.from_",
];
static ANY_OBJECT: AnyOf = AnyOf::new(OBJECTS);

/// Whether an expression, `inside` with its blanks and without them in lower case, names one of [`OBJECTS`]. A name that ends
/// as such an object does, `role_environment.ip`, is another one, and so is a member that begins as one of theirs does,
/// `self.attrs`.
pub fn names_object(expression: &[u8], inside: &[u8]) -> bool {
    if !ANY_OBJECT.is_in(expression) {
        return false;
    }
    work::count(inside.len());
    let places: Vec<usize> = (0..inside.len()).filter(|&at| inside[at] > b' ').collect();
    let is_name = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let begins =
        |at: usize| places.get(at).is_some_and(|&at| !is_name(at.checked_sub(1).map(|before| &inside[before])));
    let ends = |end: usize| places.get(end - 1).is_some_and(|&last| !is_name(inside.get(last + 1)));
    OBJECTS.iter().any(|word| {
        work::count(expression.len() / work::SEARCHED);
        let own = word.starts_with(b"self.");
        memchr::memmem::find_iter(expression, word).any(|at| begins(at) && (!own || ends(at + word.len())))
    })
}

/// Whether an expression does no more than to show the name of an object's class, as programs do in their messages:
/// `self.__class__.__name__`.
pub fn names_class(expression: &[u8]) -> bool {
    let object = expression.strip_suffix(b".__class__.__name__");
    object.is_some_and(|name| {
        !name.is_empty() && !name.starts_with(b"_") && name.iter().all(|b| b.is_ascii_lowercase() || *b == b'_')
    })
}

/// Whole expressions that print the engine's own objects.
pub const ENGINE_OBJECTS: &[&[u8]] = &[
    b"self",
    b"config",
    b"_self",
    b"app",
    b"settings",
    b"debug",
    b"this",
    b"$this",
    b"request",
    b"env",
    b"[]",
    b"_context",
    b"cycler",
    b"joiner",
    b"lipsum",
    b"namespace()",
    b"self.module",
    b"self.template",
];

#[cfg(test)]
mod tests {
    use super::{names_class, names_object};

    #[test]
    fn an_object_is_named_as_a_whole() {
        let names = |text: &str| names_object(text.replace(' ', "").as_bytes(), text.as_bytes());
        for text in [
            "config.items()",
            "x~settings.secret_key",
            "$environment.a",
            "self.attr.x",
            "(self.module)",
            "for k in config . items()",
            "not self.template else x",
            "app_config.items()~config.items()",
        ] {
            assert!(names(text), "{text}");
        }
        for text in ["app_config.items()", "role_environment.ip", "self.attrs", "myself.module", "config.title"] {
            assert!(!names(text), "{text}");
        }
    }

    #[test]
    fn the_name_of_a_class_reaches_nothing() {
        for expression in ["self.__class__.__name__", "my_item.__class__.__name__"] {
            assert!(names_class(expression.as_bytes()), "{expression}");
        }
        for expression in
            ["''.__class__.__name__", "a.__class__.__mro__", ".__class__.__name__", "a|b.__class__.__name__"]
        {
            assert!(!names_class(expression.as_bytes()), "{expression}");
        }
    }
}
