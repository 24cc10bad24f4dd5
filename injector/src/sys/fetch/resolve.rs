//! Names to addresses, as a static program must do it for itself: `/etc/hosts`, then the name servers of `/etc/resolv.conf`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;
use hickory_resolver::{Hosts, Resolver, TokioResolver};
use reqwest::dns::{Addrs, Name as Asked, Resolve, Resolving};
use tokio::time::timeout;

use crate::sys::fs;
use crate::sys::race::{Either, race};

/// How long to wait for addresses of the other kind.
const GRACE: Duration = Duration::from_millis(200);

/// Why a name has no address.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unresolved(pub(super) String);

/// Knows the addresses of names.
#[derive(Clone)]
pub(in crate::sys) struct Names(Arc<Sources>);

struct Sources {
    hosts: Hosts,
    /// The name servers, or why there are none.
    servers: Result<TokioResolver, Unresolved>,
    /// How long they may take, all in all.
    patience: Duration,
}

impl Names {
    /// As this container is told to do it.
    pub(in crate::sys) fn of_system(patience: Duration) -> Self {
        let hosts = fs_err::read("/etc/hosts").unwrap_or_default();
        Names::new(&hosts, configuration(fs_err::read("/etc/resolv.conf")), patience)
    }

    fn new(
        hosts: &[u8],
        servers: Result<(ResolverConfig, ResolverOpts), Unresolved>,
        patience: Duration,
    ) -> Self {
        let mut known = Hosts::default();
        // What makes no sense does not take away what stands above it.
        let _ = known.read_hosts_conf(hosts);
        let servers = servers.and_then(|(config, mut options)| {
            options.use_hosts_file = ResolveHosts::Never;
            let builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
            builder.with_options(options).build().map_err(|error| unusable(&error))
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
        match timeout(*patience, ask(servers, name)).await {
            Ok(Ok(found)) if !found.is_empty() => Ok(found),
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

/// Asks for both kinds of addresses at once, and does not wait long for one kind where the other is known: some name
/// servers never answer when asked for IPv6 (<https://www.rfc-editor.org/rfc/rfc4074>), and hickory would wait.
async fn ask(servers: &TokioResolver, name: &str) -> Result<Vec<IpAddr>, NetError> {
    let addresses = async |kind| {
        let found = servers.lookup(name, kind).await?;
        Ok(found.answers().iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>())
    };
    let (mut four, mut six) = (pin!(addresses(RecordType::A)), pin!(addresses(RecordType::AAAA)));
    let (first, other) = match race(four.as_mut(), six.as_mut()).await {
        Either::First(found) => (found, six),
        Either::Second(found) => (found, four),
    };
    let other = match &first {
        Ok(found) if !found.is_empty() => timeout(GRACE, other).await.unwrap_or(Ok(Vec::new())),
        _ => other.await,
    };
    match (first, other) {
        (Ok(first), Ok(other)) => Ok([first, other].concat()),
        (Ok(found), Err(_)) | (Err(_), Ok(found)) if !found.is_empty() => Ok(found),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

/// Which name servers to ask, and how.
fn configuration(resolv_conf: io::Result<Vec<u8>>) -> Result<(ResolverConfig, ResolverOpts), Unresolved> {
    let text = resolv_conf.map_err(|error| Unresolved(fs::plain(&error)))?;
    parse_resolv_conf(text).map_err(|error| unusable(&error))
}

fn unusable(error: &NetError) -> Unresolved {
    Unresolved(format!("/etc/resolv.conf is not usable: {error}"))
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

/// Those addresses to which a route leads, if it does to any, in their order: "network unreachable" of an address of a
/// kind that this pod could never use would else hide why the other refused us.
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
    use std::thread;

    use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
    use hickory_resolver::proto::op::{Message, ResponseCode};
    use hickory_resolver::proto::rr::{RData, Record};
    use tokio::runtime::Builder;

    use super::*;

    /// Less than hickory waits for one answer.
    const PATIENCE: Duration = Duration::from_secs(3);

    fn find(names: &Names, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(names.addresses(name))
    }

    fn listed(hosts: &str, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        let none = configuration(Err(io::ErrorKind::NotFound.into()));
        find(&Names::new(hosts.as_bytes(), none, PATIENCE), name)
    }

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().expect("an address")).collect()
    }

    /// A name server on loopback that knows one host, and answers no question for IPv6 addresses if it is `mute`.
    fn name_server(known: &'static str, found: &[&str], mute: Mute) -> Names {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let mut connection = ConnectionConfig::udp();
        connection.port = socket.local_addr().expect("a bound port").port();
        let server = NameServerConfig::new(Ipv4Addr::LOCALHOST.into(), true, vec![connection]);
        let found = addresses(found);
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let question = Message::from_vec(&buffer[..length]).expect("a question");
                let query = question.queries[0].clone();
                if query.query_type() == RecordType::AAAA && mute == Mute::ForIpv6 {
                    continue;
                }
                let mut answer = question.into_response();
                if query.name().to_utf8() == known {
                    let records = found
                        .iter()
                        .map(|&address| Record::from_rdata(query.name().clone(), 60, RData::from(address)));
                    let fits = |record: &Record| record.record_type() == query.query_type();
                    answer.add_answers(records.filter(fits));
                } else {
                    answer.metadata.response_code = ResponseCode::NXDomain;
                }
                socket.send_to(&answer.to_vec().expect("bytes"), from).expect("sent");
            }
        });
        let search = vec!["ns.svc.cluster.local.".parse().expect("a name")];
        let mut options = ResolverOpts::default();
        options.ndots = 5;
        Names::new(b"", Ok((ResolverConfig::from_parts(None, search, vec![server]), options)), PATIENCE)
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Mute {
        Never,
        ForIpv6,
    }

    #[test]
    fn name_servers_are_asked_for_both_kinds_of_addresses_within_the_clusters_domains() {
        let both = ["10.1.2.3", "fd00::1"];
        for known in ["registry.ns.svc.cluster.local.", "registry."] {
            let mut found = find(&name_server(known, &both, Mute::Never), "registry").expect(known);
            found.sort_unstable();
            assert_eq!(found, addresses(&both), "{known}");
        }
        let found = find(&name_server("registry.", &["fd00::1"], Mute::Never), "registry").expect("found");
        assert_eq!(found, addresses(&["fd00::1"]));
        let error = find(&name_server("registry.", &both, Mute::Never), "regstry").expect_err("unknown");
        assert_eq!(error.to_string(), "the name servers know no such host");
    }

    #[test]
    fn a_name_server_that_is_mute_about_ipv6_is_not_waited_for() {
        let names = name_server("registry.ns.svc.cluster.local.", &["10.1.2.3"], Mute::ForIpv6);
        assert_eq!(find(&names, "registry").expect("found"), addresses(&["10.1.2.3"]));
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
            assert_eq!(listed(hosts, name).expect(name), addresses(&[address]), "{name}");
        }
        assert_eq!(listed("", "app.localhost").expect("this host"), addresses(&["127.0.0.1", "::1"]));
    }

    #[test]
    fn who_cannot_be_asked_is_said() {
        let error = listed("", "registry.internal").expect_err("nobody to ask").to_string();
        assert!(error.contains("not found"), "{error}");
        let asked = |resolv_conf: &str| {
            let servers = configuration(Ok(resolv_conf.as_bytes().to_vec()));
            let names = Names::new(b"", servers, Duration::from_millis(200));
            find(&names, "registry.internal").expect_err("nobody").to_string()
        };
        // Nobody serves names on this address.
        assert_eq!(asked("nameserver 127.0.0.77\n"), "the name servers of /etc/resolv.conf do not answer");
        let error = asked("# empty\n");
        assert!(error.starts_with("/etc/resolv.conf is not usable"), "{error}");
    }

    #[test]
    fn addresses_without_a_route_stand_back() {
        let both = addresses(&["255.255.255.255", "127.0.0.1"]);
        assert_eq!(routed(both), addresses(&["127.0.0.1"]));
        let none = addresses(&["255.255.255.255"]);
        assert_eq!(routed(none.clone()), none);
    }
}
