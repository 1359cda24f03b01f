//! A well-behaved client that knows that the other side speaks HTTP/2 (RFC 9113 section 3.3): one connection, many requests.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Frame;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::call::Answer;
use crate::runtime::{block_on, shared};

type Body = BoxBody<Bytes, Infallible>;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// A connection.
pub struct Client {
    address: String,
    sender: SendRequest<Body>,
    connection: JoinHandle<()>,
}

/// A request in the making.
#[derive(Debug, Clone)]
pub struct Ask {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    trailers: Option<HeaderMap>,
}

/// An answer and the fields after its body.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// The fields after its body.
    pub trailers: HeaderMap,
}

/// A request on its way.
pub struct Pending {
    answering: JoinHandle<Result<Reply, String>>,
}

impl Ask {
    /// A request without a body.
    ///
    /// # Panics
    /// When `method` is not an HTTP method token.
    pub fn new(method: &str, path: &str) -> Self {
        let method = Method::from_bytes(method.as_bytes()).expect("an HTTP method");
        Self { method, path: path.to_owned(), headers: HeaderMap::new(), body: Bytes::new(), trailers: None }
    }

    /// A GET.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// Adds a field.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    /// Sends these bytes.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Adds a field after the body, whose length is then not told.
    #[must_use]
    pub fn trailer(mut self, name: &'static str, value: &'static str) -> Self {
        let trailers = self.trailers.get_or_insert_default();
        trailers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    fn request(self, address: &str) -> Request<Body> {
        let body = Full::new(self.body);
        let body = match self.trailers {
            Some(trailers) => Unsized(body.with_trailers(async move { Some(Ok(trailers)) }).boxed()).boxed(),
            None => body.boxed(),
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = format!("http://{address}{}", self.path).parse().expect("a path");
        *request.headers_mut() = self.headers;
        request
    }
}

/// A body that does not tell its length.
struct Unsized(Body);

impl hyper::body::Body for Unsized {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }
}

impl Client {
    /// Connects to `host:port`.
    ///
    /// # Panics
    /// When nobody there speaks HTTP/2.
    pub fn connect(address: &str) -> Self {
        let (sender, connection) = block_on(async {
            let stream = TcpStream::connect(address).await.expect("the listener accepts");
            drop(stream.set_nodelay(true));
            handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2 is spoken here")
        });
        let connection = shared().spawn(async move { drop(connection.await) });
        Self { address: address.to_owned(), sender, connection }
    }

    /// Sends a request without waiting for the answer.
    pub fn begin(&self, ask: Ask) -> Pending {
        let request = ask.request(&self.address);
        let mut sender = self.sender.clone();
        let answering = shared().spawn(async move {
            let exchange = async {
                sender.ready().await?;
                read(sender.send_request(request).await?).await
            };
            match timeout(DEADLINE, exchange).await {
                Ok(reply) => reply.map_err(|error| format!("{error:?}")),
                Err(_) => Err("no answer in time".to_owned()),
            }
        });
        Pending { answering }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn send(&self, ask: Ask) -> Reply {
        self.begin(ask).wait()
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.connection.is_finished()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Pending {
    /// Whether the answer has come, or will not come any more.
    pub fn is_done(&self) -> bool {
        self.answering.is_finished()
    }

    /// Waits for the whole answer.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn wait(self) -> Reply {
        match self.try_wait() {
            Ok(reply) => reply,
            Err(why) => panic!("no answer: {why}"),
        }
    }

    /// Waits for the whole answer, or says why there is none.
    ///
    /// # Errors
    /// When the stream or the connection breaks, or the answer takes too long.
    ///
    /// # Panics
    /// When the task of the request has panicked.
    pub fn try_wait(self) -> Result<Reply, String> {
        block_on(self.answering).expect("a request does not panic")
    }
}

async fn read(response: Response<hyper::body::Incoming>) -> hyper::Result<Reply> {
    let (head, body) = response.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let body = body.to_bytes().to_vec();
    let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Reply { answer: Answer { status: head.status.as_u16(), headers: head.headers, body, json }, trailers })
}
