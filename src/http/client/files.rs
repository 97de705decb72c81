//! The built web client: its files in every form in which they travel.
//!
//! A release binary carries them; a debug build reads `web-client/dist` when the server starts, so that a new build of
//! the client needs a restart only. Without that folder there is nothing here, and the server says so on its page.

use std::borrow::Cow;
use std::collections::BTreeMap;

use atlas_crdt::view::hex;
use bytes::Bytes;
use http::HeaderValue;
use sha2::{Digest as _, Sha256};

use super::encoding::Encoding;

/// Bytes of a file's hash that its tag shows.
const TAG_BYTES: usize = 16;
/// Where the bundler puts what carries a hash of its content in its name.
const HASHED: &str = "assets/";

#[derive(rust_embed::Embed)]
#[folder = "web-client/dist"]
#[allow_missing = true]
// For a debugger: with the sources they would be most of the binary.
#[exclude = "*.map"]
#[exclude = "*.map.*"]
struct Dist;

/// By path, without the slash at its beginning.
#[derive(Debug, Default)]
pub struct Files(BTreeMap<String, File>);

/// One file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) media: &'static str,
    pub(super) cache: &'static str,
    plain: Form,
    brotli: Option<Form>,
    gzip: Option<Form>,
}

/// The bytes of a file in one encoding, and their tag.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) bytes: Bytes,
    pub(super) etag: HeaderValue,
}

impl Files {
    /// What the binary carries, or the folder holds.
    #[must_use]
    pub fn built() -> Self {
        let paths = Dist::iter();
        Self::of(paths.filter_map(|path| {
            let bytes = match Dist::get(&path)?.data {
                Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                Cow::Owned(bytes) => bytes.into(),
            };
            Some((path.into_owned(), bytes))
        }))
    }

    /// `a.js.br` and `a.js.gz` are forms of `a.js` where there is one, and never files of their own.
    pub(super) fn of(files: impl Iterator<Item = (String, Bytes)>) -> Self {
        let mut all: BTreeMap<String, Bytes> = files.collect();
        let plain: Vec<String> = all.keys().filter(|path| base(path, &all).is_none()).cloned().collect();
        let mut found = BTreeMap::new();
        for path in plain {
            let (brotli, gzip) = (all.remove(&format!("{path}.br")), all.remove(&format!("{path}.gz")));
            if let Some(bytes) = all.remove(&path) {
                let file = File {
                    media: media(&path),
                    cache: cache(&path),
                    brotli: brotli.map(|bytes| Form::new(bytes, Encoding::Brotli)),
                    gzip: gzip.map(|bytes| Form::new(bytes, Encoding::Gzip)),
                    plain: Form::new(bytes, Encoding::Identity),
                };
                found.insert(path, file);
            }
        }
        Self(found)
    }

    pub(super) fn get(&self, path: &str) -> Option<&File> {
        self.0.get(path)
    }

    /// The page of the client, which serves every address within it. `None`: the client is not built.
    pub(super) fn page(&self) -> Option<&File> {
        self.get("index.html")
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl File {
    pub(super) fn encodings(&self) -> impl Iterator<Item = Encoding> {
        let compressed =
            [self.brotli.as_ref().map(|_| Encoding::Brotli), self.gzip.as_ref().map(|_| Encoding::Gzip)];
        compressed.into_iter().flatten().chain([Encoding::Identity])
    }

    /// In this encoding; as it is where there is none such.
    pub(super) fn form(&self, encoding: Encoding) -> &Form {
        let compressed = match encoding {
            Encoding::Brotli => self.brotli.as_ref(),
            Encoding::Gzip => self.gzip.as_ref(),
            Encoding::Identity => None,
        };
        compressed.unwrap_or(&self.plain)
    }
}

impl Form {
    /// Each form has a tag of its own: a strong one promises the same bytes.
    fn new(bytes: Bytes, encoding: Encoding) -> Self {
        let hash = hex(&Sha256::digest(&bytes)[..TAG_BYTES]);
        let etag = match encoding.token() {
            Some(token) => format!("\"{hash}-{token}\""),
            None => format!("\"{hash}\""),
        };
        // Hexadecimal digits and a token.
        let etag = HeaderValue::from_str(&etag).unwrap_or_else(|_| HeaderValue::from_static("\"\""));
        Self { bytes, etag }
    }
}

/// The file that this path is a compressed form of.
fn base<'a>(path: &'a str, all: &BTreeMap<String, Bytes>) -> Option<&'a str> {
    let base = path.strip_suffix(".br").or(path.strip_suffix(".gz"))?;
    all.contains_key(base).then_some(base)
}

/// What carries a hash of its content in its name never changes; everything else is asked for again.
fn cache(path: &str) -> &'static str {
    if path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" }
}

/// Of everything that a bundler puts out. With `nosniff`, a browser runs nothing that is not said to be a script.
fn media(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "gif" => "image/gif",
        "ico" => "image/vnd.microsoft.icon",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "ttf" => "font/ttf",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        "xml" => "application/xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &'static str)]) -> Files {
        Files::of(list.iter().map(|(path, text)| ((*path).to_owned(), Bytes::from_static(text.as_bytes()))))
    }

    #[test]
    fn compressed_forms_belong_to_their_file() {
        let files = files(&[
            ("assets/a.js", "long text"),
            ("assets/a.js.br", "short"),
            ("assets/a.js.gz", "shorter"),
            ("b.svg", "<svg/>"),
            ("backup.tar.gz", "a file of its own"),
        ]);
        assert_eq!(files.len(), 3);
        let script = files.get("assets/a.js").unwrap();
        assert_eq!(script.encodings().count(), 3);
        assert_eq!(script.form(Encoding::Brotli).bytes, "short");
        assert_eq!(script.form(Encoding::Gzip).bytes, "shorter");
        assert_eq!(script.form(Encoding::Identity).bytes, "long text");
        assert!(files.get("assets/a.js.br").is_none(), "nobody asks for a form by its name");
        let picture = files.get("b.svg").unwrap();
        assert_eq!(picture.encodings().collect::<Vec<_>>(), [Encoding::Identity]);
        assert_eq!(picture.form(Encoding::Brotli).bytes, "<svg/>");
        assert!(files.get("backup.tar.gz").is_some());
    }

    #[test]
    fn each_form_has_a_strong_tag_of_its_own() {
        let files = files(&[("a.js", "same"), ("a.js.br", "same"), ("b.js", "same"), ("c.js", "other")]);
        let tag = |path: &str, encoding| files.get(path).unwrap().form(encoding).etag.clone();
        assert_ne!(tag("a.js", Encoding::Identity), tag("a.js", Encoding::Brotli));
        assert_eq!(tag("a.js", Encoding::Identity), tag("b.js", Encoding::Identity));
        assert_ne!(tag("b.js", Encoding::Identity), tag("c.js", Encoding::Identity));
        assert!(tag("a.js", Encoding::Brotli).to_str().unwrap().ends_with("-br\""));
    }

    #[test]
    fn media_types_and_caching() {
        for (path, media, is_immutable) in [
            ("index.html", "text/html; charset=utf-8", false),
            ("sw.js", "text/javascript; charset=utf-8", false),
            ("manifest.webmanifest", "application/manifest+json", false),
            ("icon.svg", "image/svg+xml", false),
            ("assets/index-B2x.js", "text/javascript; charset=utf-8", true),
            ("assets/index-B2x.css", "text/css; charset=utf-8", true),
            ("assets/inter-C3.woff2", "font/woff2", true),
            ("assets/layout-D4.wasm", "application/wasm", true),
            ("LICENSE", "application/octet-stream", false),
        ] {
            let files = files(&[(path, "x")]);
            let file = files.get(path).unwrap();
            assert_eq!((file.media, file.cache.contains("immutable")), (media, is_immutable), "{path}");
        }
    }
}
