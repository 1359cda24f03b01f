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

use super::target::CompiledTarget;
use crate::http1::Stream;

/// Why there is no connection, in plain words.
#[derive(Debug, Error)]
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

/// Connects to a target within `timeout`, TLS included, and says to which of its addresses.
pub async fn connect(target: &CompiledTarget, timeout: Duration) -> Result<(Stream, SocketAddr), ConnectError> {
    tokio::time::timeout(timeout, connect_unbounded(target)).await.map_err(|_| ConnectError::Timeout)?
}

async fn connect_unbounded(target: &CompiledTarget) -> Result<(Stream, SocketAddr), ConnectError> {
    let mut last = ConnectError::Name;
    for address in target.addresses().await.map_err(|_| ConnectError::Name)? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(|error| ConnectError::Io(error.to_string()))?;
                let stream = match target.scheme == Scheme::HTTPS {
                    true => secure(target, stream).await?,
                    false => Stream::Plain(stream),
                };
                return Ok((stream, address));
            }
            Err(error) => last = plain_words(&error),
        }
    }
    Err(last)
}

async fn secure(target: &CompiledTarget, stream: TcpStream) -> Result<Stream, ConnectError> {
    let name = ServerName::try_from(target.host.to_string()).map_err(|error| ConnectError::Tls(error.to_string()))?;
    let connector = TlsConnector::from(tls_config()?);
    let stream = connector.connect(name, stream).await.map_err(|error| ConnectError::Tls(error.to_string()))?;
    Ok(Stream::Tls(Box::new(stream)))
}

/// Trusts what the machine trusts; made at the first use, because reading the certificates takes time.
fn tls_config() -> Result<Arc<ClientConfig>, ConnectError> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    CONFIG
        .get_or_init(|| {
            let mut config = ClientConfig::with_platform_verifier().map_err(|error| error.to_string())?;
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Ok(Arc::new(config))
        })
        .clone()
        .map_err(ConnectError::Tls)
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
