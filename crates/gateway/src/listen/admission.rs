//! How many connections are let in, in all and from one address.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use http::{HeaderValue, Version, header};

use crate::body::Body;
use crate::client::ClientLimits;
use crate::error::{Refusal, Rejection};
use crate::http1::decode::Framing;
use crate::http1::encode::{self, Persistence};
use crate::policy::rate_limit::network;
use crate::telemetry::metrics::Metrics;

/// How many addresses are remembered before those without a connection are forgotten.
const MOST_REMEMBERED: usize = 10_000;

/// Counts connections.
pub struct Admission {
    most: usize,
    most_per_address: usize,
    all: Arc<AtomicUsize>,
    by_address: HashMap<[u8; 8], Arc<AtomicUsize>>,
}

/// A connection that was let in; counted until it is dropped.
pub struct Admitted {
    counts: [Option<Arc<AtomicUsize>>; 3],
    metrics: Arc<Metrics>,
}

/// A connection that was not let in.
pub struct Refused;

impl Admission {
    /// No connections yet.
    pub fn new(limits: &ClientLimits) -> Self {
        Self {
            most: limits.connections,
            most_per_address: limits.connections_per_address,
            all: Arc::default(),
            by_address: HashMap::new(),
        }
    }

    /// Lets a connection of this address in, if there is room.
    pub fn admit(
        &mut self,
        peer: IpAddr,
        of_worker: &Arc<AtomicUsize>,
        metrics: &Arc<Metrics>,
    ) -> Result<Admitted, Refused> {
        let refused = |metrics: &Metrics| {
            metrics.connections_refused.fetch_add(1, Ordering::Relaxed);
            Err(Refused)
        };
        if self.most > 0 && self.all.load(Ordering::Relaxed) >= self.most {
            return refused(metrics);
        }
        let of_address = (self.most_per_address > 0).then(|| self.of_address(peer));
        if of_address.as_ref().is_some_and(|count| count.load(Ordering::Relaxed) >= self.most_per_address) {
            return refused(metrics);
        }
        let counts = [Some(self.all.clone()), Some(of_worker.clone()), of_address];
        for count in counts.iter().flatten() {
            count.fetch_add(1, Ordering::Relaxed);
        }
        metrics.connections.fetch_add(1, Ordering::Relaxed);
        Ok(Admitted { counts, metrics: metrics.clone() })
    }

    fn of_address(&mut self, peer: IpAddr) -> Arc<AtomicUsize> {
        if self.by_address.len() > MOST_REMEMBERED {
            self.by_address.retain(|_, count| count.load(Ordering::Relaxed) > 0);
        }
        self.by_address.entry(network(peer)).or_default().clone()
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        for count in self.counts.iter().flatten() {
            count.fetch_sub(1, Ordering::Relaxed);
        }
        self.metrics.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Refused {
    /// Says so, as far as it can be said without waiting.
    pub fn tell(self, mut stream: &std::net::TcpStream) {
        static ANSWER: LazyLock<Vec<u8>> = LazyLock::new(|| {
            let rejection = Rejection::new(Refusal::Overloaded, "there are too many connections")
                .with(header::RETRY_AFTER, HeaderValue::from_static("1"));
            let (head, body) = rejection.into_response("").into_parts();
            let Body::Full(Some(body)) = body else { return Vec::new() };
            let mut answer = Vec::new();
            let framing = Some(Framing::Length(body.len() as u64));
            encode::response(&mut answer, head.status, Version::HTTP_11, &head.headers, framing, Persistence::Close);
            answer.extend_from_slice(&body);
            answer
        });
        let _ = stream.write(&ANSWER);
    }
}
