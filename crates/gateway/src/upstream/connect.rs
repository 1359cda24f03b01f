//! Makes connections to targets, plain or TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::uri::Scheme;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::ConfigVerifierExt;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::target::{CompiledTarget, Speaks};
use crate::http1::Stream;

/// The names of the protocols where TLS negotiates them.
const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// Why there is no connection, in plain words.
#[derive(Debug, Clone, Error)]
pub enum ConnectError {
    /// Nothing listens there.
    #[error("connection refused")]
    Refused,
    /// It took too long.
    #[error("connecting took too long")]
    Timeout,
    /// The name has no address.
    #[error("the host name cannot be resolved")]
    Name,
    /// The other side's certificate or TLS is not acceptable.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// Anything else.
    #[error("{0}")]
    Io(String),
}

/// Connects to a target within `timeout`, TLS included, and says to which of its addresses. `offer` is what TLS may
/// negotiate.
pub async fn connect(
    target: &CompiledTarget,
    offer: Speaks,
    timeout: Duration,
) -> Result<(Stream, SocketAddr), ConnectError> {
    tokio::time::timeout(timeout, connect_unbounded(target, offer)).await.map_err(|_| ConnectError::Timeout)?
}

/// Whether TLS has negotiated HTTP/2 (RFC 7301).
pub fn has_chosen_http2(stream: &Stream) -> bool {
    match stream {
        Stream::Plain(_) => false,
        Stream::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(HTTP2),
    }
}

async fn connect_unbounded(target: &CompiledTarget, offer: Speaks) -> Result<(Stream, SocketAddr), ConnectError> {
    let mut last = ConnectError::Name;
    for address in target.addresses().await.map_err(|_| ConnectError::Name)? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(|error| ConnectError::Io(error.to_string()))?;
                let stream = match target.scheme == Scheme::HTTPS {
                    true => secure(target, offer, stream).await?,
                    false => Stream::Plain(stream),
                };
                return Ok((stream, address));
            }
            Err(error) => last = plain_words(&error),
        }
    }
    Err(last)
}

async fn secure(target: &CompiledTarget, offer: Speaks, stream: TcpStream) -> Result<Stream, ConnectError> {
    let name = ServerName::try_from(target.host.to_string()).map_err(|error| ConnectError::Tls(error.to_string()))?;
    let connector = TlsConnector::from(tls_config(offer)?);
    let stream = connector.connect(name, stream).await.map_err(|error| ConnectError::Tls(error.to_string()))?;
    let stream = Stream::Tls(Box::new(stream));
    match offer == Speaks::Http2 && !has_chosen_http2(&stream) {
        true => Err(ConnectError::Tls("the target does not choose HTTP/2".to_owned())),
        false => Ok(stream),
    }
}

/// Trusts what the machine trusts; made at the first use, because reading the certificates takes time.
fn tls_config(offer: Speaks) -> Result<Arc<ClientConfig>, ConnectError> {
    static CONFIGS: OnceLock<Result<TlsConfigs, String>> = OnceLock::new();
    let configs = CONFIGS.get_or_init(|| {
        let config = ClientConfig::with_platform_verifier().map_err(|error| error.to_string())?;
        let offering = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            Arc::new(config)
        };
        Ok(TlsConfigs { http1: offering(&[HTTP1]), http2: offering(&[HTTP2]), either: offering(&[HTTP2, HTTP1]) })
    });
    match (configs, offer) {
        (Ok(configs), Speaks::Http1) => Ok(configs.http1.clone()),
        (Ok(configs), Speaks::Http2) => Ok(configs.http2.clone()),
        (Ok(configs), Speaks::Either) => Ok(configs.either.clone()),
        (Err(why), _) => Err(ConnectError::Tls(why.clone())),
    }
}

/// One configuration for each offer.
struct TlsConfigs {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    either: Arc<ClientConfig>,
}

fn plain_words(error: &io::Error) -> ConnectError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectError::Refused,
        io::ErrorKind::TimedOut => ConnectError::Timeout,
        io::ErrorKind::HostUnreachable => ConnectError::Io("no route to host".to_owned()),
        io::ErrorKind::NetworkUnreachable => ConnectError::Io("network unreachable".to_owned()),
        _ => ConnectError::Io(error.to_string()),
    }
}
