//! Who may send keys over plain HTTP (RFC 7644 §7.2): this machine, and the proxies that end TLS in front of it.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

/// Whose connections are taken.
#[derive(Debug, Clone, Default)]
pub struct Peers(Option<Arc<[IpNet]>>);

impl Peers {
    /// Everybody's: TLS is ours, or nobody beyond this machine can connect.
    pub fn anybody() -> Peers {
        Peers(None)
    }

    /// Those from these networks and no others.
    pub fn proxies(networks: &[IpNet]) -> Peers {
        Peers(Some(networks.into()))
    }

    /// Whether a key may come from there; an address that nobody knows any more is none of those that are named. It is
    /// that of the connection: what a header says of it (`Forwarded`, `X-Forwarded-For`) anybody could write.
    pub fn admit(&self, address: Option<IpAddr>) -> bool {
        let Some(networks) = &self.0 else {
            return true;
        };
        let Some(address) = address else {
            return false;
        };
        // A listener for both families shows IPv4 addresses in the clothes of IPv6.
        let address = address.to_canonical();
        networks.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auth_07_plain_http_is_taken_from_the_named_networks_alone() {
        let networks: Vec<IpNet> = vec![
            "127.0.0.0/8".parse().expect("loopback"),
            "10.1.0.0/16".parse().expect("a network"),
            "fd00::/8".parse().expect("one"),
        ];
        let peers = Peers::proxies(&networks);
        let admitted = |text: &str| peers.admit(Some(text.parse().expect("an address")));

        assert!(["127.0.0.1", "10.1.2.3", "::ffff:10.1.2.3", "fd12::1"].iter().all(|text| admitted(text)));
        assert!(["::1", "10.2.0.1", "192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"].iter().all(|text| !admitted(text)));
        assert!(!peers.admit(None));
        assert!(Peers::anybody().admit(Some("192.0.2.1".parse().expect("an address"))) && Peers::anybody().admit(None));
    }
}
