//! One connection of an upstream, in the protocol that it speaks.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::HttpService;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::tls::Authority;

/// What an upstream speaks.
#[derive(Clone)]
pub enum Speaks {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 from the first byte, with so many streams at once on a connection.
    Http2(u32),
    /// TLS, and in it the first of these that the client knows: `h2`, `http/1.1`.
    Tls(Arc<ServerConfig>),
}

impl Speaks {
    /// TLS with a certificate of this authority; in it the first of `protocols` that the client knows.
    pub fn tls(authority: &Authority, protocols: &[&str]) -> Self {
        Self::Tls(authority.server(protocols))
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

/// Serves a connection to its end; when `leaving` changes, only the streams that it has.
pub(super) async fn serve<S, B>(stream: TcpStream, speaks: &Speaks, service: S, leaving: watch::Receiver<u64>)
where
    S: HttpService<Incoming, ResBody = B, Error: Into<Box<dyn std::error::Error + Send + Sync>>, Future: Send>
        + Send
        + 'static,
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    match speaks {
        Speaks::Http1 => over_http1(TokioIo::new(stream), service).await,
        Speaks::Http2(most) => over_http2(TokioIo::new(stream), *most, service, leaving).await,
        Speaks::Tls(config) => {
            let Ok(stream) = TlsAcceptor::from(Arc::clone(config)).accept(stream).await else { return };
            match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => over_http2(TokioIo::new(stream), 100, service, leaving).await,
                _ => over_http1(TokioIo::new(stream), service).await,
            }
        }
    }
}

async fn over_http1<S, B>(io: impl Read + Write + Unpin, service: S)
where
    S: HttpService<Incoming, ResBody = B, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
    B: Body<Error: std::error::Error + Send + Sync> + 'static,
{
    drop(http1::Builder::new().timer(TokioTimer::new()).serve_connection(io, service).await);
}

async fn over_http2<S, B>(io: impl Read + Write + Unpin, most: u32, service: S, mut leaving: watch::Receiver<u64>)
where
    S: HttpService<Incoming, ResBody = B, Error: Into<Box<dyn std::error::Error + Send + Sync>>, Future: Send>
        + 'static,
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    leaving.mark_unchanged();
    let mut server = http2::Builder::new(TokioExecutor::new());
    server.timer(TokioTimer::new()).max_concurrent_streams(most);
    let mut connection = pin!(server.serve_connection(io, service));
    let mut leaves = false;
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            Ok(()) = leaving.changed(), if !leaves => {
                leaves = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
