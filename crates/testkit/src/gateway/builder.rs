//! How the next process is to be started, and the start itself.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::{ADMIN_PASSWORD, CLIENT_SECRET, DEADLINE, DataFolder, Portunus, new_data};
use crate::call::Call;
use crate::command::{Output, clean};
use crate::lines::Lines;
use crate::poll::eventually;
use crate::upstream::free_port;

/// How the next process is to be started.
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    binary: PathBuf,
    data: Option<Arc<DataFolder>>,
    data_path: Option<PathBuf>,
    env: Vec<(OsString, OsString)>,
    args: Vec<OsString>,
    deadline: Duration,
}

impl Builder {
    /// The binary with loopback listeners on free ports and the fixed test secrets.
    pub(super) fn new(binary: &str) -> Self {
        let builder = Self {
            binary: binary.into(),
            data: None,
            data_path: None,
            env: Vec::new(),
            args: Vec::new(),
            deadline: DEADLINE,
        };
        builder
            .env("PORTUNUS_LISTEN", "127.0.0.1:0")
            .env("PORTUNUS_CONTROL_LISTEN", "127.0.0.1:0")
            .env("PORTUNUS_ADMIN_PASSWORD", ADMIN_PASSWORD)
            .env("PORTUNUS_CLIENT_SECRET", CLIENT_SECRET)
    }

    /// Sets one variable; an earlier value of the same name is replaced.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.into(), value.as_ref().to_os_string()));
        self
    }

    /// Leaves a variable out that is set by default.
    pub fn without(mut self, name: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self
    }

    /// Adds an argument after `serve`.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_os_string());
        self
    }

    /// Uses the data folder that another process used or is going to use.
    pub fn data(mut self, data: &Arc<DataFolder>) -> Self {
        self.data = Some(Arc::clone(data));
        self
    }

    /// Uses this path as the data folder, whatever it is.
    pub fn data_path(mut self, path: &Path) -> Self {
        self.data_path = Some(path.to_path_buf());
        self
    }

    /// Gives a slow start more time.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    fn command(&mut self) -> (Command, Arc<DataFolder>) {
        let home = self.data.clone().unwrap_or_else(new_data);
        self.data = Some(Arc::clone(&home));
        let data = self.data_path.clone().unwrap_or_else(|| home.path().join("data"));
        let mut command = clean(&self.binary);
        command.arg("serve").args(&self.args).current_dir(home.path());
        command.env("HOME", home.path()).env("PORTUNUS_DATA_DIR", data);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        (command, home)
    }

    /// Starts it and waits until both listeners and the process say they are ready.
    ///
    /// # Panics
    /// With all it said, when it does not become ready.
    #[track_caller]
    pub fn start(mut self) -> Portunus {
        let (mut command, home) = self.command();
        let mut process = Portunus::spawn(&mut command, home, self.binary);
        process.gateway = process.await_listener("gateway", self.deadline);
        process.control = process.await_listener("control", self.deadline);
        let is_ready = process.stdout.wait(self.deadline, |line| line.contains("ready").then_some(()));
        assert!(is_ready.is_some(), "never ready; {}", process.everything());
        process.ready_after = process.started.elapsed();
        process
    }

    /// Starts it on two free ports and waits until both listeners answer, for a log that does not show them.
    ///
    /// # Panics
    /// When it does not answer in time.
    #[track_caller]
    pub fn start_silent(mut self) -> Portunus {
        let gateway = format!("127.0.0.1:{}", free_port());
        let control = format!("127.0.0.1:{}", free_port());
        self = self.env("PORTUNUS_LISTEN", &gateway).env("PORTUNUS_CONTROL_LISTEN", &control);
        let (mut command, home) = self.command();
        let mut process = Portunus::spawn(&mut command, home, self.binary);
        process.gateway = gateway;
        process.control = control;
        for url in [process.gw_url("/health"), process.api_url("/health")] {
            eventually(self.deadline, "an answer to /health", || {
                Call::get(&url).try_send().ok().filter(|answer| answer.status == 200)
            });
        }
        process.ready_after = process.started.elapsed();
        process
    }

    /// Starts it in the expectation that it refuses to.
    ///
    /// # Panics
    /// When it is still running at the deadline.
    #[track_caller]
    pub fn start_expecting_failure(mut self) -> Output {
        let (mut command, _home) = self.command();
        let mut child = command.spawn().expect("the binary can be started");
        let stdout = Lines::follow(child.stdout.take().expect("standard output is piped"));
        let stderr = Lines::follow(child.stderr.take().expect("standard error is piped"));
        let end = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = child.try_wait().expect("the process can be waited for") {
                break status;
            }
            if Instant::now() > end || stdout.all().iter().any(|line| line.contains("\"ready\"")) {
                drop(child.kill());
                drop(child.wait());
                panic!("it did not refuse to start; {}\n{}", stdout.text(), stderr.text());
            }
            thread::sleep(Duration::from_millis(5));
        };
        eventually(DEADLINE, "end of its output", || (stdout.is_closed() && stderr.is_closed()).then_some(()));
        Output { code: status.code(), stdout: stdout.text(), stderr: stderr.text() }
    }
}
