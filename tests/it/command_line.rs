//! The command line: help, exit codes, and settings that cannot be used.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::Server;

fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atlas-collab"));
    command.args(arguments).env_clear().envs(settings.iter().copied());
    command.output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn help_is_an_answer_and_nonsense_is_wrong_usage() {
    for arguments in [&["--help"][..], &["serve", "--help"], &["help"], &["--version"]] {
        let output = run(arguments, &[]);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty(), "{arguments:?}");
    }
    for arguments in [&[][..], &["sing"], &["serve", "--loudly"]] {
        let output = run(arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains("Usage"), "{arguments:?}: {}", stderr(&output));
    }
}

/// What a container's health check runs: it finds the server by the settings that the server has itself.
#[tokio::test]
async fn a_server_is_asked_for_its_health_from_the_command_line() {
    let mut server = Server::start();
    let address = server.addr().to_string();
    let settings = [("ATLAS_LISTEN", &address[..])];
    let asked = run(&["health"], &settings);
    assert_eq!(asked.status.code(), Some(0), "{}", stderr(&asked));
    assert!(asked.stdout.is_empty() && asked.stderr.is_empty(), "silent as long as all is well");
    server.kill();
    let asked = run(&["health"], &settings);
    assert_eq!(asked.status.code(), Some(1));
    assert!(stderr(&asked).contains(&address), "{}", stderr(&asked));
}

#[test]
fn all_mistakes_in_the_settings_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let settings = [
        ("ATLAS_LISTEN", "somewhere"),
        ("ATLAS_REGISTRATION", "perhaps"),
        ("ATLAS_LISTENN", "127.0.0.1:0"),
        ("ATLAS_DATA_DIR", data.to_str().unwrap()),
    ];
    let output = run(&["serve"], &settings);
    assert_eq!(output.status.code(), Some(2));
    for (name, _) in &settings[..3] {
        assert!(stderr(&output).contains(name), "{name}: {}", stderr(&output));
    }
    assert!(!data.exists(), "nothing is touched before the settings are known to be good");
}

#[test]
fn what_cannot_be_opened_is_named() {
    let server = Server::start();
    let addr = server.addr().to_string();
    let folder = tempfile::tempdir().unwrap();
    let fresh = folder.path().join("data");
    let output = run(&["serve"], &[("ATLAS_LISTEN", &addr), ("ATLAS_DATA_DIR", fresh.to_str().unwrap())]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&addr), "{}", stderr(&output));

    let taken = server.data_folder().join("data");
    let output =
        run(&["serve"], &[("ATLAS_LISTEN", "127.0.0.1:0"), ("ATLAS_DATA_DIR", taken.to_str().unwrap())]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("ATLAS_DATA_DIR"), "{}", stderr(&output));

    let key = [("ATLAS_JWT_PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")];
    let other = folder.path().join("other");
    let settings = [key[0], ("ATLAS_LISTEN", "127.0.0.1:0"), ("ATLAS_DATA_DIR", other.to_str().unwrap())];
    let output = run(&["serve"], &settings);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{:?}", output.status);
    assert!(stderr(&output).to_lowercase().contains("key"), "{}", stderr(&output));
    assert!(!stderr(&output).contains("AAAA"), "a key is shown: {}", stderr(&output));
}

#[tokio::test]
async fn designs_are_exported_and_imported_while_no_server_runs() {
    let mut server = Server::start();
    let ada = server.register("ada@example.com").await;
    let design = ada.create_design("Payments").await;
    let snapshot = ada.snapshot(&design).await;
    let data = server.data_folder().join("data");
    let settings = [("ATLAS_DATA_DIR", data.to_str().unwrap())];
    let busy = run(&["export", &design], &settings);
    assert_eq!(busy.status.code(), Some(1));
    assert!(stderr(&busy).contains("another process"), "{}", stderr(&busy));
    assert_eq!(server.stop(), Some(0));

    let exported = run(&["export", &design], &settings);
    assert_eq!(exported.status.code(), Some(0), "{}", stderr(&exported));
    assert_eq!(serde_json::from_slice::<Value>(&exported.stdout).unwrap(), snapshot);
    let update = run(&["export", &design, "--format", "yjs"], &settings);
    assert_eq!(update.status.code(), Some(0));
    assert!(!update.stdout.is_empty());
    let unknown = run(&["export", "00000000-0000-7000-8000-000000000000"], &settings);
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(run(&["export", "nonsense"], &settings).status.code(), Some(2));

    let file = server.data_folder().join("plan.json");
    std::fs::write(&file, &exported.stdout).unwrap();
    let file = file.to_str().unwrap();
    let imported = run(&["import", file, "--owner", "Ada@example.com"], &settings);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let imported: Value = serde_json::from_slice(&imported.stdout).unwrap();
    let nobody = run(&["import", file, "--owner", "eve@example.com"], &settings);
    assert_eq!(nobody.status.code(), Some(1));

    server.restart();
    let again = ada.snapshot(imported["id"].as_str().unwrap()).await;
    assert_eq!(again["content_hash"], snapshot["content_hash"]);
}
