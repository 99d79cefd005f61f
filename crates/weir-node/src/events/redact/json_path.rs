//! The path to each value of a JSON text, token by token.

use super::secret_names::is_secret;
use super::value_locator::named;
use weir_core::model::Tag;
use weir_core::model::point::{OwnedKey, PathItem};

/// Steps of a path that are kept: no rule names a deeper point.
const MAX_STEPS: usize = 64;

/// An open object or array.
struct Frame {
    object: bool,
    /// Elements seen.
    index: u32,
    /// Whether a name was read and its value comes.
    named: bool,
    /// Length of the path at its value, the step for the current member apart.
    depth: usize,
    /// Whether it stands below a name that says that it is a secret.
    secret: bool,
    /// The same for the current member.
    member: bool,
}

/// Where a walk through a JSON text is.
pub struct JsonPathTracker {
    path: Vec<PathItem>,
    frames: Vec<Frame>,
}

impl JsonPathTracker {
    /// A walk below `path`.
    pub fn new(path: Vec<PathItem>) -> Self {
        Self { path, frames: Vec::new() }
    }

    /// An object or array begins.
    pub fn open(&mut self, object: bool) {
        let secret = self.frames.last().is_some_and(|frame| frame.secret || frame.member);
        if self.frames.last().is_some_and(|frame| !frame.object) {
            self.element();
        }
        self.frames.push(Frame { object, index: 0, named: false, depth: self.path.len(), secret, member: false });
    }

    /// One ends.
    pub fn close(&mut self) {
        self.frames.pop();
        self.done();
    }

    /// A comma or colon.
    pub fn mark(&mut self, mark: u8) {
        if let (b',', Some(frame)) = (mark, self.frames.last_mut()) {
            frame.index = frame.index.saturating_add(1);
            (frame.named, frame.member) = (false, false);
            self.path.truncate(frame.depth);
        }
    }

    /// Whether a name comes next.
    pub fn wants_name(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.object && !frame.named)
    }

    /// A name was read.
    pub fn name(&mut self, name: &[u8]) {
        let Some(frame) = self.frames.last_mut() else { return };
        (frame.named, frame.member) = (true, is_secret(name));
        self.path.truncate(frame.depth);
        if self.path.len() < MAX_STEPS {
            self.path.push(named(Tag::Hash, name));
        }
    }

    fn element(&mut self) {
        let Some(frame) = self.frames.last() else { return };
        let item = PathItem { tag: Tag::Array, key: OwnedKey::Index(frame.index) };
        self.path.truncate(frame.depth);
        if self.path.len() < MAX_STEPS {
            self.path.push(item);
        }
    }

    /// The path of a scalar that comes now, and whether a name above it says that it is a secret.
    pub fn value(&mut self) -> (Vec<PathItem>, bool) {
        if self.frames.last().is_some_and(|frame| !frame.object) {
            self.element();
        }
        let path = self.path.clone();
        let secret = self.frames.last().is_some_and(|frame| frame.secret || frame.member);
        self.done();
        (path, secret)
    }

    /// A value is over.
    fn done(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.named = false;
            frame.member = false;
            self.path.truncate(frame.depth);
        }
    }
}
