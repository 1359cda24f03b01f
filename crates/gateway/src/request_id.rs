//! The id under which a request is found again: in the upstream's log, in the answer, in the access line.

use std::cell::RefCell;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use uuid::{Builder, Uuid};

/// The header that carries the request's id.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const LONGEST: usize = 128;

/// The id of one request: the client's if it is usable, else a UUIDv7. Copies share one piece of memory.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// What the client sent, if it is usable.
    pub fn given(headers: &HeaderMap) -> Option<Self> {
        let id = headers.get(X_REQUEST_ID)?;
        let is_usable =
            (1..=LONGEST).contains(&id.len()) && id.as_bytes().iter().all(|byte| USABLE[usize::from(*byte)]);
        is_usable.then(|| Self(id.clone()))
    }

    /// A new one, from what the system has of random bytes and time.
    pub fn random() -> Self {
        Self::of(Uuid::now_v7())
    }

    /// A new one from random bytes that are at hand.
    pub fn new(unix_ms: u64, random: &[u8; 10]) -> Self {
        Self::of(Builder::from_unix_timestamp_millis(unix_ms, random).into_uuid())
    }

    fn of(uuid: Uuid) -> Self {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        uuid.hyphenated().encode_lower(&mut text);
        // An owner is one allocation, and copies of it need none.
        let value = HeaderValue::from_maybe_shared(Bytes::from_owner(text));
        Self(value.expect("a UUID is a header's value"))
    }

    /// As text. It has no character that would have to be escaped anywhere.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.0.as_bytes()).expect("only ASCII is usable in an id")
    }

    /// As the value of a header.
    pub fn header(&self) -> &HeaderValue {
        &self.0
    }
}

/// The bytes that an id may have.
const USABLE: [bool; 256] = {
    let mut usable = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        usable[byte] = (byte as u8).is_ascii_alphanumeric()
            || matches!(byte as u8, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=' | b':' | b'@');
        byte += 1;
    }
    usable
};

/// Random bytes in store, so that not every id asks the system.
pub struct RandomPage(RefCell<Page>);

struct Page {
    bytes: Box<[u8; PAGE]>,
    used: usize,
}

const PAGE: usize = 4096;

impl RandomPage {
    /// A page that is fetched at its first use.
    pub fn new() -> Self {
        Self(RefCell::new(Page { bytes: Box::new([0; PAGE]), used: PAGE }))
    }

    /// Bytes that nobody was given before.
    pub fn take<const N: usize>(&self) -> [u8; N] {
        let page = &mut *self.0.borrow_mut();
        if page.used + N > PAGE {
            SystemRandom::new().fill(&mut *page.bytes).expect("the operating system gives random bytes");
            page.used = 0;
        }
        let mut taken = [0; N];
        taken.copy_from_slice(&page.bytes[page.used..page.used + N]);
        page.used += N;
        taken
    }
}

impl Default for RandomPage {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn given(id: &'static [u8]) -> Option<RequestId> {
        let value = HeaderValue::from_bytes(id).expect("a header may have this value");
        RequestId::given(&HeaderMap::from_iter([(X_REQUEST_ID, value)]))
    }

    #[test]
    fn only_harmless_ids_are_taken_over() {
        assert_eq!(given(b"Az09-._~+/=:@").expect("all of them are usable").as_str(), "Az09-._~+/=:@");
        assert!(given(&[b'a'; LONGEST]).is_some());
        for id in [&b""[..], b"a b", b"a\"b", b"a\\b", b"\xe4", b"a\tb", b"{}", &[b'a'; LONGEST + 1]] {
            assert!(given(id).is_none(), "{id:?}");
        }
        assert!(RequestId::given(&HeaderMap::new()).is_none());
    }

    #[test]
    fn new_ids_are_uuids_of_their_time_and_never_the_same() {
        let page = RandomPage::new();
        let made: HashSet<String> =
            (0..2_000).map(|_| RequestId::new(1_795_253_400_123, &page.take()).as_str().to_owned()).collect();
        assert_eq!(made.len(), 2_000);
        for id in made {
            let uuid = Uuid::parse_str(&id).expect("the id is a UUID");
            assert_eq!(uuid.get_version_num(), 7);
            assert_eq!(uuid.get_timestamp().expect("version 7 has a time").to_unix(), (1_795_253_400, 123_000_000));
        }
    }
}
