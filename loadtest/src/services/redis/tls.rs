//! Certificates for a throw-away server on the loopback: an authority of its own, and what it signed.

use std::path::Path;

use tokio::process::Command;

use super::super::run;

/// Files in the server's folder.
pub(super) const AUTHORITY: &str = "ca.pem";
pub(super) const CERTIFICATE: &str = "redis.pem";
pub(super) const KEY: &str = "redis.key";
const AUTHORITY_KEY: &str = "ca.key";
const REQUEST: &str = "redis.csr";

/// With the system's `openssl`. Good for a day.
pub(super) async fn make(folder: &Path) -> anyhow::Result<()> {
    let new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let mut authority = openssl(folder);
    authority.args(["req", "-x509", "-days", "1", "-subj", "/CN=a test"]).args(new_key);
    authority.args(["-addext", "basicConstraints=critical,CA:TRUE"]);
    authority.args(["-addext", "keyUsage=critical,keyCertSign"]);
    run(authority.args(["-keyout", AUTHORITY_KEY, "-out", AUTHORITY])).await?;
    let mut request = openssl(folder);
    request.args(["req", "-subj", "/CN=redis"]).args(new_key);
    request.args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]);
    request.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    run(request.args(["-keyout", KEY, "-out", REQUEST])).await?;
    let mut signing = openssl(folder);
    signing.args(["x509", "-req", "-days", "1", "-copy_extensions", "copy", "-CAcreateserial"]);
    signing.args(["-CA", AUTHORITY, "-CAkey", AUTHORITY_KEY, "-in", REQUEST, "-out", CERTIFICATE]);
    run(&mut signing).await.map(drop)
}

fn openssl(folder: &Path) -> Command {
    let mut command = Command::new("openssl");
    command.current_dir(folder);
    command
}
