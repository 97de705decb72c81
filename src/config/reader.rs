//! Finds and checks single values, and remembers every mistake. After a mistake it answers with some value of the
//! type: the caller goes on to find the other mistakes and then throws everything away.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;

use super::Mistake;
use super::bus::{RedisUrl, read_url};
use super::settings::{CONFIG_FILE, NOT_YET, SETTINGS, by_name};

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

pub(super) struct Reader<'a> {
    environment: &'a BTreeMap<String, String>,
    read_file: &'a dyn Fn(&Path) -> io::Result<String>,
    /// What the TOML file says, by the name of the variable that would say the same.
    from_file: BTreeMap<&'static str, String>,
    mistakes: Vec<Mistake>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        environment: &'a BTreeMap<String, String>,
        read_file: &'a dyn Fn(&Path) -> io::Result<String>,
    ) -> Self {
        let mut reader = Self { environment, read_file, from_file: BTreeMap::new(), mistakes: Vec::new() };
        reader.refuse_unknown_names();
        if let Some(path) = reader.environment.get(CONFIG_FILE).filter(|path| !path.is_empty()) {
            reader.read_toml(Path::new(path));
        }
        reader
    }

    pub(super) fn into_mistakes(self) -> Vec<Mistake> {
        self.mistakes
    }

    pub(super) fn mistake(&mut self, name: &str, what: impl Into<String>) {
        self.mistakes.push(Mistake { name: name.to_owned(), what: what.into() });
    }

    /// A text that is not empty.
    pub(super) fn text(&mut self, name: &'static str) -> String {
        let text = self.value(name).unwrap_or_default();
        if text.trim().is_empty() {
            self.mistake(name, "must not be empty");
        }
        text
    }

    pub(super) fn address(&mut self, name: &'static str) -> SocketAddr {
        let text = self.value(name).unwrap_or_default();
        text.parse().unwrap_or_else(|_| {
            self.mistake(name, format!("`{text}` is not an address such as 127.0.0.1:3000 or [::1]:3000"));
            SocketAddr::from(([127, 0, 0, 1], 0))
        })
    }

    pub(super) fn count(&mut self, name: &'static str, range: RangeInclusive<u64>) -> usize {
        usize::try_from(self.number(name, range)).unwrap_or(usize::MAX)
    }

    pub(super) fn millis(&mut self, name: &'static str, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.number(name, range))
    }

    pub(super) fn seconds(&mut self, name: &'static str, range: RangeInclusive<u64>) -> Duration {
        Duration::from_secs(self.number(name, range))
    }

    pub(super) fn number(&mut self, name: &'static str, range: RangeInclusive<u64>) -> u64 {
        let text = self.value(name).unwrap_or_default();
        match text.trim().parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let (least, most) = (range.start(), range.end());
                self.mistake(name, format!("`{text}` is not a whole number from {least} to {most}"));
                *least
            }
        }
    }

    pub(super) fn choice<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)]) -> T {
        let text = self.value(name).unwrap_or_default();
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text) {
            return *choice;
        }
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        self.mistake(name, format!("`{text}` is none of: {}", words.join(", ")));
        choices[0].1
    }

    /// A text that passes the check, if there is one. `what` goes on after its name and value.
    pub(super) fn checked(
        &mut self,
        name: &'static str,
        what: &str,
        is_fine: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let text = self.value(name)?;
        if !is_fine(&text) {
            self.mistake(name, format!("`{text}` {what}"));
        }
        Some(text)
    }

    /// A text that no message repeats.
    pub(super) fn secret(&mut self, name: &'static str) -> Option<SecretString> {
        self.value(name).map(SecretString::from)
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Option<bool> {
        let text = self.value(name)?;
        let flag = text.parse().ok();
        if flag.is_none() {
            self.mistake(name, format!("`{text}` is none of: true, false"));
        }
        flag
    }

    /// Whether somebody set it to something other than its default.
    pub(super) fn is_set(&self, name: &str) -> bool {
        let is_other = |value: &String| {
            !value.is_empty() && by_name(name).is_none_or(|setting| setting.default != value)
        };
        self.environment.get(name).is_some_and(is_other) || self.from_file.get(name).is_some_and(is_other)
    }

    /// A URL of scheme, host and perhaps port.
    pub(super) fn origin(&mut self, name: &'static str) -> Option<String> {
        let text = self.value(name)?;
        let origin = as_origin(&text);
        if origin.is_none() {
            self.mistake(
                name,
                format!("`{text}` is not a URL such as https://atlas.example.org, without a path"),
            );
        }
        origin
    }

    pub(super) fn origins(&mut self, name: &'static str) -> Option<Vec<String>> {
        let text = self.value(name)?;
        let mut origins = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match as_origin(part) {
                Some(origin) => origins.push(origin),
                None => self.mistake(
                    name,
                    format!("`{part}` is not an origin such as https://atlas.example.org (no path, no `*`)"),
                ),
            }
        }
        Some(origins)
    }

    /// The address of a Postgres database. It may hold a password, so nothing of it is ever told.
    pub(super) fn postgres_url(&mut self, name: &'static str) -> Option<String> {
        let url = self.value(name)?.trim().to_owned();
        let rest = ["postgres://", "postgresql://"].iter().find_map(|scheme| url.strip_prefix(scheme));
        if rest.is_none_or(str::is_empty) {
            self.mistake(name, "is not an address such as postgres://user:password@host/database");
        }
        Some(url)
    }

    /// The address of a Redis, or of several. As with [`Self::postgres_url`] nothing of it is ever told.
    pub(super) fn redis_url(&mut self, name: &'static str) -> Option<RedisUrl> {
        let url = self.value(name)?;
        match read_url(url.trim()) {
            Ok(url) => Some(url),
            Err(what) => {
                self.mistake(name, what);
                None
            }
        }
    }

    /// As [`Self::secret`], without the line end that a file may have.
    pub(super) fn password(&mut self, name: &'static str) -> Option<SecretString> {
        self.value(name).map(|text| SecretString::from(text.trim_end_matches(['\r', '\n'])))
    }

    /// A key in PEM. Only its first line is looked at here.
    pub(super) fn pem(&mut self, name: &'static str) -> Option<String> {
        let text = self.value(name)?;
        // Some ways to set a variable cannot carry line ends.
        let text = if text.contains('\n') { text } else { text.replace("\\n", "\n") };
        if !text.trim_start().starts_with("-----BEGIN ") {
            self.mistake(name, "is not a key in PEM: it must begin with `-----BEGIN `");
        }
        Some(text)
    }

    /// A level, or `target=level` directives with at most one level among them.
    pub(super) fn log_filter(&mut self, name: &'static str) -> String {
        let text = self.value(name).unwrap_or_default();
        for part in text.split(',').map(str::trim) {
            // A bare word would be read as the name of a module with everything on.
            let is_level = LEVELS.contains(&part.to_ascii_lowercase().as_str());
            if !is_level && !part.contains('=') {
                self.mistake(
                    name,
                    format!("`{part}` is neither a level ({}) nor target=level", LEVELS.join(", ")),
                );
                return text;
            }
        }
        if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(&text) {
            self.mistake(name, format!("`{text}` cannot be read: {error}"));
        }
        text
    }

    /// The value in force: the variable, the file it names, the TOML file, the default. `None`: nothing at all.
    fn value(&mut self, name: &'static str) -> Option<String> {
        let setting = by_name(name)?;
        let set = |name: &str| self.environment.get(name).filter(|value| !value.is_empty());
        let direct = set(name).cloned();
        let file_name = format!("{name}_FILE");
        let path = if setting.has_file { set(&file_name).cloned() } else { None };
        match (direct, path) {
            (Some(_), Some(_)) => {
                self.mistake(&file_name, format!("and {name} are both set: keep one"));
                None
            }
            (Some(value), None) => Some(value),
            (None, Some(path)) => self.read_text(&file_name, Path::new(&path)),
            (None, None) => self.from_file.remove(name).or_else(|| {
                let default = setting.default;
                (!default.is_empty()).then(|| default.to_owned())
            }),
        }
    }

    fn read_text(&mut self, name: &str, path: &Path) -> Option<String> {
        match (self.read_file)(path) {
            Ok(text) => Some(text),
            Err(error) => {
                self.mistake(name, format!("cannot read {}: {error}", path.display()));
                None
            }
        }
    }

    fn refuse_unknown_names(&mut self) {
        let environment = self.environment;
        for (name, value) in environment {
            if let Some((_, what)) = NOT_YET.iter().find(|(unsupported, _)| unsupported == name) {
                if !value.is_empty() {
                    self.mistake(name, *what);
                }
            } else if name.starts_with("ATLAS_") && !is_known(name) {
                let known = SETTINGS.iter().map(|setting| setting.name).chain([CONFIG_FILE]);
                self.mistake(name, unknown(name, known));
            }
        }
    }

    fn read_toml(&mut self, path: &Path) {
        let Some(text) = self.read_text(CONFIG_FILE, path) else { return };
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                // Not the error's own text: it quotes the line, which may hold a secret.
                let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
                let what = format!("{} is not TOML: {} (line {line})", path.display(), error.message());
                return self.mistake(CONFIG_FILE, what);
            }
        };
        for (section, content) in table {
            let toml::Value::Table(entries) = content else {
                self.mistake(&section, "stands outside of a [section]");
                continue;
            };
            for (entry, value) in entries {
                self.read_entry(&format!("{section}.{entry}"), value);
            }
        }
    }

    fn read_entry(&mut self, key: &str, value: toml::Value) {
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
            return self.mistake(key, unknown(key, SETTINGS.iter().map(|setting| setting.key)));
        };
        match as_text(value) {
            Some(text) => {
                self.from_file.insert(setting.name, text);
            }
            None => self.mistake(key, "must be a text, a number, true, false or a list of texts"),
        }
    }
}

fn is_known(name: &str) -> bool {
    let file_of = |name: &str| name.strip_suffix("_FILE").and_then(by_name).is_some_and(|it| it.has_file);
    name == CONFIG_FILE || by_name(name).is_some() || file_of(name)
}

/// Lists become what the variable would hold.
fn as_text(value: toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Array(items) => {
            let items: Option<Vec<_>> =
                items.into_iter().map(|item| Some(item.as_str()?.to_owned())).collect();
            items.map(|items| items.join(","))
        }
        _ => None,
    }
}

/// RFC 6454 section 6: scheme, host and port, in lower case as browsers send them.
fn as_origin(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches('/');
    let uri: http::Uri = text.parse().ok()?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let host = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    // The URI type reads a missing path as `/`.
    if !is_web || host.host().is_empty() || uri.path() != "/" || uri.query().is_some() || text.contains('*') {
        return None;
    }
    Some(text.to_ascii_lowercase())
}

fn unknown(name: &str, known: impl Iterator<Item = &'static str>) -> String {
    /// Typing slips; more is another word.
    const SLIPS_MAX: usize = 3;
    let closest = known.map(|candidate| (distance(name, candidate), candidate)).min();
    match closest {
        Some((slips, candidate)) if slips <= SLIPS_MAX => {
            format!("is not a setting; did you mean {candidate}?")
        }
        _ => "is not a setting; docs/OPERATIONS.md lists all of them".to_owned(),
    }
}

/// Levenshtein's distance: insertions, deletions and replacements from one to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (at, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}
