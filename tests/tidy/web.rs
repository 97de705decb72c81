//! The layers of the web client, and how long its files may be.
//!
//! Imports run downwards: `design` (no React, no network) below `sync`, below `binding`, below `canvas`, `panels` and `presence`
//! (which do not know each other), below `commands`, below `app`. `analysis` (findings) stands upon `canvas` and `panels`.
//! `ui` is looks alone: React and the names of kinds.

use crate::Violation;
use crate::source::File;

const ROOT: &str = "web-client/src/";
const LINES_MAX: usize = 300;

/// Each layer with the layers that it may import.
const LAYERS: &[(&str, &[&str])] = &[
    ("design", &[]),
    ("ui", &["design"]),
    ("sync", &["design"]),
    ("binding", &["design", "sync"]),
    ("canvas", &["design", "sync", "binding", "ui"]),
    ("panels", &["design", "sync", "binding", "ui"]),
    ("presence", &["design", "sync", "binding", "ui"]),
    ("analysis", &["design", "sync", "binding", "ui", "canvas", "panels"]),
    ("commands", &["design", "sync", "binding", "ui", "canvas", "panels", "presence"]),
    ("app", &["design", "sync", "binding", "ui", "canvas", "panels", "presence", "analysis", "commands"]),
];

/// Packages with the layers that have a use for them; whatever is not named may be used everywhere.
const PACKAGES: &[(&str, &[&str])] = &[
    ("react", &["ui", "canvas", "panels", "presence", "analysis", "commands", "app"]),
    ("react-dom", &["ui", "canvas", "panels", "presence", "analysis", "commands", "app"]),
    ("yjs", &["design", "sync", "binding"]),
    ("y-protocols", &["sync", "presence"]),
    ("openapi-fetch", &["sync"]),
];

/// What talks to the world has one home.
const HOMES: &[(&str, &str)] =
    &[("fetch(", "sync"), ("new WebSocket(", "sync"), ("indexedDB", "sync"), ("BroadcastChannel", "nowhere")];

pub(crate) fn web(file: &File) -> Vec<Violation> {
    let Some(place) = file.path.strip_prefix(ROOT) else { return Vec::new() };
    if !(file.has_ending("ts") || file.has_ending("tsx")) || place.ends_with(".d.ts") {
        return Vec::new();
    }
    let mut found = Vec::new();
    let lines = file.text.lines().count();
    if LINES_MAX < lines {
        found.push(file.at(1, format!("{lines} lines"), "a file of the web client has 300 lines at most"));
    }
    // The page's entry stands above all layers.
    let Some((layer, _)) = place.split_once('/') else { return found };
    let Some((_, below)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        found.push(file.at(1, format!("layer `{layer}`"), "tests/tidy/web.rs lists the layers"));
        return found;
    };
    let is_test = place.contains(".test.") || place.contains("/testing/");
    for (at, line) in file.text.lines().enumerate() {
        let at = at + 1;
        if let Some(name) = imported(line) {
            found.extend(import(file, at, line, layer, below, place, name, is_test));
        }
        if is_test || line.trim_start().starts_with("//") || line.trim_start().starts_with('*') {
            continue;
        }
        for (word, home) in HOMES {
            if names(line, word) && *home != layer {
                let what = format!("`{word}` in `{layer}`");
                found.push(file.at(at, what, "only `sync` talks to the server and to this device's store"));
            }
        }
    }
    found
}

#[expect(clippy::too_many_arguments, reason = "one line of one file, and where it stands")]
fn import(
    file: &File,
    at: usize,
    line: &str,
    layer: &str,
    below: &[&str],
    place: &str,
    name: &str,
    is_test: bool,
) -> Option<Violation> {
    if name.starts_with('.') {
        let target = resolved(place, name);
        let (other, _) = target.split_once('/')?;
        let fits = other == layer || below.contains(&other);
        return (!fits && !is_test)
            .then(|| file.at(at, format!("`{layer}` imports `{other}`"), "imports run downwards"));
    }
    let package = PACKAGES.iter().find(|(package, _)| {
        name.strip_prefix(package).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    let (package, layers) = package?;
    let only_types = line.trim_start().starts_with("import type");
    (!layers.contains(&layer) && !is_test && !only_types).then(|| {
        file.at(at, format!("`{layer}` imports `{package}`"), "a layer knows only its own libraries")
    })
}

/// What a line imports: the text between the quotes behind `from`, `import` or `import(`.
fn imported(line: &str) -> Option<&str> {
    let begins = ["import ", "export ", "} from "].iter().any(|word| line.trim_start().starts_with(word));
    let rest = match line.split_once(" from '") {
        Some((_, rest)) if begins => rest,
        _ => line.split_once("import('").or_else(|| line.split_once("import '"))?.1,
    };
    rest.split_once('\'').map(|(name, _)| name)
}

/// Whether the line has the word, not as the end of a longer one (`prefetch(`, `.fetch(`).
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|char| !char.is_alphanumeric() && !matches!(char, '_' | '.' | '\'' | '`'))
    })
}

/// `../sync/types` in `binding/types.ts` is `sync/types`.
fn resolved(place: &str, name: &str) -> String {
    let mut parts: Vec<&str> = place.split('/').collect();
    parts.pop();
    for part in name.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, text: &str) -> Vec<String> {
        web(&File::new(path, text)).into_iter().map(|violation| violation.what).collect()
    }

    #[test]
    fn imports_run_downwards() {
        assert!(told("web-client/src/canvas/a.tsx", "import { x } from '../binding/types'").is_empty());
        assert!(
            told("web-client/src/app/a.tsx", "const Page = lazy(() => import('../canvas/Canvas'))")
                .is_empty()
        );
        assert_eq!(
            told("web-client/src/design/a.ts", "import { x } from '../sync/types'"),
            ["`design` imports `sync`"]
        );
        assert_eq!(
            told("web-client/src/panels/a/b.ts", "} from '../../canvas/types'"),
            ["`panels` imports `canvas`"]
        );
        assert_eq!(
            told("web-client/src/sync/a.ts", "import { useState } from 'react'"),
            ["`sync` imports `react`"]
        );
        assert_eq!(
            told("web-client/src/canvas/a.ts", "import * as Y from 'yjs'"),
            ["`canvas` imports `yjs`"]
        );
        assert!(told("web-client/src/canvas/a.ts", "import type * as Y from 'yjs'").is_empty());
        assert!(told("web-client/src/canvas/a.test.ts", "import * as Y from 'yjs'").is_empty());
    }

    #[test]
    fn only_sync_talks_to_the_world() {
        assert_eq!(told("web-client/src/app/a.ts", "await fetch('/api')"), ["`fetch(` in `app`"]);
        assert!(told("web-client/src/sync/a.ts", "await fetch('/api')").is_empty());
        assert!(told("web-client/src/app/a.ts", "list.refetch()\n// await fetch('/api')").is_empty());
        assert_eq!(
            told("web-client/src/sync/a.ts", "new BroadcastChannel('x')"),
            ["`BroadcastChannel` in `sync`"]
        );
    }

    #[test]
    fn files_are_short_and_layers_are_known() {
        assert_eq!(told("web-client/src/sync/a.ts", &"x\n".repeat(301)), ["301 lines"]);
        assert_eq!(told("web-client/src/misc/a.ts", ""), ["layer `misc`"]);
    }
}
