//! A TCP proxy that stands between clients and a server, counts what passes, and fails on command.
//!
//! - [`Proxy::cut`]: every connection is reset and new ones are refused: a cable pulled, noticed by both ends.
//! - [`Proxy::freeze`]: every connection stays open and not one byte passes: a cable pulled, noticed by nobody.
//! - [`Proxy::restore`]: new connections pass; frozen ones go on where they stood.
//! - [`Proxy::delay`]: what passes comes that much later, in its order: a long way.
//! - [`Proxy::lose`], of a proxy before a Redis: some of what it tells its subscribers never comes.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::world::{self, Random};

mod sieve;

use sieve::{Loss, Sieve};

/// Portions of one direction of one connection that are on a long way at once.
const PORTIONS_MAX: usize = 1_024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    Fair,
    Frozen,
    Cut,
}

/// Bytes that passed, summed over all connections so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// From clients to the server.
    pub up: u64,
    /// From the server to clients.
    pub down: u64,
}

/// A running proxy. Stops when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    weather: watch::Sender<Weather>,
    /// Of connections that are made from now on.
    target: Mutex<SocketAddr>,
    up: AtomicU64,
    down: AtomicU64,
    /// Of what is read from now on.
    delay_ms: AtomicU64,
    /// Connections that stand now.
    open: AtomicU64,
    /// Before a Redis.
    loss: Option<Loss>,
    stopped: watch::Sender<bool>,
}

impl Proxy {
    /// Listens on a free port of the loopback and passes everything on to `target`.
    pub async fn start(target: SocketAddr) -> anyhow::Result<Self> {
        Self::start_with(target, None).await
    }

    /// The same before a Redis without TLS, for [`Self::lose`].
    pub async fn before_redis(target: SocketAddr) -> anyhow::Result<Self> {
        Self::start_with(target, Some(Loss::default())).await
    }

    async fn start_with(target: SocketAddr, loss: Option<Loss>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (weather, _) = watch::channel(Weather::Fair);
        let (stopped, _) = watch::channel(false);
        let shared = Arc::new(Shared {
            weather,
            target: Mutex::new(target),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            delay_ms: AtomicU64::new(0),
            open: AtomicU64::new(0),
            loss,
            stopped,
        });
        world::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared })
    }

    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// New connections go there.
    pub fn retarget(&self, target: SocketAddr) {
        *self.shared.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }

    pub fn cut(&self) {
        self.shared.weather.send_replace(Weather::Cut);
    }

    pub fn freeze(&self) {
        self.shared.weather.send_replace(Weather::Frozen);
    }

    pub fn restore(&self) {
        self.shared.weather.send_replace(Weather::Fair);
    }

    /// From now on everything passes so much later, in both directions.
    pub fn delay(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.shared.delay_ms.store(millis, Ordering::SeqCst);
    }

    /// From now on so many of a hundred messages to subscribers are lost.
    pub fn lose(&self, percent: u64) {
        if let Some(loss) = &self.shared.loss {
            loss.percent.store(percent, Ordering::SeqCst);
        }
    }

    /// Messages to subscribers that were lost, and those that passed.
    #[must_use]
    pub fn messages(&self) -> (u64, u64) {
        let count = |loss: &Loss| (loss.lost.load(Ordering::SeqCst), loss.passed.load(Ordering::SeqCst));
        self.shared.loss.as_ref().map(count).unwrap_or_default()
    }

    /// Commits among the messages that were lost: the others are signs of life, presence and the like.
    #[must_use]
    pub fn lost_commits(&self) -> u64 {
        self.shared.loss.as_ref().map_or(0, |loss| loss.lost_commits.load(Ordering::SeqCst))
    }

    /// The pods whose digest of a document passed to a subscriber since this was asked last.
    #[must_use]
    pub fn take_digests(&self) -> BTreeSet<u64> {
        let taken = |loss: &Loss| {
            std::mem::take(&mut *loss.digests_of.lock().unwrap_or_else(PoisonError::into_inner))
        };
        self.shared.loss.as_ref().map(taken).unwrap_or_default()
    }

    #[must_use]
    pub fn passed(&self) -> Passed {
        Passed { up: self.shared.up.load(Ordering::SeqCst), down: self.shared.down.load(Ordering::SeqCst) }
    }

    /// Connections that stand now, frozen ones included.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Waits until no connection is left; they end shortly after a [`Proxy::cut`].
    pub async fn empty(&self) {
        while self.connections() != 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.send_replace(true);
        self.shared.weather.send_replace(Weather::Cut);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut stopped = shared.stopped.subscribe();
    loop {
        let client = tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => client,
                Err(_) => continue,
            },
        };
        let _ = client.set_nodelay(true);
        shared.open.fetch_add(1, Ordering::SeqCst);
        world::spawn(connection(client, Arc::clone(&shared)));
    }
}

async fn connection(client: TcpStream, shared: Arc<Shared>) {
    // A reset, not a polite end: what a cut cable looks like from outside.
    let _ = client.set_zero_linger();
    let mut weather = shared.weather.subscribe();
    let go = weather.wait_for(|weather| *weather != Weather::Frozen).await.map(|weather| *weather);
    let target = *shared.target.lock().unwrap_or_else(PoisonError::into_inner);
    if matches!(go, Ok(Weather::Fair))
        && let Ok(server) = TcpStream::connect(target).await
    {
        let _ = server.set_nodelay(true);
        let _ = server.set_zero_linger();
        both_ways(client, server, &shared).await;
    }
    shared.open.fetch_sub(1, Ordering::SeqCst);
}

async fn both_ways(mut client: TcpStream, mut server: TcpStream, shared: &Shared) {
    let mut weather = shared.weather.subscribe();
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let mut sieve = shared.loss.as_ref().map(|loss| (Sieve::new(Random::fresh()), loss));
    let sift = |bytes: &[u8]| sieve.as_mut().map(|(sieve, loss)| sieve.sift(bytes, loss));
    let up = pump(&mut from_client, &mut to_server, shared, &shared.up, |_| None);
    let down = pump(&mut from_server, &mut to_client, shared, &shared.down, sift);
    tokio::select! {
        _ = weather.wait_for(|weather| *weather == Weather::Cut) => {}
        _ = async { tokio::join!(up, down) } => {}
    }
}

/// Copies until the end of one direction, which it passes on; stands still while it is frozen, bytes already read
/// included. `sift` says what passes in place of bytes.
async fn pump<R, W>(
    from: &mut R,
    to: &mut W,
    shared: &Shared,
    passed: &AtomicU64,
    mut sift: impl FnMut(&[u8]) -> Option<Vec<u8>>,
) where
    R: AsyncReadExt + Unpin,
    W: AsyncWriteExt + Unpin,
{
    let mut weather = shared.weather.subscribe();
    let mut buffer = vec![0; 16 << 10];
    // What is on its way, and when it arrives.
    let mut way: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut has_ended = false;
    while !has_ended || !way.is_empty() {
        if weather.wait_for(|weather| *weather == Weather::Fair).await.is_err() {
            return;
        }
        let next = way.front().map(|(arrives, _)| *arrives);
        // What has arrived goes on before more is read, so that a slow reader slows the writer down.
        let read = tokio::select! {
            biased;
            _ = weather.wait_for(|weather| *weather != Weather::Fair) => continue,
            () = arrival(next) => None,
            read = from.read(&mut buffer), if !has_ended && way.len() < PORTIONS_MAX => Some(read),
        };
        match read {
            Some(Ok(read @ 1..)) => {
                let delay = Duration::from_millis(shared.delay_ms.load(Ordering::SeqCst));
                way.push_back((world::now() + delay, buffer[..read].to_vec()));
            }
            Some(_) => has_ended = true,
            None => {
                let Some((_, bytes)) = way.pop_front() else { continue };
                let sifted = sift(&bytes);
                if to.write_all(sifted.as_deref().unwrap_or(&bytes)).await.is_err() {
                    return;
                }
                passed.fetch_add(bytes.len() as u64, Ordering::SeqCst);
            }
        }
    }
    let _ = to.shutdown().await;
}

/// Never where nothing is on its way.
async fn arrival(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo_server() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        world::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                world::spawn(async move {
                    let (mut from, mut to) = socket.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        address
    }

    async fn say(socket: &mut TcpStream, text: &str) {
        socket.write_all(text.as_bytes()).await.unwrap();
    }

    async fn hear(socket: &mut TcpStream, len: usize) -> std::io::Result<String> {
        let mut heard = vec![0; len];
        socket.read_exact(&mut heard).await?;
        Ok(String::from_utf8(heard).unwrap())
    }

    #[tokio::test]
    async fn it_passes_bytes_and_counts_them() {
        let proxy = Proxy::start(echo_server().await).await.unwrap();
        let mut socket = TcpStream::connect(proxy.address()).await.unwrap();
        say(&mut socket, "hello").await;
        assert_eq!(hear(&mut socket, 5).await.unwrap(), "hello");
        assert_eq!(proxy.passed(), Passed { up: 5, down: 5 });
    }

    #[tokio::test]
    async fn a_cut_resets_and_refuses_until_it_is_restored() {
        let proxy = Proxy::start(echo_server().await).await.unwrap();
        let mut socket = TcpStream::connect(proxy.address()).await.unwrap();
        say(&mut socket, "a").await;
        hear(&mut socket, 1).await.unwrap();
        proxy.cut();
        assert!(hear(&mut socket, 1).await.is_err());
        proxy.empty().await;
        let before = proxy.passed();
        let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
        let _ = refused.write_all(b"lost").await;
        assert!(hear(&mut refused, 1).await.is_err());
        assert_eq!(proxy.passed(), before);
        proxy.restore();
        let mut again = TcpStream::connect(proxy.address()).await.unwrap();
        say(&mut again, "b").await;
        assert_eq!(hear(&mut again, 1).await.unwrap(), "b");
    }

    #[tokio::test]
    async fn a_freeze_keeps_connections_and_lets_nothing_pass() {
        let proxy = Proxy::start(echo_server().await).await.unwrap();
        let mut socket = TcpStream::connect(proxy.address()).await.unwrap();
        say(&mut socket, "a").await;
        hear(&mut socket, 1).await.unwrap();
        let before = proxy.passed();
        proxy.freeze();
        say(&mut socket, "b").await;
        let early = tokio::time::timeout(Duration::from_millis(100), hear(&mut socket, 1)).await;
        assert!(early.is_err());
        assert_eq!(proxy.passed(), before);
        proxy.restore();
        assert_eq!(hear(&mut socket, 1).await.unwrap(), "b");
    }

    #[tokio::test]
    async fn a_delay_brings_everything_later_and_in_its_order() {
        const DELAY: Duration = Duration::from_millis(60);
        let proxy = Proxy::start(echo_server().await).await.unwrap();
        let mut socket = TcpStream::connect(proxy.address()).await.unwrap();
        proxy.delay(DELAY);
        let began = world::now();
        for text in ["one ", "two ", "three"] {
            say(&mut socket, text).await;
            tokio::time::sleep(DELAY / 6).await;
        }
        assert!(began.elapsed() < DELAY * 2, "whoever sends does not wait");
        assert_eq!(hear(&mut socket, 13).await.unwrap(), "one two three");
        assert!(DELAY * 2 <= began.elapsed(), "there and back");
        proxy.delay(Duration::ZERO);
        say(&mut socket, "four").await;
        assert_eq!(hear(&mut socket, 4).await.unwrap(), "four");
    }
}
