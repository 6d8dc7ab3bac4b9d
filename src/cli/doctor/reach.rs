//! Whether clients can reach what they are told. Asked from here, without a key and without trust in what answers.

use std::time::Duration;

use super::{Database, Finding, Premises};
use crate::outbound::{self, BaseUrl};

const CHECK: &str = "publicUrl";

/// More than any answer that is looked at.
const MAX_ANSWER: u64 = 1024 * 1024;

/// `told` is what the database's server or this configuration tells clients, with `/scim/v2`; empty where nobody knows.
pub(super) fn public_url(premises: &Premises, told: &str) -> Finding {
    if let Database::Elsewhere(url) = &premises.database {
        return against_url(url, told);
    }
    match &premises.public_url {
        Some(url) => answer_of(url),
        None if premises.listen.ip().is_loopback() && !premises.is_behind_proxy => {
            Finding::ok(CHECK, format!("clients are on this machine, and are told the address, {}", premises.listen))
        }
        None => Finding::warning(
            CHECK,
            format!("`public-url` is not set: clients are told the address, {}", premises.listen),
            "set it to what clients use, for example https://scim.example.com",
        ),
    }
}

/// Another server says what it tells clients, and was reached by a URL that somebody uses.
fn against_url(url: &str, told: &str) -> Finding {
    let used = format!("{}/scim/v2", url.trim_end_matches('/'));
    if told.is_empty() {
        return Finding::not_checked(CHECK, "the server says nothing");
    }
    if used.eq_ignore_ascii_case(told) {
        return Finding::ok(CHECK, format!("clients are told {told}, where it answers"));
    }
    let advice = "set `public-url` of that server to what clients use, unless this is a way of your own";
    Finding::warning(CHECK, format!("clients are told {told}, and you have reached it as {used}"), advice)
}

fn answer_of(url: &str) -> Finding {
    let advice =
        "start the server, or look at name, proxy and firewall; clients may have another way than this machine";
    let base = match BaseUrl::parse(url, "https://scim.example.com") {
        Ok(base) => base,
        Err(why) => return Finding::wrong(CHECK, why, "mend `public-url`"),
    };
    match ask(&base) {
        Ok(()) => {
            Finding::ok(CHECK, format!("{url} answers with SCIM; whether it is this server cannot be told from here"))
        }
        Err(cause) => Finding::warning(CHECK, format!("{url} {cause}"), advice),
    }
}

/// A SCIM server shows itself to strangers, or refuses them in the words of SCIM.
fn ask(base: &BaseUrl) -> Result<(), String> {
    let config = ureq::Agent::config_builder()
        .proxy(outbound::proxy(base))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(Duration::from_secs(10)))
        .tls_config(outbound::tls(base))
        .user_agent(concat!("scimd/", env!("CARGO_PKG_VERSION")))
        .build();
    let agent: ureq::Agent = config.into();
    let silent = |cause: ureq::Error| format!("does not answer ({})", outbound::with_advice(cause.to_string()));
    let mut response = agent.get(format!("{base}/scim/v2/ServiceProviderConfig")).call().map_err(silent)?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(silent)?;
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let schema = match status {
        200 => "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig",
        401 => "urn:ietf:params:scim:api:messages:2.0:Error",
        _ => return Err(format!("answers {status}, and not as a SCIM server")),
    };
    match body["schemas"][0].as_str() {
        Some(found) if found == schema => Ok(()),
        _ => Err(format!("answers {status}, and not as a SCIM server")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn what_clients_are_told_is_held_against_how_the_server_was_reached() {
        let state = |url, told| against_url(url, told).state;
        assert_eq!(state("https://scim.example.com/", "https://scim.example.com/scim/v2"), State::Ok);
        assert_eq!(state("https://10.0.0.7:8443", "https://scim.example.com/scim/v2"), State::Warning);
        assert_eq!(state("https://scim.example.com", ""), State::NotChecked);
    }

    #[test]
    fn an_address_for_all_needs_a_name() {
        let premises = |listen: &str, is_behind_proxy| Premises {
            database: Database::Postgres,
            certificate: None,
            secret_files: Vec::new(),
            public_url: None,
            listen: listen.parse().expect("an address"),
            is_behind_proxy,
        };
        assert_eq!(public_url(&premises("127.0.0.1:8080", false), "").state, State::Ok);
        assert_eq!(public_url(&premises("127.0.0.1:8080", true), "").state, State::Warning);
        assert_eq!(public_url(&premises("0.0.0.0:8080", false), "").state, State::Warning);
    }
}
