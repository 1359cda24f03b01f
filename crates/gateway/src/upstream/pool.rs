//! Idle connections of one worker, by target. Nothing is shared between workers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use super::slots::InFlight;
use super::target::CompiledTarget;
use crate::http1::Wire;

/// The most idle connections that a worker keeps per target.
const MOST_IDLE: usize = 512;

/// The idle connections of one worker.
#[derive(Default)]
pub struct Pool {
    idle: RefCell<HashMap<Arc<str>, Vec<Idle>, RandomState>>,
}

struct Idle {
    wire: Box<Wire>,
    address: SocketAddr,
    until: Instant,
    retires: Instant,
}

/// Where a connection in use goes back to, and for how long.
pub struct Lease {
    pool: Rc<Pool>,
    origin: Arc<str>,
    address: SocketAddr,
    keep: Duration,
    /// Counts the request as long as the connection is in use for it.
    pub in_flight: Option<InFlight>,
    /// When the connection is too old to be used again.
    retires: Instant,
}

impl Pool {
    /// An idle connection to a target that is still open, the latest used first.
    pub fn take(self: &Rc<Self>, target: &CompiledTarget, keep: Duration, now: Instant) -> Option<(Box<Wire>, Lease)> {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(&target.origin)?;
        while let Some(Idle { mut wire, address, until, retires }) = connections.pop() {
            if until > now && retires > now && target.has_address(address) && wire.is_quiet() {
                let (pool, origin) = (self.clone(), target.origin.clone());
                return Some((wire, Lease { pool, origin, address, keep, in_flight: None, retires }));
            }
        }
        None
    }

    /// The lease of a new connection, to be used for `age` at most and to rest for `keep` at most.
    pub fn lease(
        self: &Rc<Self>,
        target: &CompiledTarget,
        address: SocketAddr,
        keep: Duration,
        age: Duration,
    ) -> Lease {
        let (pool, origin) = (self.clone(), target.origin.clone());
        Lease { pool, origin, address, keep, in_flight: None, retires: Instant::now() + age }
    }

    /// Closes what has been idle for too long, and what the other side has closed.
    pub fn sweep(&self) {
        let now = Instant::now();
        self.idle.borrow_mut().retain(|_, connections| {
            connections.retain_mut(|idle| idle.until > now && idle.retires > now && idle.wire.is_quiet());
            !connections.is_empty()
        });
    }
}

impl Lease {
    /// Gives a connection back that is at the end of an exchange.
    pub fn give_back(&self, mut wire: Box<Wire>, now: Instant) {
        if self.keep.is_zero() || self.retires <= now || !wire.read.is_empty() || !wire.out.is_empty() {
            return;
        }
        wire.rest();
        let mut idle = self.pool.idle.borrow_mut();
        let idle_wire = Idle { wire, address: self.address, until: now + self.keep, retires: self.retires };
        match idle.get_mut(&self.origin) {
            Some(connections) if connections.len() >= MOST_IDLE => {}
            Some(connections) => connections.push(idle_wire),
            None => drop(idle.insert(self.origin.clone(), vec![idle_wire])),
        }
    }
}
