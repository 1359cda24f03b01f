//! What one worker records. Its access lines wait in a page of its own, which is handed over when it is full or a few
//! milliseconds old: no request wakes another thread or waits for one.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use tokio::sync::Notify;

use super::access_log;
use super::line::{Line, TimeText};
use super::log::Sink;
use super::metrics::Metrics;
use super::per_worker;
use super::refused::Refused;
use crate::clock::WallClock;
use crate::record::{Record, Telemetry};
use crate::request_id::{RandomPage, RequestId};

/// The size at which a page is handed over.
const FULL: usize = 32 * 1024;

/// How long a line waits for others.
const LONGEST_WAIT: Duration = Duration::from_millis(10);

/// The telemetry of one worker.
pub struct Local {
    /// The counters, of which this worker has its own cells.
    pub metrics: Arc<Metrics>,
    sink: Sink,
    has_access_lines: bool,
    clock: WallClock,
    random: RandomPage,
    page: RefCell<Page>,
    begun: Notify,
}

#[derive(Default)]
struct Page {
    bytes: Vec<u8>,
    lines: u64,
    time: TimeText,
}

impl Local {
    /// The telemetry of the worker that runs on this thread. Whether there are access lines is what the log's filter
    /// says now.
    pub fn new(telemetry: &Telemetry) -> Self {
        per_worker::take_place();
        Self {
            metrics: telemetry.metrics.clone(),
            sink: telemetry.sink.clone(),
            has_access_lines: access_log::is_on(),
            clock: WallClock::new(),
            random: RandomPage::new(),
            page: RefCell::default(),
            begun: Notify::new(),
        }
    }

    /// The id of a request that came in at this moment: the client's if it is usable, else a new one.
    pub fn request_id(&self, headers: &HeaderMap, now: Instant) -> RequestId {
        RequestId::given(headers)
            .unwrap_or_else(|| RequestId::new(self.clock.unix_us(now) / 1_000, &self.random.take()))
    }

    /// Counts a finished request and writes its access line.
    pub fn finished(&self, record: &Record, started: Instant) {
        let now = Instant::now();
        let duration = now - started;
        let counters = match &record.api {
            Some(api) => &*api.metrics,
            None if record.is_own => &self.metrics.own,
            None => &self.metrics.unmatched,
        };
        counters.answered(record.status, duration, record.upstream_duration, record.bytes_sent);
        if Refused::concerns(record) {
            self.metrics.refused.count(record, self.clock.unix_us(now));
        }
        if !self.has_access_lines {
            return;
        }
        let page = &mut *self.page.borrow_mut();
        let unix_us = self.clock.unix_us(now);
        let line = Line::begin(&mut page.bytes, self.sink.format, &mut page.time, unix_us, access_log::OPENING);
        access_log::write(line, record, duration);
        page.lines += 1;
        if page.bytes.len() >= FULL {
            self.hand_over(page);
        } else if page.lines == 1 {
            self.begun.notify_one();
        }
    }

    /// Hands over what waits.
    pub fn flush(&self) {
        self.hand_over(&mut self.page.borrow_mut());
    }

    /// Hands over lines that have waited long enough, for ever. It sleeps as long as there are none.
    pub async fn flush_in_time(self: Rc<Self>) {
        loop {
            self.begun.notified().await;
            tokio::time::sleep(LONGEST_WAIT).await;
            self.flush();
        }
    }

    fn hand_over(&self, page: &mut Page) {
        if page.lines > 0 {
            let bytes = std::mem::replace(&mut page.bytes, Vec::with_capacity(FULL + FULL / 8));
            self.sink.lines(bytes, page.lines);
            page.lines = 0;
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.flush();
    }
}
