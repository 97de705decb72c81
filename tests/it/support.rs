//! Starts the real binary on a free port with a throw-away data folder, kills it, starts it again on the same folder
//! and port, and talks to it like a person with a browser would.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Long enough for a machine that is busy with other tests.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// The word before the address in the line that the server prints when it is ready.
const READY_AT: &str = "http://";
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// One server process. Killed when dropped; if its test failed, its log is printed.
pub(crate) struct Server {
    child: Child,
    addr: SocketAddr,
    settings: Vec<(String, String)>,
    /// A program that starts the server in its own place, with its arguments. None: nothing stands between.
    wrapper: Vec<String>,
    /// What it is asked to be: `serve`.
    command: Vec<String>,
    data: TempDir,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts with more settings than the address and the data folder.
    pub(crate) fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_as(&["serve"], settings)
    }

    /// Another command of the same binary that goes on until it is told to stop.
    pub(crate) fn start_as(command: &[&str], settings: &[(&str, &str)]) -> Self {
        Self::start_inside(&[], command, settings)
    }

    /// Its data lies on a file system of its own, of this size in MiB and in memory, which nobody else sees and which
    /// goes with the process: see [`Self::inner_path`]. `Err`: this machine does not let us.
    pub(crate) fn start_on_small_disk(mib: u32, settings: &[(&str, &str)]) -> Result<Self, String> {
        let may = Command::new("unshare").args(["-m", "true"]).output();
        if !may.as_ref().is_ok_and(|output| output.status.success()) {
            return Err(format!("no file system of a server's own can be mounted here: {may:?}"));
        }
        let mount = format!(
            "mkdir -p \"$ATLAS_DATA_DIR\" && mount -t tmpfs -o size={mib}m small \"$ATLAS_DATA_DIR\" && exec \"$@\""
        );
        Ok(Self::start_inside(&["unshare", "-m", "sh", "-c", &mount, "sh"], &["serve"], settings))
    }

    fn start_inside(wrapper: &[&str], command: &[&str], settings: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings: Vec<_> = settings.collect();
        let owned = |parts: &[&str]| parts.iter().map(|&part| part.to_owned()).collect::<Vec<_>>();
        let (wrapper, command) = (owned(wrapper), owned(command));
        let (child, addr) = spawn((&wrapper, &command), &data, "127.0.0.1:0", &settings);
        Self { child, addr, settings, wrapper, command, data }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn data_folder(&self) -> PathBuf {
        self.data.path().to_owned()
    }

    /// Its files are not where everybody else would look for them.
    pub(crate) fn has_own_disk(&self) -> bool {
        !self.wrapper.is_empty()
    }

    /// A file of the data folder as the server itself sees it, whatever it has mounted.
    pub(crate) fn inner_path(&self, file: &str) -> PathBuf {
        let data = self.data.path().join("data");
        let inner = format!("/proc/{}/root{}", self.pid(), data.display());
        PathBuf::from(inner).join(file)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// `ws://…/ws`, where y-websocket appends the design.
    pub(crate) fn ws_url(&self) -> String {
        format!("ws://{}/ws", self.addr)
    }

    /// SIGKILL: no goodbye, no flush.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, then waits: the exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        self.child.wait().unwrap().code()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Starts again on the same data and the same port, after a kill or a stop.
    pub(crate) fn restart(&mut self) {
        let words = (&self.wrapper[..], &self.command[..]);
        let (child, addr) = spawn(words, &self.data, &self.addr.to_string(), &self.settings);
        self.child = child;
        self.addr = addr;
    }

    /// Another subcommand of the same binary, under the server's own settings.
    pub(crate) fn run(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atlas-collab"));
        command.args(arguments).env_clear().env("ATLAS_DATA_DIR", self.data.path().join("data"));
        command.envs(self.settings.iter().map(|(name, value)| (name, value))).output().unwrap()
    }

    /// What the server wrote to its log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.data.path().join("test.log")).unwrap_or_default()
    }

    /// A fresh account, logged in. The first one on a server is its admin.
    pub(crate) async fn register(&self, email: &str) -> Person {
        let nobody = self.nobody();
        let body = json!({ "email": email, "password": PASSWORD });
        let granted = nobody.post("/api/v1/auth/register", body).await.expect(201);
        Person::granted(&nobody, &granted)
    }

    pub(crate) async fn login(&self, email: &str) -> Person {
        let nobody = self.nobody();
        let body = json!({ "email": email, "password": PASSWORD });
        let granted = nobody.post("/api/v1/auth/login", body).await.expect(200);
        Person::granted(&nobody, &granted)
    }

    /// Somebody without an account.
    pub(crate) fn nobody(&self) -> Person {
        Person {
            // Connections are not kept: after a restart a kept one would be a dead one.
            http: reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap(),
            base: self.url(""),
            token: None,
            refresh: String::new(),
            id: String::new(),
            email: String::new(),
        }
    }
}

impl Drop for Server {
    #[expect(clippy::print_stderr, reason = "for whoever reads why a test failed")]
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the server's log\n{}--- end of the server's log", self.log());
        }
    }
}

fn spawn(
    (wrapper, asked): (&[String], &[String]),
    data: &TempDir,
    listen: &str,
    settings: &[(String, String)],
) -> (Child, SocketAddr) {
    let log = File::options().create(true).append(true).open(data.path().join("test.log")).unwrap();
    let server = env!("CARGO_BIN_EXE_atlas-collab").to_owned();
    let mut words = wrapper.iter().chain([&server]).chain(asked);
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        // Settings of the machine that runs the tests stay outside.
        .env_clear()
        .env("ATLAS_LISTEN", listen)
        .env("ATLAS_DATA_DIR", data.path().join("data"))
        .env("ATLAS_DRAIN_SECS", "10")
        .envs((!wrapper.is_empty()).then_some(("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")))
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log);
    let mut child = command.spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let (found, address) = mpsc::channel();
    std::thread::spawn(move || {
        // Reads on after the address, so that the server never waits for a full pipe.
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once(READY_AT) {
                let end = rest.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(rest.len());
                let _ = found.send(rest[..end].parse::<SocketAddr>());
            }
        }
    });
    match address.recv_timeout(START_TIMEOUT) {
        Ok(Ok(addr)) => (child, addr),
        other => {
            let _ = child.kill();
            let status = child.wait();
            let log = std::fs::read_to_string(data.path().join("test.log")).unwrap_or_default();
            panic!("the server did not start: {other:?}, {status:?}\n{log}");
        }
    }
}

/// Somebody at a keyboard.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) http: reqwest::Client,
    base: String,
    pub(crate) token: Option<String>,
    pub(crate) refresh: String,
    pub(crate) id: String,
    pub(crate) email: String,
}

impl Person {
    /// Who `granted`, an answer of register, login or refresh, logs in.
    pub(crate) fn granted(from: &Self, granted: &Answer) -> Self {
        let body = granted.json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            http: from.http.clone(),
            base: from.base.clone(),
            token: Some(text(&body["access_token"])),
            refresh: text(&body["refresh_token"]),
            id: text(&body["user"]["id"]),
            email: text(&body["user"]["email"]),
        }
    }

    /// The access token.
    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().expect("this person is logged in")
    }

    /// The same person at another server.
    pub(crate) fn at(&self, address: SocketAddr) -> Self {
        Self { base: format!("http://{address}"), ..self.clone() }
    }

    /// The same person with another access token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::PUT, path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path)).await
    }

    /// A new design's id.
    pub(crate) async fn create_design(&self, name: &str) -> String {
        let created = self.post("/api/v1/designs", json!({ "name": name })).await.expect(201);
        created.json()["id"].as_str().unwrap().to_owned()
    }

    /// The id of a new design made from a file.
    pub(crate) async fn import(&self, file: Vec<u8>) -> String {
        let imported = Answer::of(self.request(Method::POST, "/api/v1/designs/import").body(file)).await;
        imported.expect(201).json()["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn share(&self, design: &str, with: &Self, role: &str) {
        let path = format!("/api/v1/designs/{design}/members/{}", with.email);
        self.put(&path, json!({ "role": role })).await.expect(200);
    }

    pub(crate) async fn ticket(&self, design: &str) -> String {
        let answer = self.post(&format!("/api/v1/designs/{design}/tickets"), json!({})).await.expect(201);
        answer.json()["ticket"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn snapshot(&self, design: &str) -> Value {
        self.get(&format!("/api/v1/designs/{design}/snapshot?format=json")).await.expect(200).json()
    }
}

/// One response, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, bytes: response.bytes().await.unwrap().to_vec() }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }

    /// A problem document with this status and code.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, code: &str) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status, "{body}");
        assert_eq!(body["type"], format!("urn:atlas-collab:problem:{code}"), "{body}");
        for field in ["title", "detail", "error"] {
            assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {body}");
        }
        assert!(body["details"].is_array(), "{body}");
        assert!(!self.header("x-request-id").is_empty());
        self
    }
}

/// Every JSON file in a folder beside the repository's root, by name; empty when the folder is not there.
pub(crate) fn files_in(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let Ok(entries) = std::fs::read_dir(&folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// Bytes. What the server's process holds in memory, from `/proc`.
pub(crate) fn resident_bytes(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}
