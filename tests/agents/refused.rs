//! What is not an agent: refused before any load, with the next step.

use std::thread;

use crate::target::Server;
use crate::{Place, plan, run, said};

/// What a run says that an agent of this script keeps from starting.
fn refusal(body: &str) -> String {
    let (place, server) = (Place::new(), Server::start());
    let script = place.script(body);
    let output = run(&place, &plan(&place, &server, 4, &script.display().to_string()));
    let said = said(&output);
    assert_eq!(output.status.code(), Some(106), "{said}");
    assert!(!place.path().join("out/recording.jsonl.zst").exists());
    said
}

#[test]
fn what_is_not_an_agent_is_refused_with_the_next_step() {
    thread::scope(|scope| {
        for case in [another_version, no_login, no_program, a_generator, a_prompt] {
            scope.spawn(case);
        }
    });
}

fn another_version() {
    let other = refusal(
        "echo '{\"run\":\"\",\"from\":\"\",\"epoch\":0,\"seq\":1,\"message\":{\"hello\":\
         {\"protocol\":\"7.1\",\"version\":\"9.9.9\",\"role\":\"agent\"}}}'; sleep 60",
    );
    for part in ["kneepoint 9.9.9", "protocol 7.1", env!("CARGO_PKG_VERSION"), "same version"] {
        assert!(other.contains(part), "{part}: {other}");
    }
}

fn no_login() {
    let password = refusal("echo 'me@app1: Permission denied (publickey,password).' >&2; exit 255");
    for part in ["exit status: 255", "Permission denied", "ssh-copy-id"] {
        assert!(password.contains(part), "{part}: {password}");
    }
    let unknown = refusal("echo 'ssh: Could not resolve hostname app9' >&2; exit 255");
    assert!(unknown.contains("check the name of the host"), "{unknown}");
}

fn no_program() {
    let absent = refusal("kneepoint-that-is-not-there agent");
    assert!(absent.contains("install kneepoint there"), "{absent}");
}

fn a_generator() {
    let generator = refusal(
        "echo '{\"run\":\"\",\"from\":\"\",\"epoch\":0,\"seq\":1,\"message\":{\"hello\":\
         {\"protocol\":\"1.0\",\"version\":\"0.1.0\",\"role\":\"generator\"}}}'; sleep 60",
    );
    assert!(generator.contains("must end in `kneepoint agent`"), "{generator}");
}

/// It takes as long as an agent may take to greet.
fn a_prompt() {
    let prompt = refusal("printf 'me@app1:~$ '; exec sleep 60");
    for part in ["did not greet", "it printed: me@app1:~$", "kneepoint agent"] {
        assert!(prompt.contains(part), "{part}: {prompt}");
    }
}
