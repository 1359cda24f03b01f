//! The servers that people run behind a gateway, started privately: each reads HTTP in its own way.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::command::clean;
use crate::poll::{SOON, eventually, within};
use crate::raw::exchange;
use crate::upstream::free_port;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// nginx
    Nginx,
    /// nginx with HTTP/2 from the first byte; it ends a connection after a few requests.
    NginxHttp2,
    /// HAProxy
    Haproxy,
    /// Apache httpd
    Apache,
    /// Node's `http`
    Node,
    /// gunicorn
    Gunicorn,
}

impl Kind {
    /// All that read HTTP/1.1.
    pub const ALL: [Self; 5] = [Self::Nginx, Self::Haproxy, Self::Apache, Self::Node, Self::Gunicorn];

    /// The files that it is started with.
    fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Nginx => &[("nginx.conf", include_str!("origin/nginx.conf"))],
            Self::NginxHttp2 => &[("nginx.conf", include_str!("origin/nginx_http2.conf"))],
            Self::Haproxy => &[("haproxy.cfg", include_str!("origin/haproxy.cfg"))],
            Self::Apache => &[("apache.conf", include_str!("origin/apache.conf"))],
            Self::Node => &[("node.js", include_str!("origin/node.js"))],
            Self::Gunicorn => {
                &[("settings.py", include_str!("origin/settings.py")), ("app.py", include_str!("origin/app.py"))]
            }
        }
    }

    fn command(self, folder: &Path, port: u16) -> Command {
        let file = folder.join(self.files()[0].0);
        let (program, before): (&str, &[&str]) = match self {
            Self::Nginx | Self::NginxHttp2 => ("/usr/sbin/nginx", &["-c"]),
            Self::Haproxy => ("/usr/sbin/haproxy", &["-db", "-f"]),
            Self::Apache => ("/usr/sbin/apache2", &["-X", "-f"]),
            Self::Node => ("node", &[]),
            Self::Gunicorn => ("/usr/bin/gunicorn", &["-c"]),
        };
        let mut command = clean(Path::new(program));
        command.args(before).arg(file).current_dir(folder);
        if self == Self::Node {
            command.arg(port.to_string());
        }
        command
    }
}

/// A running server that answers 200 to everything, says in `X-Target` what it was asked for, and keeps a log. It stops
/// when it is dropped.
pub struct Origin {
    child: Child,
    folder: TempDir,
    address: String,
}

impl Origin {
    /// Starts one on a free port and waits until it answers.
    ///
    /// # Panics
    /// When it is not installed or does not answer.
    pub fn start(kind: Kind) -> Self {
        let folder = TempDir::with_prefix("portunus-origin-").expect("a temporary folder can be made");
        let port = free_port();
        for (name, text) in kind.files() {
            let shown = folder.path().display().to_string();
            let text = text.replace("@FOLDER@", &shown).replace("@PORT@", &port.to_string());
            fs::write(folder.path().join(name), text).expect("a temporary file can be written");
        }
        let log = File::create(folder.path().join("seen.log")).expect("a temporary file can be made");
        let errors = File::create(folder.path().join("stderr.log")).expect("a temporary file can be made");
        let mut command = kind.command(folder.path(), port);
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        let child = child.unwrap_or_else(|error| panic!("{kind:?} is installed by scripts/setup: {error}"));
        let origin = Self { child, folder, address: format!("127.0.0.1:{port}") };
        let ping = b"GET /ping HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        eventually(SOON, &format!("an answer of {kind:?}"), || {
            let is_there = std::net::TcpStream::connect(&origin.address).is_ok();
            let answers = || exchange(&origin.address, ping, SOON).status() == Some(200);
            (is_there && (kind == Kind::NginxHttp2 || answers())).then_some(())
        });
        origin
    }

    /// The address, `127.0.0.1:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The base URL, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// One line per request that it saw: status, method, target. What it could not read has the status 400.
    pub fn seen(&self) -> Vec<String> {
        let read = |name: &str| fs::read(self.folder.path().join(name)).unwrap_or_default();
        let seen = String::from_utf8_lossy(&read("seen.log")).lines().map(str::to_owned).collect::<Vec<_>>();
        // gunicorn tells of what it cannot read in its error log only.
        let errors = String::from_utf8_lossy(&read("error.log")).into_owned();
        let invalid =
            errors.lines().filter(|line| line.contains("Invalid request")).map(|line| format!("400 - {line}"));
        seen.into_iter().chain(invalid).collect()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let kill = format!("kill -TERM {}", self.child.id());
        drop(Command::new("sh").args(["-c", &kill]).status());
        if within(Duration::from_secs(5), || self.child.try_wait().ok().flatten()).is_none() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
