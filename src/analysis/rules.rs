//! The rules, one file each: what it is called, why it matters, how to mend it, and the question itself with its tests.

use super::rule::Rule;

macro_rules! rules {
    ($($name:ident),+ $(,)?) => {
        $(mod $name;)+
        /// All rules, in the order of their ids.
        pub const ALL: &[&Rule] = &[$(&$name::RULE),+];
    };
}

/// Not a rule of its own.
mod plaintext;

rules!(t01, m01, m02, m03, m04, m05, m06, m07);
