//! The demo upstream of `portunus serve --demo`: an HTTP/1.1 server on loopback that answers with what it was asked.
//!
//! `/status/{code}` answers with that status and `/delay/{ms}` waits first, at most ten seconds.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, PROXY_AUTHORIZATION};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};

const LONGEST_DELAY: Duration = Duration::from_secs(10);
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);
const CREDENTIALS: [HeaderName; 4] = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, HeaderName::from_static("x-api-key")];

/// Starts it on a free port of loopback. It runs as long as the runtime it is started on.
pub async fn start() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(accept(listener));
    Ok(address)
}

async fn accept(listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream))),
            // No descriptors left, most likely: closing connections will give some back.
            Err(_) => tokio::time::sleep(PAUSE_AFTER_ERROR).await,
        }
    }
}

async fn connection(stream: TcpStream) {
    // A small answer must not wait for the acknowledgement of another.
    drop(stream.set_nodelay(true));
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service_fn(answer));
    // A caller that hangs up is no event worth telling.
    drop(connection.await);
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let received = count(body).await;
    let status = match head.uri.path().strip_prefix("/status/").map(str::parse::<u16>) {
        Some(Ok(code @ 200..=599)) => StatusCode::from_u16(code).unwrap_or(StatusCode::OK),
        Some(_) => StatusCode::BAD_REQUEST,
        None => StatusCode::OK,
    };
    if let Some(Ok(milliseconds)) = head.uri.path().strip_prefix("/delay/").map(str::parse) {
        tokio::time::sleep(Duration::from_millis(milliseconds).min(LONGEST_DELAY)).await;
    }
    let text = json!({
        "message": "hello from the demo upstream behind Portunus",
        "method": head.method.as_str(),
        "path": head.uri.path_and_query().map_or("/", |path| path.as_str()),
        "headers": shown(&head.headers),
        "body_bytes": received,
    });
    let mut response = Response::new(Full::from(text.to_string() + "\n"));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The size of a body, which is not kept.
async fn count(mut body: Incoming) -> u64 {
    let mut received = 0;
    while let Some(Ok(frame)) = body.frame().await {
        received += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
    received
}

/// The header fields without credentials, the values of a repeated field joined.
fn shown(headers: &HeaderMap) -> Value {
    let mut fields = Map::new();
    for name in headers.keys().filter(|name| !CREDENTIALS.contains(name)) {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        fields.insert(name.as_str().to_owned(), values.join(", ").into());
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn call(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn it_answers_with_what_it_was_asked_but_no_credentials() {
        let address = start().await.unwrap();
        let request = "POST /a?b=c HTTP/1.1\r\nhost: x\r\nx-api-key: secret\r\nauthorization: Bearer secret\r\nx-one: 1\r\nx-one: 2\r\n\
                       content-length: 3\r\nconnection: close\r\n\r\nabc";
        let answer = call(address, request).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("content-type: application/json"), "{head}");
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (&body["method"], &body["path"], &body["body_bytes"]),
            (&json!("POST"), &json!("/a?b=c"), &json!(3))
        );
        assert_eq!(body["headers"]["x-one"], "1, 2");
        assert!(!answer.contains("secret"));
    }

    #[tokio::test]
    async fn status_and_delay_can_be_asked_for() {
        let address = start().await.unwrap();
        let status = async |path: &str| {
            let answer = call(address, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
            answer.split(' ').nth(1).unwrap().to_owned()
        };
        assert_eq!(status("/status/503").await, "503");
        assert_eq!(status("/status/404").await, "404");
        for wrong in ["/status/99", "/status/101", "/status/abc"] {
            assert_eq!(status(wrong).await, "400", "{wrong}");
        }
        let began = tokio::time::Instant::now();
        assert_eq!(status("/delay/50").await, "200");
        assert!(began.elapsed() >= Duration::from_millis(50));
    }
}
