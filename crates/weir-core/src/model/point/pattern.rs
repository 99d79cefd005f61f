//! Points as they are written in rules.

use super::{Argument, Key, OwnedKey, PathItem, PointId, PointPath, PointTree, Segment, Tag};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// One step of a [`PointPattern`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PatternItem {
    /// Kind of step.
    pub tag: Tag,
    /// None matches any argument (`_all`, or a tag without one).
    pub key: Option<OwnedKey>,
}

/// A point as written in a rule: a path whose steps may leave the argument open.
///
/// `["get_all"]` and `["hash"]` without an argument match any; header names compare without regard to case.
/// A pattern covers the point itself and, unless it is matched exactly, everything decoded from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct PointPattern(pub Vec<PatternItem>);

impl PointPattern {
    /// Whether the pattern names `path` or a point above it, so that an exception for a parameter
    /// also covers what was decoded from it.
    pub fn covers(&self, path: &PointPath) -> bool {
        path.0.len() >= self.0.len() && self.0.iter().zip(&path.0).all(|(want, have)| want.matches(have))
    }

    /// Whether the pattern names exactly `path`.
    pub fn is(&self, path: &PointPath) -> bool {
        path.0.len() == self.0.len() && self.covers(path)
    }

    /// Like [`Self::covers`], on a node of a tree, without making a path.
    pub fn covers_node(&self, tree: &PointTree<'_>, id: PointId) -> bool {
        let Some(at) = tree.first_steps(id, self.0.len()) else { return false };
        self.0.iter().rev().zip(tree.ancestors(at)).all(|(want, have)| want.matches_segment(have))
    }
}

impl PatternItem {
    fn matches(&self, item: &PathItem) -> bool {
        self.tag == item.tag
            && match (&self.key, &item.key) {
                (None, _) => true,
                (Some(OwnedKey::Name(want)), OwnedKey::Name(have)) if folds_case(self.tag) => {
                    want.eq_ignore_ascii_case(have)
                }
                (Some(want), have) => want == have,
            }
    }

    fn matches_segment(&self, segment: Segment<'_>) -> bool {
        self.tag == segment.tag
            && match (&self.key, segment.key) {
                (None, _) => true,
                (Some(OwnedKey::Name(want)), Key::Name(have)) if folds_case(self.tag) => {
                    want.as_bytes().eq_ignore_ascii_case(have)
                }
                (Some(OwnedKey::Name(want)), Key::Name(have)) => want.as_bytes() == have,
                (Some(OwnedKey::Index(want)), Key::Index(have)) => *want == have,
                (Some(OwnedKey::None), Key::None) => true,
                _ => false,
            }
    }
}

fn folds_case(tag: Tag) -> bool {
    matches!(tag, Tag::Header | Tag::ResponseHeader)
}

impl Serialize for PatternItem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(key) = &self.key else {
            let open = if self.tag.argument() == Argument::None { "" } else { "_all" };
            return [format!("{}{open}", self.tag.code())].serialize(serializer);
        };
        PathItem { tag: self.tag, key: key.clone() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PatternItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemVisitor;
        impl<'de> Visitor<'de> for ItemVisitor {
            type Value = PatternItem;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a point step such as [\"post\"], [\"hash\",\"user\"] or [\"path\",0]")
            }

            fn visit_str<E: de::Error>(self, code: &str) -> Result<PatternItem, E> {
                item(code, None)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<PatternItem, A::Error> {
                let code: String = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let argument: Option<RawKey> = seq.next_element()?;
                if seq.next_element::<de::IgnoredAny>()?.is_some() {
                    return Err(de::Error::custom("a point step has a tag and at most one argument"));
                }
                item(&code, argument)
            }
        }
        deserializer.deserialize_any(ItemVisitor)
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a name or a number after the step")]
enum RawKey {
    Index(u32),
    Name(String),
}

fn item<E: de::Error>(code: &str, argument: Option<RawKey>) -> Result<PatternItem, E> {
    let open = code.strip_suffix("_all");
    let tag = open
        .and_then(Tag::from_code)
        .or_else(|| Tag::from_code(code))
        .ok_or_else(|| E::custom(format_args!("unknown point tag `{code}`")))?;
    if open.is_some() && argument.is_some() {
        return Err(E::custom(format_args!("`{code}` matches every name and takes no argument")));
    }
    let key = match (tag.argument(), argument) {
        (_, None) => None,
        (Argument::Name, Some(RawKey::Name(name))) => Some(OwnedKey::Name(name)),
        (Argument::Name, Some(RawKey::Index(index))) => Some(OwnedKey::Name(index.to_string())),
        (Argument::Index, Some(RawKey::Index(index))) => Some(OwnedKey::Index(index)),
        (Argument::Index, Some(RawKey::Name(name))) => Some(OwnedKey::Index(
            name.parse().map_err(|_| E::custom(format_args!("`{code}` takes a number, not `{name}`")))?,
        )),
        (Argument::None, Some(_)) => return Err(E::custom(format_args!("`{code}` takes no argument"))),
    };
    Ok(PatternItem { tag, key })
}

impl<'de> Deserialize<'de> for PointPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<PatternItem>::deserialize(deserializer).map(PointPattern)
    }
}
