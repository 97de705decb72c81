//! The REST calls that come before a socket, and the snapshots that come after it.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use bytes::Bytes;
use reqwest::header::{ETAG, IF_NONE_MATCH};
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
    pub refresh_token: String,
    pub user_id: String,
    pub email: String,
}

/// A snapshot as JSON, with its entity tag.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub etag: String,
    pub body: Value,
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
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// `ws://host:port/ws/{design}`.
    #[must_use]
    pub fn socket_url(&self, design: &str) -> String {
        format!("{}/ws/{design}", self.base.replacen("http", "ws", 1))
    }

    /// A request to a path that begins with a slash, with this person's token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// A request without a body, answered with any status.
    pub async fn send(&self, method: Method, path: &str) -> anyhow::Result<Response> {
        Ok(self.request(method, path).send().await?)
    }

    /// A request with a JSON body, answered with any status.
    pub async fn send_json(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Response> {
        Ok(self.request(method, path).json(body).send().await?)
    }

    /// A GET that must succeed.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        json_of(self.send(Method::GET, path).await?).await
    }

    /// A POST that must succeed.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        json_of(self.send_json(Method::POST, path, body).await?).await
    }

    // --- people

    /// Registers somebody with [`PASSWORD`]. The first one is the administrator.
    pub async fn register(&self, email: &str, name: &str) -> anyhow::Result<Login> {
        let body = json!({"email": email, "password": PASSWORD, "name": name});
        self.login_from(email, &self.post("/api/v1/auth/register", &body).await?)
    }

    pub async fn login(&self, email: &str, password: &str) -> anyhow::Result<Login> {
        let body = json!({"email": email, "password": password});
        self.login_from(email, &self.post("/api/v1/auth/login", &body).await?)
    }

    /// Registers somebody, or logs them in if they exist already.
    pub async fn enter(&self, email: &str) -> anyhow::Result<Login> {
        match self.login(email, PASSWORD).await {
            Ok(login) => Ok(login),
            Err(_) => self.register(email, email).await,
        }
    }

    fn login_from(&self, email: &str, body: &Value) -> anyhow::Result<Login> {
        let access_token = text(body, "/access_token")?;
        Ok(Login {
            api: self.with_token(&access_token),
            access_token,
            refresh_token: text(body, "/refresh_token")?,
            user_id: text(body, "/user/id")?,
            email: email.to_owned(),
        })
    }

    // --- designs

    /// Creates an empty design and returns its id.
    pub async fn create(&self, name: &str) -> anyhow::Result<String> {
        text(&self.post("/api/v1/designs", &json!({"name": name})).await?, "/id")
    }

    /// Imports a file and returns the id and the report.
    pub async fn import(&self, file: impl Into<reqwest::Body>) -> anyhow::Result<(String, Value)> {
        let request = self
            .request(Method::POST, "/api/v1/designs/import?format=auto")
            .header("content-type", "application/json")
            .body(file);
        let answer = json_of(request.send().await?).await?;
        Ok((text(&answer, "/id")?, answer.get("report").cloned().unwrap_or_default()))
    }

    /// A ticket for one socket: one use, one minute.
    pub async fn ticket(&self, design: &str) -> anyhow::Result<String> {
        text(&self.post(&format!("/api/v1/designs/{design}/tickets"), &json!({})).await?, "/ticket")
    }

    /// Makes somebody (a user id or an e-mail address) a member with this role.
    pub async fn share(&self, design: &str, user: &str, role: &str) -> anyhow::Result<()> {
        let path = format!("/api/v1/designs/{design}/members/{user}");
        good(self.send_json(Method::PUT, &path, &json!({"role": role})).await?).await.map(drop)
    }

    pub async fn unshare(&self, design: &str, user: &str) -> anyhow::Result<()> {
        let path = format!("/api/v1/designs/{design}/members/{user}");
        good(self.send(Method::DELETE, &path).await?).await.map(drop)
    }

    pub async fn delete(&self, design: &str) -> anyhow::Result<()> {
        good(self.send(Method::DELETE, &format!("/api/v1/designs/{design}")).await?).await.map(drop)
    }

    pub async fn snapshot(&self, design: &str) -> anyhow::Result<Snapshot> {
        let path = format!("/api/v1/designs/{design}/snapshot?format=json");
        let response = good(self.send(Method::GET, &path).await?).await?;
        let etag = etag_of(&response);
        Ok(Snapshot { etag, body: response.json().await? })
    }

    /// The status that the snapshot answers with to somebody who has this entity tag: 200 or 304.
    pub async fn snapshot_status(&self, design: &str, format: &str, etag: &str) -> anyhow::Result<u16> {
        let path = format!("/api/v1/designs/{design}/snapshot?format={format}");
        let response = self.request(Method::GET, &path).header(IF_NONE_MATCH, etag).send().await?;
        Ok(response.status().as_u16())
    }

    /// The whole document as one Yjs update v1, with its entity tag.
    pub async fn snapshot_yjs(&self, design: &str) -> anyhow::Result<(String, Bytes)> {
        let path = format!("/api/v1/designs/{design}/snapshot?format=yjs");
        let response = good(self.send(Method::GET, &path).await?).await?;
        Ok((etag_of(&response), response.bytes().await?))
    }
}

/// The elements of a replica's JSON in the form of a snapshot: sorted by id, the id inside.
#[must_use]
pub fn as_elements(root: &Value) -> Vec<Value> {
    let Some(entries) = root.as_object() else { return Vec::new() };
    let mut entries: Vec<(&String, &Value)> = entries.iter().collect();
    entries.sort_unstable_by_key(|(id, _)| *id);
    entries
        .into_iter()
        .map(|(id, body)| {
            let mut body = body.clone();
            if let Some(body) = body.as_object_mut() {
                body.insert("id".into(), id.clone().into());
            }
            body
        })
        .collect()
}

fn text(body: &Value, pointer: &str) -> anyhow::Result<String> {
    let value = body.pointer(pointer).and_then(Value::as_str);
    value.map(ToOwned::to_owned).with_context(|| format!("the answer has no {pointer}: {body}"))
}

fn etag_of(response: &Response) -> String {
    response.headers().get(ETAG).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

async fn good(response: Response) -> anyhow::Result<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let url = response.url().path().to_owned();
    bail!("{url} answered {status}: {}", response.text().await.unwrap_or_default())
}

async fn json_of(response: Response) -> anyhow::Result<Value> {
    Ok(good(response).await?.json().await?)
}
