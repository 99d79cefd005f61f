//! Points as they are reported: owned and printable.

use super::{Key, PatternItem, Segment, Tag};
use crate::model::bytes::printable;
use serde::de::Deserializer;
use serde::ser::{SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};

/// The argument of a segment of a [`PointPath`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OwnedKey {
    /// None.
    None,
    /// A name; bytes that are no text are shown as `\xNN`.
    Name(String),
    /// A position.
    Index(u32),
}

/// One step of a [`PointPath`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathItem {
    /// Kind of step.
    pub tag: Tag,
    /// Its argument.
    pub key: OwnedKey,
}

/// Longest name kept in a reported point, in bytes.
const MAX_REPORTED_NAME: usize = 256;

impl From<Segment<'_>> for PathItem {
    fn from(segment: Segment<'_>) -> Self {
        let key = match segment.key {
            Key::None => OwnedKey::None,
            Key::Name(name) => OwnedKey::Name(printable(name, MAX_REPORTED_NAME)),
            Key::Index(index) => OwnedKey::Index(index),
        };
        Self { tag: segment.tag, key }
    }
}

impl<'de> Deserialize<'de> for PathItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let item = PatternItem::deserialize(deserializer)?;
        Ok(Self { tag: item.tag, key: item.key.unwrap_or(OwnedKey::None) })
    }
}

/// A point as reported: owned, printable, serialised as `[["post"],["json_doc"],["hash","user"]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PointPath(pub Vec<PathItem>);

impl std::fmt::Display for PointPath {
    /// `[post][json_doc][hash,'user']`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for item in &self.0 {
            match &item.key {
                OwnedKey::None => write!(f, "[{}]", item.tag.code())?,
                OwnedKey::Name(name) => write!(f, "[{},'{name}']", item.tag.code())?,
                OwnedKey::Index(index) => write!(f, "[{},{index}]", item.tag.code())?,
            }
        }
        Ok(())
    }
}

impl Serialize for PathItem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let len = if self.key == OwnedKey::None { 1 } else { 2 };
        let mut seq = serializer.serialize_seq(Some(len))?;
        seq.serialize_element(self.tag.code())?;
        match &self.key {
            OwnedKey::None => {}
            OwnedKey::Name(name) => seq.serialize_element(name)?,
            OwnedKey::Index(index) => seq.serialize_element(index)?,
        }
        seq.end()
    }
}
