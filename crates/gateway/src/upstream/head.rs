//! The head of a request as its target sees it: written once, from parts, in one pass over the fields.

use http::header::{HeaderMap, HeaderName};
use http::uri::Uri;
use http::{HeaderValue, Method, Request, Version, header};
use percent_encoding::{AsciiSet, percent_encode};

use super::target::CompiledTarget;
use crate::client::Client;
use crate::exchange::Exchange;
use crate::forward;
use crate::http1::decode::Framing;
use crate::http1::encode::{self, field};
use crate::sanitize::Target;

/// What the head of a request to an upstream is made of.
pub struct Head<'a, 's> {
    /// The request.
    pub x: &'a Exchange<'s>,
    /// What it is for.
    pub target: &'a Target,
    /// Who sent it.
    pub client: &'a Client,
    /// Whether its sender is a trusted proxy.
    pub is_trusted: bool,
    /// The request's id.
    pub request_id: &'a [u8],
    /// How its body is framed.
    pub framing: Framing,
}

impl Head<'_, '_> {
    /// The path and query for a target. They are put behind the host as parts, so no path can become a host.
    pub fn path(&self, out: &mut Vec<u8>, chosen: &CompiledTarget) {
        let x = self.x;
        let path = if x.api.strip_path { x.api.rest(self.target.path()) } else { self.target.path() };
        out.extend_from_slice(chosen.prefix.as_bytes());
        out.extend_from_slice(path.as_bytes());
        if let Some(query) = x.head.uri.query() {
            out.push(b'?');
            // Other bytes than ASCII are nowhere allowed in a target, and not every server takes them.
            match query.is_ascii() {
                true => out.extend_from_slice(query.as_bytes()),
                false => out.extend(percent_encode(query.as_bytes(), &AsciiSet::EMPTY).flat_map(str::bytes)),
            }
        }
    }

    /// Writes the whole head for a target.
    pub fn write(&self, out: &mut Vec<u8>, chosen: &CompiledTarget) {
        out.extend_from_slice(self.x.head.method.as_str().as_bytes());
        out.push(b' ');
        self.path(out, chosen);
        out.extend_from_slice(b" HTTP/1.1\r\n");
        field(out, b"host", chosen.authority.as_bytes());
        self.fields(|name, value| field(out, name.as_bytes(), value));
        if self.framing != Framing::Length(0) || expects_length(self.x) {
            encode::framing(out, self.framing);
        }
        if self.client.websocket {
            out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }

    /// The same for a target that speaks HTTP/2, with its body.
    pub fn request<B>(&self, chosen: &CompiledTarget, body: B) -> Result<Request<B>, http::Error> {
        let mut path = Vec::with_capacity(128);
        self.path(&mut path, chosen);
        let uri = Uri::builder().scheme(chosen.scheme.clone()).authority(chosen.authority.as_bytes());
        let mut request = Request::new(body);
        *request.version_mut() = Version::HTTP_2;
        *request.method_mut() = self.x.head.method.clone();
        *request.uri_mut() = uri.path_and_query(path).build()?;
        let headers = request.headers_mut();
        headers.reserve(self.x.head.headers.len() + 8);
        let mut fault = None;
        self.fields(|name, value| {
            if let Err(error) = add(headers, name, value) {
                fault = Some(error);
            }
        });
        if let Some(credential) = &self.x.api.upstream.credential {
            // Once more, as a field that goes into no table of the connection.
            credential.put(headers);
        }
        if self.client.takes_trailers {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        fault.map_or(Ok(request), Err)
    }

    /// Gives every field but those of the connection, `Host` and the framing.
    pub fn fields(&self, mut give: impl FnMut(&str, &[u8])) {
        let headers = &self.x.head.headers;
        let (mut has_proto, mut has_host) = (false, false);
        for (name, value) in headers {
            let name = name.as_str();
            match name {
                "host" | "content-length" | "expect" | "x-request-id" | "x-forwarded-for" => continue,
                // Only Portunus says who calls.
                "x-portunus-account" | "x-portunus-roles" => continue,
                "forwarded" | "x-real-ip" if !self.is_trusted => continue,
                name if !self.is_trusted && name.starts_with("x-forwarded-") => continue,
                "x-forwarded-proto" => has_proto = true,
                "x-forwarded-host" => has_host = true,
                _ => {}
            }
            give(name, value.as_bytes());
        }
        self.forwarded_for(headers, &mut give);
        if let Some(told) = &self.x.introduction {
            give("x-portunus-account", told.account.as_bytes());
            give("x-portunus-roles", told.roles.as_bytes());
        }
        if !has_proto {
            give("x-forwarded-proto", b"http");
        }
        if !has_host {
            give("x-forwarded-host", self.target.authority.as_bytes());
        }
        give("via", forward::via(self.x.head.version).as_bytes());
        give("x-request-id", self.request_id);
    }

    /// What a client says of itself is replaced; what a trusted proxy says is kept.
    fn forwarded_for(&self, headers: &HeaderMap, give: &mut impl FnMut(&str, &[u8])) {
        let peer = &*self.client.peer_text;
        let said = headers.get_all("x-forwarded-for");
        if !self.is_trusted || said.iter().next().is_none() {
            return give("x-forwarded-for", peer.as_bytes());
        }
        let mut chain: Vec<&str> = said.iter().filter_map(|value| value.to_str().ok()).collect();
        chain.push(peer);
        give("x-forwarded-for", chain.join(", ").as_bytes());
    }
}

fn add(headers: &mut HeaderMap, name: &str, value: &[u8]) -> Result<(), http::Error> {
    headers.try_append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_bytes(value)?)?;
    Ok(())
}

/// Whether a request without a body says so (RFC 9110 section 8.6).
fn expects_length(x: &Exchange<'_>) -> bool {
    matches!(x.head.method, Method::POST | Method::PUT | Method::PATCH)
        || x.head.headers.get(header::CONTENT_LENGTH).is_some_and(|length| *length == HeaderValue::from_static("0"))
}
