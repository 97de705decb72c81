//! The REST calls that come before a socket: an account, a design.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

/// The password of everybody whom [`Api::register`] makes.
pub const PASSWORD: &str = "correct horse battery staple 7";

/// A server's REST side, seen by nobody in particular or by one person.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    http: reqwest::Client,
    token: Option<String>,
}

/// Somebody who is logged in.
#[derive(Debug, Clone)]
pub struct Login {
    /// The same server, asked as this person.
    pub api: Api,
    pub access_token: String,
}

impl Api {
    /// `base`: `http://host:port`, without a slash at its end.
    pub fn new(base: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build().context("no HTTP client")?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), http, token: None })
    }

    pub fn at(address: SocketAddr) -> anyhow::Result<Self> {
        Self::new(&format!("http://{address}"))
    }

    /// The same server, asked with this access token.
    fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// `ws://host:port/ws/{design}`.
    #[must_use]
    pub fn socket_url(&self, design: &str) -> String {
        format!("{}/ws/{design}", self.base.replacen("http", "ws", 1))
    }

    /// A request to a path that begins with a slash, with this person's token.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// A POST that must succeed.
    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        json_of(self.request(Method::POST, path).json(body).send().await?).await
    }

    // --- people

    /// Registers somebody with [`PASSWORD`]. The first one is the administrator.
    pub async fn register(&self, email: &str, name: &str) -> anyhow::Result<Login> {
        let body = json!({"email": email, "password": PASSWORD, "name": name});
        self.login_from(&self.post("/api/v1/auth/register", &body).await?)
    }

    pub async fn login(&self, email: &str, password: &str) -> anyhow::Result<Login> {
        let body = json!({"email": email, "password": password});
        self.login_from(&self.post("/api/v1/auth/login", &body).await?)
    }

    /// Registers somebody, or logs them in if they exist already.
    pub async fn enter(&self, email: &str) -> anyhow::Result<Login> {
        match self.login(email, PASSWORD).await {
            Ok(login) => Ok(login),
            Err(_) => self.register(email, email).await,
        }
    }

    fn login_from(&self, body: &Value) -> anyhow::Result<Login> {
        let access_token = text(body, "/access_token")?;
        Ok(Login { api: self.with_token(&access_token), access_token })
    }

    // --- designs

    /// Creates an empty design and returns its id.
    pub async fn create(&self, name: &str) -> anyhow::Result<String> {
        text(&self.post("/api/v1/designs", &json!({"name": name})).await?, "/id")
    }

    /// Imports a file and returns the id of its design.
    pub async fn import(&self, file: impl Into<reqwest::Body>) -> anyhow::Result<String> {
        let request = self
            .request(Method::POST, "/api/v1/designs/import?format=auto")
            .header("content-type", "application/json")
            .body(file);
        text(&json_of(request.send().await?).await?, "/id")
    }
}

fn text(body: &Value, pointer: &str) -> anyhow::Result<String> {
    let value = body.pointer(pointer).and_then(Value::as_str);
    value.map(ToOwned::to_owned).with_context(|| format!("the answer has no {pointer}: {body}"))
}

/// The body of an answer that must be a success.
async fn json_of(response: Response) -> anyhow::Result<Value> {
    let status = response.status();
    if status.is_success() {
        return Ok(response.json().await?);
    }
    let path = response.url().path().to_owned();
    bail!("{path} answered {status}: {}", response.text().await.unwrap_or_default())
}
