//! Servers with clients that read steadily over a slow link: two network namespaces of Linux with a rate limit
//! between them. Without the permission to make them (they need root), the test prints that it is skipped.

#![cfg(all(target_os = "linux", feature = "http"))]

mod support;

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use support::{Program, tool};

/// The rate of the link in bytes per second, and in bits for tc(8).
const RATE: usize = 30_000;
const TC_RATE: &str = "240kbit";

/// The address of the server. The namespaces see no other network, so it collides with none.
const SERVER: &str = "10.231.0.1";

/// The network namespaces of a server and a client, with a slow link between them.
struct Link {
    server: String,
    client: String,
}

impl Link {
    /// `None` if the system or its user cannot make namespaces.
    fn new(name: &str) -> Option<Link> {
        let name = format!("nio-{}-{name}", std::process::id());
        let link = Link {
            server: format!("{name}-s"),
            client: format!("{name}-c"),
        };
        let (server, client) = (&link.server, &link.client);
        let made = ip(&format!("netns add {server}"))
            && ip(&format!("netns add {client}"))
            && ip(&format!(
                "link add s netns {server} type veth peer name c netns {client}"
            ))
            && ip(&format!("-n {server} address add {SERVER}/24 dev s"))
            && ip(&format!("-n {client} address add 10.231.0.2/24 dev c"))
            && ip(&format!("-n {server} link set s up"))
            && ip(&format!("-n {client} link set c up"))
            && ip(&format!(
                "netns exec {server} tc qdisc add dev s root tbf rate {TC_RATE} burst 4kb latency 500ms"
            ));
        if !made {
            eprintln!("SKIPPED: network namespaces cannot be made here");
        }
        made.then_some(link)
    }

    /// Starts a server in its namespace.
    fn serve(&self, path: &str, arguments: &[&str]) -> (Program, String) {
        let address = format!("{SERVER}:0");
        let enter = ["netns", "exec", &self.server, path, &address];
        let (server, address) = Program::serve("ip", &[&enter, arguments].concat());
        (server, address.to_string())
    }

    /// Runs a program in the client's namespace.
    fn client(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut client = Command::new("ip");
        client.args(["netns", "exec", &self.client]).args(arguments);
        client.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut client = client.spawn().unwrap();
        client.stdin.take().unwrap().write_all(input).unwrap();
        client.wait_with_output().unwrap()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for namespace in [&self.server, &self.client] {
            ip(&format!("netns delete {namespace}"));
        }
    }
}

/// Runs ip(8), and returns whether it succeeded.
fn ip(arguments: &str) -> bool {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    output.is_ok_and(|output| output.status.success())
}

/// How long the transfers take: several times the idle limit, while the answer is in the kernel's buffer.
const LEN: usize = 6 * RATE;

#[test]
fn l104_a_client_of_30_kilobytes_a_second_gets_the_whole_answer() {
    let Some(link) = Link::new("http") else {
        return;
    };
    if tool("curl", &["--version"]).is_none() {
        return;
    }
    let (mut server, address) = link.serve(env!("CARGO_BIN_EXE_http"), &["--idle", "1"]);
    let url = format!("http://{address}/bytes/{LEN}");
    let output = link.client(&["curl", "--silent", "--show-error", &url], b"");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout.len(), LEN);
    server.interrupt();
    let (last, before) = server.seen.split_last().unwrap();
    assert!(before.is_empty(), "nothing was cut off: {before:?}, {last}");
}
