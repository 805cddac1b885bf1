use std::net::{IpAddr, SocketAddr};

use crate::{
    outbound::{AllowRule, Config, Guard, Refusal},
    problem::ConfigProblems,
};

fn guard(allow: &[&str]) -> Guard {
    let config = Config { allow_origins: allow.iter().map(|rule| (*rule).to_owned()).collect(), ..Config::default() };
    Guard::new(&config, Vec::new()).unwrap()
}

#[track_caller]
fn judge(guard: &Guard, host: &str, address: &str) -> Result<(), Refusal> {
    guard.judge(host, address.parse().unwrap(), |_| false)
}

/// Refused on any port, named or not.
#[track_caller]
fn check_refused(guard: &Guard, address: &str) {
    let ip: IpAddr = address.parse().unwrap();
    for port in [80, 443, 8080] {
        let verdict = guard.judge("a.example", SocketAddr::new(ip, port), |_| false);
        assert!(verdict.is_err(), "{address}:{port} passed");
    }
}

#[test]
fn the_public_internet_passes() {
    for address in ["1.1.1.1:80", "8.8.8.8:443", "192.0.1.1:80", "172.32.0.1:80", "100.128.0.1:80", "198.20.0.1:80"] {
        assert_eq!(judge(&guard(&[]), "a.example", address), Ok(()), "{address}");
    }
    for address in
        ["[2606:4700::1111]:443", "[2a00:1450:4001::1]:80", "[2001:4860:4860::8888]:443", "[::ffff:8.8.8.8]:80"]
    {
        assert_eq!(judge(&guard(&[]), "a.example", address), Ok(()), "{address}");
    }
}

#[test]
fn the_deny_list_is_complete_in_ipv4() {
    for address in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.1.2.3",
        "169.254.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "192.168.255.255",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "100.100.100.200",
        "168.63.129.16",
    ] {
        check_refused(&guard(&[]), address);
        // The same one in each of its IPv6 disguises.
        let v4: std::net::Ipv4Addr = address.parse().unwrap();
        let [a, b, c, d] = v4.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        for disguise in [
            format!("::ffff:{v4}"),
            format!("::{v4}"),
            format!("::ffff:0:{v4}"),
            format!("2002:{high:x}:{low:x}::1"),
            format!("2001:0:808:808:0:0:{:x}:{:x}", !high, !low),
            format!("2001:0:{high:x}:{low:x}:0:0:f7f7:f7f7"),
            format!("2606:4700::5efe:{high:x}:{low:x}"),
            format!("2606:4700::200:5efe:{high:x}:{low:x}"),
            format!("fe80::5efe:{high:x}:{low:x}"),
            format!("64:ff9b::{v4}"),
            format!("64:ff9b:1::{v4}"),
        ] {
            check_refused(&guard(&[]), &disguise);
            // With all of IPv6 allowed, it is the embedded address that is refused.
            let hides_nothing = disguise.parse::<std::net::Ipv6Addr>().unwrap().is_unspecified();
            if !hides_nothing {
                check_refused(&guard(&["::/0"]), &disguise);
            }
        }
    }
}

#[test]
fn the_deny_list_is_complete_in_ipv6() {
    for address in [
        "::",
        "::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "fc00::1",
        "fd12:3456::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "ff02::1",
        "2001:db8::1",
        "3fff::1",
        "100::1",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001::1",
        "2002:808:808::1",
        "5f00::1",
        "4000::1",
        "64:ff9b::808:808",
        "64:ff9b:1::808:808",
        "1::1",
        "::8.8.8.8",
    ] {
        check_refused(&guard(&[]), address);
    }
}

#[test]
fn an_allow_rule_opens_exactly_what_it_says() {
    #[track_caller]
    fn check(rule: &str, host: &str, address: &str, passes: bool) {
        assert_eq!(judge(&guard(&[rule]), host, address).is_ok(), passes, "{rule}: {host} at {address}");
    }
    check("10.0.0.0/8", "a.example", "10.1.2.3:80", true);
    check("10.0.0.0/8", "a.example", "[::ffff:10.1.2.3]:80", true);
    check("10.0.0.0/8", "a.example", "11.0.0.0:80", true);
    check("10.0.0.0/8", "a.example", "192.168.1.1:80", false);
    check("10.1.2.3/8", "a.example", "10.9.9.9:80", true);
    check("127.0.0.1", "a.example", "127.0.0.1:1234", true);
    check("127.0.0.1", "a.example", "127.0.0.2:1234", false);
    check("127.0.0.1:9000", "a.example", "127.0.0.1:9000", true);
    check("127.0.0.1:9000", "a.example", "127.0.0.1:9001", false);
    check("0x7f.1:9000", "a.example", "127.0.0.1:9000", true);
    check("[::1]:9000", "a.example", "[::1]:9000", true);
    check("[::1]:9000", "a.example", "[::1]:9001", false);
    check("::1", "a.example", "[::1]:9001", true);
    check("[::1]", "a.example", "[::1]:9001", true);
    check("fd00::/8", "a.example", "[fd01::5]:80", true);
    check("prompts.local", "prompts.local", "10.0.0.1:80", true);
    check("Prompts.Local.", "prompts.local.", "10.0.0.1:80", true);
    check("prompts.local", "other.local", "10.0.0.1:80", false);
    check("prompts.local", "x.prompts.local", "10.0.0.1:80", false);
    check("prompts.local:8080", "prompts.local", "10.0.0.1:8080", true);
    check("prompts.local:8080", "prompts.local", "10.0.0.1:80", false);
    // A disguise passes only where both the disguise and what it hides are allowed.
    check("127.0.0.1", "a.example", "[2002:7f00:1::]:80", false);
    check("2002::/16", "a.example", "[2002:7f00:1::]:80", false);
    check("2002::/16", "a.example", "[2002:808:808::]:80", true);
    check("::/0", "a.example", "[64:ff9b::7f00:1]:80", false);
    check("::/0", "a.example", "[64:ff9b::808:808]:80", false);
}

#[test]
fn metadata_is_refused_whatever_is_allowed() {
    let guard = guard(&["0.0.0.0/0", "::/0", "metadata.internal", "169.254.169.254:80"]);
    for address in [
        "169.254.169.254",
        "169.254.0.7",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "2002:a9fe:a9fe::",
        "fe80::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "100.100.100.200",
        "168.63.129.16",
        "2606:4700::5efe:169.254.169.254",
        "2001:0:808:808:0:0:5601:5601",
    ] {
        let address = SocketAddr::new(address.parse().unwrap(), 80);
        assert_eq!(guard.judge("metadata.internal", address, |_| false), Err(Refusal::Metadata), "{address}");
    }
}

#[test]
fn own_listeners_are_refused_whatever_is_allowed() {
    #[track_caller]
    fn check(listener: &str, address: &str, refused: bool) {
        let own = vec![listener.parse().unwrap()];
        let guard = Guard { own_listeners: own, ..guard(&["0.0.0.0/0", "::/0", "a.example"]) };
        let is_local =
            |ip: IpAddr| ip == "192.168.1.5".parse::<IpAddr>().unwrap() || ip == "2606::5".parse::<IpAddr>().unwrap();
        let verdict = guard.judge("a.example", address.parse().unwrap(), is_local);
        assert_eq!(verdict == Err(Refusal::OwnListener), refused, "{listener} asked for {address}: {verdict:?}");
    }
    check("127.0.0.1:8080", "127.0.0.1:8080", true);
    check("127.0.0.1:8080", "127.0.0.1:8081", false);
    check("127.0.0.1:8080", "0.0.0.0:8080", true);
    check("127.0.0.1:8080", "[::]:8080", true);
    check("127.0.0.1:8080", "[::1]:8080", true);
    check("127.0.0.1:8080", "[::ffff:127.0.0.1]:8080", true);
    check("0.0.0.0:8080", "127.0.0.1:8080", true);
    check("0.0.0.0:8080", "192.168.1.5:8080", true);
    check("0.0.0.0:8080", "192.168.1.6:8080", false);
    check("[::]:8080", "[2606::5]:8080", true);
    check("[::]:8080", "192.168.1.5:8080", true);
    check("192.168.1.5:8080", "192.168.1.5:8080", true);
    check("192.168.1.5:8080", "8.8.8.8:8080", false);
    check("[::ffff:192.168.1.5]:8080", "192.168.1.5:8080", true);
}

#[test]
fn nat64_passes_only_under_the_configured_prefix_and_by_its_ipv4_address() {
    // The examples of RFC 6052 §2.4 for 192.0.2.33, and the same forms of 8.8.8.8.
    for (prefix, documentation, public) in [
        ("2001:db8::/32", "2001:db8:c000:221::", "2001:db8:808:808::"),
        ("2001:db8:100::/40", "2001:db8:1c0:2:21::", "2001:db8:108:808:8::"),
        ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::", "2001:db8:122:808:8:800::"),
        ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::", "2001:db8:122:308:8:808::"),
        ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::", "2001:db8:122:344:8:808:800::"),
        ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33", "2001:db8:122:344::8.8.8.8"),
        ("64:ff9b::/96", "64:ff9b::192.0.2.33", "64:ff9b::8.8.8.8"),
    ] {
        let guard = Guard { nat64_prefix: Some(prefix.parse().unwrap()), ..Guard::default() };
        let judge = |ip: &str| guard.judge("a.example", SocketAddr::new(ip.parse().unwrap(), 80), |_| false);
        assert_eq!(judge(documentation), Err(Refusal::Reserved("a documentation address")), "{prefix}");
        assert_eq!(judge(public), Ok(()), "{prefix}");
        assert_eq!(judge("64:ff9b:1::8.8.8.8"), Err(Refusal::Nat64), "{prefix}");
    }
    let guard = Guard { nat64_prefix: Some("64:ff9b::/96".parse().unwrap()), ..Guard::default() };
    assert_eq!(judge(&guard, "a.example", "[64:ff9b::127.0.0.1]:80"), Err(Refusal::Reserved("a loopback address")));
    assert_eq!(judge(&guard, "a.example", "[64:ff9b::169.254.169.254]:80"), Err(Refusal::Metadata));
}

#[test]
fn text_that_is_no_allow_rule_is_refused() {
    for text in [
        "",
        ":80",
        "host:0",
        "host:65536",
        "host:port",
        "10.0.0.0/33",
        "*.example.com",
        "http://host",
        "a b",
        "[::1",
        "host/8",
    ] {
        assert!(text.parse::<AllowRule>().is_err(), "{text:?} was taken");
    }
    let mut problems = ConfigProblems::default();
    let allow_origins = vec!["10.0.0.0/8".to_owned(), "*.x".to_owned(), ":1".to_owned()];
    Config { allow_origins, nat64_prefix: Some("2001:db8::/80".parse().unwrap()), ..Config::default() }
        .validate("outbound", &mut problems);
    let keys: Vec<_> = problems.iter().map(|(key, _)| key.to_owned()).collect();
    assert_eq!(keys, ["outbound.allow_origins", "outbound.allow_origins", "outbound.nat64_prefix"]);
}

#[test]
fn the_default_configuration_is_valid() {
    let mut problems = ConfigProblems::default();
    Config::default().validate("outbound", &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
}
