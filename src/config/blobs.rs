//! Where blobs are kept, and what they are encrypted with.
//!
//! The credentials for S3 are no settings of this server: `aws-config` finds them where every AWS tool does, and renews
//! them. In this order: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; the profile files that
//! `AWS_PROFILE`, `AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE` name; a web identity (`AWS_ROLE_ARN` and
//! `AWS_WEB_IDENTITY_TOKEN_FILE`, as Kubernetes sets them); the container's (`AWS_CONTAINER_CREDENTIALS_…`); the
//! machine's own role.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret as _, SecretSlice};

use super::reader::Reader;

#[derive(Debug, Clone)]
pub struct Blobs {
    /// `None`: the folder `blobs` of the data folder.
    pub s3: Option<S3>,
    /// The first seals, all open. None: blobs are not encrypted.
    pub encryption_keys: Vec<EncryptionKey>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3 {
    pub bucket: String,
    /// `None`: AWS's own of the region.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// Before every key: empty, or with a `/` at its end.
    pub key_prefix: String,
    pub force_path_style: bool,
    pub sse: Sse,
}

/// What S3 is asked to encrypt objects with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sse {
    /// Nothing is asked: the bucket's default holds.
    None,
    /// Keys that S3 keeps.
    Aes256,
    /// A key of KMS; `None`: the account's default one.
    Kms { key_id: Option<String> },
}

/// 256 bits, and the id that stands in what they sealed.
#[derive(Debug, Clone)]
pub struct EncryptionKey {
    pub id: String,
    /// 32 bytes.
    pub key: SecretSlice<u8>,
}

/// What means nothing without a bucket. `AWS_REGION` is often set for others.
const OF_S3: [&str; 5] = ["S3_ENDPOINT", "S3_PREFIX", "S3_FORCE_PATH_STYLE", "S3_SSE", "S3_SSE_KMS_KEY_ID"];

impl Blobs {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let encryption_keys = read_keys(reader);
        // Reading a setting takes it out of the file's.
        if !reader.is_set("S3_BUCKET") {
            for name in OF_S3 {
                if reader.is_set(name) {
                    reader.mistake(name, "means nothing without S3_BUCKET");
                }
            }
        }
        let s3 = S3::read(reader);
        Self { s3, encryption_keys }
    }
}

impl S3 {
    /// Looks at every setting, also without a bucket: all mistakes are told at once.
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let bucket = reader.checked("S3_BUCKET", "is not the name of a bucket", is_bucket);
        let endpoint = reader.origin("S3_ENDPOINT");
        let region = reader.checked("AWS_REGION", "is not a region such as eu-central-1", is_region);
        let prefix = reader.checked("S3_PREFIX", "is not a prefix such as atlas/production", is_prefix);
        let path_style = reader.flag("S3_FORCE_PATH_STYLE");
        let sse = reader.choice("S3_SSE", &[("none", 0), ("AES256", 1), ("aws:kms", 2)]);
        let key_id =
            reader.checked("S3_SSE_KMS_KEY_ID", "has spaces in it", |id| !id.contains(char::is_whitespace));
        if key_id.is_some() && sse != 2 {
            reader.mistake("S3_SSE_KMS_KEY_ID", "means nothing unless S3_SSE is aws:kms");
        }
        Some(Self {
            bucket: bucket?,
            force_path_style: path_style.unwrap_or(endpoint.is_some()),
            endpoint,
            region,
            key_prefix: prefix.map(|prefix| format!("{}/", prefix.trim_end_matches('/'))).unwrap_or_default(),
            sse: match sse {
                0 => Sse::None,
                1 => Sse::Aes256,
                _ => Sse::Kms { key_id },
            },
        })
    }
}

/// A name, or the ARN of an access point.
fn is_bucket(text: &str) -> bool {
    let is_letter = |char: char| char.is_ascii_alphanumeric() || ".-_".contains(char);
    text.starts_with("arn:") || (3..=63).contains(&text.len()) && text.chars().all(is_letter)
}

fn is_region(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|char| char.is_ascii_alphanumeric() || char == '-')
}

/// What no vendor and no URL reads as anything else.
fn is_prefix(text: &str) -> bool {
    const BYTES_MAX: usize = 500;
    let is_letter = |char: char| char.is_ascii_alphanumeric() || ".-_".contains(char);
    let is_word =
        |word: &str| !word.is_empty() && word.chars().any(|char| char != '.') && word.chars().all(is_letter);
    text.len() <= BYTES_MAX && text.strip_suffix('/').unwrap_or(text).split('/').all(is_word)
}

/// `id:key` with the key in base64, separated by commas or white space. No message repeats what stands there, but for
/// ids: a key is too long to be taken for one.
fn read_keys(reader: &mut Reader<'_>) -> Vec<EncryptionKey> {
    const NAME: &str = "ATLAS_ENCRYPTION_KEYS";
    const ID_CHARS_MAX: usize = 32;
    const KEY_BYTES: usize = 32;
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let base64 = GeneralPurpose::new(&alphabet::STANDARD, config);
    let is_letter = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    let is_id = |id: &str| (1..=ID_CHARS_MAX).contains(&id.len()) && id.chars().all(is_letter);

    let Some(text) = reader.secret(NAME) else { return Vec::new() };
    let mut keys: Vec<EncryptionKey> = Vec::new();
    let entries = text
        .expose_secret()
        .split(|char: char| char == ',' || char.is_whitespace())
        .filter(|entry| !entry.is_empty());
    for (at, entry) in entries.enumerate() {
        let Some((id, key)) = entry.split_once(':').filter(|(id, _)| is_id(id)) else {
            let form = "an id of 1 to 32 letters, digits, `-`, `_` or `.`, then `:` and the key in base64";
            reader.mistake(NAME, format!("entry {} is not {form}", at + 1));
            continue;
        };
        if keys.iter().any(|known| known.id == id) {
            reader.mistake(NAME, format!("the key `{id}` is there twice"));
        }
        match base64.decode(key) {
            Ok(key) if key.len() == KEY_BYTES => {
                keys.push(EncryptionKey { id: id.to_owned(), key: key.into() });
            }
            _ => reader.mistake(NAME, format!("the key `{id}` is not base64 of 32 bytes")),
        }
    }
    if keys.is_empty() {
        reader.mistake(NAME, "has no key in it");
    }
    keys
}
