//! Open-loop load: requests leave at a fixed rate whether or not earlier ones have been answered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What to send, and how often.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The listener, `host:port`.
    pub address: String,
    /// Path and query of every request.
    pub target: String,
    /// The header fields of every request.
    pub headers: Vec<(String, String)>,
    /// Requests per second; with more than can be answered, each connection sends as soon as it is free.
    pub rate: u32,
    /// Keep-alive connections to send them on; as many as are ever under way at once, or requests will wait for one.
    pub connections: usize,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How many answers had which status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests that got no answer, and why.
    pub failures: Vec<String>,
    /// By status, from the moment a request was due until its answer was read, sorted.
    pub latencies: BTreeMap<u16, Vec<Duration>>,
    /// How many answers of which status had no `Retry-After`.
    pub without_retry_after: BTreeMap<u16, u64>,
    /// How long the load flowed.
    pub elapsed: Duration,
}

impl Report {
    /// How many requests were sent.
    pub fn total(&self) -> u64 {
        self.statuses.values().sum::<u64>() + self.failures.len() as u64
    }

    /// How many answers had this status.
    pub fn count(&self, status: u16) -> u64 {
        self.statuses.get(&status).copied().unwrap_or_default()
    }

    /// The latency that this share (0.0 to 1.0) of all answers stayed within.
    pub fn percentile(&self, share: f64) -> Duration {
        let mut all: Vec<Duration> = self.latencies.values().flatten().copied().collect();
        all.sort_unstable();
        rank(&all, share)
    }

    /// The latency that this share (0.0 to 1.0) of the answers with a status stayed within.
    pub fn percentile_of(&self, status: u16, share: f64) -> Duration {
        self.latencies.get(&status).map(|sorted| rank(sorted, share)).unwrap_or_default()
    }
}

fn rank(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index of a list that fits in memory"
    )]
    let index = (last as f64 * share).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

/// Load that is flowing.
pub struct Load {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
    started: Instant,
}

struct Shared {
    plan: Plan,
    /// What is posted, one after the other; none for GET.
    bodies: Vec<String>,
    next: AtomicU64,
    is_stopped: AtomicBool,
    report: Mutex<Report>,
}

impl Load {
    /// Lets the load flow until it is stopped.
    pub fn start(plan: Plan) -> Self {
        Self::posting(plan, Vec::new())
    }

    /// The same with POSTs of JSON, one of these after the other.
    pub fn posting(plan: Plan, bodies: Vec<String>) -> Self {
        let shared = Arc::new(Shared {
            plan,
            bodies,
            next: AtomicU64::new(0),
            is_stopped: AtomicBool::new(false),
            report: Mutex::default(),
        });
        let started = Instant::now();
        let runner = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a tokio runtime can be built");
            runtime.block_on(async {
                let tasks: Vec<_> =
                    (0..runner.plan.connections).map(|_| tokio::spawn(drive(Arc::clone(&runner), started))).collect();
                for task in tasks {
                    drop(task.await);
                }
            });
        });
        Self { shared, thread, started }
    }

    /// How many requests have been sent so far.
    pub fn sent(&self) -> u64 {
        self.shared.next.load(Ordering::Relaxed)
    }

    /// Stops the load, waits for the answers under way, and tells what happened.
    ///
    /// # Panics
    /// When the thread of the load has panicked.
    pub fn stop(self) -> Report {
        self.shared.is_stopped.store(true, Ordering::SeqCst);
        let elapsed = self.started.elapsed();
        self.thread.join().expect("the load ends cleanly");
        let mut report = self.shared.report.lock().unwrap_or_else(PoisonError::into_inner).clone();
        report.latencies.values_mut().for_each(|latencies| latencies.sort_unstable());
        report.elapsed = elapsed;
        report
    }
}

/// One connection: takes the next request that is due, again and again.
async fn drive(shared: Arc<Shared>, started: Instant) {
    let mut sender = None;
    let mut local = Report::default();
    while !shared.is_stopped.load(Ordering::Relaxed) {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        let due = started + Duration::from_secs(1).mul_f64(number as f64 / f64::from(shared.plan.rate));
        tokio::time::sleep_until(due.into()).await;
        let body = shared.bodies.get(number as usize % shared.bodies.len().max(1));
        match exchange(&shared.plan, body, &mut sender).await {
            Ok((status, has_retry_after)) => {
                *local.statuses.entry(status).or_default() += 1;
                local.latencies.entry(status).or_default().push(due.elapsed());
                if !has_retry_after {
                    *local.without_retry_after.entry(status).or_default() += 1;
                }
            }
            Err(error) => {
                sender = None;
                local.failures.push(error.to_string());
            }
        }
    }
    let mut report = shared.report.lock().unwrap_or_else(PoisonError::into_inner);
    for (status, count) in local.statuses {
        *report.statuses.entry(status).or_default() += count;
    }
    for (status, count) in local.without_retry_after {
        *report.without_retry_after.entry(status).or_default() += count;
    }
    for (status, mut latencies) in local.latencies {
        report.latencies.entry(status).or_default().append(&mut latencies);
    }
    report.failures.append(&mut local.failures);
}

async fn exchange(
    plan: &Plan,
    body: Option<&String>,
    held: &mut Option<SendRequest<Full<Bytes>>>,
) -> anyhow::Result<(u16, bool)> {
    let mut sender = match held.take() {
        Some(sender) if sender.is_ready() => sender,
        _ => connect(plan).await?,
    };
    sender.ready().await?;
    let mut request = Request::builder().uri(&plan.target).header("host", &plan.address);
    for (name, value) in &plan.headers {
        request = request.header(name, value);
    }
    if body.is_some() {
        request = request.method("POST").header("content-type", "application/json");
    }
    let body = body.cloned().unwrap_or_default();
    let response = sender.send_request(request.body(Full::from(body))?).await?;
    let status = response.status().as_u16();
    let has_retry_after = response.headers().contains_key("retry-after");
    response.into_body().collect().await?;
    *held = Some(sender);
    Ok((status, has_retry_after))
}

async fn connect(plan: &Plan) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(&plan.address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
