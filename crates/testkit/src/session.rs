//! A person who is logged in, as a browser or as a program is.

use serde_json::{Value, json};

use crate::call::{Answer, Call};

/// A session that a login has begun.
#[derive(Debug, Clone)]
pub struct Session {
    base: String,
    /// The cookie's value.
    pub cookie: String,
    /// The CSRF value that belongs to the cookie.
    pub csrf: String,
    /// The access token that ends with the session.
    pub token: String,
    /// What gets the next access token.
    pub refresh_token: String,
    /// The session's id.
    pub id: String,
    /// The user's id.
    pub user_id: String,
}

/// Asks for a login, whatever the answer.
pub fn log_in(base: &str, username: &str, password: &str) -> Answer {
    Call::post(&format!("{base}/v1/login")).json(&json!({"username": username, "password": password})).send()
}

impl Session {
    /// Logs in. `base` is the control listener's URL, as `process.api_url("")` gives it.
    ///
    /// # Panics
    /// With the answer, when the login is refused.
    #[track_caller]
    pub fn log_in(base: &str, username: &str, password: &str) -> Self {
        Self::of(base, &log_in(base, username, password).expect(200))
    }

    /// The session that an answer has begun.
    ///
    /// # Panics
    /// With the answer, when it has not.
    #[track_caller]
    pub fn of(base: &str, answer: &Answer) -> Self {
        let text = |field: &str| answer.json[field].as_str().unwrap_or_default().to_owned();
        let Some(cookie) = set_cookie(answer, "portunus_session") else {
            panic!("no session cookie: {:?} {}", answer.headers, answer.text())
        };
        let csrf = set_cookie(answer, "csrf_token").unwrap_or_default();
        Self {
            base: base.to_owned(),
            cookie,
            csrf,
            token: text("access_token"),
            refresh_token: text("refresh_token"),
            id: text("session_id"),
            user_id: answer.json["user"]["id"].as_str().unwrap_or_default().to_owned(),
        }
    }

    /// A call as a page of Portunus itself makes it: with the cookies and the CSRF value. Not yet sent.
    pub fn call(&self, method: &str, path: &str) -> Call {
        self.call_without_csrf(method, path).header("X-CSRF-Token", &self.csrf)
    }

    /// A call as a page of another site makes the browser send it: with the cookies alone. Not yet sent.
    pub fn call_without_csrf(&self, method: &str, path: &str) -> Call {
        let cookies = format!("portunus_session={}; csrf_token={}", self.cookie, self.csrf);
        Call::new(method, &format!("{}{path}", self.base)).header("Cookie", &cookies)
    }

    /// A call as a program makes it: with the access token. Not yet sent.
    pub fn bearer(&self, method: &str, path: &str) -> Call {
        Call::new(method, &format!("{}{path}", self.base)).bearer(&self.token)
    }

    /// A GET with the cookies.
    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path).send()
    }

    /// A POST of JSON with the cookies and the CSRF value.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path).json(body).send()
    }

    /// A PUT of JSON with the cookies and the CSRF value.
    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.call("PUT", path).json(body).send()
    }

    /// A PATCH (JSON merge patch) with the cookies and the CSRF value.
    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.call("PATCH", path).json(body).send()
    }

    /// A DELETE with the cookies and the CSRF value.
    pub fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path).send()
    }

    /// Exchanges the refresh token.
    pub fn refresh(&self) -> Answer {
        Call::post(&format!("{}/v1/login/refresh", self.base))
            .json(&json!({"refresh_token": self.refresh_token}))
            .send()
    }
}

/// The value that an answer sets a cookie to.
pub fn set_cookie(answer: &Answer, name: &str) -> Option<String> {
    let lines = answer.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
    lines
        .filter_map(|line| line.split(';').next()?.split_once('='))
        .find_map(|(known, value)| (known == name).then(|| value.to_owned()))
}
