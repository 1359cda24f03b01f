//! Where a body begins and ends on the wire (RFC 9112 sections 6 and 7). Reads no socket: it is given bytes and says
//! which of them are body.

use http::HeaderMap;
use thiserror::Error;

use super::head;

/// The most bytes of chunk extensions in one message. They are dropped.
const MOST_EXTENSION: usize = 4 * 1024;

/// The most bytes of a trailer section.
const MOST_TRAILER: usize = 16 * 1024;

/// How the body of a message is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// This many bytes; 0 for none.
    Length(u64),
    /// Chunks.
    Chunked,
    /// All until the connection closes; answers only.
    UntilClose,
}

/// Why a body is not well framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FramingFault {
    /// The size line of a chunk.
    #[error("a chunk's size is not a hexadecimal number followed by CRLF")]
    ChunkSize,
    /// The end of a chunk.
    #[error("a chunk is not followed by CRLF")]
    ChunkEnd,
    /// Too much beside the sizes.
    #[error("the chunk extensions are too long")]
    Extensions,
    /// The fields after the last chunk.
    #[error("the trailer section is not well formed")]
    Trailer,
    /// The same, by size.
    #[error("the trailer section is too long")]
    TrailerSize,
}

/// What the next bytes are.
#[derive(Debug)]
pub enum Step {
    /// Framing, then body.
    Data {
        /// Bytes of framing.
        skip: usize,
        /// Bytes of body after them; at least one.
        data: usize,
    },
    /// Only framing; more bytes are needed.
    More {
        /// Bytes of framing.
        skip: usize,
    },
    /// The body ends after these bytes of framing.
    End {
        /// Bytes of framing.
        skip: usize,
        /// The fields after the last chunk.
        trailers: Option<Box<HeaderMap>>,
    },
}

#[derive(Debug)]
enum State {
    Length(u64),
    UntilClose,
    /// In a size line: the size so far and its digits.
    Size(u64, u8),
    Extension(u64),
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    Trailer(Vec<u8>),
    End,
}

/// Finds the body in the bytes of a message.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    extension: usize,
}

impl Decoder {
    /// A decoder for the bytes after a head.
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(0) => State::End,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size(0, 0),
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, extension: 0 }
    }

    /// Whether the body has been read to its end.
    pub fn is_end(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// Whether the end of the connection is the end of the body.
    pub fn ends_with_connection(&self) -> bool {
        matches!(self.state, State::UntilClose)
    }

    /// How many bytes of body are still to come, where that is known.
    pub fn left(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            State::End => Some(0),
            _ => None,
        }
    }

    /// How many bytes are worth reading at once.
    pub fn appetite(&self) -> usize {
        const LARGEST: u64 = 64 * 1024;
        match self.state {
            State::Length(left) | State::Data(left) => left.clamp(512, LARGEST) as usize,
            State::UntilClose => LARGEST as usize,
            _ => 8 * 1024,
        }
    }

    /// Judges the next bytes. What it names as framing or body counts as taken.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, FramingFault> {
        let mut at = 0;
        loop {
            match &mut self.state {
                State::End => return Ok(Step::End { skip: at, trailers: None }),
                State::Length(left) => {
                    let data = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                    if data == 0 {
                        return Ok(Step::More { skip: 0 });
                    }
                    *left -= data as u64;
                    if *left == 0 {
                        self.state = State::End;
                    }
                    return Ok(Step::Data { skip: 0, data });
                }
                State::UntilClose => {
                    return Ok(match input.len() {
                        0 => Step::More { skip: 0 },
                        data => Step::Data { skip: 0, data },
                    });
                }
                State::Data(left) => {
                    let data = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len() - at);
                    if data == 0 {
                        return Ok(Step::More { skip: at });
                    }
                    *left -= data as u64;
                    if *left == 0 {
                        self.state = State::DataCr;
                    }
                    return Ok(Step::Data { skip: at, data });
                }
                State::Trailer(_) => return self.trailer(&input[at..], at),
                _ => {}
            }
            let Some(byte) = input.get(at) else { return Ok(Step::More { skip: at }) };
            self.framing_byte(*byte)?;
            at += 1;
        }
    }

    fn framing_byte(&mut self, byte: u8) -> Result<(), FramingFault> {
        self.state = match (&self.state, byte) {
            (State::Size(size, digits), _) if byte.is_ascii_hexdigit() => {
                if *digits == 16 {
                    return Err(FramingFault::ChunkSize);
                }
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                State::Size(size << 4 | u64::from(digit), digits + 1)
            }
            (State::Size(_, 0), _) => return Err(FramingFault::ChunkSize),
            (State::Size(size, _), b'\r') => State::SizeLf(*size),
            (State::Size(size, _), b';') => State::Extension(*size),
            (State::Extension(size), b'\r') => State::SizeLf(*size),
            (State::Extension(size), b'\t' | 0x20..=0x7e | 0x80..) => {
                self.extension += 1;
                if self.extension > MOST_EXTENSION {
                    return Err(FramingFault::Extensions);
                }
                State::Extension(*size)
            }
            (State::SizeLf(0), b'\n') => State::Trailer(Vec::new()),
            (State::SizeLf(size), b'\n') => State::Data(*size),
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size(0, 0),
            (State::DataCr | State::DataLf, _) => return Err(FramingFault::ChunkEnd),
            _ => return Err(FramingFault::ChunkSize),
        };
        Ok(())
    }

    /// Collects the section up to its empty line; it may come in pieces.
    fn trailer(&mut self, input: &[u8], skip: usize) -> Result<Step, FramingFault> {
        let State::Trailer(section) = &mut self.state else { return Ok(Step::More { skip }) };
        for (index, byte) in input.iter().enumerate() {
            if *byte == b'\n' && section.last() != Some(&b'\r') {
                return Err(FramingFault::Trailer);
            }
            section.push(*byte);
            if section.len() > MOST_TRAILER {
                return Err(FramingFault::TrailerSize);
            }
            if *section == b"\r\n" || section.ends_with(b"\r\n\r\n") {
                let trailers = head::trailers(section).ok_or(FramingFault::Trailer)?;
                self.state = State::End;
                let trailers = (!trailers.is_empty()).then(|| Box::new(trailers));
                return Ok(Step::End { skip: skip + index + 1, trailers });
            }
        }
        Ok(Step::More { skip: skip + input.len() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(framing: Framing, pieces: &[&[u8]]) -> Result<(Vec<u8>, bool, usize), FramingFault> {
        let mut decoder = Decoder::new(framing);
        let (mut body, mut left) = (Vec::new(), 0);
        for piece in pieces {
            let mut rest = *piece;
            loop {
                match decoder.step(rest)? {
                    Step::Data { skip, data } => {
                        body.extend_from_slice(&rest[skip..skip + data]);
                        rest = &rest[skip + data..];
                    }
                    Step::More { .. } => break,
                    Step::End { skip, .. } => {
                        left += rest.len() - skip;
                        break;
                    }
                }
            }
        }
        Ok((body, decoder.is_end(), left))
    }

    #[test]
    fn chunks_are_read_strictly() {
        let ok = |text: &str| decode(Framing::Chunked, &[text.as_bytes()]);
        assert_eq!(ok("5\r\nhello\r\n0\r\n\r\n"), Ok((b"hello".to_vec(), true, 0)));
        assert_eq!(ok("5;a=b\r\nhello\r\n0;x\r\nA: b\r\n\r\nGET"), Ok((b"hello".to_vec(), true, 3)));
        assert_eq!(ok("0000a\r\n0123456789\r\n0\r\n\r\n"), Ok((b"0123456789".to_vec(), true, 0)));
        for wrong in [
            "0x5\r\nhello\r\n0\r\n\r\n",
            "+5\r\nhello\r\n",
            " 5\r\nhello\r\n",
            "5 \r\nhello\r\n",
            "\r\n",
            ";a\r\n",
            "5\nhello\r\n",
            "5\rhello\r\n",
            "5\r\nhelloX",
            "5\r\nhello\n",
            "5\r\nhello\r0",
            "5;a\nhello\r\n",
            "00000000000000005\r\nhello\r\n",
            "g\r\n",
            "0\r\nA : b\r\n\r\n",
            "0\r\nA: b\n\r\n\r\n",
            "0\r\n\n",
            "0\r\n folded\r\n\r\n",
        ] {
            assert!(ok(wrong).is_err(), "{wrong:?}");
        }
        let long = format!("1;{}\r\n", "x".repeat(5000));
        assert_eq!(ok(&long), Err(FramingFault::Extensions));
        let long = format!("0\r\nA: {}\r\n\r\n", "x".repeat(20_000));
        assert_eq!(ok(&long), Err(FramingFault::TrailerSize));
    }

    #[test]
    fn a_length_is_kept() {
        assert_eq!(decode(Framing::Length(3), &[b"ab", b"cGET"]), Ok((b"abc".to_vec(), true, 3)));
        assert_eq!(decode(Framing::Length(3), &[b"ab"]), Ok((b"ab".to_vec(), false, 0)));
        assert_eq!(decode(Framing::Length(0), &[b"GET"]), Ok((Vec::new(), true, 3)));
    }

    proptest! {
        #[test]
        fn cutting_the_input_changes_nothing(sizes in prop::collection::vec(1_usize..300, 0..8), cuts in prop::collection::vec(0_usize..2000, 0..20)) {
            let (mut wire, mut body) = (Vec::new(), Vec::new());
            for (index, size) in sizes.iter().enumerate() {
                let data = vec![b'a' + (index as u8); *size];
                wire.extend_from_slice(format!("{size:x}\r\n").as_bytes());
                wire.extend_from_slice(&data);
                wire.extend_from_slice(b"\r\n");
                body.extend_from_slice(&data);
            }
            wire.extend_from_slice(b"0\r\nTrailing: yes\r\n\r\n");
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % wire.len()).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&wire[from..cut]);
                from = cut;
            }
            pieces.push(&wire[from..]);
            prop_assert_eq!(decode(Framing::Chunked, &pieces), Ok((body, true, 0)));
        }

        #[test]
        fn rubbish_is_refused_or_read(input in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(Framing::Chunked, &[&input]);
        }
    }
}
