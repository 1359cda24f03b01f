//! What a person sees after the start, on standard error: where to go, and secrets that are shown once.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use portunus_control::bootstrap::{self, Made};

/// The facts of a start.
pub struct Banner {
    gateway: SocketAddr,
    control: SocketAddr,
    /// What the first start made.
    pub made: Option<Made>,
    /// The key of the demo.
    pub demo_key: Option<String>,
}

impl Banner {
    /// A banner for these addresses.
    pub const fn new(gateway: SocketAddr, control: SocketAddr) -> Self {
        Self { gateway, control, made: None, demo_key: None }
    }

    /// Writes it. Nobody reading is no reason not to serve.
    pub fn show(&self) {
        let _ = std::io::stderr().lock().write_all(self.text().as_bytes());
    }

    fn text(&self) -> String {
        let mut text = format!(
            "\nPortunus {} is ready.\n  gateway:  http://{}\n  control:  http://{}\n",
            portunus_gateway::VERSION,
            reachable(self.gateway),
            reachable(self.control)
        );
        if let Some(made) = &self.made {
            let chosen = "(as you chose)";
            text.push_str("\nThis is the first start. These secrets are shown once:\n");
            text.push_str(&format!("  admin user:     {} (admin@localhost)\n", bootstrap::ADMIN));
            text.push_str(&format!("  admin password: {}\n", made.admin_password.as_deref().unwrap_or(chosen)));
            text.push_str(&format!("  client id:      {}\n", bootstrap::CONTROL_PLANE_CLIENT));
            text.push_str(&format!("  client secret:  {}\n", made.client_secret.as_deref().unwrap_or(chosen)));
        } else {
            text.push_str(&format!("  admin user: {} (its password was shown at the first start)\n", bootstrap::ADMIN));
        }
        if let Some(key) = &self.demo_key {
            text.push_str("\nA demo API is published. Try it:\n");
            text.push_str(&format!("  curl -i -H 'X-API-Key: {key}' http://{}/demo/hello\n", reachable(self.gateway)));
            text.push_str("Without the key the answer is 401; past ten calls at once, 429.\n");
        }
        text.push('\n');
        text
    }
}

/// An address that listens everywhere is reached here on loopback.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(any) if any.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        IpAddr::V6(any) if any.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), address.port()),
        _ => address,
    }
}
