//! Names to addresses, as a static program must do it for itself: `/etc/hosts`, then the name servers of `/etc/resolv.conf`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{LookupIpStrategy, ResolveHosts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;
use hickory_resolver::{Hosts, Resolver, TokioResolver};
use reqwest::dns::{Addrs, Name as Asked, Resolve, Resolving};
use tokio::time::timeout;

/// Why a name has no address.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unresolved(pub(super) String);

/// Knows the addresses of names.
#[derive(Clone)]
pub(super) struct Names(Arc<Sources>);

struct Sources {
    hosts: Hosts,
    /// The name servers, or why there are none.
    servers: Result<TokioResolver, Unresolved>,
    /// How long they may take, all in all.
    patience: Duration,
}

impl Names {
    /// As this container is told to do it.
    pub(super) fn of_system(patience: Duration) -> Self {
        let read = |path| fs_err::read(path);
        Names::new(&read("/etc/hosts").unwrap_or_default(), read("/etc/resolv.conf"), patience)
    }

    fn new(hosts: &[u8], resolv_conf: io::Result<Vec<u8>>, patience: Duration) -> Self {
        let mut known = Hosts::default();
        // A line that makes no sense does not take the others' away.
        let _ = known.read_hosts_conf(hosts);
        let servers =
            resolv_conf.map_err(|error| Unresolved(crate::sys::fs::plain(&error))).and_then(|text| {
                let unusable =
                    |error: NetError| Unresolved(format!("/etc/resolv.conf is not usable: {error}"));
                let (config, mut options) = parse_resolv_conf(text).map_err(unusable)?;
                options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
                options.use_hosts_file = ResolveHosts::Never;
                let builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
                builder.with_options(options).build().map_err(unusable)
            });
        Names(Arc::new(Sources { hosts: known, servers, patience }))
    }

    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        let known = self.known(name);
        if !known.is_empty() {
            return Ok(known);
        }
        let Sources { servers, patience, .. } = &*self.0;
        let servers = servers.as_ref().map_err(Clone::clone)?;
        match timeout(*patience, servers.lookup_ip(name)).await {
            Ok(Ok(found)) if found.iter().next().is_some() => Ok(found.iter().collect()),
            Ok(Ok(_) | Err(NetError::Dns(DnsError::NoRecordsFound(_)))) => {
                Err(Unresolved("the name servers know no such host".to_owned()))
            }
            Ok(Err(NetError::Timeout | NetError::NoConnections | NetError::Io(_))) | Err(_) => {
                Err(Unresolved("the name servers of /etc/resolv.conf do not answer".to_owned()))
            }
            Ok(Err(error)) => Err(Unresolved(format!("the name servers say: {error}"))),
        }
    }

    /// What is known without asking anybody. Who has one address here has no other elsewhere: hickory would ask the name
    /// servers for the IPv6 address of a host that `/etc/hosts` gives an IPv4 one, and wait for those that nobody can reach.
    fn known(&self, name: &str) -> Vec<IpAddr> {
        let Ok(parsed) = Name::from_utf8(name) else {
            return Vec::new();
        };
        let by_kind = [RecordType::A, RecordType::AAAA]
            .into_iter()
            .filter_map(|kind| self.0.hosts.lookup_static_host(&Query::query(parsed.clone(), kind)));
        let listed: Vec<IpAddr> = by_kind
            .flat_map(|found| {
                found.answers().iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>()
            })
            .collect();
        // <https://www.rfc-editor.org/rfc/rfc6761#section-6.3>
        let lower = name.trim_end_matches('.').to_ascii_lowercase();
        if listed.is_empty() && (lower == "localhost" || lower.ends_with(".localhost")) {
            return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        }
        listed
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Asked) -> Resolving {
        let names = self.clone();
        Box::pin(async move {
            let found = names.addresses(name.as_str()).await?;
            // The port is the URL's.
            let addresses = routed(found).into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}

/// Those addresses to which a route leads, if it does to any: "network unreachable" of an IPv6 address that this
/// pod could never use would else hide why the IPv4 one refused us.
fn routed(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let leads = |address: &IpAddr| {
        let any: IpAddr =
            if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        // To connect a datagram socket sends nothing.
        UdpSocket::bind((any, 0)).and_then(|socket| socket.connect((*address, 9))).is_ok()
    };
    let led: Vec<_> = addresses.iter().copied().filter(leads).collect();
    if led.is_empty() { addresses } else { led }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::*;

    fn ask(hosts: &str, resolv_conf: io::Result<Vec<u8>>, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            Names::new(hosts.as_bytes(), resolv_conf, Duration::from_millis(200)).addresses(name).await
        })
    }

    fn none() -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    #[test]
    fn a_listed_host_is_found_without_any_name_server() {
        let hosts =
            "127.0.0.1 localhost\nnonsense\n10.1.2.3 Registry.Internal registry # ours\nfd00::1 six\n";
        for (name, address) in [
            ("registry.internal", "10.1.2.3"),
            ("registry", "10.1.2.3"),
            ("REGISTRY.internal.", "10.1.2.3"),
            ("six", "fd00::1"),
            ("localhost", "127.0.0.1"),
        ] {
            let expected: Vec<IpAddr> = vec![address.parse().expect("an address")];
            assert_eq!(ask(hosts, none(), name).expect(name), expected, "{name}");
        }
        assert_eq!(ask("", none(), "app.localhost").expect("this host").len(), 2);
    }

    #[test]
    fn who_cannot_be_asked_is_said() {
        let error = ask("", none(), "registry.internal").expect_err("nobody to ask").to_string();
        assert!(error.contains("not found"), "{error}");
        // Nobody serves names on this address.
        let error =
            ask("", Ok(b"nameserver 127.0.0.77\n".to_vec()), "registry.internal").expect_err("nobody");
        assert_eq!(error.to_string(), "the name servers of /etc/resolv.conf do not answer");
        let error = ask("", Ok(b"# empty\n".to_vec()), "registry.internal").expect_err("nobody").to_string();
        assert!(error.starts_with("/etc/resolv.conf is not usable"), "{error}");
    }

    #[test]
    fn addresses_without_a_route_stand_back() {
        let [local, nowhere] =
            ["127.0.0.1", "255.255.255.255"].map(|text| text.parse::<IpAddr>().expect("an address"));
        assert_eq!(routed(vec![nowhere, local]), [local]);
    }
}
