//! The cookies of a session: one that scripts cannot read and that says who it is, and one that they must send back.

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue};

use super::session;

/// Says whose session it is.
pub const SESSION: &str = "portunus_session";

/// What a page sends back in `X-CSRF-Token`.
pub const CSRF: &str = "csrf_token";

/// The value of a cookie.
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| {
        let (known, value) = pair.trim().split_once('=')?;
        (known == name).then_some(value)
    })
}

/// Sets both cookies. They are for HTTPS alone when `secure`.
pub fn set(headers: &mut HeaderMap, cookie: &str, max_age: i64, secure: bool) {
    append(headers, SESSION, cookie, max_age, secure, "; HttpOnly");
    append(headers, CSRF, &session::csrf(cookie), max_age, secure, "");
}

/// Removes both cookies.
pub fn clear(headers: &mut HeaderMap, secure: bool) {
    append(headers, SESSION, "", 0, secure, "; HttpOnly");
    append(headers, CSRF, "", 0, secure, "");
}

fn append(headers: &mut HeaderMap, name: &str, value: &str, max_age: i64, secure: bool, more: &str) {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={max_age}; SameSite=Lax{more}{secure}");
    headers.append(SET_COOKIE, HeaderValue::try_from(text).expect("letters and digits are a header value"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; xportunus_session=2;portunus_session=3"));
        headers.append(COOKIE, HeaderValue::from_static("csrf_token=4=5"));
        assert_eq!(read(&headers, SESSION), Some("3"));
        assert_eq!(read(&headers, CSRF), Some("4=5"));
        assert_eq!(read(&headers, "b"), None);
    }

    #[test]
    fn what_is_secret_is_kept_from_scripts() {
        let mut headers = HeaderMap::new();
        set(&mut headers, "abc", 60, true);
        let lines: Vec<&str> = headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()).collect();
        assert_eq!(lines[0], "portunus_session=abc; Path=/; Max-Age=60; SameSite=Lax; HttpOnly; Secure");
        assert!(lines[1].starts_with("csrf_token=") && !lines[1].contains("HttpOnly"), "{lines:?}");
    }
}
