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
    operation: Duration::from_millis(1_000),
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
    assert_ne!(server.answered("PUT", 412).await.unwrap(), 0);
}
