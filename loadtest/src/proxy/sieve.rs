//! Loses some of what a Redis server tells its subscribers, and nothing else: replies to commands all pass.
//!
//! Format: RESP2 and RESP3 (redis.io/docs/latest/develop/reference/protocol-spec). What subscribers hear is an array or a push
//! whose first text is `message`, `smessage` or `pmessage`, and whose last is what was said.
//!
//! What pods say begins with a version, a kind and eight bytes that name the pod: see `src/bus/codec.rs`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::world::Random;

const COMMIT: u8 = 1;
const COMMIT_ELSEWHERE: u8 = 2;
const DIGEST: u8 = 5;

/// How much is lost. Shared by all connections of a proxy.
#[derive(Debug, Default)]
pub(super) struct Loss {
    pub(super) percent: AtomicU64,
    /// Messages that were lost.
    pub(super) lost: AtomicU64,
    /// Those of them that told of a commit.
    pub(super) lost_commits: AtomicU64,
    /// Messages that passed.
    pub(super) passed: AtomicU64,
    /// The pods whose digest of a document passed.
    pub(super) digests_of: Mutex<BTreeSet<u64>>,
}

impl Loss {
    fn note(&self, reply: &[u8], is_lost: bool) {
        let count = if is_lost { &self.lost } else { &self.passed };
        count.fetch_add(1, Ordering::SeqCst);
        match said(reply) {
            Some((COMMIT | COMMIT_ELSEWHERE, _)) if is_lost => {
                self.lost_commits.fetch_add(1, Ordering::SeqCst);
            }
            Some((DIGEST, pod)) if !is_lost => {
                self.digests_of.lock().unwrap_or_else(PoisonError::into_inner).insert(pod);
            }
            _ => {}
        }
    }
}

/// One direction of one connection.
#[derive(Debug)]
pub(super) struct Sieve {
    random: Random,
    /// The beginning of a reply whose end has not come.
    begun: Vec<u8>,
}

impl Sieve {
    pub(super) fn new(random: Random) -> Self {
        Self { random, begun: Vec::new() }
    }

    /// What may pass of these bytes and of those that were held back.
    pub(super) fn sift(&mut self, bytes: &[u8], loss: &Loss) -> Vec<u8> {
        self.begun.extend_from_slice(bytes);
        let (mut passed, mut at) = (Vec::with_capacity(bytes.len()), 0);
        while let Some(end) = end_of(&self.begun, at) {
            let reply = &self.begun[at..end];
            let is_lost = is_message(reply) && {
                let is_lost = self.random.chance(loss.percent.load(Ordering::SeqCst));
                loss.note(reply, is_lost);
                is_lost
            };
            if !is_lost {
                passed.extend_from_slice(reply);
            }
            at = end;
        }
        self.begun.drain(..at);
        passed
    }
}

/// Behind the reply that begins at `at`. `None`: its end is not here yet.
fn end_of(bytes: &[u8], at: usize) -> Option<usize> {
    let line_end = at + bytes.get(at..)?.windows(2).position(|two| two == b"\r\n")?;
    let (kind, line) = (*bytes.get(at)?, bytes.get(at + 1..line_end)?);
    let after = line_end + 2;
    let number = || std::str::from_utf8(line).ok()?.parse::<i64>().ok();
    let count = |times: i64| usize::try_from(number()?.max(0) * times).ok();
    match kind {
        b'$' | b'=' | b'!' => match number()? {
            length @ 0.. => {
                let end = after + usize::try_from(length).ok()? + 2;
                (end <= bytes.len()).then_some(end)
            }
            _ => Some(after),
        },
        b'*' | b'~' | b'>' => (0..count(1)?).try_fold(after, |at, _| end_of(bytes, at)),
        b'%' => (0..count(2)?).try_fold(after, |at, _| end_of(bytes, at)),
        // Attributes stand before what they belong to.
        b'|' => (0..=count(2)?).try_fold(after, |at, _| end_of(bytes, at)),
        _ => Some(after),
    }
}

fn is_message(reply: &[u8]) -> bool {
    let mut lines = reply.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let is_list = lines.next().is_some_and(|line| matches!(line.first(), Some(b'*' | b'>')));
    is_list
        && matches!(lines.next(), Some([b'$', ..]))
        && matches!(lines.next(), Some(b"message" | b"smessage" | b"pmessage"))
}

/// Kind and pod of what a message says, if it is long enough.
fn said(message: &[u8]) -> Option<(u8, u64)> {
    // A line says how many parts there are; each part is a line with its length, and its bytes.
    let mut at = message.windows(2).position(|two| two == b"\r\n")? + 2;
    let mut last = at;
    while let Some(end) = end_of(message, at).filter(|end| at < *end) {
        (last, at) = (at, end);
    }
    let body = last + message.get(last..)?.windows(2).position(|two| two == b"\r\n")? + 2;
    let pod = message.get(body + 2..body + 10)?.try_into().ok()?;
    Some((*message.get(body + 1)?, u64::from_be_bytes(pod)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nhe\r\nl\r\n";
    const PUSH: &[u8] = b">3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$0\r\n\r\n";
    const REPLIES: &[u8] = b"+PONG\r\n:7\r\n$-1\r\n*-1\r\n%1\r\n+a\r\n*2\r\n:1\r\n:2\r\n>3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n_\r\n";

    fn sift(sieve: &mut Sieve, loss: &Loss, bytes: &[u8], portion: usize) -> Vec<u8> {
        bytes.chunks(portion).flat_map(|bytes| sieve.sift(bytes, loss)).collect()
    }

    #[test]
    fn messages_are_lost_and_replies_pass_however_they_are_cut() {
        let all = [REPLIES, MESSAGE, REPLIES, PUSH, PUSH, REPLIES].concat();
        for portion in 1..all.len() {
            let loss = Loss::default();
            let mut sieve = Sieve::new(Random::seeded(1));
            assert_eq!(sift(&mut sieve, &loss, &all, portion), all);
            assert_eq!(loss.passed.load(Ordering::SeqCst), 3);
            loss.percent.store(100, Ordering::SeqCst);
            assert_eq!(sift(&mut sieve, &loss, &all, portion), [REPLIES; 3].concat());
            assert_eq!(loss.lost.load(Ordering::SeqCst), 3);
            assert!(sieve.begun.is_empty());
        }
    }

    #[test]
    fn commits_that_are_lost_and_digests_that_pass_are_told_apart() {
        let message = |kind: u8, pod: u64| {
            let said = [&[1, kind][..], &pod.to_be_bytes(), b"\r\n$1\r\n"].concat();
            let head = format!("*3\r\n$8\r\nsmessage\r\n$1\r\na\r\n${}\r\n", said.len());
            [head.as_bytes(), &said, b"\r\n"].concat()
        };
        let loss = Loss::default();
        let mut sieve = Sieve::new(Random::seeded(1));
        let all = [message(DIGEST, 7), message(DIGEST, 8), message(COMMIT, 9), message(129, 9)].concat();
        assert_eq!(sieve.sift(&all, &loss), all);
        assert_eq!(loss.lost_commits.load(Ordering::SeqCst), 0);
        loss.percent.store(100, Ordering::SeqCst);
        assert!(
            sieve.sift(&[all, message(COMMIT_ELSEWHERE, 9), message(DIGEST, 6)].concat(), &loss).is_empty()
        );
        assert_eq!(loss.lost_commits.load(Ordering::SeqCst), 2);
        assert_eq!(*loss.digests_of.lock().unwrap(), BTreeSet::from([7, 8]));
    }
}
