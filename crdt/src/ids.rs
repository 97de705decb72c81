//! Typed identifiers, so that a design is never mistaken for a user nor a log position for a clock.
//!
//! The 128-bit ids are UUIDs. Their text form is the usual hyphenated lower-case one (RFC 9562 section 4);
//! making new ones needs randomness or a clock and therefore happens outside this crate.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The text is not a hyphenated UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")]
pub struct InvalidId;

fn write_uuid(value: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let hex = format!("{value:032x}");
    write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn read_uuid(text: &str) -> Result<u128, InvalidId> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 {
        return Err(InvalidId);
    }
    let mut value: u128 = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let hyphen = matches!(at, 8 | 13 | 18 | 23);
        match (hyphen, byte) {
            (true, b'-') => {}
            (false, _) => {
                let digit = char::from(*byte).to_digit(16).ok_or(InvalidId)?;
                value = (value << 4) | u128::from(digit);
            }
            (true, _) => return Err(InvalidId),
        }
    }
    Ok(value)
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            #[must_use]
            pub const fn from_u128(value: u128) -> Self {
                Self(value)
            }

            #[must_use]
            pub const fn as_u128(self) -> u128 {
                self.0
            }

            /// Big-endian bytes, as stored.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }

            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(u128::from_be_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_uuid(self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                read_uuid(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

uuid_id! {
    /// One architecture drawing, one Yjs document.
    DesignId
}
uuid_id! {
    /// A person with an account.
    UserId
}
uuid_id! {
    /// One login: the family of refresh tokens that descend from it.
    SessionId
}
uuid_id! {
    /// One attempt to append to the log. Unique, so that a retry after an unknown outcome finds its old `seq`.
    AppendId
}
uuid_id! {
    /// What the rules said of one meaning of a design.
    AnalysisId
}
uuid_id! {
    /// One request for an analysis: what its author asks about later.
    AnalysisRequestId
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name($inner);

        impl $name {
            #[must_use]
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }

            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id! {
    /// One design opened over one socket. Unique within a pod's life.
    ConnId(u64)
}
number_id! {
    /// One edit over HTTP that waits for its answer. Unique within a pod's life.
    RequestId(u64)
}
number_id! {
    /// One server process, drawn at random at its start.
    PodId(u64)
}
number_id! {
    /// A place in a design's log: 1, 2, 3 … without gaps. 0 is "before the first".
    Seq(u64)
}
number_id! {
    /// Raised by a disaster restore; two generations of a log are never mixed.
    Generation(u64)
}
number_id! {
    /// Raised when every older client id of a design is retired.
    Epoch(u64)
}
number_id! {
    /// A Yjs client id: below 2^53, since Yjs keeps it in a JavaScript number.
    ClientId(u64)
}
number_id! {
    /// Milliseconds since the pod started. Monotonic; passed in, never read here.
    Millis(u64)
}

impl Seq {
    pub const ZERO: Self = Self(0);

    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Millis {
    #[must_use]
    pub const fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_text_round_trips() {
        let text = "0193f0e2-7c1a-7b52-9d3e-00ff12ab34cd";
        let id: DesignId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(DesignId::from_bytes(id.to_bytes()), id);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<DesignId>(&json).unwrap(), id);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "0193f0e27c1a7b529d3e00ff12ab34cd",
            "0193f0e2-7c1a-7b52-9d3e-00ff12ab34cg",
            "0193f0e2_7c1a-7b52-9d3e-00ff12ab34cd",
            "{0193f0e2-7c1a-7b52-9d3e-00ff12ab34c}",
            "é193f0e2-7c1a-7b52-9d3e-00ff12ab34cd",
        ] {
            assert_eq!(text.parse::<DesignId>(), Err(InvalidId), "{text}");
        }
    }
}
