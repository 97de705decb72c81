//! One address before several servers: each connection goes to the next one that says it is ready.
//!
//! It asks `GET /ready` of each every [`EVERY`], whatever the others take to answer, as an ingress does, so that a server which stops is left alone a moment after it
//! said so. It never moves a connection that stands.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::world;

/// Between two questions whether a server is ready.
pub const EVERY: Duration = Duration::from_millis(100);
/// A server that does not answer within this is not ready.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Target {
    address: Mutex<SocketAddr>,
    is_ready: AtomicBool,
}

/// A running balancer. Stops when dropped; connections that stand go on.
#[derive(Debug)]
pub struct Balancer {
    address: SocketAddr,
    targets: Arc<[Target]>,
    tasks: Vec<JoinHandle<()>>,
}

impl Balancer {
    /// Listens on a free port of the loopback. Returns when every target has been asked once.
    pub async fn start(targets: &[SocketAddr]) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let target = |at: &SocketAddr| Target { address: Mutex::new(*at), is_ready: AtomicBool::new(false) };
        let targets: Arc<[Target]> = targets.iter().map(target).collect();
        ask_all(&targets).await;
        let asking = (0..targets.len()).map(|at| world::spawn(keep_asking(Arc::clone(&targets), at)));
        let mut tasks: Vec<_> = asking.collect();
        tasks.push(world::spawn(accept(listener, Arc::clone(&targets))));
        Ok(Self { address, targets, tasks })
    }

    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the server was ready when it was asked last.
    #[must_use]
    pub fn is_ready(&self, at: usize) -> bool {
        self.targets[at].is_ready.load(Ordering::SeqCst)
    }

    /// A server came back elsewhere.
    pub fn retarget(&self, at: usize, address: SocketAddr) {
        *self.targets[at].address.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn accept(listener: TcpListener, targets: Arc<[Target]>) {
    let next = AtomicUsize::new(0);
    // Ends with the task: what stands then is dropped, as when the balancer dies.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((mut client, _)) = listener.accept().await else { continue };
        let _ = client.set_nodelay(true);
        let start = next.fetch_add(1, Ordering::Relaxed);
        let ready = (0..targets.len()).map(|at| &targets[(start + at) % targets.len()]);
        let ready: Vec<SocketAddr> = ready
            .filter(|target| target.is_ready.load(Ordering::SeqCst))
            .map(|target| *target.address.lock().unwrap_or_else(PoisonError::into_inner))
            .collect();
        connections.spawn(async move {
            for address in ready {
                // The next one if it has just gone.
                if let Ok(mut server) = TcpStream::connect(address).await {
                    let _ = server.set_nodelay(true);
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                    return;
                }
            }
        });
    }
}

async fn ask_all(targets: &[Target]) {
    futures_util::future::join_all(targets.iter().map(Target::ask)).await;
}

async fn keep_asking(targets: Arc<[Target]>, at: usize) {
    loop {
        tokio::time::sleep(EVERY).await;
        targets[at].ask().await;
    }
}

impl Target {
    async fn ask(&self) {
        let address = *self.address.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = tokio::time::timeout(PATIENCE, ask(address)).await;
        self.is_ready.store(matches!(answer, Ok(Ok(true))), Ordering::SeqCst);
    }
}

async fn ask(address: SocketAddr) -> std::io::Result<bool> {
    let mut socket = TcpStream::connect(address).await?;
    let request = format!("GET /ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await?;
    Ok(answer.ends_with(b" 200"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says its name to whoever connects, and whether it is ready to whoever asks.
    async fn server(name: u8) -> (SocketAddr, Arc<AtomicBool>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (address, ready) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(true)));
        let is_ready = Arc::clone(&ready);
        world::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut asked = [0; 4];
                let _ = socket.read_exact(&mut asked).await;
                let code = if is_ready.load(Ordering::SeqCst) { "200" } else { "503" };
                let answer =
                    if &asked == b"GET " { format!("HTTP/1.1 {code} x\r\n\r\n") } else { name.to_string() };
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        (address, ready)
    }

    async fn who(balancer: &Balancer) -> Option<String> {
        let mut socket = TcpStream::connect(balancer.address()).await.unwrap();
        socket.write_all(b"who?").await.unwrap();
        let mut name = String::new();
        socket.read_to_string(&mut name).await.ok().filter(|_| !name.is_empty())?;
        Some(name)
    }

    #[tokio::test]
    async fn connections_go_to_those_that_are_ready_by_turns() {
        let (one, one_is_ready) = server(1).await;
        let (two, _) = server(2).await;
        let balancer = Balancer::start(&[one, two]).await.unwrap();
        let mut names = Vec::new();
        for _ in 0..4 {
            names.push(who(&balancer).await.unwrap());
        }
        names.sort();
        assert_eq!(names, ["1", "1", "2", "2"]);
        one_is_ready.store(false, Ordering::SeqCst);
        while balancer.is_ready(0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for _ in 0..4 {
            assert_eq!(who(&balancer).await.as_deref(), Some("2"));
        }
    }

    #[tokio::test]
    async fn one_that_does_not_answer_keeps_nobody_from_being_asked() {
        let (one, is_ready) = server(1).await;
        // Takes connections and says nothing.
        let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let balancer = Balancer::start(&[one, silent.local_addr().unwrap()]).await.unwrap();
        let began = world::now();
        is_ready.store(false, Ordering::SeqCst);
        while balancer.is_ready(0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
        assert!(!balancer.is_ready(1));
    }
}
