//! The name that clients are told against the names that they use.

use super::{Desk, Finding};

const CHECK: &str = "clientNames";

pub(super) fn finding(desk: &Desk) -> Finding {
    judge(desk.provider.base_url(), &desk.hosts.of_the_last_day(desk.now()))
}

fn judge(base_url: &str, used: &[String]) -> Finding {
    if used.is_empty() {
        let what = "which name clients use is known to a running server alone, once it has had a request with a key: \
                    ask it with `--url`";
        return Finding::not_checked(CHECK, what);
    }
    let told = plain(base_url);
    let others: Vec<&str> = used.iter().map(String::as_str).filter(|name| plain_host(base_url, name) != told).collect();
    if others.is_empty() {
        return Finding::ok(CHECK, format!("clients use the name that they are told, {told}"));
    }
    Finding::warning(
        CHECK,
        format!("clients are told {told}, and use {}", others.join(", ")),
        "set `public-url` to what clients use; where a proxy is in front, have it pass the Host header on",
    )
}

/// Host and port of a URL, without the port that goes without saying.
fn plain(url: &str) -> String {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    plain_host(url, authority.split('/').next().unwrap_or_default())
}

fn plain_host(url: &str, host: &str) -> String {
    let port = if url.starts_with("https://") { ":443" } else { ":80" };
    let host = host.to_ascii_lowercase();
    host.strip_suffix(port).unwrap_or(&host).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn what_clients_use_is_held_against_what_they_are_told() {
        let state = |url: &str, used: &[&str]| {
            judge(url, &used.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).state
        };
        assert_eq!(state("https://scim.example.com/scim/v2", &[]), State::NotChecked);
        assert_eq!(state("https://SCIM.example.com/scim/v2", &["scim.example.com", "scim.example.com:443"]), State::Ok);
        assert_eq!(state("http://127.0.0.1:8080/scim/v2", &["127.0.0.1:8080"]), State::Ok);
        let finding = judge("https://scim.example.com/scim/v2", &["10.0.0.7:8080".to_owned()]);
        assert_eq!(finding.state, State::Warning);
        assert_eq!(finding.what, "clients are told scim.example.com, and use 10.0.0.7:8080");
    }
}
