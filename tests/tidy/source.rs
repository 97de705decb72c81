//! Rust files as far as the plan needs to read them: code without comments and literals, the paths it names, and
//! which of it is test.

use std::collections::BTreeSet;

/// One text file of the repository.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// From the repository's root, with forward slashes.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Lines of `text` with comments and literals blanked; empty for other than Rust files.
    pub(crate) code: Vec<String>,
    /// For each line of `code`, whether it is test.
    pub(crate) is_test: Vec<bool>,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = if has_ending(path, "rs") { blanked(text) } else { Vec::new() };
        let outside = ["tests/", "crdt/tests/", "loadtest/tests/"];
        let is_test = if outside.iter().any(|folder| path.starts_with(folder)) {
            vec![true; code.len()]
        } else {
            test_lines(&code)
        };
        Self { path: path.to_owned(), text: text.to_owned(), code, is_test }
    }

    pub(crate) fn has_ending(&self, ending: &str) -> bool {
        has_ending(&self.path, ending)
    }

    /// Numbers and text of the code lines that are not test.
    pub(crate) fn product(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.code.iter().zip(&self.is_test).enumerate();
        lines.filter(|(_, (_, test))| !**test).map(|(at, (line, _))| (at + 1, &line[..]))
    }

    /// The paths that the code names outside of tests.
    pub(crate) fn paths(&self) -> Vec<Path> {
        let lines = self.code.iter().zip(&self.is_test);
        let product: Vec<&str> = lines.map(|(line, test)| if *test { "" } else { &line[..] }).collect();
        paths(&product)
    }
}

/// A path that code names, such as `std::env::var`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) line: usize,
    /// At least one.
    pub(crate) parts: Vec<String>,
    pub(crate) in_use: bool,
}

impl Path {
    pub(crate) fn first(&self) -> &str {
        self.parts.first().map_or("", |part| part)
    }

    pub(crate) fn text(&self) -> String {
        self.parts.join("::")
    }
}

/// Marks as test what is reached through a `mod` under `#[cfg(test)]` that stands in a file of its own.
pub(crate) fn mark_test_modules(files: &mut [File]) {
    let mut modules = BTreeSet::new();
    for file in files.iter() {
        let folder = file.path.trim_end_matches(".rs");
        let folder = folder.strip_suffix("/lib").or_else(|| folder.strip_suffix("/main")).unwrap_or(folder);
        for (line, test) in file.code.iter().zip(&file.is_test) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let (true, Some(name)) = (*test, words.iter().find_map(|word| word.strip_suffix(';')))
                && words.contains(&"mod")
            {
                modules.insert(format!("{folder}/{name}"));
            }
        }
    }
    for file in files {
        let own = file.path.trim_end_matches(".rs");
        if modules.iter().any(|module| own == module || own.starts_with(&format!("{module}/"))) {
            file.is_test = vec![true; file.code.len()];
        }
    }
}

fn has_ending(path: &str, ending: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, found)| found == ending)
}

/// The lines of a Rust text with comments, strings and character literals replaced by spaces.
pub(crate) fn blanked(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at).unwrap_or(at);
        if end == at {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        out.extend(chars[at..end].iter().map(|char| if *char == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    out.lines().map(str::to_owned).collect()
}

/// Where the comment or literal that begins at `at` ends; `None`: none begins there.
fn literal_end(chars: &[char], at: usize) -> Option<usize> {
    let rest = &chars[at..];
    let find = |from: usize, what: &[char]| {
        (from..chars.len())
            .find(|at| chars[*at..].starts_with(what))
            .map_or(chars.len(), |at| at + what.len())
    };
    match rest {
        ['/', '/', ..] => Some((at..chars.len()).find(|at| chars[*at] == '\n').unwrap_or(chars.len())),
        ['/', '*', ..] => {
            let (mut depth, mut at) = (1, at + 2);
            while 0 < depth && at < chars.len() {
                let step = match &chars[at..] {
                    ['/', '*', ..] => {
                        depth += 1;
                        2
                    }
                    ['*', '/', ..] => {
                        depth -= 1;
                        2
                    }
                    _ => 1,
                };
                at += step;
            }
            Some(at.min(chars.len()))
        }
        ['r', '"' | '#', ..] if !is_word_before(chars, at) => {
            let hashes = rest[1..].iter().take_while(|char| **char == '#').count();
            let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            (rest.get(1 + hashes) == Some(&'"')).then(|| find(at + 2 + hashes, &end))
        }
        ['"', ..] => Some(quoted_end(chars, at + 1, '"')),
        // A lifetime has no closing quote right behind its first character.
        ['\'', '\\', ..] => Some(quoted_end(chars, at + 1, '\'')),
        ['\'', _, '\'', ..] => Some(at + 3),
        _ => None,
    }
}

fn quoted_end(chars: &[char], mut at: usize, quote: char) -> usize {
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// `br"…"` begins with a `b` that belongs to the literal; any other word before the `r` is a name.
fn is_word_before(chars: &[char], at: usize) -> bool {
    let before = &chars[..at];
    before.strip_suffix(&['b']).unwrap_or(before).last().copied().is_some_and(is_word)
}

/// Lines of items under `#[cfg(test)]`, from the attribute to the item's closing brace or semicolon.
fn test_lines(code: &[String]) -> Vec<bool> {
    let mut is_test = vec![false; code.len()];
    let mut open: Option<i64> = None;
    let mut began = false;
    for (at, line) in code.iter().enumerate() {
        if open.is_none() && line.trim_start().starts_with("#[cfg(test)]") {
            (open, began) = (Some(0), false);
        }
        let Some(depth) = &mut open else { continue };
        is_test[at] = true;
        let mut ended = false;
        for char in line.chars() {
            match char {
                '{' => {
                    *depth += 1;
                    began = true;
                }
                '}' => *depth -= 1,
                ';' => ended |= *depth == 0,
                _ => {}
            }
            ended |= began && *depth == 0;
        }
        if ended {
            open = None;
        }
    }
    is_test
}

/// Paths of at least two segments, and whatever a `use` names; groups are taken apart.
pub(crate) fn paths(lines: &[&str]) -> Vec<Path> {
    let tokens = tokens(lines);
    let mut found = Vec::new();
    let mut at = 0;
    let mut in_use = false;
    while let Some((_, token)) = tokens.get(at) {
        let first = token.chars().next().unwrap_or(' ');
        match &token[..] {
            // Not the list of what a returned `impl Trait` captures: `+ use<'_>`.
            "use" if tokens.get(at + 1).is_none_or(|(_, next)| next != "<") => {
                in_use = true;
                at += 1;
            }
            ";" => {
                in_use = false;
                at += 1;
            }
            "as" => at += 2,
            _ if is_word(first) && !first.is_numeric() => {
                at = one_path(&tokens, at, &[], in_use, &mut found);
            }
            // What follows a `::` or `.` here belongs to something that is no path of ours, such as `<T>::new`.
            "::" | "." => at += 2,
            _ => at += 1,
        }
    }
    found
}

/// Reads the path that begins at `at`, below `prefix`; returns where reading goes on.
fn one_path(
    tokens: &[(usize, String)],
    mut at: usize,
    prefix: &[String],
    in_use: bool,
    found: &mut Vec<Path>,
) -> usize {
    let line = tokens[at].0;
    let mut parts = prefix.to_vec();
    let word = |at: usize| tokens.get(at).map_or("", |(_, token)| &token[..]);
    loop {
        if word(at) == "{" {
            at += 1;
            while !matches!(word(at), "}" | "") {
                match word(at) {
                    "," => at += 1,
                    "as" => at += 2,
                    _ => at = one_path(tokens, at, &parts, true, found),
                }
            }
            return at + 1;
        }
        if word(at).is_empty() {
            return at + 1;
        }
        parts.push(word(at).to_owned());
        at += 1;
        let next_is_part = word(at + 1) == "{" && in_use
            || word(at + 1) == "*"
            || word(at + 1).chars().next().is_some_and(is_word);
        if word(at) == "::" && next_is_part {
            at += 1;
            continue;
        }
        if in_use || 1 < parts.len() {
            found.push(Path { line, parts, in_use });
        }
        return at;
    }
}

/// Words, `::`, and every other character alone, each with the number of its line.
fn tokens(lines: &[&str]) -> Vec<(usize, String)> {
    let mut tokens = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let chars: Vec<char> = line.chars().collect();
        let mut from = 0;
        while from < chars.len() {
            let mut end = from + 1;
            if is_word(chars[from]) {
                while end < chars.len() && is_word(chars[end]) {
                    end += 1;
                }
            } else if chars[from..].starts_with(&[':', ':']) {
                end += 1;
            }
            if !chars[from].is_whitespace() {
                tokens.push((at + 1, chars[from..end].iter().collect()));
            }
            from = end;
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lifetimes_stay() {
        let code = blanked(
            "let a = \"x // y\"; // z\n/* a /* b */ c */ fn f<'a>(c: char) { c == '\\'' || c == 'q' }",
        );
        assert_eq!(code[0].split_whitespace().collect::<Vec<_>>(), ["let", "a", "=", ";"]);
        assert_eq!(code[0].find(';'), Some(16), "columns stay");
        assert_eq!(code[1].split_whitespace().collect::<String>(), "fnf<'a>(c:char){c==||c==}");
        assert_eq!(blanked("r#\"a\" b\"# c")[0].trim(), "c");
        assert_eq!(blanked("br\"\\\" c")[0].split_whitespace().collect::<String>(), "bc", "raw: no escapes");
        assert_eq!(blanked("for\"x\"")[0].trim(), "for", "the r of a word begins no raw string");
    }

    #[test]
    fn groups_of_paths_are_taken_apart() {
        let lines = [
            "use crate::{hub, store::{self, Store as S}};",
            "fn f() { std::env::var(x).and(y); Vec::<u8>::new() }",
        ];
        let paths: Vec<String> =
            paths(&lines).iter().map(|path| format!("{} {}", path.line, path.text())).collect();
        assert_eq!(
            paths,
            ["1 crate::hub", "1 crate::store::self", "1 crate::store::Store", "2 std::env::var"]
        );
    }

    #[test]
    fn test_modules_are_told_from_the_product() {
        let file = File::new("src/a.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\nfn c() {}\n");
        assert_eq!(file.is_test, [false, true, true, true, true, false]);
        let mut files = [
            File::new("src/a.rs", "#[cfg(test)]\nmod tests;\nmod b;\n"),
            File::new("src/a/tests.rs", "fn b() {}\n"),
            File::new("src/a/tests/traps.rs", "fn b() {}\n"),
            File::new("src/a/b.rs", "fn b() {}\n"),
        ];
        mark_test_modules(&mut files);
        assert_eq!(files.each_ref().map(|file| file.is_test[0]), [true, true, true, false]);
    }
}
