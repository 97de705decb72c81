//! Every bound of the core in one place: hard ceilings. A setting may lower one, none may raise it.

/// Bytes. One `Update` frame from a client.
pub const UPDATE_BYTES_MAX: usize = 1 << 20;
/// Bytes. The encoded document, and therefore one `SyncStep2` that answers a server's `SyncStep1`.
pub const DOCUMENT_BYTES_MAX: usize = 32 << 20;
/// Bytes below that at which a document stops growing, so that deleting from it never stops.
pub const DOCUMENT_HEADROOM_BYTES: usize = 1 << 20;
/// Bytes. One whole WebSocket message: a `SyncStep2` of the largest document and its envelope.
pub const MESSAGE_BYTES_MAX: usize = DOCUMENT_BYTES_MAX + 64;
/// Bytes. An awareness update as a client sends it.
pub const AWARENESS_BYTES_MAX: usize = 64 << 10;
/// Bytes. An awareness update as the server sends it: well below what it takes, since stock clients send back whatever they
/// hear.
pub const AWARENESS_FRAME_BYTES_MAX: usize = AWARENESS_BYTES_MAX / 2;
/// Bytes. One client's awareness state (JSON).
pub const AWARENESS_STATE_BYTES_MAX: usize = 16 << 10;
/// Bytes. A state vector as a client sends it.
pub const STATE_VECTOR_BYTES_MAX: usize = 1 << 20;
/// Bytes. A `Renew` frame.
pub const RENEW_BYTES_MAX: usize = 8 << 10;

/// Nesting of `Any` values (JSON inside one Yjs value).
pub const ANY_DEPTH_MAX: usize = 32;
/// Nesting of shared types below a root.
pub const TYPE_DEPTH_MAX: usize = 8;
/// Yjs client ids are JavaScript integers.
pub const CLIENT_ID_MAX: u64 = (1 << 53) - 1;
/// yrs computes with clocks as `i32`.
pub const CLOCK_MAX: u32 = i32::MAX as u32;
/// Client sections in one update or entries in one state vector.
pub const CLIENTS_PER_UPDATE_MAX: usize = 100_000;
/// Structs in one update.
pub const STRUCTS_PER_UPDATE_MAX: usize = 1_000_000;
/// Ranges in the delete set of one update. Applying one costs yrs more than its share: 200,000 took it seconds.
pub const DELETE_RANGES_MAX: usize = 100_000;
/// Clients that ever wrote into one document: an update that would bring in more is refused. The state vector of
/// such a document, and an update of the whole of it, pass the limits of what a client may send.
pub const DOCUMENT_CLIENTS_MAX: usize = 50_000;
/// Client ids with which a document is frozen: pods that let new ones pass side by side bring it beyond what it may grow to, and
/// its state vector must stay one that is accepted.
pub const DOCUMENT_CLIENTS_FROZEN: usize = 75_000;
/// Ranges in the delete set of one document, by the same reason.
pub const DOCUMENT_DELETE_RANGES_MAX: usize = 80_000;
/// Values (keys and elements, nested ones included) inside the `Any` of one struct.
pub const ANY_VALUES_MAX: usize = 200_000;
/// Items without neighbours under one key of one map in one update: as many clients may have set it at the same moment.
pub const SIBLINGS_PER_KEY_MAX: usize = 100;
/// Letters and entries of all shared texts and lists of a design, those that were deleted included. By its contract a
/// design needs none; yrs and Yjs take time, and yrs memory, in proportion to the square of what stands in one: ten
/// thousand letters cut at each of them took yrs 0.28.1 most of a minute.
pub const DOCUMENT_SEQUENCE_MAX: usize = 1_000;
/// Bytes. A map key or the name of a root.
pub const KEY_BYTES_MAX: usize = 1_024;

// What is stored was written under the limits of its day, which may have been others. These ceilings say what yrs
// survives at all on a thread's stack (a test of the gate runs at them); they are never lowered.

/// Bytes. One stored update or snapshot.
pub const STORED_BYTES_MAX: usize = 1 << 30;
/// Nesting of `Any` values in what is stored.
pub const STORED_ANY_DEPTH_MAX: usize = 256;
/// Nesting of shared types in what is stored.
pub const STORED_TYPE_DEPTH_MAX: usize = 64;

/// Nodes of a design.
pub const NODES_MAX: usize = 10_000;
/// Edges of a design.
pub const EDGES_MAX: usize = 20_000;
/// Characters. The name of a design; at least one.
pub const NAME_CHARS_MAX: usize = 255;
/// Characters. A description.
pub const DESCRIPTION_CHARS_MAX: usize = 5_000;
/// Characters. A label of a node or an edge.
pub const LABEL_CHARS_MAX: usize = 200;
/// Characters. The id of a node or an edge; at least one.
pub const ELEMENT_ID_CHARS_MAX: usize = 128;

/// Awareness states one connection may own. Stock clients own one; a relay of several tabs a few.
pub const AWARENESS_STATES_PER_CONN_MAX: usize = 8;
/// Ids that one connection may begin to speak for in its life, one after the other: a page has one.
pub const AWARENESS_IDS_PER_CONN_MAX: usize = 64;
/// Client ids that one user has announced in a design, and under which nothing is written yet, that stay the user's.
pub const ANNOUNCED_IDS_PER_USER_MAX: usize = 64;
/// Awareness states in one room.
pub const AWARENESS_STATES_PER_ROOM_MAX: usize = 8_192;
/// Entries in one awareness update: stock clients echo everybody they know.
pub const AWARENESS_ENTRIES_MAX: usize = AWARENESS_STATES_PER_ROOM_MAX;
/// Milliseconds. An awareness state that nobody renews is gone after this (y-protocols' outdatedTimeout).
pub const AWARENESS_EXPIRY_MS: u64 = 30_000;
/// Bytes. The awareness states of one room together: 1 KiB for each, if there are as many as there may be.
pub const AWARENESS_BYTES_PER_ROOM_MAX: usize = 8 << 20;
/// The highest clock of an awareness state. They count changes and heartbeats, so that no honest one comes near it;
/// far enough from the end of 32 bits, in which others keep them.
pub const AWARENESS_CLOCK_MAX: u32 = 1 << 31;
/// Milliseconds for which an awareness id that went stays its user's: long enough for a laptop to be opened again.
pub const AWARENESS_ID_KEPT_MS: u64 = 600_000;
/// Bytes. What one pod tells the others about who is there: all states, each with its id, its clock and two lengths.
pub const PRESENCE_WORD_BYTES_MAX: usize = AWARENESS_BYTES_PER_ROOM_MAX + AWARENESS_STATES_PER_ROOM_MAX * 24;
/// Milliseconds. When whoever is sent away by a pod that stops is told to come back: after the first at least, and up to so many
/// later.
pub const RETRY_AFTER_MS: (u64, u64) = (200, 600);
/// Milliseconds. Awareness changes of one tick leave as one frame.
pub const AWARENESS_TICK_MS: u64 = 40;

/// Client ids that one connection may have refused before it is closed.
pub const SPENT_CLIENTS_PER_CONN_MAX: usize = 16;
/// Connections in one room.
pub const CONNS_PER_ROOM_MAX: usize = 2_048;
/// Bytes of documents, and of differences to them, that a room encodes at one go, but for one that is larger alone: so long
/// do edits wait for those who join …
pub const ANSWER_BYTES_PER_TURN: usize = 2 << 20;
/// … where one counts for so many bytes at least, since looking for a difference takes time as well.
pub const ANSWER_BYTES_MIN: usize = 64 << 10;
/// Different answers to joiners that a room keeps for the next who ask the same …
pub const ANSWERS_KEPT_MAX: usize = 4;
/// … and their bytes together.
pub const ANSWERS_KEPT_BYTES_MAX: usize = DOCUMENT_BYTES_MAX;
/// Milliseconds between two flushes of a busy room …
pub const FLUSH_INTERVAL_MS: u64 = 8;
/// … unless this many updates …
pub const FLUSH_UPDATES: usize = 64;
/// … or this many bytes wait.
pub const FLUSH_BYTES: usize = 32 << 10;
/// Bytes waiting for the store at which a room stops reading its sockets while the store is well.
pub const PENDING_SOFT_BYTES: usize = 2 << 20;
/// Bytes. The unsaved budget: past it, with a store in trouble, a room closes its sockets with 1013.
pub const UNSAVED_BYTES_MAX: usize = 16 << 20;
/// Bytes. The unsaved budget of all rooms of a process together: past it, those whose store is in trouble do the same.
pub const UNSAVED_BYTES_PER_PROCESS_MAX: usize = 256 << 20;
/// Milliseconds. An append that takes longer than this means a store in trouble.
pub const APPEND_SLOW_MS: u64 = 2_000;
/// Milliseconds. First and longest wait before an append is tried again.
pub const APPEND_RETRY_MIN_MS: u64 = 50;
pub const APPEND_RETRY_MAX_MS: u64 = 5_000;
/// Milliseconds. A hole in `seq` is filled from the log after this.
pub const HOLE_WAIT_MS: u64 = 50;
/// Edits over HTTP that wait in one room …
pub const EDITS_PER_ROOM_MAX: usize = 64;
/// … and their bytes, but for one that waits alone.
pub const EDIT_BYTES_PER_ROOM_MAX: usize = 12 << 20;
/// Milliseconds. An edit over HTTP that a room has not answered after this is given up, or its outcome unknown.
pub const EDIT_WAIT_MS: u64 = 10_000;
/// Milliseconds. A quiet room tells the other pods what its document is, at most this often …
pub const DIGEST_EVERY_MS: u64 = 30_000;
/// … and when nothing was committed for so long.
pub const DIGEST_QUIET_MS: u64 = 1_000;
/// Bus messages held above a hole; more are dropped, since the log repairs them.
pub const HOLE_MESSAGES_MAX: usize = 1_024;
/// Bytes of them.
pub const HOLE_BYTES_MAX: usize = 4 << 20;
/// Log rows read in one catch-up.
pub const CATCH_UP_ROWS_MAX: usize = 1_024;
/// Milliseconds between two looks of a pod at what the store has of its open designs.
pub const LOOK_EVERY_MS: u64 = 750;
/// Milliseconds. A design has settled when nothing that may mean something was committed for so long …
pub const SETTLE_QUIET_MS: u64 = 400;
/// … when somebody who was there is gone, and nobody is left, for so long …
pub const SETTLE_LEFT_MS: u64 = 1_000;
/// … and after so long in any case.
pub const SETTLE_MAX_MS: u64 = 3_000;
/// Milliseconds. A room without connections is evicted after this.
pub const IDLE_EVICT_MS: u64 = 30_000;
/// Bytes. Payloads above this leave as continuation frames cut from one shared buffer.
pub const FRAGMENT_BYTES: usize = 64 << 10;
/// Bytes queued for one socket above which document frames are no longer queued (the reader is slow).
pub const OUTBOX_BYTES_MAX: usize = 512 << 10;
/// Bytes queued for one socket above which presence is no longer queued.
pub const OUTBOX_PRESENCE_BYTES_MAX: usize = 64 << 10;
/// Milliseconds of silence after which a socket gets an empty awareness update (y-websocket hangs up after 30 s).
pub const SOCKET_SILENCE_MS: u64 = 20_000;
/// Milliseconds without a sign of life after which a socket is asked for one with a WebSocket ping …
pub const SOCKET_PING_MS: u64 = 25_000;
/// … and without one after which it is taken for dead. Long enough for a reader that merely stopped reading.
pub const SOCKET_DEAD_MS: u64 = 120_000;
/// Milliseconds that a peer may accept no byte at all while some wait for it. Slow is not dead.
pub const SOCKET_STALLED_MS: u64 = 600_000;
/// Milliseconds for what is queued to leave and for the peer's answer once a socket is being closed.
pub const SOCKET_CLOSE_MS: u64 = 5_000;
/// Bytes. Messages that are still arriving, in the whole process …
pub const INBOUND_BYTES_MAX: usize = 256 << 20;
/// … of one user, on all sockets together: two documents of the largest size …
pub const INBOUND_USER_BYTES_MAX: usize = 64 << 20;
/// … besides so many of each connection.
pub const INBOUND_FREE_BYTES: usize = 16 << 10;

const _: () = {
    assert!(UPDATE_BYTES_MAX + DOCUMENT_HEADROOM_BYTES < DOCUMENT_BYTES_MAX);
    // Deletions take two clocks a range, and split what they are in.
    assert!(DOCUMENT_DELETE_RANGES_MAX * 10 <= DOCUMENT_HEADROOM_BYTES);
    assert!(FLUSH_BYTES < PENDING_SOFT_BYTES);
    assert!(PENDING_SOFT_BYTES < UNSAVED_BYTES_MAX);
    assert!(UNSAVED_BYTES_MAX <= UNSAVED_BYTES_PER_PROCESS_MAX);
    assert!(UPDATE_BYTES_MAX < PENDING_SOFT_BYTES);
    assert!(EDIT_BYTES_PER_ROOM_MAX < UNSAVED_BYTES_MAX);
    assert!(ANSWER_BYTES_MIN < ANSWER_BYTES_PER_TURN);
    assert!(APPEND_SLOW_MS < EDIT_WAIT_MS);
    assert!(OUTBOX_PRESENCE_BYTES_MAX < OUTBOX_BYTES_MAX);
    assert!(FLUSH_INTERVAL_MS < SETTLE_QUIET_MS && SETTLE_QUIET_MS < SETTLE_LEFT_MS);
    assert!(SETTLE_LEFT_MS < SETTLE_MAX_MS && SETTLE_MAX_MS < IDLE_EVICT_MS);
    assert!(FRAGMENT_BYTES < OUTBOX_BYTES_MAX);
    assert!(AWARENESS_STATE_BYTES_MAX < AWARENESS_BYTES_MAX);
    assert!(AWARENESS_TICK_MS < AWARENESS_EXPIRY_MS);
    assert!(AWARENESS_EXPIRY_MS <= AWARENESS_ID_KEPT_MS);
    assert!(AWARENESS_STATES_PER_CONN_MAX * AWARENESS_STATE_BYTES_MAX < AWARENESS_BYTES_PER_ROOM_MAX);
    assert!(AWARENESS_CLOCK_MAX < u32::MAX);
    assert!(AWARENESS_STATES_PER_CONN_MAX < ANNOUNCED_IDS_PER_USER_MAX);
    assert!(AWARENESS_STATES_PER_CONN_MAX < AWARENESS_IDS_PER_CONN_MAX);
    assert!(ANY_DEPTH_MAX <= STORED_ANY_DEPTH_MAX);
    // Depths are kept in a byte, with room above the deepest that is allowed.
    assert!(TYPE_DEPTH_MAX <= STORED_TYPE_DEPTH_MAX && STORED_TYPE_DEPTH_MAX < 250);
    assert!(DOCUMENT_BYTES_MAX <= STORED_BYTES_MAX);
    // Places of keys inside an update are kept in 32 bits.
    assert!(STORED_BYTES_MAX <= u32::MAX as usize);
    assert!(DOCUMENT_CLIENTS_MAX <= CLIENTS_PER_UPDATE_MAX);
    assert!(DOCUMENT_DELETE_RANGES_MAX <= DELETE_RANGES_MAX);
    // A count of at most 5 bytes; for each client an id of 53 bits and a clock of 31, seven bits a byte.
    assert!(5 + DOCUMENT_CLIENTS_FROZEN * (8 + 5) <= STATE_VECTOR_BYTES_MAX);
    // A delete set: two clocks a range, and each client with an id and a count. It alone fits one update.
    assert!(5 + DOCUMENT_CLIENTS_MAX * (8 + 5) + DOCUMENT_DELETE_RANGES_MAX * (5 + 5) <= DOCUMENT_BYTES_MAX);
    assert!(APPEND_RETRY_MIN_MS < APPEND_RETRY_MAX_MS);
    assert!(CLOCK_MAX < u32::MAX / 2 + 1);
    assert!(CONNS_PER_ROOM_MAX * 4 < AWARENESS_STATES_PER_ROOM_MAX + 1);
    assert!(SOCKET_SILENCE_MS < 30_000);
    assert!(SOCKET_PING_MS < SOCKET_DEAD_MS && SOCKET_DEAD_MS < SOCKET_STALLED_MS);
    assert!(MESSAGE_BYTES_MAX < INBOUND_BYTES_MAX);
    assert!(INBOUND_FREE_BYTES < INBOUND_USER_BYTES_MAX);
    assert!(MESSAGE_BYTES_MAX < INBOUND_USER_BYTES_MAX && INBOUND_USER_BYTES_MAX < INBOUND_BYTES_MAX);
};
