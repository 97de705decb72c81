//! The command line: help, exit codes, and settings that cannot be used.

use std::process::{Command, Output};

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
