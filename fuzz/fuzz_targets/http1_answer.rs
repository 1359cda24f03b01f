//! Any head of an upstream's answer: no panic, and one way only to find the end of the body.
#![no_main]

use bytes::Bytes;
use http::{Method, StatusCode};
use libfuzzer_sys::fuzz_target;
use portunus_gateway::http1::decode::Framing;
use portunus_gateway::http1::encode::is_own;
use portunus_gateway::http1::head::end;
use portunus_gateway::http1::head::response::parse;

fuzz_target!(|data: &[u8]| {
    let Ok(Some(size)) = end(data, 0) else { return };
    let head = Bytes::copy_from_slice(&data[..size]);
    let (get, to_head) = (parse(&head, &Method::GET), parse(&head, &Method::HEAD));
    assert_eq!(get.is_ok(), to_head.is_ok(), "whether a head is well formed depends on the question: {head:?}");
    let (Ok(get), Ok(to_head)) = (get, to_head) else { return };
    assert_eq!(to_head.framing, Framing::Length(0), "an answer to HEAD has no body: {head:?}");
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let lines: Vec<&str> = text.split("\r\n").collect();
    let count =
        |name: &str| lines.iter().filter(|line| line.split_once(':').is_some_and(|(known, _)| known == name)).count();
    let (lengths, codings) = (count("content-length"), count("transfer-encoding"));
    assert!(lengths + codings <= 1, "readable in two ways: {head:?}");
    let is_bodiless =
        get.status.is_informational() || matches!(get.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    match get.framing {
        Framing::Length(0) if is_bodiless => {}
        Framing::Length(_) => assert_eq!((lengths, is_bodiless), (1, false), "{head:?}"),
        Framing::Chunked => assert_eq!((codings, is_bodiless), (1, false), "{head:?}"),
        Framing::UntilClose => {
            assert_eq!((lengths + codings, is_bodiless), (0, false), "{head:?}");
            assert!(!get.persists, "the end of the connection is the end of the body: {head:?}");
        }
    }
    let foreign = get.headers.keys().filter(|name| is_own(name)).find(|name| *name != http::header::CONTENT_LENGTH);
    assert_eq!(foreign, None, "of the upstream's hop alone: {head:?}");
});
