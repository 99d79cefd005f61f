//! Operands with their members and calls, and what is between brackets.

/// Most names of a chain that are kept; of longer ones, the last is replaced.
const MAX_NAMES: usize = 8;

/// What a chain of members begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Root {
    #[default]
    Name,
    Variable,
    Text,
    /// A bracket around texts, joined or not.
    Texts,
    /// Anything else.
    Other,
}

/// An operand with its members and calls: `a.b('x').c`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chain<'t> {
    pub root: Root,
    names: [&'t [u8]; MAX_NAMES],
    pub count: usize,
    /// Something before the last name was called.
    pub called: bool,
    /// The last step was a call, so that another one calls its result.
    pub is_result: bool,
    /// `new` is before it.
    pub constructs: bool,
    /// The root is a variable that was set to a text, which may name a function.
    pub holds_text: bool,
    /// The module that a call of `require`, `import` or `__import__` loads.
    pub module: &'t [u8],
}

impl<'t> Chain<'t> {
    pub(super) fn new(root: Root, name: &'t [u8]) -> Self {
        let mut chain = Self { root, ..Self::default() };
        if !name.is_empty() {
            chain.push(name);
        }
        chain
    }

    pub(super) fn push(&mut self, name: &'t [u8]) {
        let at = self.count.min(MAX_NAMES - 1);
        self.names[at] = name;
        self.count = at + 1;
        self.is_result = false;
    }

    /// Its names, in order.
    pub(super) fn names(&self) -> &[&'t [u8]] {
        &self.names[..self.count]
    }

    /// The last name; empty if there is none.
    pub(super) fn last(&self) -> &'t [u8] {
        self.names().last().copied().unwrap_or_default()
    }

    /// Whether it is a name alone.
    pub(super) fn is_free(&self) -> bool {
        self.root == Root::Name && self.count == 1 && !self.called && !self.is_result
    }
}

/// What is between the brackets of a call, an index or a group.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Arguments<'t> {
    /// The first text, and whether there is one.
    pub text: Option<&'t [u8]>,
    pub texts: usize,
    pub numbers: usize,
    pub names: usize,
    pub variables: usize,
    /// A variable of PHP that holds what the client sent.
    pub superglobal: bool,
    pub calls: bool,
    pub operators: bool,
    /// A list, an object or a bracket.
    pub groups: bool,
    /// A text that is a path of the system or an address.
    pub path: bool,
    /// A text that names a function which runs commands or code.
    pub callback: bool,
    /// Something that is weak evidence.
    pub weak: bool,
    /// The last name before it, which is a type if it is alone.
    pub name: &'t [u8],
}

impl Arguments<'_> {
    /// Whether there is a value that the code itself gives or computes.
    pub(super) fn is_given(&self) -> bool {
        self.texts + self.numbers > 0 || self.calls || self.superglobal || self.variables > 0
    }

    /// Whether there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.texts + self.numbers + self.names + self.variables == 0 && !self.calls && !self.groups
    }
}
