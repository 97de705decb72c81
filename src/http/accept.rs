//! The accept loop: one small task per connection over hyper's HTTP/1.1, with what `axum::serve` lacks: a time limit
//! on request heads, a cap on connections that counts upgraded sockets too, and a stop that waits.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::header::CONNECTION;
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::extract::PeerAddr;
use super::problem::Problem;
use crate::lifecycle::Tasks;

/// Bytes. The largest request head.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Connections above the cap that are answered with 503 at the same time; those beyond are closed without a word.
const REFUSALS_MAX: usize = 256;
/// How long a connection above the cap may take to ask what it will not get.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);
/// The wait after an accept that failed for want of something (file descriptors, memory).
const BACK_OFF: Duration = Duration::from_millis(100);

/// How many connections at once, and how patient with each.
#[derive(Debug, Clone, Copy)]
pub struct AcceptLimits {
    /// Connections of all kinds, upgraded ones included.
    pub connections_max: usize,
    /// A request head must have arrived within this; an idle connection must ask again within this.
    pub head_timeout: Duration,
}

/// One place under the connection cap. Every request carries its connection's; a handler that upgrades keeps a clone
/// for as long as its socket lives.
#[derive(Debug, Clone)]
pub struct ConnectionSlot(#[expect(dead_code, reason = "held, never read")] Arc<OwnedSemaphorePermit>);

/// Serves `router` until `stop` is cancelled, then lets each connection finish the request it is at. Returns at once
/// after the cancel; the connections' tasks belong to `tasks`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: AcceptLimits,
    stop: CancellationToken,
    tasks: Tasks,
) {
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(connection) => connection,
            Err(error) if is_about_one_connection(&error) => continue,
            Err(error) => {
                tracing::error!(error = %error, "no connection can be accepted at this moment");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(BACK_OFF) => continue,
                }
            }
        };
        // A frame is small and urgent; without this it may wait for the acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(error = %error, "TCP_NODELAY could not be set");
        }
        if let Ok(slot) = Arc::clone(&slots).try_acquire_owned() {
            let connection =
                Connection { slot: ConnectionSlot(Arc::new(slot)), peer, router: router.clone(), limits };
            tasks.spawn("connection", connection.run(stream, stop.clone()));
        } else if let Ok(refusal) = Arc::clone(&refusals).try_acquire_owned() {
            tasks.spawn("refused connection", async move {
                refuse(stream, limits).await;
                drop(refusal);
            });
        }
    }
}

struct Connection {
    slot: ConnectionSlot,
    peer: SocketAddr,
    router: Router,
    limits: AcceptLimits,
}

impl Connection {
    async fn run(self, stream: TcpStream, stop: CancellationToken) {
        let Self { slot, peer, router, limits } = self;
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(PeerAddr(peer));
            request.extensions_mut().insert(slot.clone());
            router.clone().oneshot(request)
        });
        let connection = builder(limits).serve_connection(TokioIo::new(stream), service).with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            // Clients go away in the middle of things all the time.
            tracing::debug!(error = %error, "a connection ended early");
        }
    }
}

fn builder(limits: AcceptLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head_timeout).max_buf_size(HEAD_BYTES_MAX);
    builder
}

/// Answers one request with 503 and closes.
async fn refuse(stream: TcpStream, limits: AcceptLimits) {
    let service = service_fn(|_request: Request<Incoming>| async {
        let problem =
            Problem::unavailable("too_many_connections", "All connections are taken. Try again soon.", 5);
        let mut response: Response = problem.into_response();
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        Ok::<_, Infallible>(response)
    });
    let connection = builder(limits).keep_alive(false).serve_connection(TokioIo::new(stream), service);
    let _ = tokio::time::timeout(REFUSAL_TIMEOUT, connection).await;
}

/// The peer gave up before we came to it: the next one may be fine.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
