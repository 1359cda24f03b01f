//! Header blocks that grow without end, on the wire or when they are unpacked.

use portunus_testkit::http2::{END_HEADERS, END_STREAM, field, frame, kind, request};

use super::{ATTACKERS, Scene, stream};

const FRAMES: u32 = 100_000;
/// The most that a frame may carry unless the receiver allows more.
const LARGEST: usize = 16 * 1024;

/// CVE-2024-27316: a header block whose end never comes.
#[test]
fn flood_continuation() {
    let scene = Scene::new();
    let fields: Vec<u8> = (0..).map(|i| field(&format!("x-{i}"), "v", false)).take(400).flatten().collect();
    let outcome = scene.flood("continuation", FRAMES, |number| match number {
        0 => frame(kind::HEADERS, END_STREAM, 1, &request("GET", scene.address(), "/orders/x")),
        _ => frame(kind::CONTINUATION, 0, 1, &fields),
    });
    assert_eq!(outcome.closed, ATTACKERS, "an endless header block is read on");
}

/// The same with frames that carry nothing, and so never reach a bound of bytes.
#[test]
fn flood_empty_continuation() {
    let scene = Scene::new();
    let outcome = scene.flood("empty_continuation", FRAMES * 10, |number| match number {
        0 => frame(kind::HEADERS, END_STREAM, 1, &request("GET", scene.address(), "/orders/x")),
        _ => frame(kind::CONTINUATION, 0, 1, &[]),
    });
    assert_eq!(outcome.closed, ATTACKERS, "an endless header block is read on");
}

/// CVE-2016-6581: a large field in the dynamic table, and requests that name it thousands of times at a byte each.
#[test]
fn flood_hpack_bomb() {
    let scene = Scene::new();
    let start = request("GET", scene.address(), "/orders/x");
    let keep = [start.clone(), field("x-bomb", &"b".repeat(3_900), true)].concat();
    // Entry 62 is the first of the dynamic table; 0x80 says that name and value are those of an entry.
    let name = vec![0x80 | 62; LARGEST - start.len()];
    let blow = [start, name].concat();
    scene.flood("hpack_bomb", 2_000, |number| {
        let block = if number == 0 { &keep } else { &blow };
        frame(kind::HEADERS, END_HEADERS | END_STREAM, stream(number), block)
    });
    assert!(scene.upstream.count() < 1_000, "{} bombs were sent on", scene.upstream.count());
}
