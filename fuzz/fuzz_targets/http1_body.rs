//! Any chunked body: where the pieces of the input are cut changes nothing, and what is accepted is what a plain reading
//! of the grammar gives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portunus_gateway::http1::decode::{Decoder, Framing, FramingFault, Step};

/// The body, how much of the input was used, and whether it ended.
type Read = Result<(Vec<u8>, usize, bool), FramingFault>;

fn decode<'d>(pieces: impl Iterator<Item = &'d [u8]>) -> Read {
    let mut decoder = Decoder::new(Framing::Chunked);
    let (mut body, mut used) = (Vec::new(), 0);
    for mut piece in pieces {
        loop {
            match decoder.step(piece)? {
                Step::Data { skip, data } => {
                    assert!(data > 0, "a step that is no step");
                    body.extend_from_slice(&piece[skip..skip + data]);
                    piece = &piece[skip + data..];
                    used += skip + data;
                }
                Step::More { skip } => {
                    used += skip;
                    break;
                }
                Step::End { skip, .. } => return Ok((body, used + skip, true)),
            }
        }
    }
    Ok((body, used, false))
}

/// RFC 9112 section 7.1, for input that was accepted to its end: the body, and how long all of it is.
fn plainly(data: &[u8]) -> (Vec<u8>, usize) {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let line = data[at..].windows(2).position(|window| window == b"\r\n").expect("a size line ends with CRLF");
        let line = &data[at..at + line];
        let digits = line.iter().position(|byte| *byte == b';').unwrap_or(line.len());
        assert!(!line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "{line:?}");
        let digits = std::str::from_utf8(&line[..digits]).expect("digits are ASCII");
        assert!(digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digits:?}");
        let size = usize::from_str_radix(digits, 16).expect("a size is a number");
        at += line.len() + 2;
        if size == 0 {
            break;
        }
        body.extend_from_slice(&data[at..at + size]);
        assert_eq!(&data[at + size..at + size + 2], b"\r\n");
        at += size + 2;
    }
    if data[at..].starts_with(b"\r\n") {
        return (body, at + 2);
    }
    let trailers = data[at..].windows(4).position(|window| window == b"\r\n\r\n").expect("trailers end");
    (body, at + trailers + 4)
}

fuzz_target!(|data: &[u8]| {
    let whole = decode(std::iter::once(data));
    assert_eq!(decode(data.chunks(1)), whole, "byte by byte it is another body");
    assert_eq!(decode(data.chunks(7)), whole, "in pieces of seven bytes it is another body");
    if let Ok((body, used, true)) = whole {
        assert_eq!(plainly(&data[..used]), (body, used));
    }
});
