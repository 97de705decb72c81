//! Loses some of what a Redis server tells its subscribers, and nothing else: replies to commands all pass.
//!
//! Format: RESP2 and RESP3 (redis.io/docs/latest/develop/reference/protocol-spec). What subscribers hear is an array or a push
//! whose first text is `message`, `smessage` or `pmessage`.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::world::Random;

/// How much is lost. Shared by all connections of a proxy.
#[derive(Debug, Default)]
pub(super) struct Loss {
    pub(super) percent: AtomicU64,
    /// Messages that were lost.
    pub(super) lost: AtomicU64,
    /// Messages that passed.
    pub(super) passed: AtomicU64,
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
                let count = if is_lost { &loss.lost } else { &loss.passed };
                count.fetch_add(1, Ordering::SeqCst);
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
}
