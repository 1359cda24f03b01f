//! Small frames without end.

use portunus_testkit::http2::{END_HEADERS, END_STREAM, frame, kind, request};

use super::{ATTACKERS, Scene, stream};

const STREAMS: u32 = 100_000;
const FRAMES: u32 = 1_000_000;
/// A window cannot grow by this much: the stream is reset for it, and nothing but the stream.
const TOO_MUCH: [u8; 4] = 0x7fff_ffff_u32.to_be_bytes();
/// Which error it is makes no difference to the receiver.
const CANCEL: [u8; 4] = 8_u32.to_be_bytes();

fn ask(scene: &Scene, number: u32, flags: u8) -> Vec<u8> {
    let block = request("GET", scene.address(), "/orders/x");
    frame(kind::HEADERS, END_HEADERS | flags, stream(number), &block)
}

/// CVE-2023-44487: requests that are taken back at once.
#[test]
fn flood_rapid_reset() {
    let scene = Scene::new();
    let outcome = scene.flood("rapid_reset", STREAMS, |number| {
        [ask(&scene, number, END_STREAM), frame(kind::RST_STREAM, 0, stream(number), &CANCEL)].concat()
    });
    assert_eq!(outcome.closed, ATTACKERS, "a connection that only takes back what it asks goes on");
    assert!(scene.upstream.count() < 10_000, "{} requests were sent on", scene.upstream.count());
}

/// CVE-2025-8671: requests that the server itself has to reset, because the client breaks a rule on the stream.
#[test]
fn flood_made_you_reset() {
    let scene = Scene::new();
    let outcome = scene.flood("made_you_reset", STREAMS, |number| {
        [ask(&scene, number, END_STREAM), frame(kind::WINDOW_UPDATE, 0, stream(number), &TOO_MUCH)].concat()
    });
    assert_eq!(outcome.closed, ATTACKERS, "a connection that only breaks rules goes on");
}

/// CVE-2019-9512: each is to be answered.
#[test]
fn flood_ping() {
    let scene = Scene::new();
    scene.flood("ping", FRAMES, |number| frame(kind::PING, 0, 0, &u64::from(number).to_be_bytes()));
}

/// CVE-2019-9515: each is to be acknowledged.
#[test]
fn flood_settings() {
    let scene = Scene::new();
    scene.flood("settings", FRAMES, |_| frame(kind::SETTINGS, 0, 0, &[]));
}

/// CVE-2019-9518: pieces of a body that are no piece.
#[test]
fn flood_empty_data() {
    let scene = Scene::new();
    scene.flood("empty_data", FRAMES, |number| match number {
        0 => {
            let block = request("POST", scene.address(), "/orders/x");
            frame(kind::HEADERS, END_HEADERS, 1, &block)
        }
        _ => frame(kind::DATA, 0, 1, &[]),
    });
}
