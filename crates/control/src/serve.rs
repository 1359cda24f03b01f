//! The control listener: HTTP/1.1 connections into the router, bounded in time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::approval::expiry;
use crate::control::Control;
use crate::{api, last_use};

/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The address of the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Serves until `draining` turns true, then finishes what is under way up to the drain deadline.
pub async fn serve(listener: TcpListener, control: Arc<Control>, mut draining: watch::Receiver<bool>, drain: Duration) {
    let keeper = tokio::spawn(last_use::keep(control.clone(), draining.clone()));
    tokio::spawn(expiry::run(control.clone(), draining.clone()));
    let router = api::router(control);
    let mut connections = JoinSet::new();
    loop {
        let stop = async {
            let _ = draining.wait_for(|draining| *draining).await;
        };
        tokio::select! {
            () = stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let router = router.clone().layer(Extension(Peer(peer)));
                    connections.spawn(connection(stream, router, draining.clone()));
                }
                Err(error) => {
                    tracing::error!(target: "control", error = %error, "accepting a connection failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            _ = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(drain, async { while connections.join_next().await.is_some() {} }).await;
    let _ = tokio::time::timeout(drain, keeper).await;
}

async fn connection(stream: TcpStream, router: axum::Router, mut draining: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let drained = async {
        let _ = draining.wait_for(|draining| *draining).await;
    };
    tokio::select! {
        _ = connection.as_mut() => {}
        () = drained => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
