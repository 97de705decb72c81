//! Answers that a well-behaved server gives seldom or never, from one that says what it is told to.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::*;

/// The head of a request: its first line, then its headers in lower case.
type Head = Vec<String>;

/// Answers each request with `answer(number, head)`, status line and body. Returns its URL and the heads that it got.
async fn server(
    answer: impl Fn(usize, &Head) -> (&'static str, &'static str) + Send + 'static,
) -> (String, Arc<Mutex<Vec<Head>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heads = Arc::new(Mutex::new(Vec::new()));
    let got = Arc::clone(&heads);
    atlas_loadtest::world::spawn(async move {
        // One connection for each request, so that they come one after the other.
        while let Ok((socket, _)) = listener.accept().await {
            let mut socket = BufReader::new(socket);
            let Some(head) = read_request(&mut socket).await else { continue };
            let (status, body) = answer(got.lock().unwrap().len(), &head);
            got.lock().unwrap().push(head);
            let length = if status.contains("content-length") {
                String::new()
            } else {
                format!("content-length: {}\r\n", body.len())
            };
            let answer = format!("HTTP/1.1 {status}\r\n{length}connection: close\r\n\r\n{body}");
            let _ = socket.write_all(answer.as_bytes()).await;
            let _ = socket.shutdown().await;
        }
    });
    (url, heads)
}

async fn read_request(socket: &mut BufReader<tokio::net::TcpStream>) -> Option<Head> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        socket.read_line(&mut line).await.ok().filter(|read| *read != 0)?;
        match line.trim_end() {
            "" => break,
            line if head.is_empty() => head.push(line.to_owned()),
            line => head.push(line.to_lowercase()),
        }
    }
    let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
    socket.read_exact(&mut vec![0; length]).await.ok()?;
    Some(head)
}

fn header<'a>(head: &'a Head, name: &str) -> Option<&'a str> {
    head.iter().skip(1).find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

async fn blobs(endpoint: String, encryption: S3Encryption) -> S3Blobs {
    let patience = S3Patience { backoff: Duration::from_millis(1), ..S3Patience::default() };
    S3Blobs::open(S3Settings {
        bucket: "the-bucket".into(),
        endpoint: Some(endpoint),
        region: Some("eu-central-1".into()),
        key_prefix: "atlas/".into(),
        force_path_style: true,
        encryption,
        credentials: Some(S3Credentials { access_key_id: "id".into(), secret_access_key: "secret".into() }),
        patience,
    })
    .await
}

async fn put(blobs: &S3Blobs) -> Result<bool> {
    blobs.put("a", BlobHash([1; 32]), Bytes::from_static(b"some bytes")).await
}

#[tokio::test]
async fn what_is_sent_is_what_other_vendors_know() {
    for (encryption, wanted) in [
        (S3Encryption::BucketDefault, [None, None, None]),
        (S3Encryption::Aes256, [Some("aes256"), None, None]),
        (S3Encryption::Kms { key_id: None }, [Some("aws:kms"), None, Some("true")]),
        (S3Encryption::Kms { key_id: Some("key/7".into()) }, [Some("aws:kms"), Some("key/7"), Some("true")]),
    ] {
        let (url, heads) = server(|_, _| ("200 OK", "")).await;
        assert!(put(&blobs(url, encryption).await).await.unwrap());
        let head = heads.lock().unwrap().remove(0);
        assert_eq!(
            head[0].split('?').next().unwrap(),
            format!("PUT /the-bucket/atlas/a/{}", "01".repeat(32))
        );
        let names = ["", "-aws-kms-key-id", "-bucket-key-enabled"];
        let sent = names.map(|name| header(&head, &format!("x-amz-server-side-encryption{name}")));
        assert_eq!(sent, wanted);
        assert_eq!(header(&head, "if-none-match"), Some("*"));
        let signed = header(&head, "x-amz-content-sha256").unwrap();
        assert_eq!(signed, BlobHash::of(b"some bytes").to_string(), "the signature covers the body");
        assert!(header(&head, "authorization").unwrap().contains("/eu-central-1/s3/"));
        let newer = ["x-amz-checksum", "x-amz-trailer", "x-amz-sdk-checksum", "content-encoding"];
        assert!(!head.iter().any(|line| newer.iter().any(|name| line.starts_with(name))), "{head:?}");
    }
}

#[tokio::test]
async fn a_put_that_meets_another_is_begun_anew() {
    let conflict = ("409 Conflict", "<Error><Code>ConditionalRequestConflict</Code></Error>");
    let (url, heads) =
        server(move |number, _| if number < 2 { conflict } else { ("412 Precondition Failed", "") }).await;
    assert!(!put(&blobs(url, S3Encryption::BucketDefault).await).await.unwrap());
    assert_eq!(heads.lock().unwrap().len(), 3);

    let (url, heads) = server(move |_, _| conflict).await;
    let put = put(&blobs(url, S3Encryption::BucketDefault).await).await;
    assert!(matches!(&put, Err(BlobError::Unavailable(_))), "never taken for stored: {put:?}");
    assert_eq!(heads.lock().unwrap().len(), 1 + CONFLICTS_MAX as usize);
}

#[tokio::test]
async fn a_server_that_knows_no_condition_gets_the_blob_without() {
    let (url, heads) = server(|_, head| match header(head, "if-none-match") {
        Some(_) => ("501 Not Implemented", "<Error><Code>NotImplemented</Code></Error>"),
        None => ("200 OK", ""),
    })
    .await;
    assert!(put(&blobs(url, S3Encryption::BucketDefault).await).await.unwrap());
    assert!(heads.lock().unwrap().last().is_some_and(|head| header(head, "if-none-match").is_none()));
}

#[tokio::test]
async fn a_server_under_load_is_asked_again_and_not_for_ever() {
    let slow = ("503 Slow Down", "<Error><Code>SlowDown</Code></Error>");
    let (url, heads) = server(move |number, _| if number < 2 { slow } else { ("200 OK", "") }).await;
    assert!(put(&blobs(url, S3Encryption::BucketDefault).await).await.unwrap());
    assert_eq!(heads.lock().unwrap().len(), 3);

    let (url, heads) = server(move |_, _| slow).await;
    let put = put(&blobs(url, S3Encryption::BucketDefault).await).await;
    let Err(BlobError::Unavailable(cause)) = put else { panic!("{put:?}") };
    assert_eq!(cause.to_string(), "PutObject: HTTP 503, SlowDown");
    assert_eq!(heads.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_server_without_batches_deletes_one_by_one() {
    const LISTED: &str = "<ListBucketResult><IsTruncated>false</IsTruncated>\
        <Contents><Key>atlas/d/1</Key></Contents><Contents><Key>atlas/d/2</Key></Contents></ListBucketResult>";
    let (url, heads) = server(|_, head| match head[0].split(' ').next().unwrap() {
        "GET" => ("200 OK", LISTED),
        "POST" => ("501 Not Implemented", "<Error><Code>NotImplemented</Code></Error>"),
        _ => ("204 No Content", ""),
    })
    .await;
    assert_eq!(blobs(url, S3Encryption::BucketDefault).await.delete_all("d").await.unwrap(), 2);
    let deleted = heads.lock().unwrap();
    let deleted = deleted.iter().filter_map(|head| head[0].strip_prefix("DELETE /the-bucket/atlas/d/"));
    assert_eq!(deleted.map(|rest| &rest[..1]).collect::<Vec<_>>(), ["1", "2"]);
}

#[tokio::test]
async fn what_could_not_be_deleted_is_told() {
    const LISTED: &str = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>atlas/d/1</Key></Contents></ListBucketResult>";
    const LEFT: &str =
        "<DeleteResult><Error><Key>atlas/d/1</Key><Code>InternalError</Code></Error></DeleteResult>";
    let (url, _) = server(|_, head| ("200 OK", if head[0].starts_with("GET") { LISTED } else { LEFT })).await;
    let deleted = blobs(url, S3Encryption::BucketDefault).await.delete_all("d").await;
    let Err(BlobError::Unavailable(cause)) = deleted else { panic!("{deleted:?}") };
    assert_eq!(cause.to_string(), "DeleteObjects left 1 objects: InternalError");
}

#[tokio::test]
async fn an_object_larger_than_any_blob_is_not_read() {
    let (url, _) = server(|_, _| ("200 OK\r\ncontent-length: 99999999999", "x")).await;
    let got = blobs(url, S3Encryption::BucketDefault).await.get("a", BlobHash([1; 32])).await;
    assert!(matches!(&got, Err(BlobError::Damaged { .. })), "{got:?}");
}
