//! As much of Redis' protocol (RESP2) as an operator of a throw-away server needs, beside whatever is under test.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A server that takes longer is stopped or gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// Lists in lists; no answer that is asked for here has more.
const DEPTH_MAX: usize = 8;

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A word or a text.
    Text(String),
    /// It refused, and why.
    Refused(String),
    Number(i64),
    Nothing,
    List(Vec<Reply>),
}

impl Reply {
    /// What it says where that is a text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A connection of its own.
#[derive(Debug)]
pub struct Wire(BufReader<TcpStream>);

impl Wire {
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self(BufReader::new(TcpStream::connect(address).await?)))
    }

    /// One command and its answer, a refusal among them.
    pub async fn ask(&mut self, words: &[&str]) -> anyhow::Result<Reply> {
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        let asked = async {
            self.0.write_all(command.as_bytes()).await?;
            self.reply(0).await
        };
        tokio::time::timeout(PATIENCE, asked).await.with_context(|| format!("no answer to {words:?}"))?
    }

    /// The same; a refusal is an error.
    pub async fn must(&mut self, words: &[&str]) -> anyhow::Result<Reply> {
        match self.ask(words).await? {
            Reply::Refused(why) => bail!("{words:?} was refused: {why}"),
            reply => Ok(reply),
        }
    }

    async fn reply(&mut self, depth: usize) -> anyhow::Result<Reply> {
        anyhow::ensure!(depth < DEPTH_MAX, "lists too deep in each other");
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        let line = line.trim_end();
        let (kind, rest) = line.split_at_checked(1).context("the server hung up")?;
        Ok(match kind {
            "+" => Reply::Text(rest.to_owned()),
            "-" => Reply::Refused(rest.to_owned()),
            ":" => Reply::Number(rest.parse()?),
            "$" if rest == "-1" => Reply::Nothing,
            "*" if rest == "-1" => Reply::Nothing,
            "$" => {
                let mut bytes = vec![0; rest.parse::<usize>()? + 2];
                self.0.read_exact(&mut bytes).await?;
                bytes.truncate(bytes.len() - 2);
                Reply::Text(String::from_utf8_lossy(&bytes).into_owned())
            }
            "*" => {
                let mut list = Vec::new();
                for _ in 0..rest.parse::<usize>()? {
                    list.push(Box::pin(self.reply(depth + 1)).await?);
                }
                Reply::List(list)
            }
            _ => bail!("not RESP: {line}"),
        })
    }
}
