//! The gateway listener: one thread accepts and hands each connection to the worker that has the fewest, so that no
//! worker idles while another one queues.

mod admission;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;
use tokio::runtime::LocalOptions;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::http1;
use crate::upstream::watch as targets;
use crate::worker::{Shared, Worker};
use admission::{Admission, Admitted, Refused};

const BACKLOG: i32 = 4096;

/// The most connections that wait for one worker to take them over.
const QUEUE: usize = 4096;

/// How often workers close upstream connections that have been idle for too long.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Binds a listening socket.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the connections of the process before it.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The running data plane.
pub struct Gateway {
    threads: Vec<JoinHandle<()>>,
    draining: watch::Sender<bool>,
}

/// A connection on its way to a worker.
struct Accepted {
    stream: std::net::TcpStream,
    peer: IpAddr,
    admitted: Admitted,
}

/// Where a worker gets its connections from.
struct Desk {
    queue: mpsc::Sender<Accepted>,
    connections: Arc<AtomicUsize>,
}

impl Gateway {
    /// Starts `workers` threads that serve what comes in on `listener`.
    pub fn start(listener: TcpListener, shared: &Arc<Shared>, workers: usize, drain: Duration) -> io::Result<Self> {
        let (draining, watcher) = watch::channel(false);
        let mut threads = vec![targets::start(shared.snapshot.clone(), watcher.clone())?];
        let mut desks = Vec::new();
        for index in 0..workers {
            let (queue, accepted) = mpsc::channel(QUEUE);
            let worker = WorkerThread { shared: shared.clone(), workers, accepted, draining: watcher.clone(), drain };
            desks.push(Desk { queue, connections: Arc::default() });
            threads.push(spawn(format!("gateway-{index}"), move || worker.run())?);
        }
        let shared = shared.clone();
        threads.push(spawn("accept".to_owned(), move || accept(listener, desks, shared, watcher))?);
        Ok(Self { threads, draining })
    }

    /// Stops accepting, finishes what is under way up to the drain deadline, and ends.
    pub fn stop(self) {
        let _ = self.draining.send(true);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

fn spawn<F: Future<Output = ()> + 'static>(
    name: String,
    run: impl FnOnce() -> F + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name).spawn(move || {
        // A runtime whose tasks never leave the thread spares them everything that is there for crossing threads.
        match tokio::runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime.block_on(run()),
            Err(error) => tracing::error!(target: "gateway", error = %error, "starting a worker failed"),
        }
    })
}

async fn accept(listener: TcpListener, desks: Vec<Desk>, shared: Arc<Shared>, mut draining: watch::Receiver<bool>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(target: "gateway", error = %error, "listening failed");
            return;
        }
    };
    let mut admission = Admission::new(&shared.limits);
    let mut turn = 0;
    loop {
        let accepted = tokio::select! {
            _ = draining.wait_for(|draining| *draining) => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors: accepting again at once would only burn the core.
                tracing::error!(target: "gateway", error = %error, "accepting a connection failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(stream) = stream.into_std() else { continue };
        // The one that has the fewest; among equals in turn.
        turn += 1;
        let desk = (0..desks.len())
            .map(|step| &desks[(turn + step) % desks.len()])
            .min_by_key(|desk| desk.connections.load(Ordering::Relaxed));
        let Some(desk) = desk else { return };
        match admission.admit(peer.ip(), &desk.connections, &shared.telemetry.metrics) {
            // Answers are written whole; waiting to fill a segment would only delay them.
            Ok(admitted) => {
                let _ = stream.set_nodelay(true);
                // A worker that cannot keep up with its connections gets no more of them.
                if let Err(full) = desk.queue.try_send(Accepted { stream, peer: peer.ip(), admitted }) {
                    shared.telemetry.metrics.connections_refused.fetch_add(1, Ordering::Relaxed);
                    Refused.tell(&full.into_inner().stream);
                }
            }
            Err(refused) => refused.tell(&stream),
        }
    }
}

struct WorkerThread {
    shared: Arc<Shared>,
    workers: usize,
    accepted: mpsc::Receiver<Accepted>,
    draining: watch::Receiver<bool>,
    drain: Duration,
}

impl WorkerThread {
    async fn run(mut self) {
        let worker = Rc::new(Worker::new(self.shared.clone(), self.workers));
        tokio::task::spawn_local(worker.telemetry.clone().flush_in_time());
        let mut connections = JoinSet::new();
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
        loop {
            tokio::select! {
                _ = self.draining.wait_for(|draining| *draining) => break,
                accepted = self.accepted.recv() => match accepted {
                    Some(accepted) => drop(connections.spawn_local(connection(worker.clone(), accepted))),
                    None => break,
                },
                _ = connections.join_next(), if !connections.is_empty() => {}
                _ = sweep.tick() => {
                    worker.pool.sweep();
                    worker.http2_pool.sweep();
                }
            }
        }
        // What was accepted before the stop is still served.
        while let Ok(accepted) = self.accepted.try_recv() {
            connections.spawn_local(connection(worker.clone(), accepted));
        }
        worker.drain();
        let ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.drain, ended).await.is_err() {
            let left = connections.len() as u64;
            tracing::warn!(target: "gateway", connections = left, "drain deadline passed, closing what is left");
        }
    }
}

async fn connection(worker: Rc<Worker>, accepted: Accepted) {
    let Accepted { stream, peer, admitted } = accepted;
    if let Ok(stream) = TcpStream::from_std(stream) {
        http1::server::serve(worker, stream, peer).await;
    }
    drop(admitted);
}
