//! The control plane's API as a script would use it: a token from the token endpoint, then calls with it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::call::{Answer, Call};
use crate::gateway::CLIENT_SECRET;

/// A token is renewed well before its 300 seconds are over.
const TOKEN_AGE: Duration = Duration::from_secs(200);

/// One caller of the control plane.
#[derive(Clone)]
pub struct Api {
    base: String,
    credentials: Option<(String, String)>,
    token: Arc<Mutex<Option<(String, Instant)>>>,
}

impl Api {
    /// The service account that every installation begins with.
    pub fn administrator(base: &str) -> Self {
        Self::service_account(base, "control-plane-api", CLIENT_SECRET)
    }

    /// Any service account.
    pub fn service_account(base: &str, client_id: &str, client_secret: &str) -> Self {
        Self {
            base: base.to_owned(),
            credentials: Some((client_id.to_owned(), client_secret.to_owned())),
            token: Arc::default(),
        }
    }

    /// A caller without any token.
    pub fn nobody(base: &str) -> Self {
        Self { base: base.to_owned(), credentials: None, token: Arc::default() }
    }

    /// The same caller with a token of its own.
    pub fn again(&self) -> Self {
        Self { token: Arc::default(), ..self.clone() }
    }

    /// The access token, fetched from the token endpoint when there is none that is fresh.
    ///
    /// # Panics
    /// When the token endpoint refuses.
    pub fn token(&self) -> String {
        let Some((id, secret)) = &self.credentials else { return String::new() };
        let mut held = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((token, born)) = held.as_ref()
            && born.elapsed() < TOKEN_AGE
        {
            return token.clone();
        }
        let answer = client_credentials(&self.base, id, secret).expect(200);
        let token = answer.json["access_token"].as_str().expect("an access token").to_owned();
        *held = Some((token.clone(), Instant::now()));
        token
    }

    /// A call, not yet sent, with the token if there is one.
    pub fn call(&self, method: &str, path: &str) -> Call {
        let call = Call::new(method, &format!("{}{path}", self.base));
        match self.token() {
            token if token.is_empty() => call,
            token => call.bearer(&token),
        }
    }

    /// A GET.
    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path).send()
    }

    /// A POST of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path).json(body).send()
    }

    /// A POST without a body.
    pub fn post_empty(&self, path: &str) -> Answer {
        self.call("POST", path).send()
    }

    /// A PUT of JSON.
    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.call("PUT", path).json(body).send()
    }

    /// A PATCH (JSON merge patch).
    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.call("PATCH", path).json(body).send()
    }

    /// A DELETE.
    pub fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path).send()
    }

    /// Makes a resource of the tenant `default` and gives it back.
    ///
    /// # Panics
    /// With the answer, when it is not made.
    #[track_caller]
    pub fn create(&self, plural: &str, body: &Value) -> Value {
        self.post(&format!("/v1/tenants/default/{plural}"), body).expect(201).json
    }

    /// Makes an API with its base path `/{name}` that leads to `upstream`.
    #[track_caller]
    pub fn create_api(&self, name: &str, upstream: &str) -> Value {
        self.create_api_with(name, upstream, &json!({}))
    }

    /// Makes an API that anybody may call.
    #[track_caller]
    pub fn create_public_api(&self, name: &str, upstream: &str) -> Value {
        self.create_api_with(name, upstream, &json!({"access": "public"}))
    }

    /// Makes an API with further fields; they win over the usual ones.
    ///
    /// # Panics
    /// With the answer, when it is not made.
    #[track_caller]
    pub fn create_api_with(&self, name: &str, upstream: &str, fields: &Value) -> Value {
        let mut body = json!({
            "name": name,
            "base_path": format!("/{name}"),
            "upstream": {"targets": [{"url": upstream}]},
        });
        for (field, value) in fields.as_object().expect("fields are an object") {
            body[field] = value.clone();
        }
        self.create("apis", &body)
    }

    /// Makes a consumer.
    #[track_caller]
    pub fn create_consumer(&self, name: &str) -> Value {
        self.create("consumers", &json!({"name": name}))
    }

    /// Makes a policy, not yet bound to anything.
    #[track_caller]
    pub fn create_policy(&self, name: &str, policy_type: &str, config: &Value) -> Value {
        self.create("policies", &json!({"name": name, "policy_type": policy_type, "config": config}))
    }

    /// Binds a policy to the targets in `target` (none: the whole tenant).
    #[track_caller]
    pub fn bind(&self, policy: &Value, target: &Value) -> Value {
        let mut body = target.clone();
        body["policy_id"] = policy["id"].clone();
        self.create("bindings", &body)
    }

    /// Makes a policy and binds it to an API.
    #[track_caller]
    pub fn policy_on(&self, api: &Value, policy_type: &str, config: &Value) -> Value {
        let name = format!("{policy_type}-on-{}", api["name"].as_str().unwrap_or_default());
        let policy = self.create_policy(&name, policy_type, config);
        self.bind(&policy, &json!({"api_id": api["id"]}));
        policy
    }

    /// Makes a consumer with an active subscription to `api` and gives its key.
    #[track_caller]
    pub fn subscribe(&self, consumer: &str, api: &Value) -> String {
        self.subscription(consumer, api)["api_key"].as_str().expect("a key").to_owned()
    }

    /// Makes a consumer with a subscription to `api`; the answer holds its id and its key.
    ///
    /// # Panics
    /// With the answer, when it is not made.
    #[track_caller]
    pub fn subscription(&self, consumer: &str, api: &Value) -> Value {
        let consumer = self.create_consumer(consumer);
        let body = json!({"consumer_id": consumer["id"], "api_id": api["id"], "tenant_id": "default"});
        self.post("/v1/subscriptions", &body).expect(201).json
    }

    /// Makes a role with these permissions and a user who has it in `tenant`, with this password; gives the user.
    ///
    /// # Panics
    /// With the answer, when it is not made.
    #[track_caller]
    pub fn create_user(&self, tenant: &str, name: &str, password: &str, permissions: &[&str]) -> Value {
        let roles = format!("/v1/tenants/{tenant}/roles");
        let role = json!({"name": format!("{name}-role"), "permissions": permissions});
        let role = self.post(&roles, &role).expect(201).json;
        let user = json!({"name": name, "email": format!("{name}@example.com"), "password": password, "roles": [role["name"]]});
        self.post(&format!("/v1/tenants/{tenant}/users"), &user).expect(201).json
    }

    /// Makes a role with these permissions and a service account that has it in `tenant`; gives the account as a caller.
    ///
    /// # Panics
    /// With the answer, when it is not made.
    #[track_caller]
    pub fn account(&self, tenant: &str, name: &str, permissions: &[&str]) -> Self {
        let roles = format!("/v1/tenants/{tenant}/roles");
        let role = json!({"name": format!("{name}-role"), "permissions": permissions});
        let role = self.post(&roles, &role).expect(201).json;
        let accounts = format!("/v1/tenants/{tenant}/service-accounts");
        let account = json!({"name": name, "roles": [role["name"]]});
        let account = self.post(&accounts, &account).expect(201).json;
        let secret = account["client_secret"].as_str().expect("the secret is shown once");
        let id = account["client_id"].as_str().unwrap_or(name);
        Self::service_account(&self.base, id, secret)
    }
}

/// Asks the token endpoint as the runbook's curl does.
pub fn client_credentials(base: &str, client_id: &str, client_secret: &str) -> Answer {
    Call::post(&format!("{base}/realms/stoa/protocol/openid-connect/token"))
        .form(&[("client_id", client_id), ("client_secret", client_secret), ("grant_type", "client_credentials")])
        .send()
}

/// Asks the token endpoint with a person's name and password.
pub fn password(base: &str, username: &str, password: &str) -> Answer {
    Call::post(&format!("{base}/realms/stoa/protocol/openid-connect/token"))
        .form(&[
            ("client_id", "portunus-cli"),
            ("grant_type", "password"),
            ("username", username),
            ("password", password),
        ])
        .send()
}
