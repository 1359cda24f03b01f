//! Webhooks: JSON that is posted to a URL of an operator's choice, signed, tried again a few times. Addresses that no
//! service of an operator has, link-local ones and with them the metadata services of clouds, are never called, whatever
//! name leads to them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_lc_rs::hmac;
use portunus_gateway::api_key;
use portunus_gateway::clock;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

/// The pauses before the attempts.
const PAUSES: [Duration; 5] =
    [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];

/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The most deliveries under way; more are dropped, with a line in the log.
const MOST: usize = 256;

/// Why a URL is not one to call.
pub fn check(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "not a URL")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("the scheme is not http or https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL is shown to everybody and holds no password");
    }
    let host = url.host_str().ok_or("the URL has no host")?;
    if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>()
        && is_forbidden(address)
    {
        return Err("this address is link-local or of no single machine, and never called");
    }
    Ok(url)
}

/// Whether an address is never called: link-local, where clouds keep their metadata, and what names no machine.
pub fn is_forbidden(address: IpAddr) -> bool {
    /// The metadata service of EC2 over IPv6.
    const EC2: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            // 100.100.100.200 is where Alibaba Cloud keeps its metadata.
            v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.octets() == [100, 100, 100, 200]
        }
        IpAddr::V6(v6) => {
            let embedded = v6.to_ipv4().filter(|_| !v6.is_loopback()).map(IpAddr::V4);
            v6.is_unicast_link_local()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6 == EC2
                || embedded.is_some_and(|v4| v4.to_canonical().is_ipv4() && is_forbidden(v4))
                || (v6.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] && is_forbidden(IpAddr::V4(last_four(v6))))
        }
    }
}

fn last_four(v6: Ipv6Addr) -> std::net::Ipv4Addr {
    let [.., a, b, c, d] = v6.octets();
    std::net::Ipv4Addr::new(a, b, c, d)
}

/// Looks names up and keeps the addresses that may be called.
struct Guarded;

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| !is_forbidden(address.ip())).collect();
            match allowed.is_empty() {
                true => Err("the name leads to no address that may be called".into()),
                false => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// Sends webhooks.
pub struct Webhooks {
    /// Made at the first use: reading the system's certificates takes time.
    client: OnceLock<reqwest::Client>,
    room: Arc<Semaphore>,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self { client: OnceLock::new(), room: Arc::new(Semaphore::new(MOST)) }
    }
}

impl Webhooks {
    /// A client that follows no redirect and uses no proxy, so that the address that is checked is the one that is called.
    fn client(&self) -> Result<reqwest::Client, reqwest::Error> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let client = reqwest::Client::builder()
            .user_agent(concat!("portunus/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(TIMEOUT)
            .dns_resolver(Arc::new(Guarded))
            .build()?;
        Ok(self.client.get_or_init(|| client).clone())
    }

    /// Posts a body in the background, and again when it is not taken, a bounded number of times.
    pub fn send(&self, url: &str, secret: &str, body: String) {
        let url = match check(url) {
            Ok(url) => url,
            Err(why) => return tracing::warn!(target: "control", url, error = why, "webhook_refused"),
        };
        let Ok(permit) = self.room.clone().try_acquire_owned() else {
            return tracing::warn!(target: "control", url = %url, "webhook_dropped: too many are under way");
        };
        let client = match self.client() {
            Ok(client) => client,
            Err(error) => return tracing::error!(target: "control", error = %error, "webhook_failed"),
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        tokio::spawn(async move {
            let _permit = permit;
            for (attempt, pause) in PAUSES.into_iter().enumerate() {
                tokio::time::sleep(pause).await;
                let time = clock::now().as_second();
                let answer = client
                    .post(url.clone())
                    .header("Content-Type", "application/json")
                    .header("X-Portunus-Signature", signature(&key, time, &body))
                    .body(body.clone())
                    .send()
                    .await;
                let error = match answer {
                    Ok(answer) if answer.status().is_success() => return,
                    Ok(answer) => format!("the answer was {}", answer.status()),
                    Err(error) => error.without_url().to_string(),
                };
                tracing::warn!(target: "control", host = url.host_str(), attempt = attempt + 1, error, "webhook_failed");
            }
        });
    }
}

/// `t=<seconds>,v1=<hexadecimal HMAC-SHA256 of "<seconds>.<body>">`.
fn signature(key: &hmac::Key, time: i64, body: &str) -> String {
    let tag = hmac::sign(key, format!("{time}.{body}").as_bytes());
    format!("t={time},v1={}", api_key::to_hex(tag.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_never_called_is_refused_in_all_its_spellings() {
        for url in [
            "http://169.254.169.254/latest/meta-data",
            "http://[fe80::1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[fd00:ec2::254]/",
            "http://0.0.0.0/",
            "http://[::]/",
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "http://224.0.0.1/",
            "ftp://hooks.example/",
            "http://user:secret@hooks.example/",
            "hooks.example",
        ] {
            assert!(check(url).is_err(), "{url}");
        }
        for url in
            ["http://127.0.0.1:9000/x", "https://hooks.example/portunus", "http://[::1]:9000/", "http://10.0.0.1/"]
        {
            assert!(check(url).is_ok(), "{url}: {:?}", check(url));
        }
    }

    #[test]
    fn the_signature_covers_time_and_body() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        let one = signature(&key, 1, "{}");
        assert!(one.starts_with("t=1,v1=") && one.len() == "t=1,v1=".len() + 64);
        assert_ne!(one[6..], signature(&key, 2, "{}")[6..]);
        assert_ne!(one, signature(&key, 1, "{ }"));
    }
}
