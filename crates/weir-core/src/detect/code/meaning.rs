//! What a call or a member of a program does.

use super::abilities::{Ability, ability};
use super::chain::{Arguments, Chain, Root};
use super::{names, objects};

/// How much a call or a member says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strength {
    /// Only in a program that has statements, or where its result is shown.
    Weak,
    /// By itself.
    Strong,
}

use Strength::{Strong, Weak};

/// What the call of `chain` does.
pub(super) fn call(chain: &Chain<'_>, arguments: &Arguments<'_>) -> Option<Strength> {
    if chain.is_result {
        // The result of a call is called: `Function('...')()`.
        return (ability(chain.last()) == Some(Ability::Evaluate) || names::makes_function(chain.last()))
            .then_some(Strong);
    }
    match chain.root {
        Root::Variable if chain.count == 1 && chain.holds_text => return Some(Strong),
        Root::Variable if chain.count > 1 && names::is_superglobal(chain.names()[0]) => return Some(Strong),
        Root::Texts if chain.count == 0 => return (!arguments.is_empty()).then_some(Strong),
        Root::Text if chain.count == 0 => return None,
        _ => {}
    }
    if !chain.module.is_empty() && names::is_system_module(chain.module) {
        return Some(Strong);
    }
    let by_owner = by_object(chain, arguments).or_else(|| by_package(chain, arguments));
    if by_owner == Some(Strong) { by_owner } else { by_name(chain, arguments).or(by_owner) }
}

/// A call of a member of an object that represents the system, a process or the interpreter.
fn by_object(chain: &Chain<'_>, arguments: &Arguments<'_>) -> Option<Strength> {
    let names = chain.names();
    let (object, members) = names.split_first()?;
    let first = members.first()?;
    if !objects::is_member(object, first, chain.last()) {
        return None;
    }
    let given = arguments.is_given() || arguments.groups || chain.called;
    let shows = matches!(ability(chain.last()), Some(Ability::Show | Ability::State | Ability::End));
    Some(if given || shows { Strong } else { Weak })
}

/// A call of a method by the whole name of its class: `java.lang.Thread.sleep(1)`.
fn by_package(chain: &Chain<'_>, arguments: &Arguments<'_>) -> Option<Strength> {
    let [first, second, .., class, _] = chain.names() else { return None };
    let package = |name: &[u8]| name.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_');
    if chain.called || !class.first()?.is_ascii_uppercase() || !package(second) {
        return None;
    }
    // The place in a source file, as stack traces have it, is a name and a number.
    let given = arguments.is_given() && arguments.names == 0;
    match *first {
        b"java" | b"javax" | b"jdk" | b"sun" | b"Packages" => Some(if given { Strong } else { Weak }),
        b"org" | b"com" | b"net" | b"groovy" if package(first) && second.len() > 2 => given.then_some(Weak),
        _ => None,
    }
}

/// A call that its name explains.
fn by_name(chain: &Chain<'_>, arguments: &Arguments<'_>) -> Option<Strength> {
    let name = chain.last();
    let own = chain.is_free() || chain.root == Root::Text && chain.count == 1;
    let given = arguments.is_given();
    if chain.constructs && chain.called && given && chain.names().iter().any(|n| ability(n) == Some(Ability::Construct))
    {
        return Some(Strong);
    }
    if name == b"execute" && chain.count == 1 && matches!(chain.root, Root::Text | Root::Texts) {
        return Some(Strong);
    }
    match ability(name)? {
        Ability::Run => (given && own).then_some(Strong),
        Ability::RunByAnyObject | Ability::File | Ability::Connect => given.then_some(Strong),
        Ability::Launch => {
            (own && arguments.text.is_some_and(|text| text.contains(&b' ') || text.contains(&b'/'))).then_some(Strong)
        }
        Ability::Evaluate => ((own || chain.root != Root::Variable)
            && (arguments.texts > 0 || arguments.calls || arguments.superglobal))
            .then_some(if own || name.len() > 4 { Strong } else { Weak }),
        Ability::Show => own.then_some(Strong).or(Some(Weak)),
        Ability::State => own.then_some(Weak),
        Ability::Path => {
            let path = (own || chain.constructs) && arguments.path;
            path.then_some(Strong).or((own && given && names::changes_files(name)).then_some(Weak))
        }
        Ability::Construct if chain.constructs => Some(if given || arguments.groups { Strong } else { Weak }),
        Ability::Construct => None,
        Ability::Reflect => Some(Strong),
        // The name of a class has dots.
        Ability::Class => Some(if arguments.text.is_some_and(|text| text.contains(&b'.')) { Strong } else { Weak }),
        Ability::Callback => arguments.callback.then_some(Strong),
        Ability::Print => {
            let computed = arguments.numbers > 1 && arguments.operators && arguments.texts + arguments.names == 0;
            let dumps = arguments.superglobal && arguments.variables == 1 && arguments.texts == 0;
            let shown = arguments.weak || dumps;
            shown.then_some(Strong).or(computed.then_some(Weak))
        }
        Ability::End => None,
    }
}

/// What reading a member does.
pub(super) fn member(chain: &Chain<'_>) -> Option<Strength> {
    let names = chain.names();
    let last = chain.last();
    match last {
        b"__subclasses__" | b"__globals__" | b"__builtins__" | b"__mro__" | b"__bases__" | b"__base__" => {
            return Some(Strong);
        }
        b"__class__" => return Some(Weak),
        b"constructor" | b"__proto__" => {
            let before = names.len().checked_sub(2).map(|at| names[at]);
            return matches!(before, Some(b"constructor" | b"__proto__")).then_some(Strong);
        }
        b"mainModule" => return Some(Strong),
        _ => {}
    }
    let holder = match names {
        [holder, _] | [b"global" | b"globalThis" | b"this" | b"self", holder, _] => *holder,
        _ => return None,
    };
    matches!((holder, last), (b"process", b"env") | (b"os", b"environ") | (b"ENV", _)).then_some(Weak)
}

/// What an element of an object that represents the system is: a list of files, a variable of the environment.
pub(super) fn index(chain: &Chain<'_>, arguments: &Arguments<'_>) -> Option<Strength> {
    let object = *chain.names().first()?;
    match object {
        b"Dir" if chain.count == 2 => arguments.text.is_some_and(is_system_path).then_some(Strong),
        b"ENV" if chain.count == 2 && arguments.texts == 1 => Some(Weak),
        _ => None,
    }
}

/// What a word does with the text behind it: `include 'http://...'`.
pub(super) fn argument_text(word: &[u8], text: &[u8]) -> Option<Strength> {
    match ability(word)? {
        Ability::Path => is_system_path(text).then_some(Strong),
        Ability::Run | Ability::RunByAnyObject | Ability::File => Some(Weak),
        _ => None,
    }
}

/// Whether a text is a path from a root, a climbing one, an address, a pipe to a command, or names a program of a server.
pub(super) fn is_system_path(text: &[u8]) -> bool {
    let drive = text.len() > 2 && text[0].is_ascii_alphabetic() && text[1] == b':' && matches!(text[2], b'\\' | b'/');
    let rooted = text.first() == Some(&b'/') && (text.len() > 1 && memchr::memchr(b'/', &text[1..]).is_some());
    let has = |part: &[u8]| memchr::memmem::find(text, part).is_some();
    let program = [&b".php"[..], b".phtml", b".jsp", b".aspx", b".asp"].iter().any(|end| text.ends_with(end));
    let piped = text.first() == Some(&b'|') || text.last() == Some(&b'|');
    super::super::work::count(text.len());
    drive
        || rooted
        || program
        || piped && text.len() > 2
        || has(b"../")
        || has(b"..\\")
        || has(b"://")
        || text.starts_with(b"~/")
}
