//! One thread of the data plane, and what all of them share.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use tokio::sync::Notify;

use crate::accounts::Accounts;
use crate::client::ClientLimits;
use crate::own::Expose;
use crate::record::Telemetry;
use crate::snapshot::Snapshot;
use crate::telemetry::local::Local;
use crate::upstream::http2;
use crate::upstream::pool::Pool;

/// What all workers share. Nothing in it is ever locked.
pub struct Shared {
    /// The published configuration.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Where records go.
    pub telemetry: Telemetry,
    /// What is served besides traffic.
    pub expose: Expose,
    /// What a client may cost.
    pub limits: ClientLimits,
    /// Peers whose `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Accounts and approvals, if this process has a control plane.
    pub accounts: Option<Arc<dyn Accounts>>,
    /// A path whose requests panic on purpose, to rehearse the alarm.
    pub panic_drill_path: Option<String>,
}

impl Shared {
    /// Whether what this address forwards is believed.
    pub fn trusts(&self, address: IpAddr) -> bool {
        if self.trusted_proxies.is_empty() {
            return false;
        }
        let address = address.to_canonical();
        self.trusted_proxies.iter().any(|network| network.contains(&address))
    }

    /// Panics if the operator asked for it on this path.
    pub fn drill(&self, path: &str) {
        assert!(
            self.panic_drill_path.as_deref() != Some(path),
            "a drill: PORTUNUS_DRILL_PANIC_PATH is set to this path"
        );
    }
}

/// One thread of the data plane.
pub struct Worker {
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// What this worker records.
    pub telemetry: Rc<Local>,
    /// This worker's idle upstream connections over HTTP/1.
    pub pool: Rc<Pool>,
    /// This worker's upstream connections over HTTP/2.
    pub http2_pool: http2::pool::Pool,
    current: RefCell<Rc<Snapshot>>,
    seen: RefCell<Arc<Snapshot>>,
    is_draining: Cell<bool>,
    drains: Notify,
    in_flight: Rc<Cell<usize>>,
    most_in_flight: usize,
}

/// A request that is being answered; counted until it is dropped.
pub struct InFlight(Rc<Cell<usize>>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Worker {
    /// One of `workers` workers, for this thread.
    pub fn new(shared: Arc<Shared>, workers: usize) -> Self {
        let seen = shared.snapshot.load_full();
        let most_in_flight = match shared.limits.requests_in_flight {
            0 => usize::MAX,
            most => most.div_ceil(workers),
        };
        Self {
            telemetry: Rc::new(Local::new(&shared.telemetry)),
            shared,
            pool: Rc::default(),
            http2_pool: http2::pool::Pool::default(),
            current: RefCell::new(Rc::new((*seen).clone())),
            seen: RefCell::new(seen),
            is_draining: Cell::new(false),
            drains: Notify::new(),
            in_flight: Rc::default(),
            most_in_flight,
        }
    }

    /// What a client may cost.
    pub fn limits(&self) -> &ClientLimits {
        &self.shared.limits
    }

    /// The published configuration. Requests of one worker share one handle, so that the count of references to the
    /// snapshot is not a memory cell that all cores write to.
    pub fn snapshot(&self) -> Rc<Snapshot> {
        let published = self.shared.snapshot.load();
        if !Arc::ptr_eq(&published, &self.seen.borrow()) {
            *self.current.borrow_mut() = Rc::new((**published).clone());
            *self.seen.borrow_mut() = arc_swap::Guard::into_inner(published);
        }
        self.current.borrow().clone()
    }

    /// Counts a request in, if there is room for it.
    pub fn admit(&self) -> Option<InFlight> {
        if self.in_flight.get() >= self.most_in_flight {
            return None;
        }
        self.in_flight.set(self.in_flight.get() + 1);
        Some(InFlight(self.in_flight.clone()))
    }

    /// From now on connections close after the request that they are at.
    pub fn drain(&self) {
        self.is_draining.set(true);
        self.drains.notify_waiters();
    }

    /// Whether it drains.
    pub fn is_draining(&self) -> bool {
        self.is_draining.get()
    }

    /// Waits until it drains.
    pub async fn drained(&self) {
        if !self.is_draining() {
            self.drains.notified().await;
        }
    }
}
