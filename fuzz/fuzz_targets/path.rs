//! Any path: what is accepted has one spelling, stays below the root, and hides nothing from an upstream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portunus_gateway::sanitize::normalise;

fuzz_target!(|path: &str| {
    let Ok(once) = normalise(path) else { return };
    assert!(once.starts_with('/'), "{path:?} became {once:?}, which is no path");
    assert!(once.split('/').all(|segment| segment != "." && segment != ".."), "{path:?} keeps dot segments: {once:?}");
    assert!(once.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'), "{path:?} keeps odd bytes: {once:?}");
    for (at, _) in once.match_indices('%') {
        let byte = once.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let Some(byte) = byte else { panic!("{path:?} keeps broken percent-encoding: {once:?}") };
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~/\\\0".contains(&byte);
        assert!(!is_plain, "{path:?} hides {:?}: {once:?}", char::from(byte));
        assert!(!once[at..at + 3].bytes().any(|byte| byte.is_ascii_lowercase()), "two spellings of one byte: {once:?}");
    }
    assert_eq!(normalise(&once).as_deref(), Ok(&*once), "{path:?} is not the same when it is normalised twice");
});
