//! Points: where a value sits in a message, e.g. `[["post"],["json_doc"],["hash","user"]]`.
//!
//! A point is the identity of every finding and exception. While a message is parsed, points live in a [`PointTree`]
//! of borrowed segments, so that a value costs one node; a [`PointPath`] is made only for what is reported.

mod path;
mod pattern;
mod tag_set;

use super::recycle::reuse_allocation;
pub use path::{OwnedKey, PathItem, PointPath};
pub use pattern::{PatternItem, PointPattern};
pub use tag_set::TagSet;

macro_rules! tags {
    ($($variant:ident = $code:literal $(| $alias:literal)*, $arg:ident;)*) => {
        /// One kind of step in a point. Names follow the documented point syntax.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Tag { $(#[doc = concat!("`", $code, "`")] $variant,)* }

        impl Tag {
            /// Every tag.
            pub const ALL: &'static [Tag] = &[$(Tag::$variant,)*];
            /// The tag as written in a point.
            pub const fn code(self) -> &'static str { match self { $(Tag::$variant => $code,)* } }
            /// What follows the tag in a point.
            pub const fn argument(self) -> Argument { match self { $(Tag::$variant => Argument::$arg,)* } }
            /// The tag with this code or one of its aliases.
            pub fn from_code(code: &str) -> Option<Tag> {
                match code { $($code $(| $alias)* => Some(Tag::$variant),)* _ => None }
            }
        }
    };
}

/// What follows a tag in a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Nothing: `["post"]`.
    None,
    /// A name: `["hash","user"]`.
    Name,
    /// A number: `["path",0]`.
    Index,
}

tags! {
    Uri = "uri", None;
    Path = "path", Index;
    ActionName = "action_name", None;
    ActionExt = "action_ext", None;
    Get = "get" | "query", Name;
    GetName = "get_name" | "query_name", None;
    Header = "header", Name;
    HeaderName = "header_name", None;
    Cookie = "cookie", Name;
    CookieName = "cookie_name", None;
    Post = "post", None;
    Method = "method", None;
    Proto = "proto", None;
    Scheme = "scheme", None;
    Instance = "instance" | "application", None;
    RemoteAddr = "remote_addr", None;
    ResponseHeader = "response_header", Name;
    ResponseBody = "response_body", None;
    Percent = "percent", None;
    FormUrlencoded = "form_urlencoded", Name;
    FormUrlencodedName = "form_urlencoded_name", None;
    Multipart = "multipart", Name;
    MultipartName = "multipart_name", None;
    File = "file", None;
    ContentDisp = "content_disp", Name;
    Array = "array" | "json_array", Index;
    Hash = "hash" | "json_obj", Name;
    HashName = "hash_name" | "json_obj_name", None;
    Pollution = "pollution", None;
    JsonDoc = "json_doc" | "json", None;
    Xml = "xml", None;
    XmlTag = "xml_tag", Name;
    XmlTagName = "xml_tag_name", None;
    XmlTagArray = "xml_tag_array", Index;
    XmlAttr = "xml_attr", Name;
    XmlComment = "xml_comment", Index;
    XmlPi = "xml_pi", Index;
    XmlDtd = "xml_dtd", None;
    XmlDtdEntity = "xml_dtd_entity", Index;
    Gql = "gql", None;
    GqlQuery = "gql_query", Name;
    GqlMutation = "gql_mutation", Name;
    GqlSubscription = "gql_subscription", Name;
    GqlFragment = "gql_fragment", Name;
    GqlAlias = "gql_alias", Name;
    GqlArg = "gql_arg", Name;
    GqlDir = "gql_dir", Name;
    GqlSpread = "gql_spread", Name;
    GqlInline = "gql_inline", None;
    GqlType = "gql_type", Name;
    GqlVar = "gql_var", Name;
    Jwt = "jwt", None;
    JwtPrefix = "jwt_prefix", None;
    JwtHeader = "jwt_header", None;
    JwtPayload = "jwt_payload", None;
    Base64 = "base64", None;
    Hex = "hex", None;
    Gzip = "gzip", None;
    Deflate = "deflate", None;
    Brotli = "brotli", None;
    Zstd = "zstd", None;
    Htmljs = "htmljs", None;
    Charset = "charset", None;
    Viewstate = "viewstate", None;
    ViewstateArray = "viewstate_array", Index;
    ViewstatePair = "viewstate_pair", Index;
    ViewstateTriplet = "viewstate_triplet", Index;
    ViewstateDict = "viewstate_dict", Name;
    ViewstateDictKey = "viewstate_dict_key", Index;
    ViewstateDictValue = "viewstate_dict_value", Index;
    ViewstateSparseArray = "viewstate_sparse_array", Index;
    Grpc = "grpc", Index;
    Protobuf = "protobuf", Name;
    Msgpack = "msgpack", None;
    Cbor = "cbor", None;
    Archive = "archive", Name;
    ArchiveName = "archive_name", None;
}

/// The argument of a segment while a message is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// The tag has none.
    None,
    /// A name from the message, bytes as decoded.
    Name(&'a [u8]),
    /// A position.
    Index(u32),
}

/// One step of a point while a message is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Kind of step.
    pub tag: Tag,
    /// Its argument.
    pub key: Key<'a>,
}

impl<'a> Segment<'a> {
    /// `["tag"]`
    pub const fn plain(tag: Tag) -> Self {
        Self { tag, key: Key::None }
    }

    /// `["tag","name"]`
    pub const fn named(tag: Tag, name: &'a [u8]) -> Self {
        Self { tag, key: Key::Name(name) }
    }

    /// `["tag",index]`
    pub const fn indexed(tag: Tag, index: u32) -> Self {
        Self { tag, key: Key::Index(index) }
    }
}

/// A node of a [`PointTree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PointId(u32);

impl PointId {
    /// The message itself: the empty point.
    pub const ROOT: PointId = PointId(0);

    /// Index of the node in its tree. A node is made after its ancestors.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// All points of one message, as nodes that know their parent.
#[derive(Debug)]
pub struct PointTree<'a> {
    nodes: Vec<Node<'a>>,
}

#[derive(Debug)]
struct Node<'a> {
    parent: PointId,
    /// Tags of the steps up to and with this one.
    tags: TagSet,
    /// How many of these steps decode percent-encoding.
    layers: u8,
    /// How many steps these are.
    depth: u32,
    /// The node [`HEAD`] steps below the root, or this one if there are fewer.
    head: PointId,
    /// The innermost of these steps that names a parameter or member; the root if there is none.
    named: PointId,
    segment: Segment<'a>,
}

/// Steps of a point that are found without walking up from its end: points of signatures are shorter, those of values in
/// deep documents are not.
const HEAD: u32 = 8;

/// The node of the message itself; its segment is never looked at.
const ROOT: Node<'static> = Node {
    parent: PointId::ROOT,
    tags: TagSet::NONE,
    layers: 0,
    depth: 0,
    head: PointId::ROOT,
    named: PointId::ROOT,
    segment: Segment::plain(Tag::Uri),
};

impl Default for PointTree<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> PointTree<'a> {
    /// A tree with only the root.
    pub fn new() -> Self {
        Self { nodes: vec![ROOT] }
    }

    /// A tree with only the root, in the memory of one that is no longer needed.
    pub fn reusing(old: PointTree<'_>) -> Self {
        let mut nodes = reuse_allocation(old.nodes);
        nodes.push(ROOT);
        Self { nodes }
    }

    /// Makes room for `nodes` more.
    pub fn reserve(&mut self, nodes: usize) {
        self.nodes.reserve(nodes);
    }

    /// Bytes of memory that it has.
    pub fn memory(&self) -> usize {
        self.nodes.capacity() * size_of::<Node<'_>>()
    }

    /// A new node below `parent`.
    pub fn child(&mut self, parent: PointId, segment: Segment<'a>) -> PointId {
        let id = PointId(u32::try_from(self.nodes.len()).expect("bounded by Limits::values"));
        let Node { tags, layers, depth, head, named, .. } = self.nodes[parent.0 as usize];
        let decodes = matches!(segment.tag, Tag::Percent | Tag::Get | Tag::FormUrlencoded);
        let layers = layers.saturating_add(u8::from(decodes));
        let head = if depth < HEAD { id } else { head };
        let names = matches!(segment.tag, Tag::Get | Tag::FormUrlencoded | Tag::Hash | Tag::Multipart | Tag::Cookie);
        let named = if names { id } else { named };
        self.nodes.push(Node { parent, tags: tags.with(segment.tag), layers, depth: depth + 1, head, named, segment });
        id
    }

    /// The name of the innermost parameter, member or field that `id` belongs to; empty if there is none. Found without
    /// walking up, as documents may be deep.
    pub fn parameter_name(&self, id: PointId) -> &'a [u8] {
        match self.segment(self.nodes[id.0 as usize].named).map(|segment| segment.key) {
            Some(Key::Name(name)) => name,
            _ => b"",
        }
    }

    /// The node `steps` below the root on the way to `id`, or none if `id` is nearer to it.
    pub(super) fn first_steps(&self, id: PointId, steps: usize) -> Option<PointId> {
        let node = &self.nodes[id.0 as usize];
        let (steps, near) = (u32::try_from(steps).ok()?, node.depth.min(HEAD));
        let (mut at, depth) = if steps <= near { (node.head, near) } else { (id, node.depth) };
        for _ in steps..depth {
            at = self.parent(at);
        }
        (steps <= depth).then_some(at)
    }

    /// Nodes made so far, the root included.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether only the root is there.
    pub fn is_empty(&self) -> bool {
        self.nodes.len() == 1
    }

    /// Forgets every node past the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.nodes.truncate(len.max(1));
    }

    /// The segment of `id`, or none for the root.
    pub fn segment(&self, id: PointId) -> Option<Segment<'a>> {
        (id != PointId::ROOT).then(|| self.nodes[id.0 as usize].segment)
    }

    /// The parent of `id`; the root is its own.
    pub fn parent(&self, id: PointId) -> PointId {
        self.nodes[id.0 as usize].parent
    }

    /// Whether a step of `id` has one of `tags`.
    #[inline]
    pub fn is_within(&self, id: PointId, tags: TagSet) -> bool {
        self.nodes[id.0 as usize].tags.intersects(tags)
    }

    /// How many steps of `id` decode percent-encoding; 255 for more.
    pub fn percent_layers(&self, id: PointId) -> u8 {
        self.nodes[id.0 as usize].layers
    }

    /// How many steps of `id` have `tag`.
    pub fn nesting(&self, id: PointId, tag: Tag) -> usize {
        if !self.nodes[id.0 as usize].tags.may_hold(tag) {
            return 0;
        }
        self.ancestors(id).filter(|segment| segment.tag == tag).count()
    }

    /// Segments from `id` up to the root.
    pub fn ancestors(&self, id: PointId) -> impl Iterator<Item = Segment<'a>> + '_ {
        let mut at = id;
        std::iter::from_fn(move || {
            let segment = self.segment(at)?;
            at = self.parent(at);
            Some(segment)
        })
    }

    /// How many recodings of a value as a whole lead to `id`, one after another.
    pub fn recodings(&self, id: PointId) -> usize {
        let recoding = |tag| matches!(tag, Tag::Percent | Tag::Htmljs | Tag::Charset | Tag::Base64 | Tag::Hex);
        self.ancestors(id).take_while(|segment| recoding(segment.tag)).count()
    }

    /// The owned path of `id`.
    pub fn path(&self, id: PointId) -> PointPath {
        let mut items: Vec<PathItem> = self.ancestors(id).map(PathItem::from).collect();
        items.reverse();
        PointPath(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (PointTree<'static>, PointId) {
        let mut tree = PointTree::new();
        let post = tree.child(PointId::ROOT, Segment::plain(Tag::Post));
        let json = tree.child(post, Segment::plain(Tag::JsonDoc));
        let user = tree.child(json, Segment::named(Tag::Hash, b"user"));
        let first = tree.child(user, Segment::indexed(Tag::Array, 1));
        (tree, first)
    }

    #[test]
    fn tag_codes_are_unique() {
        for &tag in Tag::ALL {
            assert_eq!(Tag::from_code(tag.code()), Some(tag));
        }
    }

    #[test]
    fn path_serialises_in_the_documented_form() {
        let (tree, id) = tree();
        let path = tree.path(id);
        assert_eq!(serde_json::to_string(&path).unwrap(), r#"[["post"],["json_doc"],["hash","user"],["array",1]]"#);
        assert_eq!(path.to_string(), "[post][json_doc][hash,'user'][array,1]");
    }

    #[test]
    fn patterns_cover_what_lies_below() {
        let (tree, id) = tree();
        let path = tree.path(id);
        for (text, covers, is) in [
            (r#"[["post"]]"#, true, false),
            (r#"[["post"],["json_doc"],["hash","user"]]"#, true, false),
            (r#"[["post"],["json_doc"],["hash_all"],["array",1]]"#, true, true),
            (r#"[["post"],["json_doc"],["hash","name"]]"#, false, false),
            (r#"[["post"],["json"],["json_obj","user"],["array",1],["base64"]]"#, false, false),
            (r#"["post","json_doc"]"#, true, false),
        ] {
            let pattern: PointPattern = serde_json::from_str(text).unwrap();
            assert_eq!(pattern.covers(&path), covers, "{text}");
            assert_eq!(pattern.covers_node(&tree, id), covers, "{text}");
            assert_eq!(pattern.is(&path), is, "{text}");
        }
    }

    #[test]
    fn patterns_of_every_length_cover_a_deep_point() {
        let mut tree = PointTree::new();
        let mut id = PointId::ROOT;
        for at in 0..12 {
            id = tree.child(id, Segment::indexed(Tag::Array, at));
        }
        let path = tree.path(id);
        for steps in 0..=13 {
            let item = |at| format!(r#"["array",{at}]"#);
            let write = |items: Vec<String>| serde_json::from_str(&format!("[{}]", items.join(","))).unwrap();
            let right: PointPattern = write((0..steps).map(item).collect());
            let wrong: PointPattern = write((0..steps).map(|at| item(at + u32::from(at + 1 == steps))).collect());
            for pattern in [right, wrong] {
                assert_eq!(pattern.covers_node(&tree, id), pattern.covers(&path), "{pattern:?}");
            }
        }
    }

    #[test]
    fn header_names_fold_case() {
        let mut tree = PointTree::new();
        let id = tree.child(PointId::ROOT, Segment::named(Tag::Header, b"X-FORWARDED-FOR"));
        let pattern: PointPattern = serde_json::from_str(r#"[["header","x-forwarded-for"]]"#).unwrap();
        assert!(pattern.is(&tree.path(id)) && pattern.covers_node(&tree, id));
    }

    #[test]
    fn bad_patterns_say_what_is_wrong() {
        for (text, message) in [
            (r#"[["nope"]]"#, "unknown point tag `nope`"),
            (r#"[["post","x"]]"#, "takes no argument"),
            (r#"[["path","x"]]"#, "takes a number"),
            (r#"[["get_all","x"]]"#, "matches every name"),
        ] {
            let error = serde_json::from_str::<PointPattern>(text).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
