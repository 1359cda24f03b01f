//! The body of a message.

use super::head::{fields, line};
use super::{Framing, Message};

/// Reads the body of `message`, whose head ends at `message.size`, as far as it has come.
pub(super) fn read(message: &mut Message, bytes: &[u8]) -> Result<(), String> {
    match message.framing {
        Framing::Empty => message.is_complete = true,
        Framing::Length(length) => {
            let rest = &bytes[message.size..];
            message.body = rest[..rest.len().min(length)].to_vec();
            message.is_complete = message.body.len() == length;
            message.size += message.body.len();
        }
        Framing::UntilClose => {
            message.body = bytes[message.size..].to_vec();
            message.size = bytes.len();
        }
        Framing::Chunked => read_chunks(message, bytes)?,
    }
    Ok(())
}

fn read_chunks(message: &mut Message, bytes: &[u8]) -> Result<(), String> {
    let mut at = message.size;
    message.size = bytes.len();
    loop {
        let Some(size) = line(bytes, &mut at)? else { return Ok(()) };
        let size = chunk_size(size)?;
        if size == 0 {
            break;
        }
        let rest = &bytes[at..];
        message.body.extend_from_slice(&rest[..rest.len().min(size)]);
        if rest.len() < size + 2 {
            return Ok(());
        }
        if &rest[size..size + 2] != b"\r\n" {
            return Err(format!("a chunk of {size} bytes does not end there"));
        }
        at += size + 2;
    }
    if let Some(trailers) = fields(bytes, &mut at)? {
        message.trailers = trailers;
        message.size = at;
        message.is_complete = true;
    }
    Ok(())
}

/// Hexadecimal digits and nothing else: extensions are not for the next hop.
fn chunk_size(line: &[u8]) -> Result<usize, String> {
    let text = String::from_utf8_lossy(line).into_owned();
    let is_hex = !text.is_empty() && text.len() <= 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let size = usize::from_str_radix(&text, 16).ok().filter(|_| is_hex);
    size.ok_or_else(|| format!("a bad chunk size: {text:?}"))
}
