//! Precedence, forms of values, and that every fault is found at once.

use std::fs;

use super::layers::{Given, Loaded, Source, load};
use super::*;
use crate::fault::Faults;

fn environment(pairs: &[(&str, &str)]) -> Given {
    Given { environment: pairs.iter().map(|(name, value)| (name.into(), value.into())).collect(), ..Given::default() }
}

fn flag(name: &str, raw: Raw) -> (&'static Variable, Raw) {
    (VARIABLES.iter().find(|variable| matches!(variable.way, Way::Flag(flag, _) if flag == name)).unwrap(), raw)
}

fn faults(given: Given) -> Vec<String> {
    load(given).err().unwrap_or_default().sentences().to_vec()
}

fn source(loaded: &Loaded, key: &str) -> Source {
    loaded.sources[VARIABLES.iter().position(|variable| variable.key == key).unwrap()].clone()
}

#[test]
fn the_defaults_are_those_of_the_reference_page() {
    let loaded = load(Given::default()).unwrap();
    let settings = &loaded.settings;
    assert_eq!(settings.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(settings.control_listen.to_string(), "127.0.0.1:8000");
    assert_eq!(settings.database_path(), PathBuf::from("./data/portunus.db"));
    assert_eq!(settings.gateway_expose, [Expose::Health].into());
    assert_eq!(settings.log_filter(), "warn,webauthn_rs_core=off,gateway=info,control=info,portunus=info");
    assert_eq!(settings.drain_seconds, 10);
    assert!(settings.workers >= 1 && settings.trusted_proxies.is_empty() && settings.secret_key.is_none());
    assert!(loaded.sources.iter().all(|source| *source == Source::Default));
}

#[test]
fn flags_win_over_the_environment_and_the_environment_over_the_file() {
    let folder = tempfile_folder("precedence");
    let config = folder.join("portunus.yaml");
    fs::write(&config, "listen: 127.0.0.1:1\ncontrol_listen: 127.0.0.1:2\nworkers: 3\ndrain_seconds: 4\n").unwrap();
    let mut given = environment(&[
        ("PORTUNUS_LISTEN", "127.0.0.1:11"),
        ("PORTUNUS_CONTROL_LISTEN", "127.0.0.1:12"),
        ("THREADS", ""),
    ]);
    given.config = Some(config.clone());
    given.flags = vec![flag("listen", Raw::Text("127.0.0.1:21".to_owned()))];
    let loaded = load(given).unwrap();
    assert_eq!(loaded.settings.listen.port(), 21);
    assert_eq!(loaded.settings.control_listen.port(), 12);
    assert_eq!(loaded.settings.workers, 3, "an empty variable is not given");
    assert_eq!(source(&loaded, "listen"), Source::Flag("listen"));
    assert_eq!(source(&loaded, "control_listen"), Source::Environment("PORTUNUS_CONTROL_LISTEN".to_owned()));
    assert_eq!(source(&loaded, "drain_seconds"), Source::File { file: config.display().to_string(), line: 4 });
    assert_eq!(source(&loaded, "data_dir"), Source::Default);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_settings_own_name_wins_over_its_alias() {
    let loaded = load(environment(&[("PORTUNUS_WORKERS", "5"), ("THREADS", "7")])).unwrap();
    assert_eq!(loaded.settings.workers, 5);
    assert_eq!(load(environment(&[("THREADS", "7")])).unwrap().settings.workers, 7);
}

#[test]
fn the_log_filter_wins_over_the_level() {
    let loaded = load(environment(&[("LOG_LEVEL", "WARN"), ("LOG_FORMAT", "plain")])).unwrap();
    let filter = loaded.settings.log_filter();
    assert_eq!(filter, "warn,webauthn_rs_core=off,gateway=warn,control=warn,portunus=warn");
    assert_eq!(loaded.settings.log_format, LogFormat::Plain);
    let loaded = load(environment(&[("LOG_LEVEL", "off")])).unwrap();
    assert!(loaded.settings.log_filter().starts_with("off,"), "libraries are not louder than Portunus");
    let loaded = load(environment(&[("LOG_LEVEL", "warn"), ("PORTUNUS_LOG", "info,gateway=debug")])).unwrap();
    assert_eq!(loaded.settings.log_filter(), "info,gateway=debug");
    for wrong in ["verbose", "info,portunus=loud", "a=b=c"] {
        assert_eq!(faults(environment(&[("PORTUNUS_LOG", wrong)])).len(), 1, "{wrong}");
    }
}

#[test]
fn lists_are_separated_by_commas() {
    let loaded = load(environment(&[
        ("PORTUNUS_TRUSTED_PROXIES", "10.0.0.0/8, 192.168.1.7,::1"),
        ("PORTUNUS_GATEWAY_EXPOSE", "metrics,health"),
    ]));
    let settings = loaded.unwrap().settings;
    assert_eq!(settings.trusted_proxies.json(), serde_json::json!(["10.0.0.0/8", "192.168.1.7/32", "::1/128"]));
    assert_eq!(settings.gateway_expose.len(), 2);
    assert_eq!(load(environment(&[("PORTUNUS_GATEWAY_EXPOSE", "none")])).unwrap().settings.gateway_expose.len(), 0);
    assert_eq!(load(environment(&[("PORTUNUS_GATEWAY_EXPOSE", "all")])).unwrap().settings.gateway_expose.len(), 2);
}

#[test]
fn a_value_can_stand_in_a_file() {
    let folder = tempfile_folder("secret");
    let secret = folder.join("key");
    fs::write(&secret, "a key of thirty-two characters!!\n").unwrap();
    let value = format!("file:{}", secret.display());
    let loaded = load(environment(&[("PORTUNUS_SECRET_KEY", &value)])).unwrap();
    assert_eq!(loaded.settings.secret_key.as_deref(), Some("a key of thirty-two characters!!"));
    let missing = faults(environment(&[("PORTUNUS_SECRET_KEY", "file:/nowhere/key")]));
    assert_eq!(missing, ["PORTUNUS_SECRET_KEY: cannot read /nowhere/key: no such file or directory"]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn every_fault_is_told_at_once() {
    let folder = tempfile_folder("faults");
    let config = folder.join("portunus.yaml");
    fs::write(&config, "listn: 127.0.0.1:1\nworkers: [1]\ndrain_seconds: {a: 1}\nPORTUNUS_LISTEN: x\n").unwrap();
    let mut given = environment(&[
        ("PORTUNUS_LISTEN", "localhost"),
        ("PORTUNUS_LISTNE", "127.0.0.1:1"),
        ("PORTUNUS_COLOUR", "red"),
        ("PORTUNUS_SECRET_KEY", "short"),
        ("DATABASE_URL", "postgres://user:secret@db/portunus"),
        ("REDIS_URL", "redis://localhost"),
        ("ADMIN_API_KEY", "abc"),
        ("PORTUNUS_MANIFESTS", "/nowhere/a,/nowhere/b"),
        ("LOG_LEVEL", "loud"),
    ]);
    given.config = Some(config);
    given.flags = vec![flag("drain-seconds", Raw::Text("-1".to_owned()))];
    let found = faults(given);
    for wanted in [
        "portunus.yaml line 1: there is no setting listn; did you mean listen?",
        "portunus.yaml line 2: workers: a list is not a whole number",
        "portunus.yaml line 3: drain_seconds: is not a whole number",
        "portunus.yaml line 4: PORTUNUS_LISTEN is an environment variable; the key in a file is listen",
        "PORTUNUS_LISTEN: \"localhost\" is not an address with a port",
        "PORTUNUS_LISTNE: there is no such setting; did you mean PORTUNUS_LISTEN?",
        "PORTUNUS_COLOUR: there is no such setting",
        "PORTUNUS_SECRET_KEY: the key is shorter than 16 characters",
        "DATABASE_URL: this version keeps its store in SQLite only",
        "REDIS_URL: this version shares no state through Redis",
        "ADMIN_API_KEY: the key is shorter than 32 characters",
        "PORTUNUS_MANIFESTS: /nowhere/a does not exist",
        "PORTUNUS_MANIFESTS: /nowhere/b does not exist",
        "LOG_LEVEL: \"loud\" is not one of trace, debug, info, warn, error, off",
        "--drain-seconds: \"-1\" is not a whole number",
    ] {
        assert!(found.iter().any(|fault| fault.contains(wanted)), "{wanted} is missing in {found:#?}");
    }
    assert_eq!(found.len(), 15, "{found:#?}");
    let text = found.join(" ");
    assert!(
        !text.contains("secret@") && !text.contains("short\"") && !text.contains("abc"),
        "a secret is shown: {text}"
    );
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_kubernetes_sets_for_a_service_is_no_fault() {
    let links = [
        ("PORTUNUS_SERVICE_HOST", "10.0.0.1"),
        ("PORTUNUS_SERVICE_PORT", "8080"),
        ("PORTUNUS_SERVICE_PORT_HTTP", "8080"),
        ("PORTUNUS_PORT", "tcp://10.0.0.1:8080"),
        ("PORTUNUS_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("PORTUNUS_PORT_8080_TCP_PROTO", "tcp"),
        ("PORTUNUS_PORT_8080_TCP_PORT", "8080"),
        ("PORTUNUS_GATEWAY_PORT_8080_TCP_ADDR", "10.0.0.1"),
    ];
    assert_eq!(faults(environment(&links)), Vec::<String>::new());
    assert_eq!(faults(environment(&[("PORTUNUS_PORT", "8080")])).len(), 1);
}

#[test]
fn databases_are_sqlite_urls() {
    let path = |url: &str| load(environment(&[("DATABASE_URL", url)])).map(|loaded| loaded.settings.database_path());
    assert_eq!(path("sqlite:///var/lib/p.db").unwrap(), PathBuf::from("/var/lib/p.db"));
    assert_eq!(path("sqlite://p.db").unwrap(), PathBuf::from("p.db"));
    for wrong in ["sqlite://", "sqlite://:memory:", "mysql://x", "/var/lib/p.db", "sqlite://p.db?mode=ro"] {
        assert_eq!(
            path(wrong).unwrap_err(),
            Faults::one("DATABASE_URL: the value is not a URL of the form sqlite://PATH"),
            "{wrong}"
        );
    }
}

#[test]
fn a_manifest_given_as_settings_is_recognised() {
    let mut faults = Faults::default();
    file::parse("apiVersion: portunus.dev/v1\nkind: Api\n", "x.yaml", &mut faults);
    assert!(faults.to_string().contains("give it with --manifests"), "{faults}");
}

#[test]
fn the_listeners_need_an_address_each() {
    let same = faults(environment(&[("PORTUNUS_LISTEN", "127.0.0.1:8000")]));
    assert_eq!(same, ["PORTUNUS_CONTROL_LISTEN: 127.0.0.1:8000 is the address of the gateway listener already"]);
    assert!(
        load(environment(&[("PORTUNUS_LISTEN", "127.0.0.1:0"), ("PORTUNUS_CONTROL_LISTEN", "127.0.0.1:0")])).is_ok()
    );
}

#[test]
fn the_schema_and_the_page_name_every_setting() {
    let schema = reference::schema();
    let page = reference::page();
    for variable in VARIABLES {
        assert!(
            schema["properties"][variable.key]["description"].as_str().is_some_and(|text| !text.is_empty()),
            "{}",
            variable.key
        );
        assert!(
            page.contains(&format!("`{}`", variable.name)) && !variable.meaning().contains('|'),
            "{}",
            variable.name
        );
    }
}

fn tempfile_folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("portunus-settings-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}
