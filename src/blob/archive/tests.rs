use std::sync::Arc;

use super::*;
use crate::blob::dir::DirBlobs;
use crate::clock::Clock;

fn key(id: &str, of: u8) -> SealKey {
    SealKey::new(id, &[of; 32]).unwrap()
}

fn archive(folder: &tempfile::TempDir, keys: Vec<SealKey>) -> Archive {
    let blobs = Arc::new(DirBlobs::open(folder.path()).unwrap());
    Archive::new(blobs, keys, Ids::seeded(Clock::manual(), 1))
}

/// Nothing that compresses: SHA-256 of numbers.
fn noise(bytes: usize) -> Vec<u8> {
    (0_u64..).flat_map(|number| BlobHash::of(&number.to_be_bytes()).0).take(bytes).collect()
}

#[tokio::test]
async fn what_was_put_comes_back_with_and_without_a_key() {
    let contents = [Bytes::new(), Bytes::from_static(b"x"), vec![7; 3 << 20].into(), noise(1 << 20).into()];
    for keys in [vec![], vec![key("k1", 1)]] {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(&folder, keys);
        for content in &contents {
            let sealed = archive.seal_aside(content.clone()).await.unwrap();
            assert_eq!(sealed.hash, BlobHash::of(content));
            assert!(sealed.bytes.len() <= content.len() + content.len() / 256 + 128);
            assert!(archive.put("a", &sealed).await.unwrap());
            assert!(!archive.put("a", &sealed).await.unwrap());
            assert!(archive.get("a", sealed.hash).await.unwrap().unwrap() == content);
        }
        assert_eq!(archive.get("a", BlobHash([1; 32])).await.unwrap(), None);
    }
}

#[tokio::test]
async fn zeros_are_stored_small() {
    let folder = tempfile::tempdir().unwrap();
    let sealed = archive(&folder, vec![]).seal(&vec![0; 8 << 20]).unwrap();
    assert!(sealed.bytes.len() < 1 << 10, "{}", sealed.bytes.len());
}

#[tokio::test]
async fn nothing_of_the_content_can_be_read_without_the_key_and_no_two_seals_are_alike() {
    let folder = tempfile::tempdir().unwrap();
    let with_key = archive(&folder, vec![key("k1", 1)]);
    // Too short to compress: it would stand there as it is.
    let content = b"the name of a customer";
    let in_clear =
        |sealed: &Sealed| sealed.bytes.windows(8).any(|window| content.windows(8).any(|w| w == window));
    assert!(in_clear(&archive(&folder, vec![]).seal(content).unwrap()));
    let (one, two) = (with_key.seal(content).unwrap(), with_key.seal(content).unwrap());
    assert!(!in_clear(&one) && !in_clear(&two));
    assert_eq!(one.hash, two.hash);
    assert_ne!(one.bytes, two.bytes, "a nonce is never used twice");
}

#[tokio::test]
async fn keys_rotate_and_old_blobs_stay_readable() {
    let folder = tempfile::tempdir().unwrap();
    let put = async |archive: &Archive, content: &'static [u8]| {
        let sealed = archive.seal(content).unwrap();
        archive.put("a", &sealed).await.unwrap();
        sealed.hash
    };
    let plain = put(&archive(&folder, vec![]), b"before there were keys").await;
    let old = put(&archive(&folder, vec![key("old", 1)]), b"under the old key").await;
    let both = archive(&folder, vec![key("new", 2), key("old", 1)]);
    let new = put(&both, b"under the new key").await;
    for hash in [plain, old, new] {
        assert!(both.get("a", hash).await.unwrap().is_some());
    }
    // The first seals.
    let only_new = archive(&folder, vec![key("new", 2)]);
    assert!(only_new.get("a", new).await.unwrap().is_some());
    let unknown = only_new.get("a", old).await.unwrap_err();
    assert!(matches!(&unknown, BlobError::UnknownKey { hash, key_id } if *hash == old && key_id == "old"));
    // Another key under the same id.
    let impostor = archive(&folder, vec![key("new", 2), key("old", 3)]);
    let not_opened = impostor.get("a", old).await.unwrap_err();
    assert!(matches!(&not_opened, BlobError::NotOpened { hash, key_id } if *hash == old && key_id == "old"));
    assert!(archive(&folder, vec![]).get("a", plain).await.unwrap().is_some());
    assert!(matches!(archive(&folder, vec![]).get("a", new).await, Err(BlobError::UnknownKey { .. })));
}

#[test]
fn every_changed_bit_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    for keys in [vec![], vec![key("k", 1)]] {
        let archive = archive(&folder, keys);
        let sealed = archive.seal(b"one content of some length, some length").unwrap();
        let open = |bytes: Vec<u8>| archive.open(sealed.hash, &bytes);
        for at in 0..sealed.bytes.len() {
            for bit in 0..8 {
                let mut changed = sealed.bytes.to_vec();
                changed[at] ^= 1 << bit;
                // zstd ignores one bit or another of its own header: then the content is the right one all the same.
                if let Ok(content) = open(changed) {
                    assert!(archive.keys.is_empty(), "bit {bit} of byte {at}");
                    assert_eq!(BlobHash::of(&content), sealed.hash);
                }
            }
        }
        for cut in 0..sealed.bytes.len() {
            assert!(open(sealed.bytes[..cut].to_vec()).is_err(), "cut at {cut}");
        }
        assert!(open([&sealed.bytes[..], b"more"].concat()).is_err());
    }
}

#[test]
fn a_whole_blob_under_another_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let plain = archive(&folder, vec![]);
    let sealed = plain.seal(b"one").unwrap();
    let other = plain.open(BlobHash::of(b"two"), &sealed.bytes);
    assert!(
        matches!(other, Err(BlobError::Damaged { what: "its content has another hash", .. })),
        "{other:?}"
    );
    let locked = archive(&folder, vec![key("k", 1)]);
    let sealed = locked.seal(b"one").unwrap();
    let other = locked.open(BlobHash::of(b"two"), &sealed.bytes);
    assert!(matches!(other, Err(BlobError::NotOpened { .. })), "the name is authenticated: {other:?}");
}

#[test]
fn a_bomb_is_not_blown_up() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(&folder, vec![]);
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], ZSTD_LEVEL).unwrap();
    let with_size = |content_bytes| {
        let mut stored = Header { content_bytes, lock: None }.encode();
        stored.extend_from_slice(&bomb);
        archive.open(BlobHash([0; 32]), &stored)
    };
    for (size, what) in [
        (u64::MAX, "it says that it is larger than any content"),
        (CONTENT_BYTES_MAX as u64 + 1, "it says that it is larger than any content"),
        (1_000, "it cannot be decompressed"),
        ((64 << 20) + 1, "it has another size than it says"),
    ] {
        let opened = with_size(size);
        assert!(
            matches!(opened, Err(BlobError::Damaged { what: told, .. }) if told == what),
            "{size}: {opened:?}"
        );
    }
}

#[test]
fn no_message_shows_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(&folder, vec![key("k1", 0x41)]);
    let hash = BlobHash([0; 32]);
    let errors = [
        format!("{archive:?}"),
        BlobError::UnknownKey { hash, key_id: "k1".into() }.to_string(),
        BlobError::NotOpened { hash, key_id: "k1".into() }.to_string(),
    ];
    for text in errors {
        assert!(text.contains("k1") && !text.contains("AAAA") && !text.contains("65, 65"), "{text}");
    }
    for id in ["", "with space", "ü", "a/b", &"x".repeat(33)] {
        assert!(SealKey::new(id, &[1; 32]).is_err(), "{id}");
    }
    assert!(SealKey::new("k", &[1; 31]).is_err());
}
