//! Names inside the shared document. `docs/DOCUMENT.md` is the contract.

/// Y.Map id -> Y.Map: the nodes.
pub const NODES: &str = "nodes";
/// Y.Map id -> Y.Map: the edges.
pub const EDGES: &str = "edges";
/// Y.Map: schema version, name, description, and whatever else an import brought along.
pub const META: &str = "meta";
/// Y.Map: what people say about the design.
pub const COMMENTS: &str = "comments";
/// Every root there is.
pub const ROOTS: [&str; 4] = [NODES, EDGES, META, COMMENTS];

pub const META_NAME: &str = "name";
