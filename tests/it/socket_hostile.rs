//! Peers that mean no good, or are broken: each gets the documented answer, nobody else notices, and the server's
//! memory stays where it was.

use std::time::Duration;

use atlas_crdt::limits::{
    AWARENESS_BYTES_MAX, DOCUMENT_BYTES_MAX, OUTBOX_BYTES_MAX, STATE_VECTOR_BYTES_MAX, UPDATE_BYTES_MAX,
};
use atlas_crdt::wire::{self, ClientFrame};
use atlas_loadtest::canvas;
use atlas_loadtest::client::{Client, Connect, Dialect};
use atlas_loadtest::world::Random;
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Person, Server, resident_bytes};

const BOTH: [Dialect; 2] = [Dialect::Stock, Dialect::Atlas];
/// Bytes. What all the attacks together may leave behind.
const GROWTH_MAX: u64 = 64 << 20;

/// Close codes of the protocol.
const MALFORMED: u16 = 4400;
const RESET: u16 = 4409;
const TOO_LARGE: u16 = 4413;

/// A server with two honest people at work on the design that is attacked.
struct Scene {
    server: Server,
    owner: Person,
    design: String,
    honest: Vec<Client>,
    memory_before: u64,
    edits: usize,
}

impl Scene {
    async fn new() -> Self {
        let server = Server::start();
        let owner = server.register("ann@example.com").await;
        let design = owner.create_design("Besieged").await;
        let mut scene = Self { server, owner, design, honest: Vec::new(), memory_before: 0, edits: 0 };
        for dialect in BOTH {
            let client = scene.open(dialect).await;
            client.synced().await.unwrap();
            scene.honest.push(client);
        }
        scene.work().await;
        scene.memory_before = resident_bytes(&scene.server);
        scene
    }

    fn connect(&self, dialect: Dialect) -> Connect {
        Connect::new(&format!("{}/{}", self.server.ws_url(), self.design), dialect).token(self.owner.token())
    }

    async fn open(&self, dialect: Dialect) -> Client {
        Client::open(self.connect(dialect)).await.unwrap()
    }

    /// A socket whose client leaves the server's SyncStep1 unanswered.
    async fn open_silent(&self, dialect: Dialect) -> Client {
        Client::open(Connect { handshake: false, ..self.connect(dialect) }).await.unwrap()
    }

    /// The honest ones go on, and each sees what the other does.
    async fn work(&mut self) {
        self.edits += 1;
        for (who, client) in self.honest.iter().enumerate() {
            let id = format!("honest-{who}-{}", self.edits);
            client.edit(|roots, txn| canvas::put_node(roots, txn, &id, "fine", 0.0, 0.0));
        }
        for client in &self.honest {
            let all = |client: &Client| {
                (0..2).all(|who| {
                    let id = format!("honest-{who}-{}", self.edits);
                    client.json()["nodes"].get(id).is_some()
                })
            };
            client.wait_until(Duration::from_secs(10), "the other's edit", all).await.unwrap();
        }
    }

    /// Nobody noticed, and nothing is left of it.
    async fn finish(mut self, what: &str) {
        self.work().await;
        for client in &self.honest {
            let seen = client.seen();
            assert_eq!((seen.sockets, &seen.faults, &seen.closed), (1, &vec![], &None));
            assert!(seen.notices.iter().all(crate::holes::siege::is_everyday), "{:?}", seen.notices);
        }
        let fresh = self.open(Dialect::Atlas).await;
        fresh.synced().await.unwrap();
        assert_eq!(fresh.json(), self.honest[0].json());
        let nodes = fresh.json()["nodes"].as_object().unwrap().len();
        assert_eq!(nodes, 2 * self.edits, "only honest work is in the design");
        let after = resident_bytes(&self.server);
        println!("{what}: server memory {} to {} KiB", self.memory_before >> 10, after >> 10);
        assert!(after < self.memory_before + GROWTH_MAX, "{} to {after} bytes", self.memory_before);
    }

    async fn expect_close(&self, message: impl Into<Bytes>, code: u16, what: &str) {
        let message = message.into();
        for dialect in BOTH {
            let client = self.open_silent(dialect).await;
            client.send_bytes(message.clone());
            let closed = client.closed().await.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(closed.code, Some(code), "{what}, {dialect:?}: {closed:?}");
        }
    }

    /// A socket after the HTTP upgrade, without any client behind it.
    async fn raw(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.server.addr()).await.unwrap();
        let request = format!(
            "GET /ws/{}?token={} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.design,
            self.owner.token(),
            self.server.addr(),
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        // RFC 6455 section 1.3: the answer to that very key.
        assert!(head.to_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
        stream
    }
}

/// One masked frame of a client.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | u8::try_from(len).unwrap()),
        len @ 126..=65_535 => {
            out.push(0x80 | 0x7E);
            out.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            out.push(0x80 | 0x7F);
            out.extend((len as u64).to_be_bytes());
        }
    }
    let mask = [0x5A, 0xC3, 0x0F, 0x99];
    out.extend(mask);
    out.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
    out
}

/// The header of a masked frame that promises so many bytes.
fn promise(first: u8, len: u64) -> Vec<u8> {
    let mut out = vec![first, 0x80 | 0x7F];
    out.extend(len.to_be_bytes());
    out.extend([0; 4]);
    out
}

/// The server's next frame: its first byte and its payload. `None`: the connection has ended.
async fn server_frame(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let first = stream.read_u8().await.ok()?;
    let len = match stream.read_u8().await.ok()? {
        126 => u64::from(stream.read_u16().await.ok()?),
        127 => stream.read_u64().await.ok()?,
        len => u64::from(len),
    };
    let mut payload = vec![0; usize::try_from(len).unwrap()];
    stream.read_exact(&mut payload).await.ok()?;
    Some((first, payload))
}

/// Reads the server's frames until its close frame.
async fn close_code(stream: &mut TcpStream) -> Option<u16> {
    loop {
        let (first, payload) = server_frame(stream).await?;
        if first == 0x88 {
            return payload.first_chunk().map(|code| u16::from_be_bytes(*code));
        }
    }
}

/// lib0's unsigned integer of variable length.
fn var_uint(mut number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while 0x7F < number {
        out.push(u8::try_from(number & 0x7F).unwrap() | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap());
    out
}

/// An update v1 of one struct: a value of `content` bytes under the key `k` of `nodes`, and no deletions.
fn update_of(client: u64, clock: u64, info: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![1, 1];
    out.extend(var_uint(client));
    out.extend(var_uint(clock));
    out.push(info | PARENT_SUB);
    out.extend([1, 5]);
    out.extend(b"nodes");
    out.extend([1, b'k']);
    out.extend(content);
    out.push(0);
    out
}

const ANY: u8 = 8;
/// The struct says under which key it stands.
const PARENT_SUB: u8 = 0b10_0000;

/// An `Any` of arrays inside arrays.
fn nested_any(depth: usize) -> Vec<u8> {
    let mut content = vec![1];
    for _ in 0..depth {
        content.extend([117, 1]);
    }
    content.push(126);
    content
}

/// Five bytes that say four billion.
const FOUR_BILLION: [u8; 5] = [0xFF, 0xFF, 0xFF, 0xFF, 0x0F];

// R-SYNC-1, R-REFUSE-5, R-LIMIT-5, R-LIMIT-6, R-PRES-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_messages_end_their_own_socket() {
    let scene = Scene::new().await;
    for (message, what) in [
        (vec![], "nothing at all"),
        (vec![0], "half a sync message"),
        (vec![0, 9], "an unknown step"),
        (vec![0, 2], "no payload"),
        (vec![0, 2, 5, 1, 2], "a payload that ends too early"),
        (vec![0, 0, 1, 0, 0], "bytes after the end"),
        (vec![0xFF; 20], "an integer without an end"),
        (vec![0, 2, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], "a length of 2^53 and more"),
        (vec![3, 0], "a question with an answer"),
    ] {
        scene.expect_close(message, MALFORMED, what).await;
    }
    for (payload, what) in [
        (vec![], "an empty update"),
        (vec![1], "half an update"),
        (FOUR_BILLION.to_vec(), "four billion clients"),
        ([&[1][..], &FOUR_BILLION, &[1, 0, 0]].concat(), "four billion structs"),
        ([&[0][..], &FOUR_BILLION].concat(), "deletions of four billion clients"),
        ([&[0, 1, 1][..], &FOUR_BILLION].concat(), "four billion deletions"),
        (update_of(7, 0, ANY, &nested_any(10_000)), "values nested 10,000 deep"),
        (update_of(7, 0, ANY, &nested_any(33)), "values nested 33 deep"),
        (update_of(7, 0, ANY, &FOUR_BILLION), "four billion values"),
        (update_of(7, 0, ANY, &[1, 116, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]), "an array of four billion"),
        (update_of(7, 0, 31, &[0]), "an unknown kind of content"),
        (update_of(1 << 60, 0, ANY, &[1, 126]), "a client id beyond 2^53"),
        (update_of(7, u64::from(u32::MAX) - 1, ANY, &[1, 126]), "a clock that would silence its client"),
        (vec![0, 0, 7], "bytes after the end of an update"),
    ] {
        scene.expect_close(wire::update(&payload), MALFORMED, what).await;
        scene.expect_close(wire::sync_step2(&payload), MALFORMED, what).await;
    }
    for (payload, what) in [
        (FOUR_BILLION.to_vec(), "a state vector of four billion"),
        (vec![1], "half a state vector"),
        (vec![0, 0], "bytes after the end of a state vector"),
    ] {
        scene.expect_close(wire::sync_step1(&payload), MALFORMED, what).await;
    }
    for (payload, what) in [
        (FOUR_BILLION.to_vec(), "awareness of four billion"),
        (vec![1, 7, 1, 3, b'{', b'{', b'{'], "awareness that is no JSON"),
        (vec![1, 7, 1, 1, b'7'], "awareness that is a number"),
    ] {
        scene.expect_close(wire::awareness(&payload), MALFORMED, what).await;
    }
    scene.finish("malformed messages").await;
}

// R-LIMIT-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_design_does_not_hold_calls_for_a_reload() {
    let scene = Scene::new().await;
    for (info, content, what) in [
        (9, &b"\x01x\x76\x00"[..], "a subdocument"),
        (5, &b"\x02{}"[..], "an embed"),
        (7, &[3, 1, b'p'][..], "an XML element"),
        (7, &[7][..], "a weak link"),
    ] {
        let client = scene.open_silent(Dialect::Stock).await;
        client.send_bytes(wire::update(&update_of(7, 0, info, content)));
        let code = client.closed().await.unwrap().code;
        assert!(matches!(code, Some(RESET | MALFORMED)), "{what}: {code:?}");
    }
    scene.finish("unsupported content").await;
}

// R-LIMIT-1, R-LIMIT-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oversized_messages_are_refused_by_their_headers() {
    let scene = Scene::new().await;
    let zeros = |len| vec![0; len];
    scene.expect_close(wire::update(&zeros(UPDATE_BYTES_MAX + 1)), TOO_LARGE, "an update").await;
    scene.expect_close(wire::awareness(&zeros(AWARENESS_BYTES_MAX + 1)), TOO_LARGE, "awareness").await;
    scene
        .expect_close(wire::sync_step1(&zeros(STATE_VECTOR_BYTES_MAX + 1)), TOO_LARGE, "a state vector")
        .await;
    scene.expect_close(wire::sync_step2(&zeros(DOCUMENT_BYTES_MAX + 1)), TOO_LARGE, "a document").await;
    // One as large as a document per SyncStep1 of the server: the second is an ordinary message.
    for dialect in BOTH {
        let client = scene.open(dialect).await;
        client.synced().await.unwrap();
        client.send_bytes(wire::sync_step2(&zeros(2 * UPDATE_BYTES_MAX)));
        assert_eq!(client.closed().await.unwrap().code, Some(TOO_LARGE));
    }
    for len in [1 << 33, u64::MAX >> 1, u64::MAX] {
        let mut stream = scene.raw().await;
        stream.write_all(&promise(0x82, len)).await.unwrap();
        assert_eq!(close_code(&mut stream).await, Some(TOO_LARGE), "a promise of {len} bytes");
    }
    scene.finish("oversized messages").await;
}

// R-SYNC-1, R-SYNC-3, R-CLOSE-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_websocket_frame_is_malformed() {
    let scene = Scene::new().await;
    for dialect in BOTH {
        let client = scene.open(dialect).await;
        client.send_text("{\"type\":\"hello\"}");
        assert_eq!(client.closed().await.unwrap().code, Some(MALFORMED), "text");
    }
    let hello = wire::encode_client(&ClientFrame::QueryAwareness);
    for (bytes, what) in [
        (vec![0x82, 0x01, 0x03], "unmasked"),
        (frame(0xC2, &hello), "a reserved bit"),
        (frame(0x83, &hello), "an unknown opcode"),
        (frame(0x80, &hello), "a continuation of nothing"),
        ([frame(0x02, &hello), frame(0x82, &hello)].concat(), "a message inside a message"),
        (frame(0x09, b"x"), "a fragmented ping"),
        (frame(0x89, &[0; 126]), "a long ping"),
        (frame(0x81, b"\xFF\xFE"), "text that is no UTF-8"),
        (vec![0xFF; 1_000], "noise"),
    ] {
        let mut stream = scene.raw().await;
        stream.write_all(&bytes).await.unwrap();
        assert_eq!(close_code(&mut stream).await, Some(MALFORMED), "{what}");
    }
    // An honest close is answered with its own code, a ping with its own words.
    let mut stream = scene.raw().await;
    stream.write_all(&[frame(0x89, b"there?"), frame(0x88, &[0x03, 0xE8])].concat()).await.unwrap();
    assert_eq!(close_code(&mut stream).await, Some(1000));
    scene.finish("malformed frames").await;
}

// R-REFUSE-5, R-LIMIT-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_messages_neither_hurt_nor_pass() {
    let scene = Scene::new().await;
    let seed = atlas_loadtest::world::seed();
    println!("ATLAS_SEED={seed}");
    let mut random = Random::seeded(seed);
    let mut closed_with = std::collections::BTreeMap::<Option<u16>, usize>::new();
    for round in 0..150 {
        let client = scene.open_silent(BOTH[round % 2]).await;
        for _ in 0..20 {
            let len = random.index(200);
            let mut bytes: Vec<u8> = (0..len).map(|_| random.draw().to_le_bytes()[0]).collect();
            // Half of them look like something.
            if random.chance(50) && 2 < len {
                let heads = [[0, 0], [0, 1], [0, 2], [1, 1], [122, 1]];
                bytes[..2].copy_from_slice(&heads[random.index(heads.len())]);
                if random.chance(80) && bytes[0] == 0 {
                    bytes[2] = u8::try_from((len - 3).min(127)).unwrap();
                    bytes.truncate(130);
                }
            }
            client.send_bytes(bytes.into());
        }
        let settled = client.closed().await;
        let code = settled.ok().and_then(|closed| closed.code);
        *closed_with.entry(code).or_default() += 1;
        assert!(matches!(code, Some(MALFORMED | TOO_LARGE | RESET)), "round {round}: {code:?}");
    }
    println!("close codes of random messages: {closed_with:?}");
    scene.finish("random messages").await;
}

// R-LIMIT-2, R-LIMIT-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_messages_cost_what_they_send() {
    let mut scene = Scene::new().await;
    // Fifty promises of a large document, of which little comes.
    let mut begun = Vec::new();
    for _ in 0..50 {
        let mut stream = scene.raw().await;
        stream.write_all(&promise(0x82, DOCUMENT_BYTES_MAX as u64)).await.unwrap();
        stream.write_all(&vec![0; 100_000]).await.unwrap();
        begun.push(stream);
    }
    scene.work().await;
    let held = resident_bytes(&scene.server) - scene.memory_before.min(resident_bytes(&scene.server));
    println!("50 unfinished messages of 100 kB: {} KiB", held >> 10);
    assert!(held < 50 << 20);
    drop(begun);

    // A message in a hundred thousand pieces is a message.
    let mut stream = scene.raw().await;
    let mut pieces = frame(0x02, &[1]);
    pieces.extend(frame(0x00, &var_uint(99_990)));
    (0..99_990).for_each(|_| pieces.extend(frame(0x00, &[0])));
    pieces.extend(frame(0x80, &[]));
    pieces.extend(frame(0x88, &[0x03, 0xE8]));
    let (_, code) = tokio::join!(stream.write_all(&pieces), close_code_of(&scene));
    assert_eq!(code, Some(1000));
    let code = close_code(&mut stream).await;
    assert_eq!(code, Some(TOO_LARGE), "an awareness update of 99,990 bytes");

    scene.finish("unfinished messages").await;
}

// R-SLOW-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_read_the_answers_is_not_read() {
    const QUESTIONS: usize = 2_000;
    const TEXT_BYTES: usize = 200_000;
    let mut scene = Scene::new().await;
    let text = serde_json::json!("x".repeat(TEXT_BYTES));
    scene.honest[1].edit_saved(|roots, txn| canvas::set_meta(roots, txn, "notes", &text)).await.unwrap();
    scene.work().await;
    scene.memory_before = resident_bytes(&scene.server);

    // Twenty kilobytes of questions ask for four hundred megabytes of answers.
    let mut stream = scene.raw().await;
    let questions = frame(0x82, &wire::sync_step1(&[0])).repeat(QUESTIONS);
    stream.write_all(&questions).await.unwrap();
    let mut highest = 0;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        highest = highest.max(resident_bytes(&scene.server));
    }
    println!("{QUESTIONS} questions: server memory {} to {} KiB", scene.memory_before >> 10, highest >> 10);
    assert!(highest < scene.memory_before + GROWTH_MAX, "{} to {highest} bytes", scene.memory_before);
    scene.work().await;

    // It is only slow: once it reads, it is read again, to its last word.
    stream.write_all(&frame(0x88, &[0x03, 0xE8])).await.unwrap();
    let mut received = 0;
    let code = loop {
        let (first, payload) = server_frame(&mut stream).await.unwrap();
        received += payload.len();
        if first == 0x88 {
            break payload.first_chunk().map(|code| u16::from_be_bytes(*code));
        }
    };
    println!("{received} bytes of answers");
    assert_eq!(code, Some(1000));
    // Answers were queued until R-SLOW-3 held them back; how many more the network took is the kernel's affair.
    assert!(OUTBOX_BYTES_MAX < received && received < QUESTIONS * TEXT_BYTES / 2);
    scene.finish("questions without listening").await;
}

/// A polite peer beside: opens, says goodbye, and gets its answer.
async fn close_code_of(scene: &Scene) -> Option<u16> {
    let mut stream = scene.raw().await;
    stream.write_all(&frame(0x88, &[0x03, 0xE8])).await.unwrap();
    close_code(&mut stream).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_any_size_arrives_in_any_pieces() {
    let scene = Scene::new().await;
    // 900 kB of honest edit, cut into frames of 7 kB, written in pieces of 1,000 bytes.
    let author = scene.open(Dialect::Atlas).await;
    author.synced().await.unwrap();
    let update = author.with_replica(|replica| {
        let text = serde_json::json!("x".repeat(900_000));
        replica.edit(|roots, txn| canvas::set_meta(roots, txn, "notes", &text)).unwrap()
    });
    let message = wire::update(&update);
    let mut stream = scene.raw().await;
    let chunks: Vec<&[u8]> = message.chunks(7_000).collect();
    for (at, chunk) in chunks.iter().enumerate() {
        let first = if at == 0 { 0x02 } else { 0x00 } | if at + 1 == chunks.len() { 0x80 } else { 0 };
        for piece in frame(first, chunk).chunks(1_000) {
            stream.write_all(piece).await.unwrap();
        }
    }
    let arrived =
        |client: &Client| client.json()["meta"]["notes"].as_str().is_some_and(|text| text.len() == 900_000);
    for client in &scene.honest {
        client.wait_until(Duration::from_secs(10), "the large edit", arrived).await.unwrap();
    }
    scene.finish("a large edit in small pieces").await;
}
