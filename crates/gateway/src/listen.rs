//! The gateway listener: one thread per core, all accepting from one queue, so that an idle worker takes the next
//! connection while a busy one does not.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::serve;
use crate::upstream::watch as targets;
use crate::worker::{Shared, Worker};

const BACKLOG: i32 = 4096;

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

impl Gateway {
    /// Starts `workers` threads that serve what comes in on `listener`.
    pub fn start(listener: TcpListener, shared: &Arc<Shared>, workers: usize, drain: Duration) -> io::Result<Self> {
        let (draining, watcher) = watch::channel(false);
        let looks_after_targets = targets::start(shared.snapshot.clone(), watcher.clone())?;
        let threads = (0..workers)
            .map(|index| {
                let listener = listener.try_clone()?;
                let shared = shared.clone();
                let watcher = watcher.clone();
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                std::thread::Builder::new()
                    .name(format!("gateway-{index}"))
                    .spawn(move || LocalSet::new().block_on(&runtime, run(listener, shared, watcher, drain)))
            })
            .chain([Ok(looks_after_targets)])
            .collect::<io::Result<_>>()?;
        drop(listener);
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

async fn run(listener: TcpListener, shared: Arc<Shared>, mut draining: watch::Receiver<bool>, drain: Duration) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(target: "gateway", error = %error, "listening failed");
            return;
        }
    };
    let worker = Rc::new(Worker::new(shared));
    let mut connections = tokio::task::JoinSet::new();
    let mut sweep = tokio::time::interval(Duration::from_secs(5));
    loop {
        let stop = async {
            let _ = draining.wait_for(|draining| *draining).await;
        };
        tokio::select! {
            () = stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    // Answers are written whole; waiting to fill a segment would only delay them.
                    let _ = stream.set_nodelay(true);
                    connections.spawn_local(serve::connection(worker.clone(), stream, peer.ip(), draining.clone()));
                }
                Err(error) => {
                    // Out of file descriptors: accepting again at once would only burn the core.
                    tracing::error!(target: "gateway", error = %error, "accepting a connection failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            _ = connections.join_next(), if !connections.is_empty() => {}
            _ = sweep.tick() => worker.pool.sweep(),
        }
    }
    drop(listener);
    let ended = tokio::time::timeout(drain, async { while connections.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        tracing::warn!(target: "gateway", connections = connections.len() as u64, "drain deadline passed, closing what is left");
    }
}
