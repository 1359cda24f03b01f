//! The real binary, started for one test with a data folder of its own, and ended with it.

mod builder;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
pub use tempfile::TempDir as DataFolder;

pub use builder::Builder;

use crate::call::Call;
use crate::client::Api;
use crate::command::Run;
use crate::lines::Lines;

/// The administrator's password in every test.
pub const ADMIN_PASSWORD: &str = "correct horse battery staple 7";
/// The secret of the service account `control-plane-api` in every test.
pub const CLIENT_SECRET: &str = "test-client-secret-0123456789abcdef";

/// How long a start or a stop may take before the test gives up on it.
const DEADLINE: Duration = Duration::from_secs(30);

/// A folder for the data of one test, to be shared by the processes that it starts one after another.
///
/// # Panics
/// When no temporary folder can be made.
pub fn new_data() -> Arc<DataFolder> {
    Arc::new(DataFolder::with_prefix("portunus-test-").expect("a temporary folder can be made"))
}

/// A running Portunus. Dropping it kills it.
pub struct Portunus {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    home: Arc<DataFolder>,
    binary: PathBuf,
    gateway: String,
    control: String,
    started: Instant,
    ready_after: Duration,
}

impl Portunus {
    /// Begins with the binary at `binary`, loopback listeners on free ports and the fixed test secrets.
    pub fn builder(binary: &str) -> Builder {
        Builder::new(binary)
    }

    fn spawn(command: &mut Command, home: Arc<DataFolder>, binary: PathBuf) -> Self {
        let started = Instant::now();
        let mut child = command.spawn().expect("the binary can be started");
        let stdout = Lines::follow(child.stdout.take().expect("standard output is piped"));
        let stderr = Lines::follow(child.stderr.take().expect("standard error is piped"));
        let (gateway, control) = (String::new(), String::new());
        Self { child, stdout, stderr, home, binary, gateway, control, started, ready_after: Duration::ZERO }
    }

    fn await_listener(&self, name: &str, deadline: Duration) -> String {
        let address = self.stdout.wait(deadline, |line| {
            let is_it = line.contains("listening") && line.contains(name);
            is_it.then(|| address_in(line)).flatten()
        });
        address.unwrap_or_else(|| panic!("no {name} listener; {}", self.everything()))
    }

    fn everything(&self) -> String {
        format!("stdout: {}\nstderr: {}", self.stdout.text(), self.stderr.text())
    }

    /// The address of the gateway listener, `host:port`.
    pub fn gw_address(&self) -> &str {
        &self.gateway
    }

    /// The address of the control listener, `host:port`.
    pub fn api_address(&self) -> &str {
        &self.control
    }

    /// A URL on the gateway listener.
    pub fn gw_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gateway)
    }

    /// A URL on the control listener.
    pub fn api_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.control)
    }

    /// A GET through the gateway, not yet sent.
    pub fn get(&self, path: &str) -> Call {
        Call::get(&self.gw_url(path))
    }

    /// A call through the gateway, not yet sent.
    pub fn call(&self, method: &str, path: &str) -> Call {
        Call::new(method, &self.gw_url(path))
    }

    /// The control plane's API as the administrator.
    pub fn api(&self) -> Api {
        Api::administrator(&self.api_url(""))
    }

    /// A command of the same binary that speaks to this process as the administrator.
    pub fn cli(&self, args: &[&str]) -> Run {
        let token = self.api().token();
        Run::new(&self.binary)
            .args(args)
            .env("HOME", self.home.path())
            .env("PORTUNUS_URL", self.api_url(""))
            .env("PORTUNUS_TOKEN", token)
            .folder(self.home.path())
    }

    /// The folder that holds the data folder `data` and is the process's home.
    pub fn home(&self) -> &Arc<DataFolder> {
        &self.home
    }

    /// What it wrote to standard output.
    pub fn stdout(&self) -> &Lines {
        &self.stdout
    }

    /// What it wrote to standard error.
    pub fn stderr(&self) -> &Lines {
        &self.stderr
    }

    /// Its log, line by line.
    pub fn logs(&self) -> Vec<String> {
        self.stdout.all()
    }

    /// Waits for a line of its JSON log.
    ///
    /// # Panics
    /// With the log, when no such line comes.
    #[track_caller]
    pub fn wait_log(&self, deadline: Duration, is_wanted: impl Fn(&Value) -> bool) -> Value {
        match self.stdout.wait_entry(deadline, is_wanted) {
            Some(entry) => entry,
            None => panic!("no such log line; {}", self.everything()),
        }
    }

    /// How long it took from the start of the process until it said it was ready.
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// When the process was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its resident memory in KiB.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn rss_kb(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("the process is alive");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let digits = line.and_then(|line| line.split_whitespace().next());
        digits.and_then(|digits| digits.parse().ok()).expect("the kernel tells the resident size")
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to stop (SIGTERM) without waiting.
    pub fn terminate(&self) {
        let kill = format!("kill -TERM {}", self.pid());
        drop(Command::new("sh").args(["-c", &kill]).status());
    }

    /// Waits for its end after [`Portunus::terminate`].
    ///
    /// # Errors
    /// When it is still running at the deadline.
    pub fn wait(&mut self, deadline: Duration) -> io::Result<ExitStatus> {
        let end = Instant::now() + deadline;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > end {
                return Err(io::Error::new(io::ErrorKind::TimedOut, self.everything()));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops it as a service manager would (SIGTERM) and gives its exit code; none when a signal ended it.
    ///
    /// # Panics
    /// With all it said, when it does not end.
    #[track_caller]
    pub fn stop(mut self) -> Option<i32> {
        self.terminate();
        self.wait(DEADLINE).expect("it stops when it is told to").code()
    }

    /// Ends it as a power cut would (SIGKILL) and leaves its data folder.
    pub fn kill9(mut self) -> Arc<DataFolder> {
        drop(self.child.kill());
        drop(self.child.wait());
        Arc::clone(&self.home)
    }
}

impl Drop for Portunus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The loopback address that a log line names.
fn address_in(line: &str) -> Option<String> {
    let start = line.find("127.0.0.1:")?;
    let rest = &line[start..];
    let port = &rest["127.0.0.1:".len()..];
    let digits = port.find(|c: char| !c.is_ascii_digit()).unwrap_or(port.len());
    (digits > 0).then(|| rest[.."127.0.0.1:".len() + digits].to_owned())
}
