//! The echo service itself.

use std::convert::Infallible;
use std::net::TcpListener as StdListener;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

use super::connection::{self, Speaks};
use super::{AtWork, Record, Seen};

type Body = BoxBody<Bytes, Infallible>;
type NoAnswer = Box<dyn std::error::Error + Send + Sync>;

/// Accepts connections until `stopped` is told.
pub(super) async fn serve(
    listener: StdListener,
    speaks: Speaks,
    record: Arc<Record>,
    held: watch::Receiver<bool>,
    (leaving, mut stopped): (watch::Receiver<u64>, oneshot::Receiver<()>),
) {
    let listener = TcpListener::from_std(listener).expect("a nonblocking listener");
    let port = listener.local_addr().expect("a bound listener has an address").port();
    loop {
        let stream = tokio::select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => continue,
            },
        };
        drop(stream.set_nodelay(true));
        record.connections.fetch_add(1, Ordering::SeqCst);
        let (record, held, speaks, leaving) = (Arc::clone(&record), held.clone(), speaks.clone(), leaving.clone());
        tokio::spawn(async move {
            let open = Arc::clone(&record);
            open.open_connections.fetch_add(1, Ordering::SeqCst);
            let service = service_fn(move |request| answer(request, Arc::clone(&record), held.clone(), port));
            connection::serve(stream, &speaks, service, leaving).await;
            open.open_connections.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    record: Arc<Record>,
    held: watch::Receiver<bool>,
    port: u16,
) -> Result<Response<Body>, NoAnswer> {
    record.requests.fetch_add(1, Ordering::SeqCst);
    let _at_work = AtWork::begin(&record);
    let (head, mut body) = request.into_parts();
    let (mut bytes, mut trailers) = (Vec::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) => {
                record.body_bytes.fetch_add(data.len() as u64, Ordering::SeqCst);
                bytes.extend_from_slice(&data);
            }
            Err(frame) => trailers = frame.trailers_ref().map(fields).unwrap_or_default(),
        }
    }
    // Over HTTP/2 the URI has a host too, which over HTTP/1 is a field.
    let target = head.uri.path_and_query().map_or_else(|| head.uri.to_string(), ToString::to_string);
    let mut headers = fields(&head.headers);
    if let Some(authority) = head.uri.authority() {
        headers.insert(0, (":authority".to_owned(), authority.to_string()));
    }
    let seen = Seen { method: head.method.to_string(), target, headers, body: bytes, trailers };
    record.remember(seen.clone());
    let path = head.uri.path().to_owned();
    let mut ends = path.rsplit('/');
    let (last, before) = (ends.next().unwrap_or_default(), ends.next().unwrap_or_default());
    let number = last.parse::<u64>().unwrap_or_default();
    match (before, last) {
        ("status", _) => {
            let mut response = echo(&seen, port);
            let code = u16::try_from(number).unwrap_or(500);
            *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::IM_A_TEAPOT);
            Ok(response)
        }
        ("delay", _) => {
            tokio::time::sleep(Duration::from_millis(number)).await;
            Ok(echo(&seen, port))
        }
        ("bytes", _) => Ok(bytes_of(number)),
        (_, "stream") => Ok(stream()),
        (_, "held") => Ok(hold(held)),
        (_, "grpc") => Ok(grpc(seen.body)),
        (_, "close") => Err("told to close".into()),
        (_, "hop") => Ok(hop()),
        (_, "text") => Ok(text()),
        (_, "page") => Ok(page()),
        _ => {
            let mut response = echo(&seen, port);
            if let Ok(status) = StatusCode::from_u16(record.status.load(Ordering::SeqCst)) {
                *response.status_mut() = status;
            }
            Ok(response)
        }
    }
}

fn fields(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// As a gRPC service answers that succeeded.
fn grpc(body: Vec<u8>) -> Response<Body> {
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    // Trailers have no place after a body that has said how long it is.
    let (sender, receiver) = mpsc::channel(1);
    drop(sender.try_send(Bytes::from(body)));
    let body = ChannelBody { receiver }.with_trailers(async move { Some(Ok(trailers)) });
    let mut response = Response::new(body.boxed());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn full(content: impl Into<Bytes>, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(Full::new(content.into()).boxed());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn echo(seen: &Seen, port: u16) -> Response<Body> {
    let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    let headers: serde_json::Map<_, _> =
        seen.headers.iter().map(|(name, _)| (name.clone(), json!(seen.header(name)))).collect();
    let value = json!({
        "method": seen.method,
        "path": path,
        "query": query,
        "headers": headers,
        "body": String::from_utf8_lossy(&seen.body),
        "body_bytes": seen.body.len(),
        "port": port,
    });
    full(value.to_string(), "application/json")
}

/// A body of `n` bytes whose content is known: the letters a to z again and again.
fn bytes_of(n: u64) -> Response<Body> {
    let content: Vec<u8> = (0..n).map(|i| b'a' + u8::try_from(i % 26).expect("below 26")).collect();
    full(content, "application/octet-stream")
}

fn text() -> Response<Body> {
    let mut response = full("plain bytes \u{e9}\n", "text/plain; charset=utf-8");
    let headers = response.headers_mut();
    headers.insert("x-upstream", HeaderValue::from_static("kept"));
    headers.insert("server", HeaderValue::from_static("echo/1"));
    headers.append("set-cookie", HeaderValue::from_static("a=1"));
    headers.append("set-cookie", HeaderValue::from_static("b=2"));
    response
}

fn page() -> Response<Body> {
    full("<!doctype html><title>page</title><body>page</body>", "text/html; charset=utf-8")
}

fn hop() -> Response<Body> {
    let mut response = full("hop\n", "text/plain");
    let headers = response.headers_mut();
    headers.insert("connection", HeaderValue::from_static("keep-alive, x-private"));
    headers.insert("keep-alive", HeaderValue::from_static("timeout=5"));
    headers.insert("x-private", HeaderValue::from_static("1"));
    headers.insert("proxy-authenticate", HeaderValue::from_static("Basic"));
    headers.insert("proxy-connection", HeaderValue::from_static("keep-alive"));
    headers.insert("x-public", HeaderValue::from_static("1"));
    response
}

fn chunks(receiver: mpsc::Receiver<Bytes>) -> Response<Body> {
    let mut response = Response::new(ChannelBody { receiver }.boxed());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

fn stream() -> Response<Body> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        for i in 1..=5 {
            if sender.send(Bytes::from(format!("chunk {i}\n"))).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    });
    chunks(receiver)
}

fn hold(mut held: watch::Receiver<bool>) -> Response<Body> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        if sender.send(Bytes::from_static(b"first\n")).await.is_err() {
            return;
        }
        if held.wait_for(|is_released| *is_released).await.is_ok() {
            drop(sender.send(Bytes::from_static(b"last\n")).await);
        }
    });
    chunks(receiver)
}

/// A body that is fed through a channel.
struct ChannelBody {
    receiver: mpsc::Receiver<Bytes>,
}

impl hyper::body::Body for ChannelBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.receiver.poll_recv(context).map(|data| data.map(|data| Ok(Frame::data(data))))
    }
}
