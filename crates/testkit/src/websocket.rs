//! WebSockets: a service that says everything back, and many clients that talk to it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, accept_async_with_config, client_async_with_config};

use crate::crowd::{connect, each};
use crate::runtime::{block_on, shared};

/// How long one client waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// Thousands of them are open in one process, so each gets a small buffer.
fn small() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(1024).write_buffer_size(0)
}

/// A WebSocket service on a free port that answers each message with the same one. It stops when it is dropped.
pub struct EchoSockets {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl EchoSockets {
    /// Starts one.
    ///
    /// # Panics
    /// When the machine has no free port.
    pub fn start() -> Self {
        let listener = block_on(TcpListener::bind("127.0.0.1:0")).expect("there is a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let accepting = shared().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(echo(stream));
            }
        });
        Self { address, accepting }
    }

    /// The base URL, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for EchoSockets {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn echo(stream: TcpStream) {
    drop(stream.set_nodelay(true));
    let Ok(mut socket) = accept_async_with_config(stream, Some(small())).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        let is_for_us = message.is_text() || message.is_binary();
        if is_for_us && socket.send(message).await.is_err() {
            return;
        }
    }
}

/// Clients with open WebSockets.
pub struct Sockets {
    clients: Vec<WebSocketStream<TcpStream>>,
}

impl Sockets {
    /// Opens `count` WebSockets on a path of `address`, `host:port`, from several loopback addresses.
    ///
    /// # Panics
    /// When one of them cannot be made.
    pub fn open(address: &str, path: &str, count: usize) -> Self {
        let url = format!("ws://{address}{path}");
        let address: SocketAddr = address.parse().expect("an address with a port");
        let clients = block_on(each((0..count).collect(), move |number| {
            let url = url.clone();
            async move {
                let stream = connect(address, number).await?;
                let handshake = client_async_with_config(url, stream, Some(small()));
                anyhow::Ok(timeout(PATIENCE, handshake).await??.0)
            }
        }));
        let clients = clients.into_iter().collect::<anyhow::Result<_>>();
        Self { clients: clients.expect("every handshake is answered with 101") }
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.clients.len()
    }

    /// Every client says `text` and hears it back; gives how many did not, by reason. Those leave.
    pub fn say(&mut self, text: &str) -> BTreeMap<String, usize> {
        let text = text.to_owned();
        let heard = block_on(each(std::mem::take(&mut self.clients), move |mut client| {
            let text = text.clone();
            async move {
                let answer = timeout(PATIENCE, exchange(&mut client, &text)).await;
                (client, answer.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer in time"))))
            }
        }));
        let mut failures = BTreeMap::new();
        for (client, answer) in heard {
            match answer {
                Ok(()) => self.clients.push(client),
                Err(error) => *failures.entry(format!("{error:#}")).or_default() += 1,
            }
        }
        failures
    }
}

async fn exchange(client: &mut WebSocketStream<TcpStream>, text: &str) -> anyhow::Result<()> {
    client.send(Message::text(text)).await?;
    match client.next().await {
        Some(message) => ensure!(message?.to_text()? == text, "another text came back"),
        None => anyhow::bail!("closed by the other side"),
    }
    Ok(())
}
