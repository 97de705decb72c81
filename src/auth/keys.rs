//! The RSA keys behind the tokens.
//!
//! A signing key comes from the settings (PEM, shared by all pods that sign) or is made at the first start and kept
//! in `<data>/keys/signing.pem`, readable by its owner only. Every other `*.pem` in that folder, private or public,
//! checks tokens too: to rotate by hand, rename `signing.pem` to `retired-1.pem` and start again. With a public key
//! alone this server checks tokens and issues none.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::tokens::{self, Claims, Verified};
use super::{AuthError, AuthSettings};

/// Bits. Smaller RSA keys are refused (RFC 7518 section 3.3).
const RSA_BITS_MIN: usize = 2_048;

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{path}: cannot be read or written")]
    File { path: PathBuf, source: io::Error },
    /// Not an RSA key in PEM (PKCS#1, PKCS#8 or SubjectPublicKeyInfo), or a weak one.
    #[error("{name}: {reason}")]
    NotAKey { name: String, reason: &'static str },
    #[error("no RSA key could be made")]
    NoKeyMade,
}

/// The keys of this server. Does not change while it runs.
pub struct Keys {
    signer: Option<Signer>,
    /// By `kid`: the algorithm that this key is for, and the key. A token that names the key and another algorithm
    /// is refused.
    verifiers: HashMap<String, (Algorithm, DecodingKey)>,
}

struct Signer {
    kid: String,
    key: EncodingKey,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("kids", &self.verifiers.keys())
            .field("signs", &self.can_sign())
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// From the settings. `private` signs and checks; each of `public` checks.
    pub fn from_pem(private: Option<&str>, public: &[&str]) -> Result<Self, KeyError> {
        let mut keys = Self { signer: None, verifiers: HashMap::new() };
        if let Some(pem) = private {
            keys.add_signer("the private key of the settings", pem.as_bytes())?;
        }
        for pem in public {
            keys.add_verifier("the public key of the settings", pem.as_bytes())?;
        }
        Ok(keys)
    }

    /// From a folder, which gets a signing key if it has none. The folder and the key are the owner's alone.
    /// Takes up to a second when it makes a key.
    pub fn load_or_create(folder: &Path) -> Result<Self, KeyError> {
        let mut keys = Self { signer: None, verifiers: HashMap::new() };
        let signing = folder.join("signing.pem");
        if !fs::exists(&signing).map_err(at(&signing))? {
            create_private_folder(folder)?;
            write_new(&signing, new_private_pem()?.as_bytes())?;
        }
        let pem = fs::read(&signing).map_err(at(&signing))?;
        keys.add_signer(&signing.display().to_string(), &pem)?;
        for entry in fs::read_dir(folder).map_err(at(folder))? {
            let path = entry.map_err(at(folder))?.path();
            if path == signing || path.extension().is_none_or(|extension| extension != "pem") {
                continue;
            }
            let pem = fs::read(&path).map_err(at(&path))?;
            keys.add_verifier(&path.display().to_string(), &pem)?;
        }
        Ok(keys)
    }

    #[must_use]
    pub fn can_sign(&self) -> bool {
        self.signer.is_some()
    }

    /// A signed token; `None`: this server has no private key.
    pub fn sign(&self, claims: &Claims) -> Result<Option<String>, AuthError> {
        let Some(signer) = &self.signer else { return Ok(None) };
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(signer.kid.clone());
        jsonwebtoken::encode(&header, claims, &signer.key).map(Some).map_err(|error| {
            tracing::error!(error = %error, "an access token could not be signed");
            AuthError::Invalid
        })
    }

    /// Checks signature, terms and time; whether the session still lives is for the store to say.
    pub fn verify(
        &self,
        jwt: &str,
        settings: &AuthSettings,
        now: OffsetDateTime,
    ) -> Result<Verified, AuthError> {
        let kid = tokens::key_id(jwt)?;
        let (algorithm, key) = match &kid {
            Some(kid) => self.verifiers.get(kid).ok_or(AuthError::Invalid)?,
            // A token that names no key is checked only where no choice is to be made.
            None if self.verifiers.len() == 1 => self.verifiers.values().next().ok_or(AuthError::Invalid)?,
            None => return Err(AuthError::Invalid),
        };
        if *algorithm != Algorithm::RS256 {
            return Err(AuthError::Invalid);
        }
        tokens::verify(jwt, key, settings, now)
    }

    fn add_signer(&mut self, name: &str, pem: &[u8]) -> Result<(), KeyError> {
        let key =
            EncodingKey::from_rsa_pem(pem).map_err(|_| not_a_key(name, "not an RSA private key in PEM"))?;
        let public = public_of_private(name, key.as_bytes())?;
        let kid = self.insert(&public);
        self.signer = Some(Signer { kid, key });
        Ok(())
    }

    /// `pem` is a public key, or a private one whose public half is meant.
    fn add_verifier(&mut self, name: &str, pem: &[u8]) -> Result<(), KeyError> {
        let public = match EncodingKey::from_rsa_pem(pem).map(|key| public_of_private(name, key.as_bytes())) {
            Ok(Ok(public)) => public,
            // That reader takes public keys for private ones: what has no private half is tried as what it is.
            Ok(Err(_)) | Err(_) => DecodingKey::from_rsa_pem(pem)
                .ok()
                .and_then(|key| key.try_get_as_bytes().ok().map(<[u8]>::to_vec))
                .ok_or_else(|| not_a_key(name, "not an RSA key in PEM"))?,
        };
        let parsed = aws_lc_rs::rsa::PublicKey::from_der(&public)
            .map_err(|_| not_a_key(name, "not an RSA public key in PEM"))?;
        // The PKCS#1 form is the modulus and, with the exponent 3, twelve bytes more.
        if parsed.as_ref().len() < RSA_BITS_MIN / 8 + 12 {
            return Err(not_a_key(name, "RSA keys have 2048 bits or more"));
        }
        self.insert(parsed.as_ref());
        Ok(())
    }

    /// The `kid` of a key is a hash of its public half: every pod with the same key gives it the same name.
    fn insert(&mut self, public_pkcs1: &[u8]) -> String {
        let kid = URL_SAFE_NO_PAD.encode(&Sha256::digest(public_pkcs1)[..16]);
        self.verifiers.insert(kid.clone(), (Algorithm::RS256, DecodingKey::from_rsa_der(public_pkcs1)));
        kid
    }
}

/// PKCS#1 private key to PKCS#1 public key.
fn public_of_private(name: &str, der: &[u8]) -> Result<Vec<u8>, KeyError> {
    let pair = RsaKeyPair::from_der(der)
        .map_err(|_| not_a_key(name, "not an RSA private key of 2048 bits or more"))?;
    if pair.public_modulus_len() * 8 < RSA_BITS_MIN {
        return Err(not_a_key(name, "RSA keys have 2048 bits or more"));
    }
    Ok(pair.public_key().as_ref().to_vec())
}

fn not_a_key(name: &str, reason: &'static str) -> KeyError {
    KeyError::NotAKey { name: name.to_owned(), reason }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    let path = path.to_owned();
    |source| KeyError::File { path, source }
}

/// A fresh RSA 2048 key as PKCS#8 PEM (RFC 7468).
fn new_private_pem() -> Result<String, KeyError> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError::NoKeyMade)?;
    let der = pair.as_der().map_err(|_| KeyError::NoKeyMade)?;
    let text = STANDARD.encode(der.as_ref());
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    Ok(pem)
}

fn create_private_folder(folder: &Path) -> Result<(), KeyError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(at(folder))
}

/// Whole or not at all, durable on return, never over an existing file: of two servers that start at once on one
/// folder, both use the key of whoever was first.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let write = || {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        match fs::hard_link(&draft, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        fs::remove_file(&draft)?;
        match path.parent() {
            Some(folder) => fs::File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(at(path))
}

#[cfg(test)]
mod tests {
    use atlas_crdt::ids::{SessionId, UserId};
    use atlas_crdt::roles::PlatformRole;
    use serde_json::{Value, json};
    use time::Duration;

    use super::*;
    use crate::clock::Clock;

    fn settings() -> AuthSettings {
        AuthSettings {
            issuer: "https://issuer.example".to_owned(),
            audience: "kohatlas-app".to_owned(),
            access_ttl: Duration::minutes(15),
            refresh_ttl: Duration::days(7),
        }
    }

    fn now() -> OffsetDateTime {
        Clock::manual().utc()
    }

    fn claims() -> Value {
        let at = now().unix_timestamp();
        json!({
            "sub": UserId::from_u128(5).to_string(), "email": "ada@example.com", "role": "architect",
            "sid": SessionId::from_u128(6).to_string(), "iss": "https://issuer.example", "aud": "kohatlas-app",
            "iat": at, "nbf": at, "exp": at + 900, "jti": "x",
        })
    }

    /// A server's keys, and the private key to forge with.
    fn keys() -> (Keys, EncodingKey, String) {
        let pem = new_private_pem().unwrap();
        let keys = Keys::from_pem(Some(&pem), &[]).unwrap();
        let kid = keys.signer.as_ref().unwrap().kid.clone();
        (keys, EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(), kid)
    }

    fn token(header: &Header, claims: &Value, key: &EncodingKey) -> String {
        jsonwebtoken::encode(header, claims, key).unwrap()
    }

    fn header(algorithm: Algorithm, kid: &str) -> Header {
        let mut header = Header::new(algorithm);
        header.kid = Some(kid.to_owned());
        header
    }

    fn check(keys: &Keys, jwt: &str) -> Result<Verified, AuthError> {
        keys.verify(jwt, &settings(), now())
    }

    #[test]
    fn a_good_token_names_its_caller() {
        let (keys, key, kid) = keys();
        let verified = check(&keys, &token(&header(Algorithm::RS256, &kid), &claims(), &key)).unwrap();
        assert_eq!(verified.caller.user, UserId::from_u128(5));
        assert_eq!(verified.caller.session, SessionId::from_u128(6));
        assert_eq!(verified.caller.role, PlatformRole::Architect);
        assert_eq!(verified.caller.email.as_deref(), Some("ada@example.com"));
        assert_eq!(verified.caller.expires_at, now() + Duration::minutes(15));
        assert!(verified.revocable);
    }

    #[test]
    fn every_term_of_a_token_is_checked() {
        let (keys, key, kid) = keys();
        let at = now().unix_timestamp();
        let cases = [
            ("expired", json!({"exp": at - LATE, "nbf": at - 900, "iat": at - 900}), true),
            ("not valid yet", json!({"nbf": at + LATE}), false),
            ("issued in the future", json!({"iat": at + LATE}), false),
            ("another issuer", json!({"iss": "https://api.example"}), false),
            ("another audience", json!({"aud": "admin-app"}), false),
            ("several other audiences", json!({"aud": ["a", "b"]}), false),
            ("no audience", json!({"aud": null}), false),
            ("no issuer", json!({"iss": null}), false),
            ("no expiry", json!({"exp": null}), false),
            ("an expiry in words", json!({"exp": "tomorrow"}), false),
            ("an expiry past all time", json!({"exp": 1e300}), false),
            ("no nbf", json!({"nbf": null}), false),
            ("no subject", json!({"sub": null}), false),
            ("a subject of another kind", json!({"sub": "ada"}), false),
            ("an unknown role", json!({"role": "root"}), false),
            ("no role", json!({"role": null}), false),
            ("a session that is no id", json!({"sid": "1"}), false),
        ];
        for (name, change, expired) in cases {
            let mut claims = claims();
            for (key, value) in change.as_object().unwrap() {
                claims[key] = value.clone();
            }
            let outcome = check(&keys, &token(&header(Algorithm::RS256, &kid), &claims, &key));
            match outcome {
                Err(AuthError::Expired) => assert!(expired, "{name}"),
                Err(AuthError::Invalid) => assert!(!expired, "{name}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    const LATE: i64 = tokens::LEEWAY_S + 1;

    #[test]
    fn honest_variants_are_accepted() {
        let (keys, key, kid) = keys();
        let at = now().unix_timestamp();
        let cases = [
            json!({"aud": ["other", "kohatlas-app"]}),
            json!({"exp": at + 10, "nbf": at + tokens::LEEWAY_S}),
            json!({"iat": 1.5, "nbf": 1.5}),
            json!({"sid": null}),
            json!({"role": "Premium"}),
        ];
        for change in cases {
            let mut claims = claims();
            for (key, value) in change.as_object().unwrap() {
                claims[key] = value.clone();
            }
            check(&keys, &token(&header(Algorithm::RS256, &kid), &claims, &key)).unwrap();
        }
    }

    #[test]
    fn forgeries_are_refused() {
        let (keys, key, kid) = keys();
        let (_, stranger, stranger_kid) = self::keys();
        let good = token(&header(Algorithm::RS256, &kid), &claims(), &key);
        let [head, body, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!() };
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let mut admin = claims();
        admin["role"] = json!("admin");
        let public = keys.verifiers[&kid].1.try_get_as_bytes().unwrap().to_vec();
        let public_pem = format!(
            "-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n",
            STANDARD.encode(&public)
        );
        let forgeries = [
            ("nothing", String::new()),
            ("words", "let me in".to_owned()),
            ("alg none, no signature", format!("{}.{body}.", encode(&json!({"alg": "none", "kid": kid})))),
            (
                "alg none, with signature",
                format!("{}.{body}.{signature}", encode(&json!({"alg": "none", "kid": kid}))),
            ),
            ("a changed body", format!("{head}.{}.{signature}", encode(&admin))),
            ("a removed signature", format!("{head}.{body}.")),
            ("two parts", format!("{head}.{body}")),
            ("four parts", format!("{good}.{signature}")),
            ("another's key under our kid", token(&header(Algorithm::RS256, &kid), &claims(), &stranger)),
            ("another's key and kid", token(&header(Algorithm::RS256, &stranger_kid), &claims(), &stranger)),
            ("our key under an unknown kid", token(&header(Algorithm::RS256, "?"), &claims(), &key)),
            ("our key, RS512", token(&header(Algorithm::RS512, &kid), &claims(), &key)),
            ("our key, PS256", token(&header(Algorithm::PS256, &kid), &claims(), &key)),
            (
                "HS256 with our public key (DER) as the secret",
                token(&header(Algorithm::HS256, &kid), &claims(), &EncodingKey::from_secret(&public)),
            ),
            (
                "HS256 with our public key (PEM) as the secret",
                token(
                    &header(Algorithm::HS256, &kid),
                    &claims(),
                    &EncodingKey::from_secret(public_pem.as_bytes()),
                ),
            ),
            ("too long to be read", format!("{good}{}", "A".repeat(9_000))),
        ];
        for (name, jwt) in forgeries {
            assert!(matches!(check(&keys, &jwt), Err(AuthError::Invalid)), "{name}");
        }
    }

    #[test]
    fn a_key_for_another_algorithm_is_never_used() {
        let (mut keys, key, kid) = keys();
        keys.verifiers.get_mut(&kid).unwrap().0 = Algorithm::RS512;
        let jwt = token(&header(Algorithm::RS256, &kid), &claims(), &key);
        assert!(matches!(check(&keys, &jwt), Err(AuthError::Invalid)));
    }

    #[test]
    fn several_keys_at_once_and_no_choice_without_a_kid() {
        let (one, two) = (new_private_pem().unwrap(), new_private_pem().unwrap());
        let mut keys = Keys::from_pem(Some(&one), &[]).unwrap();
        let without_kid = token(
            &Header::new(Algorithm::RS256),
            &claims(),
            &EncodingKey::from_rsa_pem(one.as_bytes()).unwrap(),
        );
        check(&keys, &without_kid).unwrap();
        keys.add_verifier("two", two.as_bytes()).unwrap();
        let of_two = Keys::from_pem(Some(&two), &[]).unwrap().signer.unwrap();
        check(&keys, &token(&header(Algorithm::RS256, &of_two.kid), &claims(), &of_two.key)).unwrap();
        assert!(matches!(check(&keys, &without_kid), Err(AuthError::Invalid)));
    }

    #[test]
    fn a_public_key_checks_and_never_signs() {
        let (signing, key, kid) = keys();
        let der = aws_lc_rs::rsa::PublicKey::from_der(signing.verifiers[&kid].1.try_get_as_bytes().unwrap())
            .unwrap();
        let spki =
            aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(&der).unwrap();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(spki.as_ref())
        );
        let keys = Keys::from_pem(None, &[&pem]).unwrap();
        assert!(!keys.can_sign());
        check(&keys, &token(&header(Algorithm::RS256, &kid), &claims(), &key)).unwrap();
    }

    #[test]
    fn what_is_no_key_is_named() {
        for pem in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "words"] {
            assert!(matches!(Keys::from_pem(Some(pem), &[]), Err(KeyError::NotAKey { .. })), "{pem}");
            assert!(matches!(Keys::from_pem(None, &[pem]), Err(KeyError::NotAKey { .. })), "{pem}");
        }
    }

    #[test]
    fn the_folder_gets_one_key_and_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("data/keys");
        let first = Keys::load_or_create(&folder).unwrap();
        let jwt = {
            let signer = first.signer.as_ref().unwrap();
            token(&header(Algorithm::RS256, &signer.kid), &claims(), &signer.key)
        };
        check(&Keys::load_or_create(&folder).unwrap(), &jwt).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no draft stays behind");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&folder.join("signing.pem")), 0o600);
            assert_eq!(mode(&folder), 0o700);
        }

        // Rotation by hand: the old key still checks, a new one signs.
        fs::rename(folder.join("signing.pem"), folder.join("retired-1.pem")).unwrap();
        let rotated = Keys::load_or_create(&folder).unwrap();
        check(&rotated, &jwt).unwrap();
        assert_ne!(rotated.signer.as_ref().unwrap().kid, first.signer.unwrap().kid);
    }
}
