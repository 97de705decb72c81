use secrecy::ExposeSecret;

use super::tests::{mistakes, parse};
use super::*;

/// Base64 of 32 times the byte 1, and of 32 times the byte 2.
const ONE: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const TWO: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

fn keys(text: &str) -> Vec<(String, Vec<u8>)> {
    let config = parse(&[("ATLAS_ENCRYPTION_KEYS", text)], &[]).unwrap();
    let keys = config.blobs.encryption_keys.into_iter();
    keys.map(|key| (key.id, key.key.expose_secret().to_vec())).collect()
}

#[test]
fn blobs_stay_in_the_data_folder_and_unencrypted_unless_somebody_says_otherwise() {
    // The region may be there for others.
    let config = parse(&[("AWS_REGION", "eu-central-1"), ("S3_SSE", "none")], &[]).unwrap();
    assert!(config.blobs.s3.is_none() && config.blobs.encryption_keys.is_empty());
}

#[test]
fn a_bucket_of_aws_and_one_of_another_vendor() {
    let of = |environment: &[(&str, &str)]| parse(environment, &[]).unwrap().blobs.s3.unwrap();
    let aws = S3 {
        bucket: "the-bucket".into(),
        endpoint: None,
        region: None,
        key_prefix: String::new(),
        force_path_style: false,
        sse: Sse::None,
    };
    let bucket = ("S3_BUCKET", "the-bucket");
    assert_eq!(of(&[bucket]), aws);
    let kms = |key_id| S3 { sse: Sse::Kms { key_id }, ..aws.clone() };
    assert_eq!(of(&[bucket, ("S3_SSE", "aws:kms")]), kms(None));
    let key = ("S3_SSE_KMS_KEY_ID", "alias/atlas");
    assert_eq!(of(&[bucket, ("S3_SSE", "aws:kms"), key]), kms(Some("alias/atlas".into())));
    for prefix in ["atlas/production", "atlas/production/"] {
        let more = [bucket, ("S3_PREFIX", prefix), ("S3_SSE", "AES256"), ("AWS_REGION", "eu-central-1")];
        let (key_prefix, region) = ("atlas/production/".into(), Some("eu-central-1".into()));
        assert_eq!(of(&more), S3 { key_prefix, region, sse: Sse::Aes256, ..aws.clone() });
    }
    let endpoint = ("S3_ENDPOINT", "https://s3.example.org:9000/");
    let other = S3 { endpoint: Some("https://s3.example.org:9000".into()), force_path_style: true, ..aws };
    assert_eq!(of(&[bucket, endpoint]), other);
    let named = S3 { force_path_style: false, ..other };
    assert_eq!(of(&[bucket, endpoint, ("S3_FORCE_PATH_STYLE", "false")]), named);
    let file = "[blobs]\ns3_bucket = 'the-bucket'\ns3_endpoint = 'https://s3.example.org:9000'\ns3_force_path_style = false\n";
    let config = parse(&[("ATLAS_CONFIG", "a.toml")], &[("a.toml", file)]).unwrap();
    assert_eq!(config.blobs.s3, Some(named));
}

#[test]
fn all_mistakes_about_blobs_are_told_at_once() {
    let told = mistakes(
        &[
            ("S3_BUCKET", "s3://the-bucket"),
            ("S3_ENDPOINT", "s3.example.org"),
            ("S3_PREFIX", "/a/../b"),
            ("S3_FORCE_PATH_STYLE", "yes"),
            ("S3_SSE", "aes"),
            ("S3_SSE_KMS_KEY_ID", "a key"),
            ("AWS_REGION", "eu central"),
            ("ATLAS_ENCRYPTION_KEYS", "k1:short"),
        ],
        &[],
    );
    let expected = [
        "ATLAS_ENCRYPTION_KEYS: the key `k1` is not base64 of 32 bytes",
        "ATLAS_ENCRYPTION_KEYS: has no key in it",
        "AWS_REGION: `eu central` is not a region such as eu-central-1",
        "S3_BUCKET: `s3://the-bucket` is not the name of a bucket",
        "S3_ENDPOINT: `s3.example.org` is not a URL such as https://atlas.example.org, without a path",
        "S3_FORCE_PATH_STYLE: `yes` is none of: true, false",
        "S3_PREFIX: `/a/../b` is not a prefix such as atlas/production",
        "S3_SSE: `aes` is none of: none, AES256, aws:kms",
        "S3_SSE_KMS_KEY_ID: `a key` has spaces in it",
        "S3_SSE_KMS_KEY_ID: means nothing unless S3_SSE is aws:kms",
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_means_nothing_without_a_bucket_is_not_ignored() {
    for (name, value) in [
        ("S3_ENDPOINT", "https://s3.example.org"),
        ("S3_PREFIX", "atlas"),
        ("S3_FORCE_PATH_STYLE", "true"),
        ("S3_SSE", "AES256"),
    ] {
        assert_eq!(mistakes(&[(name, value)], &[]), [format!("{name}: means nothing without S3_BUCKET")]);
    }
    let file = "[blobs]\ns3_endpoint = 'https://s3.example.org'\n";
    assert_eq!(
        mistakes(&[("ATLAS_CONFIG", "a.toml")], &[("a.toml", file)]),
        ["S3_ENDPOINT: means nothing without S3_BUCKET"]
    );
}

#[test]
fn keys_are_a_list_of_which_the_first_seals() {
    let (one, two) = (vec![1; 32], vec![2; 32]);
    assert_eq!(keys(&format!("k1:{ONE}")), [("k1".into(), one.clone())]);
    let both = [("2026-11".into(), two), ("2025.old_1".into(), one)];
    assert_eq!(keys(&format!("2026-11:{TWO},2025.old_1:{ONE}")), both);
    // As a file has them, and without the padding that some tools leave out.
    assert_eq!(keys(&format!("2026-11:{TWO}\n2025.old_1:{}\n", ONE.trim_end_matches('='))), both);
    let config = parse(&[("ATLAS_ENCRYPTION_KEYS_FILE", "k")], &[("k", &format!("k1:{ONE}\n"))]).unwrap();
    assert_eq!(config.blobs.encryption_keys[0].id, "k1");
}

#[test]
fn no_mistake_and_no_debug_output_shows_an_encryption_key() {
    let text = format!("k1:{ONE},{TWO},{TWO}:k2,k 3:{TWO},k1:{TWO},k4:{}", &TWO[1..]);
    let told = mistakes(&[("ATLAS_ENCRYPTION_KEYS", &text)], &[]);
    let form = "is not an id of 1 to 32 letters, digits, `-`, `_` or `.`, then `:` and the key in base64";
    let expected = [
        format!("entry 2 {form}"),
        format!("entry 3 {form}"),
        format!("entry 4 {form}"),
        "the key `k1` is there twice".to_owned(),
        "the key `k4` is not base64 of 32 bytes".to_owned(),
    ];
    assert_eq!(told, expected.map(|what| format!("ATLAS_ENCRYPTION_KEYS: {what}")));
    assert!(!told.concat().contains("AgIC") && !told.concat().contains("AQEB"), "{told:?}");
    let config = parse(&[("ATLAS_ENCRYPTION_KEYS", &format!("k1:{ONE}"))], &[]).unwrap();
    let shown = format!("{config:?}");
    assert!(shown.contains("k1") && !shown.contains("AQEB") && !shown.contains("1, 1, 1"), "{shown}");
}
