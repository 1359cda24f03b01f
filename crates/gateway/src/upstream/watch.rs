//! The one background task of a process that looks after targets: checks their health, looks up their names. It follows
//! the published configuration; what is no longer in it is no longer looked after.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::LocalSet;

use super::balance::CompiledUpstream;
use super::health::{self, Streak};
use super::resolve::look_up;
use super::target::TargetState;
use crate::snapshot::Snapshot;

/// How soon a new configuration is noticed.
const NOTICE: Duration = Duration::from_millis(250);

/// How many checks and look-ups are under way at once.
const MOST_AT_ONCE: usize = 256;

/// Threads for look-ups: the system's resolver blocks.
const RESOLVER_THREADS: usize = 4;

/// Starts the thread that looks after the targets of what is published in `snapshot`, until `draining` turns true.
pub fn start(snapshot: Arc<ArcSwap<Snapshot>>, draining: watch::Receiver<bool>) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(RESOLVER_THREADS)
        .thread_name("gateway-resolve")
        .enable_all()
        .build()?;
    std::thread::Builder::new().name("gateway-watch".to_owned()).spawn(move || {
        LocalSet::new().block_on(&runtime, run(snapshot, draining));
        // A look-up that hangs must not keep the process from ending.
        runtime.shutdown_background();
    })
}

async fn run(snapshot: Arc<ArcSwap<Snapshot>>, mut draining: watch::Receiver<bool>) {
    let mut watched = Watched::default();
    let mut seen: Option<Arc<Snapshot>> = None;
    loop {
        let published = snapshot.load_full();
        if seen.as_ref().is_none_or(|seen| !Arc::ptr_eq(seen, &published)) {
            watched.follow(&published);
            seen = Some(published);
        }
        let next = watched.start_what_is_due();
        tokio::select! {
            _ = draining.wait_for(|draining| *draining) => return,
            () = tokio::time::sleep(next.min(NOTICE)) => {}
        }
    }
}

/// What is looked after.
#[derive(Default)]
struct Watched {
    /// By the address of the target's state, which each of them keeps alive.
    checks: HashMap<*const TargetState, Rc<Check>, RandomState>,
    names: HashMap<Box<str>, Rc<Name>, RandomState>,
    under_way: Rc<Cell<usize>>,
}

/// When something was begun, and whether it still goes on.
#[derive(Default)]
struct Rhythm {
    begun: Cell<Option<Instant>>,
    is_under_way: Cell<bool>,
}

/// The health checks of one target.
struct Check {
    rhythm: Rhythm,
    streak: RefCell<Streak>,
    upstream: RefCell<Arc<CompiledUpstream>>,
    index: Cell<usize>,
}

/// A host name and the targets that have it.
#[derive(Default)]
struct Name {
    rhythm: Rhythm,
    refresh: Cell<Duration>,
    users: RefCell<Vec<(Arc<TargetState>, u16)>>,
    found: RefCell<Vec<IpAddr>>,
    is_failing: Cell<bool>,
}

impl Watched {
    /// Keeps what is still there with its rhythm and its past, adds what is new, forgets the rest.
    fn follow(&mut self, snapshot: &Snapshot) {
        let mut checks = HashMap::default();
        let mut names: HashMap<Box<str>, Rc<Name>, RandomState> = HashMap::default();
        for upstream in snapshot.apis.values().map(|api| &api.upstream) {
            for (index, target) in upstream.targets.iter().enumerate().filter(|(_, target)| target.weight > 0) {
                let key = Arc::as_ptr(&target.state);
                if upstream.health_check.is_some() && !checks.contains_key(&key) {
                    let check = self.checks.remove(&key).unwrap_or_else(|| Rc::new(Check::new(upstream)));
                    *check.upstream.borrow_mut() = upstream.clone();
                    check.index.set(index);
                    checks.insert(key, check);
                }
                if !target.is_literal {
                    let name = names.entry(target.host.clone()).or_insert_with(|| {
                        let name = self.names.remove(&target.host).unwrap_or_default();
                        name.users.borrow_mut().clear();
                        name.refresh.set(Duration::MAX);
                        name
                    });
                    name.refresh.set(name.refresh.get().min(upstream.dns_refresh));
                    target.state.addresses.learn(&name.found.borrow(), target.port);
                    name.users.borrow_mut().push((target.state.clone(), target.port));
                }
            }
        }
        self.checks = checks;
        self.names = names;
    }

    /// Begins what is due and says how long until the next.
    fn start_what_is_due(&self) -> Duration {
        let mut next = Duration::MAX;
        for check in self.checks.values() {
            next = next.min(self.start_if_due(check, |check| &check.rhythm, Check::interval(check), Check::run));
        }
        for (host, name) in &self.names {
            let run = |name: Rc<Name>| name.run(host.clone());
            next = next.min(self.start_if_due(name, |name| &name.rhythm, name.refresh.get(), run));
        }
        next
    }

    fn start_if_due<T: 'static, F: Future<Output = ()> + 'static>(
        &self,
        what: &Rc<T>,
        rhythm: impl Fn(&T) -> &Rhythm + 'static,
        interval: Duration,
        run: impl FnOnce(Rc<T>) -> F,
    ) -> Duration {
        let left = rhythm(what).left(interval);
        if !left.is_zero() || self.under_way.get() >= MOST_AT_ONCE {
            return left;
        }
        rhythm(what).begun.set(Some(Instant::now()));
        rhythm(what).is_under_way.set(true);
        let under_way = self.under_way.clone();
        under_way.set(under_way.get() + 1);
        let (what, done) = (what.clone(), what.clone());
        let work = run(what);
        tokio::task::spawn_local(async move {
            // One that panics is tried again like any other; the panic has been reported.
            let _ = AssertUnwindSafe(work).catch_unwind().await;
            rhythm(&done).is_under_way.set(false);
            under_way.set(under_way.get() - 1);
        });
        interval
    }
}

impl Rhythm {
    /// How long until it is due.
    fn left(&self, interval: Duration) -> Duration {
        match self.begun.get() {
            _ if self.is_under_way.get() => Duration::MAX,
            None => Duration::ZERO,
            Some(begun) => interval.saturating_sub(begun.elapsed()),
        }
    }
}

impl Check {
    fn new(upstream: &Arc<CompiledUpstream>) -> Self {
        Self {
            rhythm: Rhythm::default(),
            streak: RefCell::default(),
            upstream: RefCell::new(upstream.clone()),
            index: Cell::new(0),
        }
    }

    fn interval(&self) -> Duration {
        self.upstream.borrow().health_check.as_ref().map_or(Duration::MAX, |check| check.interval())
    }

    async fn run(self: Rc<Self>) {
        let upstream = self.upstream.borrow().clone();
        let (Some(check), Some(target)) = (&upstream.health_check, upstream.targets.get(self.index.get())) else {
            return;
        };
        let found = health::ask(check, target).await;
        self.streak.borrow_mut().note(check, &upstream, target, &found);
    }
}

impl Name {
    async fn run(self: Rc<Self>, host: Box<str>) {
        match look_up(&host).await {
            Ok(found) => {
                for (state, port) in &*self.users.borrow() {
                    state.addresses.learn(&found, *port);
                }
                *self.found.borrow_mut() = found;
                self.is_failing.set(false);
            }
            Err(error) => {
                if !self.is_failing.replace(true) {
                    tracing::warn!(target: "gateway", host = &*host, error = %error, "name_not_resolved");
                }
            }
        }
    }
}
