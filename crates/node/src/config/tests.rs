use strand_directive::units::{format_duration, format_size, parse_duration, parse_size};

use super::*;

#[test]
fn the_documented_file_is_read() {
    let config: NodeConfig = toml::from_str(
        r#"
        memory = "2Gi"
        drain = "5s"
        [ceilings]
        memory = "1Gi"
        cpu = "10m"
        concurrency = 7
        [engine]
        warm-slots = 3
        threads = 8
        code = "96Mi"
        [weights]
        reads = 200
        [functions]
        output = "2Mi"
        call-depth = 3
        [gateway]
        streams = 16
        write-timeout = "5s"
        trusted-proxies = ["10.0.0.0/8", "::1"]
        [tls]
        certificates = [{ certificate = "a.pem", key = "a.key" }]
        [compile]
        wall = "3m"
        "#,
    )
    .expect("valid");
    assert_eq!(config.memory_budget(), 2 << 30);
    let proxies: Vec<String> = config
        .gateway()
        .trusted_proxies
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(proxies, ["10.0.0.0/8", "::1/128"]);
    assert_eq!(config.tls.certificates[0].key, Path::new("a.key"));
    assert_eq!(config.drain(), Duration::from_secs(5));
    assert_eq!(config.ceilings.memory, Size(1 << 30));
    assert_eq!(config.ceilings.concurrency, 7);
    assert_eq!(config.ceilings.body, Size(64 << 30));
    assert_eq!(config.engine.warm_slots(), 3);
    let default = EngineSection::default();
    assert_eq!(default.warm_slots(), 128);
    for (budget, instances, kept) in [
        (18 << 30, 2048, 1152 << 10),
        (512 << 20, 512, 128 << 10),
        (16 << 20, 64, 32 << 10),
    ] {
        let found = (default.instances(budget), default.keep_resident(budget));
        assert_eq!(found, (instances, kept), "{budget}");
    }
    assert_eq!(config.engine.code(1 << 40), 96 << 20);
    assert_eq!(default.code(16 << 30), 2 << 30);
    assert_eq!(default.code(16 << 20), 64 << 20);
    let few = EngineSection {
        instances: Some(4),
        keep_resident: Some(Size(3 << 20)),
        ..EngineSection::default()
    };
    assert_eq!(
        (few.instances(1 << 40), few.keep_resident(1 << 40)),
        (4, 3 << 20)
    );
    assert_eq!(config.engine.threads(), 8);
    assert!(default.threads() > 0);
    assert_eq!(config.weight("reads"), 200);
    assert_eq!(config.weight("other"), Weights::DEFAULT);
    assert_eq!(config.compile.wall.0, Duration::from_secs(180));
    let limits = config.functions.with(&strand_directive::Limits::default());
    assert_eq!((limits.output, limits.call_depth), (2 << 20, 3));
    assert_eq!(limits.handles, Limits::default().handles);
    let gateway = config.gateway();
    assert_eq!(gateway.max_streams, 16);
    assert_eq!(gateway.write_timeout, Duration::from_secs(5));
    assert_eq!(gateway.drain_deadline, Duration::from_secs(5));
}

#[test]
fn unknown_fields_and_wrong_units_are_told_with_their_line() {
    for (text, said) in [
        ("memroy = \"1Gi\"", "unknown field `memroy`"),
        ("memory = \"1GB\"", "line 1"),
        ("[ceilings]\ncpu = \"10\"", "line 2"),
    ] {
        let error = toml::from_str::<NodeConfig>(text)
            .expect_err(text)
            .to_string();
        assert!(error.contains(said), "{error}");
    }
}

const COUNTS: [(&str, &str, i64, i64); 13] = [
    ("ceilings", "concurrency", 1, 65_536),
    ("engine", "instances", 1, 1_000_000),
    ("engine", "warm-slots", 0, 1_000_000),
    ("engine", "threads", 1, 1024),
    ("weights", "app", 1, 10_000),
    ("functions", "handles", 16, 1_000_000),
    ("functions", "table-elements", 1024, 100_000_000),
    ("functions", "call-depth", 0, 64),
    ("functions", "connections", 1, 65_536),
    ("gateway", "connections", 1, 1_000_000),
    ("gateway", "streams", 1, 10_000),
    ("gateway", "header-fields", 10, 10_000),
    ("gateway", "body-rate", 0, 1 << 30),
];
const SIZES: [(&str, &str, &str, &str); 11] = [
    ("", "memory", "16Mi", "65536Gi"),
    ("engine", "code", "0", "65536Gi"),
    ("engine", "keep-resident", "0", "64Mi"),
    ("ceilings", "memory", "64Ki", "4Gi"),
    ("ceilings", "body", "0", "64Gi"),
    ("functions", "host-buffers", "64Ki", "1Gi"),
    ("functions", "headers", "1Ki", "16Mi"),
    ("functions", "output", "0", "1024Gi"),
    ("gateway", "header-bytes", "1Ki", "16Mi"),
    ("compile", "memory", "64Mi", "64Gi"),
    ("compile", "cache", "0", "65536Gi"),
];
const TIMES: [(&str, &str, &str, &str); 9] = [
    ("", "drain", "0s", "24h"),
    ("ceilings", "cpu", "1ms", "24h"),
    ("ceilings", "wall", "1ms", "24h"),
    ("gateway", "header-timeout", "100ms", "24h"),
    ("gateway", "idle-timeout", "100ms", "24h"),
    ("gateway", "body-timeout", "100ms", "24h"),
    ("gateway", "write-timeout", "100ms", "24h"),
    ("compile", "cpu", "1s", "24h"),
    ("compile", "wall", "1s", "24h"),
];

/// Reads files in which a field has its least and its most value, and those beyond.
fn look_at(section: &str, key: &str, quote: &str, bounds: [String; 2], beyond: &[String]) {
    let file = |value: &str| match section {
        "" => format!("{key} = {quote}{value}{quote}\n"),
        _ => format!("[{section}]\n{key} = {quote}{value}{quote}\n"),
    };
    for value in &bounds {
        let text = file(value);
        if let Err(error) = toml::from_str::<NodeConfig>(&text) {
            panic!("{text}{error}");
        }
    }
    let [least, most] = &bounds;
    for value in beyond {
        let text = file(value);
        let error = toml::from_str::<NodeConfig>(&text)
            .expect_err(&text)
            .to_string();
        let said = format!("must be from `{least}` to `{most}`, found `{value}`");
        assert!(error.contains(&said), "{text}{error}");
        let line = format!("line {}", text.lines().count());
        assert!(error.contains(&line), "{text}{error}");
    }
}

#[test]
fn every_value_has_bounds() {
    for (section, key, least, most) in COUNTS {
        let bounds = [least, most].map(|number| number.to_string());
        let beyond = [least - 1, most + 1].map(|number| number.to_string());
        look_at(section, key, "", bounds, &beyond);
    }
    for (section, key, least, most) in SIZES {
        let bytes = |text| parse_size(text).expect("a size");
        let below = bytes(least).checked_sub(1);
        let beyond: Vec<String> = below
            .into_iter()
            .chain([bytes(most) + 1])
            .map(format_size)
            .collect();
        let bounds = [least, most].map(str::to_owned);
        look_at(section, key, "\"", bounds, &beyond);
    }
    for (section, key, least, most) in TIMES {
        let time = |text| parse_duration(text).expect("a time");
        let step = Duration::from_millis(1);
        let beyond: Vec<String> = time(least)
            .checked_sub(step)
            .into_iter()
            .chain([time(most) + step])
            .map(format_duration)
            .collect();
        let bounds = [least, most].map(str::to_owned);
        look_at(section, key, "\"", bounds, &beyond);
    }
}

#[test]
fn numbers_beyond_every_type_are_refused_too() {
    for (value, said) in [
        ("4000000000000", "must be from `10` to `10000`"),
        ("99999999999999999999", "line 2"),
        ("\"100\"", "line 2"),
    ] {
        let text = format!("[gateway]\nheader-fields = {value}\n");
        let error = toml::from_str::<NodeConfig>(&text)
            .expect_err(&text)
            .to_string();
        assert!(error.contains(said), "{error}");
    }
}

/// What is not written is not looked at: it must be within the bounds as it is.
#[test]
fn the_defaults_are_within_the_bounds() {
    let config = NodeConfig::default();
    let functions = &config.functions;
    let gateway = &config.gateway;
    let text = format!(
        "[engine]\ninstances = {}\n\
         [functions]\nhandles = {}\ntable-elements = {}\nhost-buffers = \"{}\"\nheaders = \"{}\"\n\
         output = \"{}\"\ncall-depth = {}\nconnections = {}\n\
         [gateway]\nconnections = {}\nstreams = {}\nheader-bytes = \"{}\"\nheader-fields = {}\n\
         header-timeout = \"{}\"\nidle-timeout = \"{}\"\nbody-timeout = \"{}\"\nbody-rate = {}\n\
         write-timeout = \"{}\"\n",
        config.engine.instances(1 << 40),
        functions.handles,
        functions.table_elements,
        format_size(functions.host_buffers.0),
        format_size(functions.headers.0),
        format_size(functions.output.0),
        functions.call_depth,
        functions.connections,
        gateway.connections,
        gateway.streams,
        format_size(gateway.header_bytes.0),
        gateway.header_fields,
        format_duration(gateway.header_timeout.0),
        format_duration(gateway.idle_timeout.0),
        format_duration(gateway.body_timeout.0),
        gateway.body_rate,
        format_duration(gateway.write_timeout.0),
    );
    toml::from_str::<NodeConfig>(&text).expect("within the bounds");
}
