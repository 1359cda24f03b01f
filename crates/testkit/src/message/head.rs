//! The head of a message.

use super::{Fields, Framing, Message};

/// Start line and fields; none while the empty line has not come.
pub(super) fn read(bytes: &[u8]) -> Result<Option<Message>, String> {
    let mut at = 0;
    let Some(start) = line(bytes, &mut at)? else { return Ok(None) };
    let start = std::str::from_utf8(start).map_err(|_| format!("the first line is not text: {start:?}"))?.to_owned();
    let Some(fields) = fields(bytes, &mut at)? else { return Ok(None) };
    let trailers = Vec::new();
    Ok(Some(Message {
        start,
        fields,
        framing: Framing::Empty,
        body: Vec::new(),
        trailers,
        size: at,
        is_complete: false,
    }))
}

/// The line at `at` without its CRLF; none while it is not complete. A CR or LF alone is a fault.
pub(super) fn line<'a>(bytes: &'a [u8], at: &mut usize) -> Result<Option<&'a [u8]>, String> {
    let rest = &bytes[*at..];
    let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else { return Ok(None) };
    let found = String::from_utf8_lossy(&rest[..end]).into_owned();
    match (rest[end], rest.get(end + 1)) {
        (b'\r', Some(b'\n')) => {
            *at += end + 2;
            Ok(Some(&rest[..end]))
        }
        (b'\r', None) => Ok(None),
        _ => Err(format!("a CR or LF alone after {found:?}")),
    }
}

/// The fields up to the empty line; none while that has not come.
pub(super) fn fields(bytes: &[u8], at: &mut usize) -> Result<Option<Fields>, String> {
    let mut fields = Vec::new();
    loop {
        match line(bytes, at)? {
            None => return Ok(None),
            Some(b"") => return Ok(Some(fields)),
            Some(line) => fields.push(field(line)?),
        }
    }
}

fn field(line: &[u8]) -> Result<(String, Vec<u8>), String> {
    let shown = String::from_utf8_lossy(line).into_owned();
    let colon = line.iter().position(|byte| *byte == b':').ok_or_else(|| format!("no colon: {shown:?}"))?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    if name.is_empty() || !name.iter().copied().all(is_token) {
        return Err(format!("a bad field name: {shown:?}"));
    }
    if value.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
        return Err(format!("a control byte in a field: {shown:?}"));
    }
    Ok((String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A method, one space, a target, one space, a version.
pub(super) fn check_request_line(line: &str) -> Result<(), String> {
    let parts: Vec<_> = line.split(' ').collect();
    let is_good = parts.len() == 3
        && !parts[0].is_empty()
        && parts[0].bytes().all(is_token)
        && !parts[1].is_empty()
        && parts[1].bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
        && matches!(parts[2], "HTTP/1.1" | "HTTP/1.0");
    if is_good { Ok(()) } else { Err(format!("a bad request line: {line:?}")) }
}

/// The code in a status line.
pub(super) fn check_status_line(line: &str) -> Result<u16, String> {
    let bad = || format!("a bad status line: {line:?}");
    let rest = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 ")).ok_or_else(bad)?;
    let (code, _) = rest.split_once(' ').ok_or_else(bad)?;
    let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
    code.parse().ok().filter(|code| is_code && *code >= 100).ok_or_else(bad)
}

/// How the fields tell the length; none when they do not.
pub(super) fn framing(fields: &[(String, Vec<u8>)]) -> Result<Option<Framing>, String> {
    let values = |name: &str| -> Vec<&[u8]> {
        fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_slice()).collect()
    };
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(None),
        ([], [b"chunked"]) => Ok(Some(Framing::Chunked)),
        ([length], []) => {
            let text = String::from_utf8_lossy(length).into_owned();
            let number = text.parse::<usize>().ok().filter(|number| number.to_string() == text);
            number.map(|number| Some(Framing::Length(number))).ok_or_else(|| format!("a bad length: {text:?}"))
        }
        _ => Err(format!("lengths {lengths:?} and codings {codings:?}")),
    }
}
