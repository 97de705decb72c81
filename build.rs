//! Sees to it that a new build of the web client gets into the next release build of the server. A debug build reads
//! the folder when it starts (`src/http/client/files.rs`) and needs nothing of this.
#![expect(clippy::disallowed_methods, reason = "this is how cargo tells a build script what it builds")]

use std::{env, fs};

const DIST: &str = "web-client/dist";

fn main() {
    println!("cargo::rerun-if-changed=migrations");
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        // Cargo would not see a folder appear that it is not told of, and would build anew each time if it were told of
        // one that is not there: so the folder is there, empty if need be. Where it cannot be made, nothing appears.
        let _ = fs::create_dir_all(DIST);
        println!("cargo::rerun-if-changed={DIST}");
    }
}
