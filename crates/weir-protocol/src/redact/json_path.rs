//! Tracks the path to each value of a JSON text, token by token.

use super::secret_names::is_secret;
use super::value_locator::named;
use weir_core::model::Tag;
use weir_core::model::point::{OwnedKey, PathItem};

/// Steps of a path that are tracked: no rule refers to a deeper point.
const MAX_STEPS: usize = 64;

/// An open object or array.
struct Frame {
    object: bool,
    /// Index of the current element.
    index: u32,
    /// Whether a name was read and its value is next.
    named: bool,
    /// Length of the path to it, without the step for the current member.
    depth: usize,
    /// Whether a name above it marks it as a secret.
    secret: bool,
    /// The same for the current member.
    member: bool,
}

/// The position in a JSON text.
pub struct JsonPathTracker {
    path: Vec<PathItem>,
    frames: Vec<Frame>,
}

impl JsonPathTracker {
    /// Starts below `path`.
    pub fn new(path: Vec<PathItem>) -> Self {
        Self { path, frames: Vec::new() }
    }

    /// Enters an object or array.
    pub fn open(&mut self, object: bool) {
        let secret = self.frames.last().is_some_and(|frame| frame.secret || frame.member);
        if self.frames.last().is_some_and(|frame| !frame.object) {
            self.element();
        }
        self.frames.push(Frame { object, index: 0, named: false, depth: self.path.len(), secret, member: false });
    }

    /// Leaves an object or array.
    pub fn close(&mut self) {
        self.frames.pop();
        self.done();
    }

    /// Handles a comma or colon.
    pub fn mark(&mut self, mark: u8) {
        if let (b',', Some(frame)) = (mark, self.frames.last_mut()) {
            frame.index = frame.index.saturating_add(1);
            (frame.named, frame.member) = (false, false);
            self.path.truncate(frame.depth);
        }
    }

    /// Whether a name is next.
    pub fn wants_name(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.object && !frame.named)
    }

    /// Handles a name.
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

    /// The path of the next scalar, and whether a name above it marks it as a secret.
    pub fn value(&mut self) -> (Vec<PathItem>, bool) {
        if self.frames.last().is_some_and(|frame| !frame.object) {
            self.element();
        }
        let path = self.path.clone();
        let secret = self.frames.last().is_some_and(|frame| frame.secret || frame.member);
        self.done();
        (path, secret)
    }

    /// Handles the end of a value.
    fn done(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.named = false;
            frame.member = false;
            self.path.truncate(frame.depth);
        }
    }
}
