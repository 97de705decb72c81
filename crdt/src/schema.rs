//! The names inside the shared document, and what stands behind them. `docs/DOCUMENT.md` is the same contract for
//! people who write other Yjs clients.
//!
//! ```text
//! nodes     Y.Map   id -> Y.Map { type, position, width, height, parentId, zIndex, data: Y.Map { securityFlags: Y.Map } }
//! edges     Y.Map   id -> Y.Map { source, target, label, type, data: Y.Map { securityFlags: Y.Map } }
//! meta      Y.Map   { schema_version, name, description, … }
//! comments  Y.Map
//! ```
//!
//! Everything that is not named as a Y.Map here is one plain JSON value: it is replaced as a whole, last writer wins.

/// The version that [`create`](crate::design::create) writes into `meta`. A document without one reads as version 1.
pub const SCHEMA_VERSION: u64 = 1;

/// Root: element id -> node.
pub const NODES: &str = "nodes";
/// Root: element id -> edge.
pub const EDGES: &str = "edges";
/// Root: what belongs to the design as a whole.
pub const META: &str = "meta";
/// Root: threads of comments.
pub const COMMENTS: &str = "comments";
/// Every root that a document may have.
pub const ROOTS: [&str; 4] = [NODES, EDGES, META, COMMENTS];

/// One of the roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Root {
    Nodes,
    Edges,
    Meta,
    Comments,
}

impl Root {
    pub const ALL: [Self; 4] = [Self::Nodes, Self::Edges, Self::Meta, Self::Comments];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nodes => NODES,
            Self::Edges => EDGES,
            Self::Meta => META,
            Self::Comments => COMMENTS,
        }
    }

    /// The root of this name, if a document may have it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|root| root.name() == name)
    }
}

/// A set of roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Roots(u8);

impl Roots {
    pub const NONE: Self = Self(0);

    /// The set of this one root.
    #[must_use]
    pub const fn only(root: Root) -> Self {
        Self(1 << root as u8)
    }

    pub const fn insert(&mut self, root: Root) {
        self.0 |= 1 << root as u8;
    }

    #[must_use]
    pub const fn contains(self, root: Root) -> bool {
        self.0 & (1 << root as u8) != 0
    }

    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[must_use]
    pub const fn is_subset_of(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }
}

/// `meta`: the version of this schema, an integer.
pub const META_SCHEMA_VERSION: &str = "schema_version";
/// `meta`: the name of the design. The truth; the store's column follows.
pub const META_NAME: &str = "name";
/// `meta`: a longer text.
pub const META_DESCRIPTION: &str = "description";

/// The key that carries an element's id wherever elements stand in a list (JSON, imports). Never inside the shared
/// element: there the key of the root map is the id.
pub const ID: &str = "id";
/// Node: `{x, y}` as one value, so that a move is atomic.
pub const POSITION: &str = "position";
/// Node: the id of the node that this one moves with.
pub const PARENT_ID: &str = "parentId";
/// Edge: the id of the node where it begins.
pub const SOURCE: &str = "source";
/// Edge: the id of the node where it ends.
pub const TARGET: &str = "target";
/// Node and edge: a Y.Map, created with its element and never replaced.
pub const DATA: &str = "data";
/// Keys of nodes and edges that only say how an element is drawn. The analysis looks at positions and sizes, but for
/// containment alone. (The list of everything that it leaves out is in `view/semantic.rs`.)
pub const COSMETIC: [&str; 18] = [
    "animated",
    "className",
    "dragging",
    "height",
    "labelBgStyle",
    "labelStyle",
    "markerEnd",
    "markerStart",
    "measured",
    POSITION,
    "positionAbsolute",
    "resizing",
    "selected",
    "sourceHandle",
    "style",
    "targetHandle",
    "width",
    "zIndex",
];

/// Whether this key of an element only says how it is drawn.
#[must_use]
pub fn is_cosmetic(key: &[u8]) -> bool {
    COSMETIC.iter().any(|cosmetic| cosmetic.as_bytes() == key)
}

/// Inside `data`: a Y.Map, created with its element and never replaced.
pub const SECURITY_FLAGS: &str = "securityFlags";
