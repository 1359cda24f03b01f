//! Many clients at once, each with a connection of its own that stays open between its requests.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::runtime::block_on;

/// How many clients connect or ask at the same time.
const AT_ONCE: usize = 64;
/// Clients behind one address; with more the ports of an address might run out.
const PER_ADDRESS: usize = 5_000;
/// How long one client waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// Clients with open connections.
pub struct Crowd {
    address: SocketAddr,
    clients: Vec<TcpStream>,
}

/// What the clients of a crowd got.
#[derive(Debug, Default, PartialEq)]
pub struct Tally {
    /// How many answers had which status.
    pub statuses: BTreeMap<u16, usize>,
    /// How many clients got no answer for which reason.
    pub failures: BTreeMap<String, usize>,
}

impl Tally {
    /// Whether everybody got this status.
    pub fn is_all(&self, status: u16) -> bool {
        self.failures.is_empty() && self.statuses.keys().all(|known| *known == status)
    }
}

impl Crowd {
    /// `count` clients connect to `address`, `host:port`, from several loopback addresses, and ask for `target` at once.
    ///
    /// # Panics
    /// When one of them is not let in or not answered.
    pub fn gather(address: &str, target: &str, count: usize) -> (Self, Tally) {
        let address: SocketAddr = address.parse().expect("an address with a port");
        let request = get(address, target);
        let answers = block_on(each((0..count).collect(), move |number| {
            let request = request.clone();
            async move {
                let mut client = connect(address, number).await?;
                let status =
                    timeout(PATIENCE, exchange(&mut client, &request)).await.context("no answer in time")??;
                anyhow::Ok((client, Ok(status)))
            }
        }));
        let answers = answers.into_iter().collect::<anyhow::Result<Vec<_>>>();
        let mut crowd = Self { address, clients: Vec::with_capacity(count) };
        let tally = crowd.keep(answers.expect("everybody is let in and answered"));
        (crowd, tally)
    }

    /// Every client asks for `target` on its connection and reads the answer. Those who get none leave.
    pub fn ask(&mut self, target: &str) -> Tally {
        let request = get(self.address, target);
        let answers = block_on(each(std::mem::take(&mut self.clients), move |mut client| {
            let request = request.clone();
            async move {
                let answer = timeout(PATIENCE, exchange(&mut client, &request)).await;
                (client, answer.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer in time"))))
            }
        }));
        self.keep(answers)
    }

    fn keep(&mut self, answers: Vec<(TcpStream, anyhow::Result<u16>)>) -> Tally {
        let mut tally = Tally::default();
        for (client, answer) in answers {
            match answer {
                Ok(status) => {
                    *tally.statuses.entry(status).or_default() += 1;
                    self.clients.push(client);
                }
                Err(error) => *tally.failures.entry(format!("{error:#}")).or_default() += 1,
            }
        }
        tally
    }
}

fn get(address: SocketAddr, target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nhost: {address}\r\n\r\n").into_bytes()
}

/// Connects client number `number` from the address that it shares with its neighbours.
pub(crate) async fn connect(address: SocketAddr, number: usize) -> anyhow::Result<TcpStream> {
    let octet = u8::try_from(2 + number / PER_ADDRESS).context("too many clients for the last octet")?;
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, octet], 0).into())?;
    let stream = timeout(PATIENCE, socket.connect(address)).await.context("not accepted in time")??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Does something for each item, many at once, in no order.
pub(crate) async fn each<T, R, F>(items: Vec<T>, act: impl Fn(T) -> F + Clone + Send + 'static) -> Vec<R>
where
    T: Send + 'static,
    R: Send + 'static,
    F: Future<Output = R> + Send,
{
    let mut lots: Vec<Vec<T>> = (0..AT_ONCE).map(|_| Vec::new()).collect();
    for (number, item) in items.into_iter().enumerate() {
        lots[number % AT_ONCE].push(item);
    }
    let mut tasks = JoinSet::new();
    for lot in lots {
        let act = act.clone();
        tasks.spawn(async move {
            let mut results = Vec::with_capacity(lot.len());
            for item in lot {
                results.push(act(item).await);
            }
            results
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

/// Sends a request and reads one answer with a `Content-Length`.
async fn exchange(stream: &mut TcpStream, request: &[u8]) -> anyhow::Result<u16> {
    stream.write_all(request).await?;
    let mut read = Vec::with_capacity(1024);
    let head = loop {
        ensure!(stream.read_buf(&mut read).await? > 0, "closed by the other side");
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break String::from_utf8_lossy(&read[..end + 4]).to_ascii_lowercase();
        }
    };
    let status = head.get(9..12).and_then(|digits| digits.parse().ok()).context("no status")?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.and_then(|length| length.trim().parse().ok()).context("no length")?;
    while read.len() < head.len() + length {
        ensure!(stream.read_buf(&mut read).await? > 0, "closed in the middle of an answer");
    }
    Ok(status)
}
