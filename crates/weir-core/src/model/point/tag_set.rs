//! [`TagSet`]: which of the tags that are often asked for occur in a point, so that long points are not walked up to see.

use super::Tag;

/// Tags that a set can have.
const MEMBERS: [Tag; 13] = [
    Tag::Uri,
    Tag::File,
    Tag::Percent,
    Tag::Get,
    Tag::FormUrlencoded,
    Tag::Multipart,
    Tag::JsonDoc,
    Tag::Xml,
    Tag::Gql,
    Tag::Msgpack,
    Tag::Cbor,
    Tag::Protobuf,
    Tag::Grpc,
];

/// For each tag its bit, if it can be in a set.
static BITS: [u16; Tag::ALL.len()] = {
    let (mut bits, mut at) = ([0; Tag::ALL.len()], 0);
    while at < MEMBERS.len() {
        bits[MEMBERS[at] as usize] = 1 << at;
        at += 1;
    }
    bits
};

/// A set of tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TagSet(u16);

impl TagSet {
    /// No tags.
    pub const NONE: TagSet = TagSet(0);
    /// The path of the target.
    pub const URI: TagSet = TagSet::of(&[Tag::Uri]);
    /// Files.
    pub const FILES: TagSet = TagSet::of(&[Tag::File]);
    /// JSON.
    pub const JSON: TagSet = TagSet::of(&[Tag::JsonDoc]);
    /// Parameters of queries and forms, which are percent-encoded.
    pub const FORMS: TagSet = TagSet::of(&[Tag::Get, Tag::FormUrlencoded]);
    /// Structured documents.
    pub const DOCUMENTS: TagSet =
        TagSet::of(&[Tag::JsonDoc, Tag::Xml, Tag::Gql, Tag::Msgpack, Tag::Cbor, Tag::Protobuf, Tag::Grpc]);

    /// The set of `tags`, all of which must be members that a set can have.
    const fn of(tags: &[Tag]) -> Self {
        let (mut set, mut at) = (0, 0);
        while at < tags.len() {
            let mut bit = 0;
            while MEMBERS[bit] as u8 != tags[at] as u8 {
                bit += 1;
            }
            set |= 1 << bit;
            at += 1;
        }
        Self(set)
    }

    /// This set and `tag`, if that can be in a set.
    #[inline]
    pub fn with(self, tag: Tag) -> Self {
        Self(self.0 | BITS[tag as usize])
    }

    /// Whether both sets have a tag in common.
    #[inline]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether it may hold `tag`: false for none of those that can be in a set.
    #[inline]
    pub fn may_hold(self, tag: Tag) -> bool {
        let bit = BITS[tag as usize];
        bit == 0 || self.0 & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PointId, PointTree, Segment};
    use super::*;

    #[test]
    fn sets_say_what_the_steps_of_a_point_say() {
        let mut tree = PointTree::new();
        let mut at = PointId::ROOT;
        assert!(!tree.is_within(at, TagSet::URI) && tree.nesting(at, Tag::Uri) == 0);
        for &tag in Tag::ALL.iter().chain(Tag::ALL) {
            at = tree.child(at, Segment::plain(tag));
            let has = |tags: &[Tag]| tree.ancestors(at).any(|step| tags.contains(&step.tag));
            for &member in &MEMBERS {
                assert_eq!(tree.is_within(at, TagSet::of(&[member])), has(&[member]), "{member:?}");
            }
            assert_eq!(tree.is_within(at, TagSet::FORMS), has(&[Tag::Get, Tag::FormUrlencoded]));
            let decodes = [Tag::Percent, Tag::Get, Tag::FormUrlencoded];
            let layers = tree.ancestors(at).filter(|step| decodes.contains(&step.tag)).count();
            assert_eq!(usize::from(tree.percent_layers(at)), layers);
            for &asked in Tag::ALL {
                let count = tree.ancestors(at).filter(|step| step.tag == asked).count();
                assert_eq!(tree.nesting(at, asked), count, "{asked:?}");
            }
        }
    }
}
