//! The payloads: classes of faults that servers have had in reading HTTP/1, each as bytes.

/// A first request with a second one hidden in it.
pub struct Payload {
    /// Which fault would see two requests.
    pub name: String,
    template: Vec<u8>,
}

/// The hidden request. Its number has five digits, so that its length is known before.
const INNER: &str = "GET /origin/inner-@@@@@ HTTP/1.1\r\nhost: x\r\n\r\n";
const START: &str = "POST /origin/first-@@@@@ HTTP/1.1\r\nhost: x\r\n";
const PLACE: &[u8] = b"@@@@@";

impl Payload {
    fn new(name: impl Into<String>, template: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), template: template.into() }
    }

    /// Its bytes, with a number that the logs are searched for.
    pub fn bytes(&self, number: usize) -> Vec<u8> {
        let mut bytes = self.template.clone();
        let text = format!("{number:05}");
        while let Some(at) = bytes.windows(PLACE.len()).position(|window| window == PLACE) {
            bytes[at..at + PLACE.len()].copy_from_slice(text.as_bytes());
        }
        bytes
    }
}

/// All of them.
pub fn payloads() -> Vec<Payload> {
    let mut all = Vec::new();
    for (name, line) in CODINGS {
        all.push(length_first(name, line));
        all.push(chunks_first(name, line));
    }
    all.extend(LENGTHS.iter().map(|(name, lines)| two_lengths(name, lines)));
    all.extend(CHUNKS.iter().map(|(name, chunks)| chunked(name, chunks)));
    all.extend(HEADS.iter().map(|(name, head)| whole(name, head)));
    all
}

/// Whoever believes the length sees one request; whoever believes the coding sees two.
fn length_first(name: &str, line: &str) -> Payload {
    let body = format!("0\r\n\r\n{INNER}");
    Payload::new(format!("CL.TE, {name}"), format!("{START}content-length: {}\r\n{line}\r\n\r\n{body}", body.len()))
}

/// Whoever believes the coding sees one request; whoever believes the length sees two.
fn chunks_first(name: &str, line: &str) -> Payload {
    let size = format!("{:x}\r\n", INNER.len());
    let head = format!("{START}content-length: {}\r\n{line}\r\n\r\n", size.len());
    Payload::new(format!("TE.CL, {name}"), format!("{head}{size}{INNER}\r\n0\r\n\r\n"))
}

/// Lines that one reader takes for the length of everything, and another for none or less.
fn two_lengths(name: &str, lines: &str) -> Payload {
    let lines = lines.replace("ALL", &INNER.len().to_string());
    Payload::new(format!("CL, {name}"), format!("{START}{lines}\r\n\r\n{INNER}"))
}

/// A chunked body that another reader sees the end of elsewhere. `INNER` stands for the hidden request, `SIZE` for the size
/// of a chunk with it.
fn chunked(name: &str, chunks: &str) -> Payload {
    let size = format!("{:x}", INNER.len());
    let chunks = chunks.replace("INNER", INNER).replace("SIZE", &size);
    Payload::new(format!("chunk, {name}"), format!("{START}transfer-encoding: chunked\r\n\r\n{chunks}"))
}

/// A head of its own, and the hidden request behind it.
fn whole(name: &str, head: &str) -> Payload {
    Payload::new(name, format!("{}{INNER}", head.replace("ALL", &INNER.len().to_string())))
}

/// Ways to write the coding so that some see it and some do not.
const CODINGS: &[(&str, &str)] = &[
    ("plainly", "transfer-encoding: chunked"),
    ("in capitals", "TRANSFER-ENCODING: CHUNKED"),
    ("identity before", "transfer-encoding: identity, chunked"),
    ("identity behind", "transfer-encoding: chunked, identity"),
    ("twice", "transfer-encoding: chunked, chunked"),
    ("in two lines", "transfer-encoding: chunked\r\ntransfer-encoding: identity"),
    ("in two lines, the other way", "transfer-encoding: identity\r\ntransfer-encoding: chunked"),
    ("gzip before", "transfer-encoding: gzip, chunked"),
    ("unknown", "transfer-encoding: xchunked"),
    ("shortened", "transfer-encoding: chunk"),
    ("with a parameter", "transfer-encoding: chunked;x=y"),
    ("comma before", "transfer-encoding: ,chunked"),
    ("comma behind", "transfer-encoding: chunked,"),
    ("in quotes", "transfer-encoding: \"chunked\""),
    ("space before the colon", "transfer-encoding : chunked"),
    ("tab before the colon", "transfer-encoding\t: chunked"),
    ("vertical tab before the colon", "transfer-encoding\u{b}: chunked"),
    ("NUL before the colon", "transfer-encoding\0: chunked"),
    ("NUL in the name", "transfer\0-encoding: chunked"),
    ("NUL behind the value", "transfer-encoding: chunked\0"),
    ("vertical tab before the value", "transfer-encoding: \u{b}chunked"),
    ("form feed before the value", "transfer-encoding: \u{c}chunked"),
    ("vertical tab behind the value", "transfer-encoding: chunked\u{b}"),
    ("no-break space before the value", "transfer-encoding: \u{a0}chunked"),
    ("tab before the value", "transfer-encoding:\tchunked"),
    ("folded", "transfer-encoding:\r\n chunked"),
    ("folded in the line before", "x-a: 1\r\n transfer-encoding: chunked"),
    ("a space before the name", " transfer-encoding: chunked"),
    ("a vertical tab before the name", "\u{b}transfer-encoding: chunked"),
    ("behind a bare LF", "x-a: 1\ntransfer-encoding: chunked"),
    ("behind a bare CR", "x-a: 1\rtransfer-encoding: chunked"),
    ("behind CR CR LF", "x-a: 1\r\r\ntransfer-encoding: chunked"),
    ("behind a letter that ends in LF", "x-a: 1\u{10a}transfer-encoding: chunked"),
    ("an underscore", "transfer_encoding: chunked"),
    ("named by Connection", "connection: transfer-encoding\r\ntransfer-encoding: chunked"),
    ("the length named by Connection", "connection: content-length\r\ntransfer-encoding: chunked"),
    ("a letter that folds to k", "transfer-encoding: chun\u{212a}ed"),
    ("an empty value before", "transfer-encoding:\r\ntransfer-encoding: chunked"),
];

/// `ALL` is the length that hides the second request.
const LENGTHS: &[(&str, &str)] = &[
    ("all and none", "content-length: ALL\r\ncontent-length: 0"),
    ("none and all", "content-length: 0\r\ncontent-length: ALL"),
    ("all twice", "content-length: ALL\r\ncontent-length: ALL"),
    ("a list", "content-length: ALL, 0"),
    ("a list, the other way", "content-length: 0, ALL"),
    ("a plus", "content-length: +ALL"),
    ("a minus", "content-length: -ALL"),
    ("hexadecimal", "content-length: 0xALL"),
    ("zeros before", "content-length: 000ALL"),
    ("an underscore", "content-length: 0_ALL"),
    ("a vertical tab before", "content-length: \u{b}ALL"),
    ("a NUL behind", "content-length: ALL\0"),
    ("a letter behind", "content-length: ALLx"),
    ("two numbers", "content-length: ALL 0"),
    ("a NUL in the name", "content-length\0: ALL"),
    ("a space before the colon", "content-length : ALL"),
    ("an underscore in the name", "content_length: ALL"),
    ("folded", "content-length:\r\n ALL"),
    ("a fold in the line before", "x-a: 1\r\n content-length: ALL"),
    ("behind a bare LF", "x-a: 1\ncontent-length: ALL"),
    ("behind a bare CR", "x-a: 1\rcontent-length: ALL"),
    ("named by Connection", "connection: content-length\r\ncontent-length: ALL"),
    ("beyond 64 bits", "content-length: 18446744073709551616"),
    ("with a wish to continue", "expect: 100-continue\r\ncontent-length: ALL"),
    ("with another wish", "expect: x 100-continue\r\ncontent-length: ALL"),
    (
        "with an upgrade",
        "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AA\r\ncontent-length: ALL",
    ),
    (
        "with a websocket",
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 0\r\ncontent-length: ALL",
    ),
];

/// Chunked bodies that are read in two ways.
const CHUNKS: &[(&str, &str)] = &[
    ("0x before the size", "0xSIZE\r\nINNER\r\n0\r\n\r\n"),
    ("a plus before the size", "+SIZE\r\nINNER\r\n0\r\n\r\n"),
    ("a minus before the size", "-SIZE\r\nINNER\r\n0\r\n\r\n"),
    ("an underscore in the size", "0_SIZE\r\nINNER\r\n0\r\n\r\n"),
    ("a space before the size", " SIZE\r\nINNER\r\n0\r\n\r\n"),
    ("a space behind the size", "SIZE \r\nINNER\r\n0\r\n\r\n"),
    ("an empty size", "\r\nINNER\r\n0\r\n\r\n"),
    ("a size beyond 64 bits", "10000000000000000\r\n\r\nINNER"),
    ("a size beyond 32 bits", "100000000\r\n\r\nINNER"),
    ("a size of minus one", "ffffffffffffffff\r\n\r\nINNER"),
    ("a letter behind the size", "0g\r\n\r\nINNER"),
    ("LF in an extension", "SIZE;\nINNER\r\n0\r\n\r\n"),
    ("LF in an extension, two chunks", "2;\nxx\r\n4c\r\n0\r\n\r\nINNER\r\n0\r\n\r\n"),
    ("CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\nINNER"),
    ("LF behind the size", "5\nhello\r\n0\r\n\r\nINNER"),
    ("CR behind the size", "5\rXhello\r\n0\r\n\r\nINNER"),
    ("other bytes behind the data", "5\r\nhelloXX0\r\n\r\nINNER"),
    ("LF behind the data", "5\r\nhello\n0\r\n\r\nINNER"),
    ("nothing behind the data", "5\r\nhello0\r\n\r\nINNER"),
    ("data too long", "5\r\nhello!!\r\n0\r\n\r\nINNER"),
    ("LF behind the last size", "0\n\r\nINNER"),
    ("LF at the end", "0\r\n\nINNER"),
    ("CR and a byte at the end", "0\r\n\rXINNER"),
    ("a trailer without a colon", "0\r\nx\r\n\r\nINNER"),
    ("the request as trailer", "0\r\nINNER"),
    ("a length as trailer", "0\r\ncontent-length: 100\r\n\r\nINNER"),
    ("a coding as trailer", "0\r\ntransfer-encoding: chunked\r\n\r\nINNER"),
    ("a folded trailer", "0\r\nx: 1\r\n \r\n\r\nINNER"),
    ("LF behind a trailer", "0\r\nx: 1\n\r\nINNER"),
    ("an extension with quotes", "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\nINNER"),
    ("a NUL in the size", "5\0\r\nhello\r\n0\r\n\r\nINNER"),
];

/// Whole heads; the hidden request follows, and `ALL` is its length.
const HEADS: &[(&str, &str)] = &[
    (
        "chunks in HTTP/1.0",
        "POST /origin/first-@@@@@ HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("a lower version", "POST /origin/first-@@@@@ HTTP/0.9\r\nhost: x\r\ncontent-length: ALL\r\n\r\n"),
    ("a higher version", "POST /origin/first-@@@@@ HTTP/1.2\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("LF in the request line", "GET /origin/first-@@@@@ HTTP/1.1\nhost: x\n\n"),
    ("CR in the request line", "GET /origin/first-@@@@@\rHTTP/1.1\r\nhost: x\r\n\r\n"),
    ("a space in the target", "GET /origin/first-@@@@@ HTTP/1.1 x HTTP/1.1\r\nhost: x\r\n\r\n"),
    (
        "encoded line ends in the path",
        "GET /origin/first-@@@@@/%0d%0a%0d%0aGET%20/origin/inner-0%20HTTP/1.1 HTTP/1.1\r\nhost: x\r\n\r\n",
    ),
    (
        "encoded line ends in the query",
        "GET /origin/first-@@@@@?a=%20HTTP/1.1%0d%0ahost:%20x%0d%0a%0d%0aGET%20/ HTTP/1.1\r\nhost: x\r\n\r\n",
    ),
    ("letters that end in CR and LF", "GET /origin/first-@@@@@?\u{10d}\u{10a} HTTP/1.1\r\nhost: x\r\n\r\n"),
    ("an absolute form", "GET http://x/origin/first-@@@@@ HTTP/1.1\r\nhost: x\r\n\r\n"),
    ("an absolute form of another host", "GET http://y/origin/first-@@@@@ HTTP/1.1\r\nhost: x\r\n\r\n"),
    ("two hosts", "GET /origin/first-@@@@@ HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n"),
    ("a host with a path", "GET /origin/first-@@@@@ HTTP/1.1\r\nhost: x/origin/inner-0?\r\n\r\n"),
    ("a line without a colon", "GET /origin/first-@@@@@ HTTP/1.1\r\nhost: x\r\nGET / HTTP/1.1\r\n\r\n"),
    ("an empty name", "GET /origin/first-@@@@@ HTTP/1.1\r\nhost: x\r\n: x\r\n\r\n"),
    ("a space at the end of the head", "GET /origin/first-@@@@@ HTTP/1.1\r\nhost: x\r\n \r\n\r\n"),
    (
        "a request id with a letter that ends in LF",
        "GET /origin/first-@@@@@ HTTP/1.1\r\nhost: x\r\nx-request-id: a\u{10a}b: c\r\n\r\n",
    ),
    ("a GET with a body", "GET /origin/first-@@@@@ HTTP/1.1\r\nhost: x\r\ncontent-length: ALL\r\n\r\n"),
    ("a HEAD with a body", "HEAD /origin/first-@@@@@ HTTP/1.1\r\nhost: x\r\ncontent-length: ALL\r\n\r\n"),
    ("a GET with chunks", "GET /origin/first-@@@@@ HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("a CONNECT", "CONNECT /origin/first-@@@@@ HTTP/1.1\r\nhost: x\r\n\r\n"),
    ("a TRACE with a body", "TRACE /origin/first-@@@@@ HTTP/1.1\r\nhost: x\r\ncontent-length: ALL\r\n\r\n"),
    ("an OPTIONS with a body", "OPTIONS /origin/first-@@@@@ HTTP/1.1\r\nhost: x\r\ncontent-length: ALL\r\n\r\n"),
];
