use std::sync::Arc;

use atlas_loadtest::proxy::Proxy;
use atlas_loadtest::services::seaweedfs::{ACCESS_KEY, BUCKET, SECRET_KEY, SeaweedFs};

use super::*;
use crate::blob::archive::{Archive, SealKey};
use crate::blob::conformance;
use crate::clock::{Clock, Ids};

/// Short enough to wait for the end of it.
const HASTY: S3Patience = S3Patience {
    connect: Duration::from_secs(1),
    attempt: Duration::from_millis(400),
    operation: Duration::from_secs(1),
    attempts: 3,
    backoff: Duration::from_millis(20),
};

fn settings(endpoint: String) -> S3Settings {
    S3Settings {
        bucket: BUCKET.into(),
        endpoint: Some(endpoint),
        region: None,
        key_prefix: String::new(),
        force_path_style: true,
        encryption: S3Encryption::BucketDefault,
        credentials: Some(S3Credentials {
            access_key_id: ACCESS_KEY.into(),
            secret_access_key: SECRET_KEY.into(),
        }),
        patience: S3Patience::default(),
    }
}

fn hash(of: u8) -> BlobHash {
    BlobHash([of; 32])
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let server = SeaweedFs::start().await.unwrap();
    let open = async |place: &'static str| {
        let settings = S3Settings { key_prefix: format!("{place}/"), ..settings(server.endpoint()) };
        Arc::new(S3Blobs::open(settings).await) as Arc<dyn BlobStore>
    };
    conformance::run_all(open).await;
    // What was conditional was refused by the server, and not by chance on this side.
    assert_ne!(server.answered_at_least("PUT", 412, 1).await.unwrap(), 0);
}

#[tokio::test]
async fn a_wrong_secret_and_a_bucket_that_is_not_there_are_refused() {
    const WRONG: &str = "another-secret-hush-hush";
    let server = SeaweedFs::start().await.unwrap();
    let with = async |secret: &str, bucket: &str| {
        let secret_access_key = secret.to_owned().into();
        let credentials = S3Credentials { access_key_id: ACCESS_KEY.into(), secret_access_key };
        let settings = settings(server.endpoint());
        S3Blobs::open(S3Settings { credentials: Some(credentials), bucket: bucket.into(), ..settings }).await
    };
    let right = with(SECRET_KEY, BUCKET).await;
    right.check().await.unwrap();
    right.put("a", hash(1), Bytes::from_static(b"kept")).await.unwrap();
    let before = server.answered("", 403).await.unwrap();

    let wrong = with(WRONG, BUCKET).await;
    let refusals = [
        wrong.check().await.unwrap_err(),
        wrong.put("a", hash(2), Bytes::new()).await.unwrap_err(),
        wrong.get("a", hash(1)).await.unwrap_err(),
        wrong.delete("a", hash(1)).await.unwrap_err(),
        wrong.list("a", None, 1).await.unwrap_err(),
        wrong.delete_all("a").await.unwrap_err(),
    ];
    for refusal in &refusals {
        let BlobError::Refused(cause) = refusal else { panic!("{refusal:?}") };
        assert!(cause.to_string().contains("HTTP 403, SignatureDoesNotMatch"), "{cause}");
    }
    assert_eq!(
        server.answered_at_least("", 403, before + 6).await.unwrap() - before,
        6,
        "no refusal is tried again"
    );
    let told = format!("{wrong:?} {refusals:?}");
    assert!(!told.contains(WRONG) && !told.contains("hush"), "{told}");
    assert_eq!(right.list("a", None, 10).await.unwrap().len(), 1, "nothing was written or deleted");

    let nowhere = with(SECRET_KEY, "nowhere").await;
    let refusals = [
        nowhere.check().await.unwrap_err(),
        nowhere.get("a", hash(1)).await.unwrap_err(),
        nowhere.put("a", hash(1), Bytes::new()).await.unwrap_err(),
    ];
    for refusal in refusals {
        assert!(
            matches!(&refusal, BlobError::Refused(cause) if cause.to_string().contains("NoSuchBucket")),
            "{refusal:?}"
        );
    }
}

#[tokio::test]
async fn a_cable_that_is_cut_or_dead_delays_and_loses_nothing() {
    let mut server = SeaweedFs::start().await.unwrap();
    let proxy = Proxy::start(server.address()).await.unwrap();
    let endpoint = format!("http://{}", proxy.address());
    let blobs = S3Blobs::open(S3Settings { patience: HASTY, ..settings(endpoint) }).await;
    let bytes = Bytes::from(vec![7; 2 << 20]);
    assert!(blobs.put("a", hash(1), bytes.clone()).await.unwrap());

    proxy.cut();
    proxy.empty().await;
    let before = proxy.passed();
    let cut = blobs.put("a", hash(2), bytes.clone()).await;
    assert!(matches!(&cut, Err(BlobError::Unavailable(_))), "{cut:?}");
    assert_eq!(proxy.passed(), before);
    proxy.restore();
    assert!(blobs.put("a", hash(2), bytes.clone()).await.unwrap());

    let before = proxy.passed();
    proxy.freeze();
    let clock = Clock::system();
    for frozen in [
        blobs.get("a", hash(1)).await.map(drop),
        blobs.put("a", hash(3), bytes.clone()).await.map(drop),
        blobs.delete_all("a").await.map(drop),
    ] {
        assert!(matches!(&frozen, Err(BlobError::Unavailable(_))), "{frozen:?}");
    }
    let waited = Duration::from_millis(clock.now().get());
    assert!(
        HASTY.attempt * 3 <= waited && waited < HASTY.operation * 3 + Duration::from_secs(2),
        "{waited:?}"
    );
    assert_eq!(proxy.passed(), before);
    proxy.restore();
    assert!(blobs.get("a", hash(1)).await.unwrap().as_ref() == Some(&bytes));
    // What was frozen may have arrived meanwhile.
    blobs.put("a", hash(3), bytes.clone()).await.unwrap();
    assert_eq!(blobs.list("a", None, 10).await.unwrap().len(), 3);

    server.stop().await.unwrap();
    let down = blobs.put("a", hash(4), bytes.clone()).await;
    assert!(matches!(&down, Err(BlobError::Unavailable(_))), "{down:?}");
    server.restart().await.unwrap();
    for of in 1..=3 {
        assert!(blobs.get("a", hash(of)).await.unwrap().as_ref() == Some(&bytes), "{of}");
    }
    assert!(blobs.put("a", hash(4), bytes).await.unwrap());
}

#[tokio::test]
async fn a_body_that_stops_halfway_is_given_up() {
    let server = SeaweedFs::start().await.unwrap();
    let proxy = Proxy::start(server.address()).await.unwrap();
    let direct = S3Blobs::open(settings(server.endpoint())).await;
    direct.put("a", hash(1), vec![7; 48 << 20].into()).await.unwrap();
    let endpoint = format!("http://{}", proxy.address());
    let blobs = S3Blobs::open(S3Settings { patience: HASTY, ..settings(endpoint) }).await;
    let getting = atlas_loadtest::world::spawn(async move { blobs.get("a", hash(1)).await });
    while proxy.passed().down < 1 << 20 {
        tokio::task::yield_now().await;
    }
    proxy.freeze();
    let got = getting.await.unwrap();
    assert!(
        matches!(&got, Err(BlobError::Unavailable(_))),
        "{:?}",
        got.map(|bytes| bytes.map(|bytes| bytes.len()))
    );
    assert!(proxy.passed().down < 48 << 20);
}

#[tokio::test]
async fn both_kinds_of_encryption_go_together() {
    let server = SeaweedFs::start().await.unwrap();
    let asked = S3Settings { encryption: S3Encryption::Aes256, ..settings(server.endpoint()) };
    let blobs = S3Blobs::open(asked).await;
    let key = SealKey::new("k1", &[1; 32]).unwrap();
    let archive = Archive::new(Arc::new(blobs.clone()), vec![key], Ids::system(Clock::system()));
    let content = Bytes::from(vec![7; 1 << 20]);
    let sealed = archive.seal_aside(content.clone()).await.unwrap();
    assert!(archive.put("designs/1/snapshots", &sealed).await.unwrap());
    assert!(archive.get("designs/1/snapshots", sealed.hash).await.unwrap().unwrap() == content);
    let stored = blobs.client.head_object().bucket(BUCKET);
    let stored = stored.key(format!("designs/1/snapshots/{}", sealed.hash)).send().await.unwrap();
    assert_eq!(stored.server_side_encryption(), Some(&ServerSideEncryption::Aes256));
}
