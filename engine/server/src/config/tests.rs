use std::path::Path;

use clap::Args as _;

use super::*;
use crate::Error;

fn toml(text: &str) -> Result<Config, ConfigError> {
    Config::from_toml(text, Path::new("test.toml"))
}

fn line(words: &[&str]) -> Result<Config, Error> {
    let words = std::iter::once("http").chain(words.iter().copied()).map(Into::into);
    Arguments::<NoExtra>::parse_from("http", "test", words).map(|arguments| arguments.config)
}

#[test]
fn an_empty_file_and_an_empty_line_are_the_default() {
    assert_eq!(toml("").unwrap(), Config::default());
    assert_eq!(line(&[]).unwrap(), Config::default());
}

#[test]
fn every_key_is_the_same_in_a_file_and_on_the_line() {
    let command = Config::augment_args_for_update(clap::Command::new("test"));
    let mut line: Vec<String> =
        command.get_arguments().map(|argument| argument.get_id().to_string()).collect();
    let full = Config {
        interface: Some("eth0".to_owned()),
        address: vec!["198.18.0.1/24".parse().unwrap()],
        gateway: vec!["198.18.0.254".parse().unwrap()],
        spin_us: Some(5),
        capture: Some("x.pcapng".into()),
        ip: IpConfig { vlan: Some(7), ..IpConfig::default() },
        ..Config::default()
    };
    let table = ::toml::Table::try_from(&full).unwrap();
    let names = |(name, value): (&String, &::toml::Value)| match value.as_table() {
        Some(table) => table.keys().cloned().collect(),
        None => vec![name.clone()],
    };
    let mut file: Vec<String> = table.iter().flat_map(names).collect();
    let mut known: Vec<String> = keys::all().map(|key| key.name.to_owned()).collect();
    line.sort();
    file.sort();
    known.sort();
    assert_eq!(line, known);
    assert_eq!(file, known);
    assert_eq!(toml(&::toml::to_string(&full).unwrap()).unwrap(), full);
}

#[test]
fn the_line_overrides_the_file() {
    let directory = std::env::temp_dir().join(format!("bywash-config-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("a.toml");
    std::fs::write(&file, "port = 81\nspin_us = 3\n[tcp]\nsomaxconn = 7\ntcp_time_wait_ms = 1000\n").unwrap();
    let config =
        line(&["--config", file.to_str().unwrap(), "--port", "82", "--tcp_time_wait_ms=50"]).unwrap();
    assert_eq!((config.port, config.spin_us), (82, Some(3)));
    assert_eq!((config.tcp.somaxconn, config.tcp.tcp_time_wait_ms), (7, 50));
    assert_eq!(config.backend, BackendChoice::Auto);
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn all_forms_of_lists_are_read() {
    let config = toml("address = '198.18.0.1/24'\nqueues = 2\ncores = [1, 0]").unwrap();
    assert_eq!(config.address, ["198.18.0.1/24".parse().unwrap()]);
    assert_eq!((config.queues, config.cores), (Queues::Count(2), Cores::List(vec![1, 0])));
    let config =
        toml("address = ['198.18.0.1/24', 'fd00:198:18::1/64']\nqueues = [1]\ncores = 'none'").unwrap();
    assert_eq!(config.address.len(), 2);
    assert_eq!((config.queues, config.cores), (Queues::List(vec![1]), Cores::None));
    let config =
        line(&["--queues", "0,2", "--cores", "[1]", "--address", "198.18.0.1,198.18.0.2/16"]).unwrap();
    assert_eq!((config.queues, config.cores), (Queues::List(vec![0, 2]), Cores::List(vec![1])));
    assert_eq!(config.address[0].prefix_length(), 32);
    assert_eq!(config.address[1].prefix_length(), 16);
}

#[test]
fn complaints_about_a_file_name_file_line_key_and_remedy() {
    let cases = [
        ("backnd = 'xdp'", "test.toml:1: unknown key `backnd` (did you mean `backend`?)"),
        ("port = 80\n\nintreface = 'v0'", "test.toml:3: unknown key `intreface` (did you mean `interface`?)"),
        (
            "[tcp]\ntcp_timewait_ms = 1",
            "test.toml:2: unknown key `tcp_timewait_ms` (did you mean `tcp_time_wait_ms`?)",
        ),
        ("somaxconn = 1", "test.toml:1: unknown key `somaxconn` (did you mean `somaxconn`, below `[tcp]`?)"),
        ("[tcp]\nport = 1", "test.toml:2: unknown key `port` (did you mean `port`, at the top of the file?)"),
        (
            "[tcp]\nmin_pmtu = 1",
            "test.toml:2: unknown key `min_pmtu` (did you mean `min_pmtu`, below `[ip]`?)",
        ),
        ("[ip]\nmin_pmtu = 67", "test.toml:2: `min_pmtu` is 67, but accepts a whole number from 68 to 65535"),
        ("zzz = 1", "test.toml:1: unknown key `zzz`"),
        ("port = 80\nmode = 'nativ'", "test.toml:2: `mode` is 'nativ', but accepts auto, native, generic"),
        ("port = 0", "test.toml:1: `port` is 0, but accepts a whole number from 1 to 65535"),
        ("port = 70000", "test.toml:1: `port` is 70000, but accepts a whole number from 1 to 65535"),
        ("port = 'x'", "test.toml:1: `port` is 'x', but accepts a whole number from 1 to 65535"),
        ("frames = 1000", "test.toml:1: `frames` is 1000, but accepts a power of two from 64 to 65536"),
        (
            "\nqueues = 0",
            "test.toml:2: `queues` is 0, but accepts all, a count from 1, or a list such as [0, 2]",
        ),
        (
            "queues = [1, 1]",
            "test.toml:1: `queues` is [1, 1], but accepts all, a count from 1, or a list such as [0, 2]",
        ),
        (
            "address = ['198.18.0.1/33']",
            "test.toml:1: `address` is ['198.18.0.1/33'], but accepts addresses with prefix lengths, such as 198.18.0.1/24",
        ),
        (
            "lab_name = 'a/b'",
            "test.toml:1: `lab_name` is a/b, but accepts 1 to 32 letters, digits and hyphens",
        ),
        (
            "[tcp]\n# how long\ntcp_time_wait_ms = -1",
            "test.toml:3: `tcp_time_wait_ms` is -1, but accepts a whole number from 0 to 240000",
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(toml(text).unwrap_err().to_string(), wanted, "for {text:?}");
    }
    assert!(toml("port = ").unwrap_err().to_string().starts_with("test.toml:1: "));
    let missing = Config::from_file(Path::new("/nonexistent.toml")).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read the configuration file /nonexistent.toml: "), "{missing}");
}

#[test]
fn complaints_about_the_line_name_key_value_and_remedy() {
    let range = line(&["--spin-us", "2000000"]).unwrap_err();
    assert_eq!(range.to_string(), "`spin_us` is 2000000, but accepts a whole number from 0 to 1000000");
    assert_eq!(range.exit_code(), 2);
    let word = line(&["--mode", "nativ"]).unwrap_err();
    assert!(word.to_string().contains("[possible values: auto, native, generic]"), "{word}");
    let key = line(&["--intreface", "v0"]).unwrap_err();
    assert!(key.to_string().contains("--interface"), "{key}");
    assert_eq!(key.exit_code(), 2);
}

#[test]
fn help_tells_defaults_bounds_and_exit_codes() {
    let help = arguments::command::<NoExtra>("http", "test").render_long_help().to_string();
    for part in [
        "[default: 8080]",
        "[default: auto]",
        "[a whole number from 1 to 65535]",
        "Exit codes:",
        "--tcp-time-wait-ms",
    ] {
        assert!(help.contains(part), "no {part} in\n{help}");
    }
}

#[test]
fn every_file_in_configs_is_read_and_explains_itself() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let mut count = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let file = entry.unwrap().path();
        let text = std::fs::read_to_string(&file).unwrap();
        Config::from_file(&file).unwrap();
        assert!(text.starts_with("# "), "{} does not say what it is for", file.display());
        count += 1;
    }
    assert!(count >= 4);
}

#[test]
fn shards_share_the_ports_for_opening_out() {
    let range: PortRange = "50000-50009".parse().unwrap();
    for shards in 1..=10 {
        let parts: Vec<_> = (0..shards).map(|index| range.share(index, shards).bounds()).collect();
        let ports: Vec<u16> = parts.iter().flat_map(|(first, last)| *first..=*last).collect();
        assert_eq!(ports, (50_000..=50_009).collect::<Vec<_>>(), "{shards} shards");
    }
    assert_eq!("1-65535".parse::<PortRange>().unwrap().share(0, 1).bounds(), (1, 65_535));
    for wrong in ["0-5", "6-5", "5", "5-70000", "a-b"] {
        assert!(wrong.parse::<PortRange>().is_err(), "{wrong}");
    }
    let wrong = toml("[tcp]\ntcp_syncookies = 3").unwrap_err().to_string();
    assert!(wrong.ends_with("`tcp_syncookies` is 3, but accepts a whole number from 0 to 2"), "{wrong}");
    let wrong = toml("[tcp]\nip_local_port_range = \"9-8\"").unwrap_err().to_string();
    assert!(wrong.contains("ip_local_port_range") && wrong.contains("32768-60999"), "{wrong}");
}
