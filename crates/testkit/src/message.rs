//! One HTTP/1 message read from bytes, strictly: what is not exactly as RFC 9112 writes it is a fault.
//!
//! Tests use it on what the product sends, to a client or to an upstream, so it shares no code with the product.

mod body;
mod head;

/// Header fields in their order; names in lower case.
pub type Fields = Vec<(String, Vec<u8>)>;

/// How the length of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// It has none.
    Empty,
    /// `Content-Length`.
    Length(usize),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// It ends with the connection.
    UntilClose,
}

/// A request or an answer, as far as it has come.
#[derive(Debug, Clone)]
pub struct Message {
    /// The request line or the status line.
    pub start: String,
    /// The header fields.
    pub fields: Fields,
    /// How the length of the body is told.
    pub framing: Framing,
    /// The body without its chunks.
    pub body: Vec<u8>,
    /// The fields behind a chunked body.
    pub trailers: Fields,
    /// How many bytes of the connection it takes, as far as it has come.
    pub size: usize,
    /// Whether all of it has come. A body that ends with the connection is never complete.
    pub is_complete: bool,
}

impl Message {
    /// The request at the beginning of `bytes`; none while its head is not complete.
    ///
    /// # Errors
    /// What is not as the RFC writes it.
    pub fn request(bytes: &[u8]) -> Result<Option<Self>, String> {
        let Some(mut message) = head::read(bytes)? else { return Ok(None) };
        head::check_request_line(&message.start)?;
        message.framing = head::framing(&message.fields)?.unwrap_or(Framing::Empty);
        body::read(&mut message, bytes)?;
        Ok(Some(message))
    }

    /// The answer at the beginning of `bytes`; none while its head is not complete. `to_head` says that it answers a HEAD.
    ///
    /// # Errors
    /// What is not as the RFC writes it.
    pub fn answer(bytes: &[u8], to_head: bool) -> Result<Option<Self>, String> {
        let Some(mut message) = head::read(bytes)? else { return Ok(None) };
        let status = head::check_status_line(&message.start)?;
        let told = head::framing(&message.fields)?;
        let has_none = to_head || status < 200 || status == 204 || status == 304;
        message.framing = if has_none { Framing::Empty } else { told.unwrap_or(Framing::UntilClose) };
        body::read(&mut message, bytes)?;
        Ok(Some(message))
    }

    /// Every answer in `bytes`, the last one as far as it has come.
    ///
    /// # Errors
    /// What is not as the RFC writes it, and bytes that are no head.
    pub fn answers(mut bytes: &[u8], to_head: bool) -> Result<Vec<Self>, String> {
        let mut answers = Vec::new();
        while !bytes.is_empty() {
            let Some(answer) = Self::answer(bytes, to_head)? else { break };
            bytes = &bytes[answer.size..];
            let is_complete = answer.is_complete;
            answers.push(answer);
            if !is_complete {
                break;
            }
        }
        Ok(answers)
    }

    /// The status code of an answer; 0 for a request.
    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default()
    }

    /// Whether it is an answer that another one follows.
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status())
    }

    /// The method of a request.
    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// The target of a request.
    pub fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// The values of one field, joined as one list; none when it is absent.
    pub fn field(&self, name: &str) -> Option<String> {
        let values = self.fields.iter().filter(|(known, _)| known == name);
        let values: Vec<_> = values.map(|(_, value)| String::from_utf8_lossy(value)).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_messages_are_read() {
        let bytes =
            b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-t: 1\r\n\r\nrest";
        let request = Message::request(bytes).expect("well formed").expect("complete");
        assert_eq!((request.method(), request.target(), request.body.as_slice()), ("POST", "/a", b"abc".as_slice()));
        assert_eq!(request.trailers, [("x-t".to_owned(), b"1".to_vec())]);
        assert_eq!((request.size, request.is_complete), (bytes.len() - 4, true));
        let answers = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel";
        let answers = Message::answers(answers, false).expect("well formed");
        assert_eq!(answers.iter().map(Message::status).collect::<Vec<_>>(), [103, 200]);
        assert_eq!((answers[1].body.as_slice(), answers[1].is_complete), (b"hel".as_slice(), false));
    }

    #[test]
    fn everything_else_is_a_fault() {
        for bytes in [
            "GET / HTTP/1.1\nhost: x\n\n",
            "GET  / HTTP/1.1\r\nhost: x\r\n\r\n",
            "GET / HTTP/1.1\r\nhost : x\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: x\r\n y\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: x\0\r\n\r\n",
            "GET / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx",
            "GET / HTTP/1.1\r\ncontent-length: 01\r\n\r\nx",
            "GET / HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
        ] {
            assert!(Message::request(bytes.as_bytes()).is_err(), "{bytes:?}");
        }
    }
}
