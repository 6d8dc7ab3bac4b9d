//! What the values of settings mean. Each function takes the text and gives the value, or the rest of a sentence that
//! begins with the setting: "must be …".

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

/// `127.0.0.1:8080`, `[::1]:8080`.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    text.parse().map_err(|_| {
        let hint = match text.strip_prefix(':').unwrap_or(text).parse::<u16>() {
            Ok(port) => format!("127.0.0.1:{port} for this machine only, 0.0.0.0:{port} for every network"),
            Err(_) => match (text.parse::<IpAddr>(), text.strip_prefix("localhost:")) {
                (Ok(ip), _) => SocketAddr::new(ip, 8080).to_string(),
                (_, Some(port)) => format!("127.0.0.1:{port}"),
                _ => "127.0.0.1:8080".to_owned(),
            },
        };
        format!("must be an IP address and a port; write {hint}.")
    })
}

/// What clients call this server.
pub(super) fn public_url(text: &str) -> Result<String, String> {
    let url = url(text, "https://scim.example.com")?;
    match url.strip_suffix("/scim/v2") {
        Some(right) => Err(format!("must stop before /scim/v2, which scimd adds by itself; write {right}.")),
        None => Ok(url),
    }
}

/// An absolute http or https URL, without a slash at its end.
pub(super) fn url(text: &str, example: &str) -> Result<String, String> {
    let url = text.trim().trim_end_matches('/');
    let example = format!("write for example {example}");
    let (scheme, rest) = url.split_once("://").ok_or_else(|| format!("must be an absolute URL; {example}."))?;
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "http" && scheme != "https" {
        return Err(format!("must be an http or https URL; {example}."));
    }
    if rest.contains(['?', '#']) {
        return Err(format!("must have no query and no fragment; {example}."));
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(format!("must not hold a user name or password; {example}."));
    }
    if !is_authority(authority) || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("must name a host, perhaps with a port and a path; {example}."));
    }
    Ok(format!("{scheme}://{authority}{path}"))
}

fn is_authority(authority: &str) -> bool {
    let bracketed = authority.starts_with('[');
    let (host, port) = match authority.rfind(':') {
        Some(colon) if !bracketed || authority[..colon].ends_with(']') => {
            (&authority[..colon], Some(&authority[colon + 1..]))
        }
        _ => (authority, None),
    };
    let named = || !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    let numbered = || {
        let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        inside.is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok())
    };
    (if bracketed { numbered() } else { named() }) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// The networks that never appear on the internet (RFC 1918, RFC 4193).
const PRIVATE: [&str; 4] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

/// Addresses and networks (`10.0.0.7`, `10.0.0.0/8`, `fd00::/8`), or `private` for all private ones; between commas or
/// spaces.
pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let words = text.split([',', ' ']).filter(|word| !word.is_empty());
    let words = words.flat_map(|word| if word == "private" { PRIVATE.to_vec() } else { vec![word] });
    words.map(network).collect()
}

fn network(word: &str) -> Result<IpNet, String> {
    let address = word.parse::<IpAddr>().map(IpNet::from);
    address.or_else(|_| word.parse()).map(plain).map_err(|_| {
        format!(
            "must be a list of addresses and networks, or `private`; `{word}` is none: write for example 10.0.0.0/8."
        )
    })
}

/// A network of IPv4 in the clothes of IPv6 (`::ffff:10.0.0.0/104`), as what it is.
fn plain(network: IpNet) -> IpNet {
    let in_clothes = match network {
        IpNet::V6(v6) => v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96)),
        IpNet::V4(_) => None,
    };
    in_clothes.and_then(|(address, bits)| IpNet::new(address.into(), bits).ok()).unwrap_or(network)
}

pub(super) fn count(text: &str) -> Result<u32, String> {
    let count = text.trim().parse().ok().filter(|count| (1..=1024).contains(count));
    count.ok_or_else(|| "must be a whole number from 1 to 1024.".to_owned())
}

/// Paths between commas.
pub(super) fn paths(text: &str) -> Vec<PathBuf> {
    text.split(',').map(str::trim).filter(|path| !path.is_empty()).map(PathBuf::from).collect()
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("must be true or false.".to_owned()),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "must be a duration such as 30s, 5m or 1h.".to_owned())
}

/// A whole number of seconds, or of `s`, `m`, `h` or `d`: `90`, `30s`, `5m`, `12h`, `365d`. At most a hundred years.
pub fn parse_duration(text: &str) -> Option<Duration> {
    const LONGEST: u64 = 100 * 365 * 86_400;
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let seconds = number.parse::<u64>().ok()?.checked_mul(seconds)?;
    (seconds <= LONGEST).then_some(Duration::from_secs(seconds))
}

/// Where the database is. Printed without user name, password and parameters, by `Display` as well as `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// `sqlite:FILE` or `postgres://…` (`postgresql://…`); the rest is for the store to judge.
    pub(super) fn parse(text: &str) -> Result<DatabaseUrl, String> {
        let text = text.trim();
        let file = text.strip_prefix("sqlite:");
        let known = file.is_some_and(|file| !file.is_empty())
            || text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://")).is_some();
        // The text itself stays out of the sentence: it may be a password in the wrong place.
        known.then(|| DatabaseUrl(text.to_owned())).ok_or_else(|| {
            "must be sqlite:FILE or postgres://USER:PASSWORD@HOST:PORT/DATABASE; write for example sqlite:scimd.db."
                .to_owned()
        })
    }

    /// The URL with its password: for opening the database, nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://").filter(|(scheme, _)| *scheme != "sqlite") else {
            return f.write_str(&self.0);
        };
        let (address, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        // A question mark before an at sign is a password that should have been percent-encoded: show nothing of it.
        if parameters.contains('@') {
            return write!(f, "{scheme}://…");
        }
        let host = address.rsplit_once('@').map_or(address, |(_, host)| host);
        write!(f, "{scheme}://{host}")
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_an_ip_address_and_a_port() {
        assert!(address("0.0.0.0:80").is_ok() && address(" [::1]:0 ").is_ok());
        for (text, hint) in [
            ("8080", "0.0.0.0:8080"),
            (":9000", "127.0.0.1:9000"),
            ("localhost:9000", "127.0.0.1:9000"),
            ("10.0.0.1", "10.0.0.1:8080"),
            ("::1", "[::1]:8080"),
            ("127.0.0.1:99999", "127.0.0.1:8080"),
        ] {
            let complaint = address(text).expect_err(text);
            assert!(complaint.contains(hint), "{text}: {complaint}");
        }
    }

    #[test]
    fn networks_are_addresses_ranges_or_all_private_ones() {
        let shown = |text: &str| networks(text).map(|all| all.iter().map(IpNet::to_string).collect::<Vec<_>>());

        assert_eq!(
            shown("10.0.0.7, fd00::/8 192.0.2.0/24").unwrap_or_default(),
            ["10.0.0.7/32", "fd00::/8", "192.0.2.0/24"]
        );
        assert_eq!(
            shown("::ffff:10.0.0.7 ::ffff:10.0.0.0/104 ::ffff:0:0/90").unwrap_or_default(),
            ["10.0.0.7/32", "10.0.0.0/8", "::ffff:0.0.0.0/90"]
        );
        assert_eq!(shown("private").map(|all| all.len()), Ok(4));
        for text in ["10.0.0.0/33", "proxy.example.com", "10.0.0", "Private"] {
            assert!(networks(text).expect_err(text).contains(text), "{text}");
        }
    }

    #[test]
    fn public_urls_are_absolute_and_end_without_a_slash() {
        for (text, url) in [
            ("https://scim.example.com", "https://scim.example.com"),
            (" HTTPS://scim.example.com:8443// ", "https://scim.example.com:8443"),
            ("http://127.0.0.1:8080/identity/", "http://127.0.0.1:8080/identity"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://[::1]", "http://[::1]"),
        ] {
            assert_eq!(public_url(text).as_deref(), Ok(url));
        }
    }

    #[test]
    fn other_public_urls_are_refused_with_a_reason() {
        for (text, reason) in [
            ("scim.example.com", "absolute"),
            ("/scim", "absolute"),
            ("ftp://scim.example.com", "http or https"),
            ("https://", "absolute"),
            ("https:///path", "name a host"),
            ("https://:80", "name a host"),
            ("https://host:port", "name a host"),
            ("https://[fe80", "name a host"),
            ("https://host name", "name a host"),
            ("https://user:pw@host", "password"),
            ("https://host/?a=b", "query"),
            ("https://host#top", "fragment"),
            ("https://host/x/scim/v2/", "write https://host/x."),
        ] {
            let complaint = public_url(text).expect_err(text);
            assert!(complaint.contains(reason), "{text}: {complaint}");
        }
    }

    #[test]
    fn durations_have_a_unit_or_are_seconds() {
        for (text, seconds) in [("90", 90), ("0s", 0), ("5m", 300), (" 2h ", 7200), ("365d", 31_536_000)] {
            assert_eq!(parse_duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in
            ["", "s", "-1s", "1.5h", "1w", "5 m", "1h30m", "99999999999999999999", "200000000000000d", "101y", "36600d"]
        {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn database_urls_are_printed_without_credentials() {
        for (url, printed) in [
            ("sqlite:/var/lib/scimd/scimd.db", "sqlite:/var/lib/scimd/scimd.db"),
            ("postgres://scimd:hunter2@db:5432/scimd", "postgres://db:5432/scimd"),
            ("postgresql://db/scimd?user=scimd&password=hunter2", "postgresql://db/scimd"),
            ("postgres://scimd:hun@ter2@db/scimd?sslmode=require", "postgres://db/scimd"),
            ("postgres://scimd:hun?ter2@db/scimd", "postgres://…"),
            ("postgres://db/scimd?password=hunter@2", "postgres://…"),
        ] {
            let parsed = DatabaseUrl::parse(url).expect(url);
            assert_eq!(parsed.expose(), url);
            assert_eq!(
                (parsed.to_string(), format!("{parsed:?}")),
                (printed.to_owned(), format!("DatabaseUrl({printed})"))
            );
        }
    }

    #[test]
    fn other_database_urls_are_refused_without_being_quoted() {
        for url in ["mysql://root:hunter2@db", "hunter2", "sqlite:", "postgres:hunter2"] {
            let complaint = DatabaseUrl::parse(url).expect_err(url);
            assert!(!complaint.contains("hunter2"), "{complaint}");
        }
    }
}
