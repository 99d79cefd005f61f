use super::*;
use proptest::prelude::*;

fn nets(list: &[&str]) -> Vec<IpNet> {
    list.iter().map(|text| text.parse().unwrap()).collect()
}

fn record(trusted: &[&str], real_ip: &[&str]) -> ProxyHeaders {
    let names = real_ip.iter().map(|name| (*name).to_owned()).collect();
    ProxyHeaders { trusted: nets(trusted), real_ip: names, original_host: Vec::new() }
}

fn find(records: &[ProxyHeaders], peer: &str, headers: &[(&str, &str)]) -> Client {
    let headers: Vec<Header<'_>> =
        headers.iter().map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() }).collect();
    ClientRules::new(records.to_vec()).find(peer.parse().unwrap(), &headers)
}

const PRIVATE: &[&str] = &["127.0.0.0/8", "10.0.0.0/8", "192.168.0.0/16", "::1/128", "fc00::/7"];

/// Peer, X-Forwarded-For lines, expected address, hops, notes.
type Case = (&'static str, &'static [&'static str], &'static str, usize, &'static [ClientNote]);

/// With private networks trusted and `X-Forwarded-For` named.
const WALKS: &[Case] = &[
    // Nothing there.
    ("10.0.0.1", &[], "10.0.0.1", 0, &[]),
    ("203.0.113.9", &[], "203.0.113.9", 0, &[]),
    ("10.0.0.1", &[""], "10.0.0.1", 0, &[]),
    ("10.0.0.1", &[" , ,"], "10.0.0.1", 0, &[]),
    // The plain case, and its forms.
    ("10.0.0.1", &["203.0.113.9"], "203.0.113.9", 1, &[]),
    ("10.0.0.1", &["203.0.113.9:51234"], "203.0.113.9", 1, &[]),
    ("10.0.0.1", &["2001:db8::7"], "2001:db8::7", 1, &[]),
    ("10.0.0.1", &["[2001:db8::7]:443"], "2001:db8::7", 1, &[]),
    ("10.0.0.1", &["\"[2001:db8::7]:443\""], "2001:db8::7", 1, &[]),
    ("10.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9", 1, &[]),
    ("10.0.0.1", &["2001:db8::7%eth0"], "2001:db8::7", 1, &[]),
    ("10.0.0.1", &["203.0.113.9,"], "203.0.113.9", 1, &[]),
    ("10.0.0.1", &["\t203.0.113.9 "], "203.0.113.9", 1, &[]),
    // Peers that are IPv6, or IPv4 in disguise.
    ("::1", &["203.0.113.9"], "203.0.113.9", 1, &[]),
    ("::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9", 1, &[]),
    ("fd00::5", &["203.0.113.9"], "203.0.113.9", 1, &[]),
    // Several proxies: past the trusted ones, and no further.
    ("10.0.0.1", &["203.0.113.9, 10.0.0.2"], "203.0.113.9", 2, &[]),
    ("10.0.0.1", &["203.0.113.9, 10.0.0.3:80, [fd00::2]:80"], "203.0.113.9", 3, &[]),
    ("10.0.0.1", &["203.0.113.9", "10.0.0.2"], "203.0.113.9", 2, &[]),
    ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3", 2, &[]),
    // Spoofing: what the client wrote stands left of what its proxy saw.
    ("10.0.0.1", &["8.8.8.8, 203.0.113.9"], "203.0.113.9", 1, &[]),
    ("10.0.0.1", &["10.9.9.9, 203.0.113.9"], "203.0.113.9", 1, &[]),
    ("10.0.0.1", &["127.0.0.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9", 2, &[]),
    ("10.0.0.1", &["8.8.8.8", "203.0.113.9"], "203.0.113.9", 1, &[]),
    ("10.0.0.1", &["garbage, 203.0.113.9"], "203.0.113.9", 1, &[]),
    ("10.0.0.1", &["\"8.8.8.8, 203.0.113.9"], "203.0.113.9", 1, &[]),
    ("203.0.113.9", &["8.8.8.8"], "203.0.113.9", 0, &[ClientNote::Untrusted]),
    ("203.0.113.9", &["127.0.0.1"], "203.0.113.9", 0, &[ClientNote::Untrusted]),
    ("2001:db8::7", &["10.0.0.1"], "2001:db8::7", 0, &[ClientNote::Untrusted]),
    // Garbage where an address should be: the last hop that was vouched for.
    ("10.0.0.1", &["garbage"], "10.0.0.1", 0, &[ClientNote::BadHop]),
    ("10.0.0.1", &["203.0.113.9, garbage"], "10.0.0.1", 0, &[ClientNote::BadHop]),
    ("10.0.0.1", &["203.0.113.9, x, 10.0.0.2"], "10.0.0.2", 1, &[ClientNote::BadHop]),
    ("10.0.0.1", &["203.0.113.9;evil"], "10.0.0.1", 0, &[ClientNote::BadHop]),
    ("10.0.0.1", &["0313.0.113.9"], "10.0.0.1", 0, &[ClientNote::BadHop]),
    ("10.0.0.1", &["203.0.113.9:99999"], "10.0.0.1", 0, &[ClientNote::BadHop]),
    ("10.0.0.1", &["203.0.113.9 10.0.0.2"], "10.0.0.1", 0, &[ClientNote::BadHop]),
    ("10.0.0.1", &["unknown"], "10.0.0.1", 0, &[ClientNote::HiddenHop]),
    ("10.0.0.1", &["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2", 1, &[ClientNote::HiddenHop]),
];

#[test]
fn forwarded_for_is_walked_from_the_right() {
    let records = [record(PRIVATE, &["x-forwarded-for"])];
    for &(peer, lines, address, hops, notes) in WALKS {
        let headers: Vec<_> = lines.iter().map(|line| ("X-Forwarded-For", *line)).collect();
        let client = find(&records, peer, &headers);
        let walked = match client.found {
            AddressSource::Peer => 0,
            AddressSource::Header { hops, .. } => hops,
        };
        let got = (client.address.to_string(), walked, client.notes.as_slice());
        assert_eq!(got, (address.to_owned(), hops, notes), "{peer} {lines:?}");
    }
}

#[test]
fn forwarded_is_read_as_the_rfc_says() {
    let records = [record(PRIVATE, &["Forwarded"])];
    let cases: &[(&str, &str, &[ClientNote])] = &[
        ("for=203.0.113.9", "203.0.113.9", &[]),
        ("For=\"203.0.113.9:4711\"", "203.0.113.9", &[]),
        ("for=\"[2001:db8::7]\"", "2001:db8::7", &[]),
        ("proto=https;by=10.0.0.9;for=\"[2001:db8::7]:_port\"", "2001:db8::7", &[]),
        ("for=203.0.113.9, for=10.0.0.2", "203.0.113.9", &[]),
        ("for=8.8.8.8, for=203.0.113.9;secret=\"a,b\"", "203.0.113.9", &[]),
        ("for=\"8.8.8.8, for=203.0.113.9", "203.0.113.9", &[]),
        ("for=_hidden", "10.0.0.1", &[ClientNote::HiddenHop]),
        ("for=_SEVKISEK:_x1", "10.0.0.1", &[ClientNote::HiddenHop]),
        ("for=unknown", "10.0.0.1", &[ClientNote::HiddenHop]),
        ("for=\"unknown:80\"", "10.0.0.1", &[ClientNote::HiddenHop]),
        ("for=203.0.113.9, for=_x, for=10.0.0.2", "10.0.0.2", &[ClientNote::HiddenHop]),
        ("by=203.0.113.9", "10.0.0.1", &[ClientNote::BadHop]),
        ("203.0.113.9", "10.0.0.1", &[ClientNote::BadHop]),
        ("for=203.0.113.9;for=8.8.8.8", "10.0.0.1", &[ClientNote::BadHop]),
        ("for=\"203.0.113.9", "10.0.0.1", &[ClientNote::BadHop]),
        ("for=", "10.0.0.1", &[ClientNote::BadHop]),
    ];
    for &(line, address, notes) in cases {
        let client = find(&records, "10.0.0.1", &[("forwarded", line)]);
        assert_eq!((client.address.to_string().as_str(), client.notes.as_slice()), (address, notes), "{line}");
    }
}

#[test]
fn the_first_record_that_trusts_the_peer_decides_alone() {
    let records =
        [record(&["10.1.0.0/16"], &["x-real-ip"]), record(&["10.0.0.0/8"], &["cf-connecting-ip", "x-forwarded-for"])];
    let headers =
        [("X-Real-IP", "198.51.100.1"), ("X-Forwarded-For", "198.51.100.2"), ("CF-Connecting-IP", "198.51.100.3")];
    let address = |peer, headers: &[(&str, &str)]| find(&records, peer, headers).address.to_string();
    assert_eq!(address("10.1.0.1", &headers), "198.51.100.1");
    assert_eq!(address("10.2.0.1", &headers), "198.51.100.3");
    assert_eq!(address("10.2.0.1", &headers[..2]), "198.51.100.2");
    // Headers of the other record never count.
    assert_eq!(address("10.1.0.1", &headers[1..]), "10.1.0.1");
    assert_eq!(address("10.2.0.1", &headers[..1]), "10.2.0.1");
    let found = find(&records, "10.2.0.1", &headers).found;
    assert_eq!(found, AddressSource::Header { record: 1, name: "cf-connecting-ip".into(), hops: 1 });
}

#[test]
fn a_present_header_that_is_garbage_does_not_open_the_next() {
    // The client writes X-Forwarded-For, its proxy X-Real-IP: a broken one must not hand the choice to the client.
    let records = [record(PRIVATE, &["x-real-ip", "x-forwarded-for"])];
    let client = find(&records, "10.0.0.1", &[("X-Real-IP", "?"), ("X-Forwarded-For", "8.8.8.8")]);
    assert_eq!((client.address.to_string().as_str(), client.found), ("10.0.0.1", AddressSource::Peer));
}

#[test]
fn trusting_everyone_takes_the_leftmost() {
    let records = [record(&["0.0.0.0/0", "::/0"], &["x-forwarded-for"])];
    let client = find(&records, "203.0.113.9", &[("X-Forwarded-For", "198.51.100.1, 8.8.8.8, 2001:db8::7")]);
    assert_eq!(client.address.to_string(), "198.51.100.1");
}

#[test]
fn networks_written_as_mapped_addresses_hold_them() {
    let records = [record(&["::ffff:10.0.0.0/104"], &["x-forwarded-for"])];
    let client = find(&records, "10.0.0.1", &[("X-Forwarded-For", "203.0.113.9")]);
    assert_eq!(client.address.to_string(), "203.0.113.9");
    // `::/0` is no word for IPv4.
    let records = [record(&["::/0"], &["x-forwarded-for"])];
    assert_eq!(find(&records, "10.0.0.1", &[("X-Forwarded-For", "203.0.113.9")]).address.to_string(), "10.0.0.1");
}

#[test]
fn the_original_host_is_that_of_the_outermost_trusted_proxy() {
    let mut records = [record(PRIVATE, &["x-forwarded-for"])];
    records[0].original_host = vec!["x-forwarded-host".into(), "forwarded".into()];
    let host = |peer, headers: &[(&str, &str)]| find(&records, peer, headers).host;
    let xff = ("X-Forwarded-For", "203.0.113.9");
    assert_eq!(host("10.0.0.1", &[("X-Forwarded-Host", "Shop.Example:8080")]).as_deref(), Some("shop.example"));
    assert_eq!(
        host("10.0.0.1", &[xff, ("X-Forwarded-Host", "evil.example, shop.example")]).as_deref(),
        Some("shop.example")
    );
    let two = ("X-Forwarded-For", "8.8.8.8, 203.0.113.9, 10.0.0.2");
    let hosts = ("X-Forwarded-Host", "evil.example, shop.example, inner.example");
    assert_eq!(host("10.0.0.1", &[two, hosts]).as_deref(), Some("shop.example"));
    assert_eq!(host("10.0.0.1", &[two, ("X-Forwarded-Host", "shop.example")]).as_deref(), Some("shop.example"));
    assert_eq!(host("10.0.0.1", &[("Forwarded", "for=203.0.113.9;host=\"a.example\"")]).as_deref(), Some("a.example"));
    assert_eq!(host("203.0.113.9", &[("X-Forwarded-Host", "evil.example")]), None);
    let bad = find(&records, "10.0.0.1", &[("X-Forwarded-Host", "a/b")]);
    assert_eq!((bad.host, bad.notes.as_slice()), (None, &[ClientNote::BadHost][..]));
}

#[test]
fn long_chains_end() {
    let records = [record(PRIVATE, &["x-forwarded-for"])];
    let many = vec!["10.0.0.2"; MAX_HOPS + 1].join(",");
    let client = find(&records, "10.0.0.1", &[("X-Forwarded-For", &many)]);
    assert_eq!(
        (client.address.to_string().as_str(), client.notes.as_slice()),
        ("10.0.0.2", &[ClientNote::TooManyHops][..])
    );
    // A long line is cut in the middle of an address: the piece is no address of its own.
    let long = format!("1{}", "11.1.1.1".repeat(1 << 20));
    let client = find(&records, "10.0.0.1", &[("X-Forwarded-For", &long)]);
    assert_eq!(
        (client.address.to_string().as_str(), client.notes.as_slice()),
        ("10.0.0.1", &[ClientNote::TooManyHops][..])
    );
    let commas = ",".repeat(1 << 20);
    assert_eq!(find(&records, "10.0.0.1", &[("X-Forwarded-For", &commas)]).address.to_string(), "10.0.0.1");
}

#[test]
fn without_records_only_the_peer_counts() {
    let client = find(&[], "203.0.113.9", &[("X-Forwarded-For", "8.8.8.8")]);
    assert_eq!((client.address.to_string().as_str(), client.notes.len()), ("203.0.113.9", 0));
}

proptest! {
    #[test]
    fn headers_never_panic(
        value in "[0-9a-f:.,\\[\\]\"%;=_ forhost\\\\]{0,80}",
        name in prop::sample::select(vec!["forwarded", "x-forwarded-for", "x-forwarded-host"]),
    ) {
        let mut records = [record(PRIVATE, &["x-forwarded-for", "forwarded"])];
        records[0].original_host = vec!["x-forwarded-host".into(), "forwarded".into()];
        let _ = find(&records, "10.0.0.1", &[(name, &value)]);
    }

    #[test]
    fn what_a_client_writes_never_changes_what_its_proxy_saw(
        claim in "[ -~]{0,60}",
        by_rfc: bool,
        same_line: bool,
    ) {
        let (name, seen) = if by_rfc { ("forwarded", "for=203.0.113.9") } else { ("x-forwarded-for", "203.0.113.9") };
        let records = [record(PRIVATE, &[name])];
        let joined = format!("{claim}, {seen}");
        let headers = if same_line { vec![(name, joined.as_str())] } else { vec![(name, claim.as_str()), (name, seen)] };
        let client = find(&records, "10.0.0.1", &headers);
        prop_assert_eq!(client.address.to_string(), "203.0.113.9");
    }

    #[test]
    fn untrusted_peers_are_who_they_are(value in "[ -~]{0,60}", peer: u32) {
        let peer = IpAddr::from(std::net::Ipv4Addr::from(peer));
        let records = [record(&["10.0.0.0/8"], &["x-forwarded-for"])];
        if !records[0].trusts(peer) {
            prop_assert_eq!(find(&records, &peer.to_string(), &[("x-forwarded-for", &value)]).address, peer);
        }
    }
}
