//! The HTTP/2 connections of one worker, by target. Nothing is shared between workers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use super::peer::Peer;
pub use super::peer::Turn;
use crate::http1::Stream;
use crate::upstream::balance::CompiledUpstream;
use crate::upstream::connect::ConnectError;
use crate::upstream::target::{CompiledTarget, Speaks};

/// How a request reaches its target.
pub enum Way {
    /// Over HTTP/1.1, which the target has chosen; on this new connection, if there is one.
    Http1(Option<(Stream, SocketAddr)>),
    /// As a stream of a connection over HTTP/2.
    Http2(Turn),
}

type Peers = RefCell<HashMap<Arc<str>, Rc<Peer>, RandomState>>;

/// What one worker knows of targets that may speak HTTP/2.
#[derive(Default)]
pub struct Pool {
    /// Those that have to.
    bound: Peers,
    /// Those that may choose.
    free: Peers,
}

impl Pool {
    /// The way to a target that speaks HTTP/2 or may choose it, waiting for room up to `timeout`.
    pub async fn way(
        &self,
        upstream: &Arc<CompiledUpstream>,
        index: usize,
        timeout: Duration,
    ) -> Result<Way, ConnectError> {
        let peer = self.peer(&upstream.targets[index]);
        match peer.is_http1() {
            true => Ok(Way::Http1(None)),
            false => peer.way(upstream, index, timeout).await,
        }
    }

    /// The same, on a connection that nobody has used.
    pub async fn new_way(
        &self,
        upstream: &Arc<CompiledUpstream>,
        index: usize,
        timeout: Duration,
    ) -> Result<Way, ConnectError> {
        self.peer(&upstream.targets[index]).new_way(upstream, index, timeout).await
    }

    fn peer(&self, target: &CompiledTarget) -> Rc<Peer> {
        let peers = if target.speaks == Speaks::Http2 { &self.bound } else { &self.free };
        let mut peers = peers.borrow_mut();
        match peers.get(&target.origin) {
            Some(peer) => peer.clone(),
            None => peers.entry(target.origin.clone()).or_default().clone(),
        }
    }

    /// Closes what has been idle for too long, and forgets what has ended.
    pub fn sweep(&self) {
        let now = Instant::now();
        for peers in [&self.bound, &self.free] {
            peers.borrow_mut().retain(|_, peer| {
                peer.sweep(now);
                !peer.is_forgettable()
            });
        }
    }
}
