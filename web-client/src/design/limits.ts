// Bounds of the shared document that the page keeps before the server has to (docs/DOCUMENT.md, Bounds).

export const NODES_MAX = 10_000
export const EDGES_MAX = 20_000
/** Characters. */
export const ELEMENT_ID_CHARS_MAX = 128
export const NAME_CHARS_MAX = 255
export const DESCRIPTION_CHARS_MAX = 5_000
export const LABEL_CHARS_MAX = 200
/** Levels of plain values inside one value. */
export const VALUE_DEPTH_MAX = 32
/** Bytes of a key. */
export const KEY_BYTES_MAX = 1_024
/** Bytes of one Update on the socket. */
export const UPDATE_BYTES_MAX = 1 << 20
