//! What the fuzz targets do with their bytes. Each `run` panics where a promise is broken.
//!
//! - `gate`: what the gate lets through, yrs takes without fault, exactly as it was announced;
//! - `wire`: messages and presence: reading is total, writing and reading agree, presence stays bounded;
//! - `room`: whole lives of a room, with a small model of the log that is the judge of INV-2 and INV-3.
//!
//! `build` makes updates that are nearly right out of the fuzzer's bytes, since bytes at random get nowhere; `judge` is
//! the one place that calls the gate; `known` is the document against which updates are judged.

pub mod build;
pub mod gate;
pub mod judge;
pub mod known;
pub mod room;
pub mod wire;
