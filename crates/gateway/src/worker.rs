//! One thread of the data plane, and what all of them share.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ipnet::IpNet;

use crate::own::Expose;
use crate::record::Telemetry;
use crate::snapshot::Snapshot;
use crate::upstream::pool::Pool;

/// What all workers share. Nothing in it is ever locked.
pub struct Shared {
    /// The published configuration.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Where records go.
    pub telemetry: Telemetry,
    /// What is served besides traffic.
    pub expose: Expose,
    /// Peers whose `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// A path whose requests panic on purpose, to rehearse the alarm.
    pub panic_drill_path: Option<String>,
}

impl Shared {
    /// Whether what this address forwards is believed.
    pub fn trusts(&self, address: IpAddr) -> bool {
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
    /// This worker's idle upstream connections.
    pub pool: Rc<Pool>,
    current: RefCell<Rc<Snapshot>>,
    seen: RefCell<Arc<Snapshot>>,
}

impl Worker {
    /// A worker for this thread.
    pub fn new(shared: Arc<Shared>) -> Self {
        let seen = shared.snapshot.load_full();
        Self { shared, pool: Rc::default(), current: RefCell::new(Rc::new((*seen).clone())), seen: RefCell::new(seen) }
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
}
