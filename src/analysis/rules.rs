//! The rules, one file each: what it is called, why it matters, how to mend it, and the question itself with its tests.

use super::rule::Rule;

macro_rules! rules {
    ($($name:ident),+ $(,)?) => {
        $(mod $name;)+
        /// All rules: transport, network, access, data, resilience, logs, pipeline, the model itself, attack paths.
        pub const ALL: &[&Rule] = &[$(&$name::RULE),+];
    };
}

// Not rules of their own.
mod encrypt;
mod exposure;
mod plaintext;
mod seen;
mod waf;

rules!(
    t01, t02, t03, t04, t05, t06, n01, n02, n03, n04, n05, n06, n07, n08, n09, n10, n11, n12, n13, n14, a01, a02,
    a03, a04, a05, a06, a07, d01, d02, d03, d04, d05, r01, r02, r03, r04, l01, l02, l03, p01, p02, p03, m01, m02,
    m03, m04, m05, m06, m07, x01
);
