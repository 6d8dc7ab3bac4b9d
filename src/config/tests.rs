//! The four layers against each other. The environment is a list, the working directory a fresh one: nothing of this
//! process is read or changed.

use clap::{Args, CommandFactory, Parser};
use tempfile::TempDir;

use super::*;

/// One start of scimd.
#[derive(Default)]
struct Start {
    flags: Vec<&'static str>,
    variables: Vec<(&'static str, String)>,
    file: Option<&'static str>,
}

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    settings: Settings,
}

impl Start {
    fn flags(flags: &[&'static str]) -> Start {
        Start { flags: flags.to_vec(), ..Start::default() }
    }

    fn variable(mut self, name: &'static str, value: impl Into<String>) -> Start {
        self.variables.push((name, value.into()));
        self
    }

    fn file(mut self, text: &'static str) -> Start {
        self.file = Some(text);
        self
    }

    fn config(&self) -> Result<Config, Error> {
        Config::resolve(&self.settings(), self.environment(), self.working_dir().path())
    }

    /// Where a build with the feature `otlp` sends traces.
    fn otlp_endpoint(&self) -> Result<Option<String>, Error> {
        let environment = Environment::read(self.environment())?;
        let sources = Sources::gather(&self.settings(), &environment, self.working_dir().path())?;
        traces::sent(&sources, &environment)
    }

    fn settings(&self) -> Settings {
        let arguments = ["scimd"].iter().chain(&self.flags);
        CommandLine::try_parse_from(arguments).expect("valid flags").settings
    }

    fn environment(&self) -> impl Iterator<Item = (OsString, OsString)> {
        self.variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)))
    }

    fn working_dir(&self) -> TempDir {
        let dir = TempDir::new().expect("a temporary directory");
        if let Some(text) = self.file {
            std::fs::write(dir.path().join("scimd.toml"), text).expect("writable");
        }
        dir
    }

    fn complaint(&self) -> String {
        self.config().expect_err("must be refused").to_string()
    }
}

#[test]
fn without_any_setting_everything_has_its_default() {
    let config = Start::default().variable("HOME", "/home/ada").config().expect("valid");

    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.metrics_listen, None);
    assert_eq!(config.base_url(config.listen), "http://127.0.0.1:8080");
    assert_eq!(config.data_dir, Path::new("/home/ada/.local/share/scimd"));
    assert_eq!(config.database_url.expose(), "sqlite:/home/ada/.local/share/scimd/scimd.db");
    assert_eq!((config.postgres_connections, config.open_discovery), (32, false));
    assert!(config.workers >= 1);
    assert_eq!((config.shutdown_delay, config.shutdown_timeout), (Duration::ZERO, Duration::from_secs(30)));
    assert_eq!(config.otlp_endpoint, None);
    assert_eq!((config.log_format, config.log.as_str()), (Format::Auto, "info,actix_server=warn,actix_http=off"));
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = "listen = '127.0.0.1:3'\nworkers = 3\nlog = 'trace'";
    let start = Start::flags(&["--listen", "127.0.0.1:1"])
        .variable("SCIMD_LISTEN", "127.0.0.1:2")
        .variable("SCIMD_WORKERS", "2")
        .file(file);

    let config = start.config().expect("valid");

    assert_eq!((config.listen.port(), config.workers, config.log.as_str()), (1, 2, "trace"));
}

#[test]
fn an_empty_value_is_no_value() {
    let start = Start::flags(&["--listen", ""])
        .variable("SCIMD_LISTEN", " ")
        .variable("SCIMD_DATABASE_URL_FILE", "")
        .file("listen = '127.0.0.1:3'\npublic-url = ''");

    let config = start.config().expect("valid");

    assert_eq!((config.listen.port(), config.public_url), (3, None));
}

#[test]
fn every_setting_can_stand_in_the_file_in_either_spelling() {
    let file = "
        listen = '0.0.0.0:80'
        tls_certificate = '/srv/tls.crt'
        tls-key = '/srv/tls.key'
        trusted-proxies = '10.0.0.0/8'
        database_url = 'postgres://scimd:hunter2@db/scimd'
        public-url = 'https://scim.example.com/'
        data-dir = '/srv/scimd'
        log-format = 'json'
        log = 'debug'
        open_discovery = true
        postgres-connections = 0x10
        metrics-listen = '127.0.0.1:9090'
        workers = 4
        shutdown-timeout = '1m'
    ";
    let config = Start::default().file(file).config().expect("valid");

    assert_eq!(config.listen.to_string(), "0.0.0.0:80");
    let tls = config.tls.as_ref().map(|files| (files.certificate.as_path(), files.key.as_path()));
    assert_eq!(tls, Some((Path::new("/srv/tls.crt"), Path::new("/srv/tls.key"))));
    assert_eq!(config.trusted_proxies.len(), 1);
    assert_eq!(config.database_url.expose(), "postgres://scimd:hunter2@db/scimd");
    assert_eq!(config.base_url(config.listen), "https://scim.example.com");
    assert_eq!(config.data_dir, Path::new("/srv/scimd"));
    assert_eq!((config.log_format, config.log.as_str()), (Format::Json, "debug"));
    assert_eq!((config.open_discovery, config.postgres_connections, config.workers), (true, 16, 4));
    assert_eq!(config.metrics_listen.map(|address| address.port()), Some(9090));
    assert_eq!(config.shutdown_timeout, Duration::from_secs(60));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn unknown_names_are_refused_with_the_right_one() {
    let variable = Start::default().variable("SCIMD_DATABSE_URL", "postgres://u:hunter2@db").complaint();
    assert_eq!(variable, "There is no setting `SCIMD_DATABSE_URL`. Did you mean `SCIMD_DATABASE_URL`?");

    let line = Start::default().file("# mine\nlog = 'info'\nlistn = '127.0.0.1:3'").complaint();
    assert!(line.ends_with("scimd.toml, line 3: there is no setting `listn`. Did you mean `listen`?"), "{line}");

    let far = Start::default().file("colour_of_the_sky = 'blue'").complaint();
    assert!(far.ends_with("`scimd serve --help` lists all settings."), "{far}");

    let config = Start::default().file("config = 'other.toml'").complaint();
    assert!(config.contains("no setting `config`"), "{config}");

    let flag = CommandLine::try_parse_from(["scimd", "--lisen", "x"]).err().expect("must be refused").to_string();
    assert!(flag.contains("--listen"), "{flag}");
}

#[test]
fn the_variables_that_kubernetes_adds_for_a_service_named_scimd_are_no_settings() {
    let start = Start::default()
        .variable("SCIMD_SERVICE_HOST", "10.0.0.1")
        .variable("SCIMD_SERVICE_PORT_HTTP", "8080")
        .variable("SCIMD_PORT", "tcp://10.0.0.1:8080")
        .variable("SCIMD_PORT_8080_TCP_ADDR", "10.0.0.1");
    assert!(start.config().is_ok());
    assert!(Start::default().variable("SCIMD_PORT", "8080").complaint().contains("no setting `SCIMD_PORT`"));
}

#[test]
fn wrong_values_are_refused_with_their_place() {
    let flag = Start::flags(&["--workers", "0"]).complaint();
    assert_eq!(flag, "`--workers` must be a whole number from 1 to 1024.");

    let variable = Start::default().variable("SCIMD_LISTEN", "8080").complaint();
    assert!(
        variable.starts_with("`SCIMD_LISTEN` must be an IP address and a port; write 127.0.0.1:8080"),
        "{variable}"
    );

    let line = Start::default().file("\nlog-format = 'xml'").complaint();
    assert!(line.ends_with("scimd.toml, line 2, must be auto, pretty or json."), "{line}");

    let list = Start::default().file("listen = ['127.0.0.1:3']").complaint();
    assert!(list.ends_with("line 1: `listen` must be a text, a number, true or false."), "{list}");

    let twice = Start::default().file("data-dir = '/a'\ndata_dir = '/b'").complaint();
    assert!(twice.ends_with("line 2: `data-dir` is set twice."), "{twice}");
}

#[test]
fn no_complaint_quotes_a_secret() {
    for start in [
        Start::default().file("log = 'info'\ndatabase-url = 'postgres://u:hunter2@db"),
        Start::default().file("database-url = 'mysql://u:hunter2@db'"),
        Start::default().file("[database]\nurl = 'postgres://u:hunter2@db'"),
        Start::default().file("database-url = ['postgres://u:hunter2@db']"),
        Start::default().variable("SCIMD_DATABASE_URL", "hunter2"),
    ] {
        let complaint = start.complaint();
        assert!(!complaint.contains("hunter2"), "{complaint}");
    }
    let broken = Start::default().file("log = 'info'\ndatabase-url = 'postgres://u:hunter2@db").complaint();
    assert!(broken.contains("scimd.toml, line 2, is not TOML"), "{broken}");
}

#[test]
fn the_database_url_may_stand_in_a_file_of_its_own() {
    let dir = TempDir::new().expect("a temporary directory");
    let secret = dir.path().join("url");
    std::fs::write(&secret, "postgres://u:hunter2@db/scimd\n").expect("writable");
    let path = secret.to_str().expect("UTF-8");

    let config = Start::default()
        .variable("SCIMD_DATABASE_URL_FILE", path)
        .file("database-url = 'sqlite:x.db'")
        .config()
        .expect("the environment wins over the file");
    assert_eq!(config.database_url.expose(), "postgres://u:hunter2@db/scimd");

    let config = Start::flags(&["--database-url", "sqlite:x.db"])
        .variable("SCIMD_DATABASE_URL_FILE", path)
        .config()
        .expect("the flag wins over the environment");
    assert_eq!(config.database_url.expose(), "sqlite:x.db");

    let both = Start::default().variable("SCIMD_DATABASE_URL", "sqlite:x.db").variable("SCIMD_DATABASE_URL_FILE", path);
    assert_eq!(
        both.complaint(),
        "`SCIMD_DATABASE_URL` and `SCIMD_DATABASE_URL_FILE` are both set: give only one of them."
    );

    let missing = Start::flags(&["--database-url-file", "/nowhere/url"]).complaint();
    assert!(
        missing.starts_with("`--database-url-file` names the file /nowhere/url, which cannot be read:"),
        "{missing}"
    );
}

#[test]
fn a_named_settings_file_must_exist_and_replaces_the_usual_one() {
    let dir = TempDir::new().expect("a temporary directory");
    let other = dir.path().join("other.toml");
    std::fs::write(&other, "workers = 7").expect("writable");

    let named = Start::default().variable("SCIMD_CONFIG", other.to_str().expect("UTF-8")).file("workers = 3");
    assert_eq!(named.config().expect("valid").workers, 7);

    let missing = Start::flags(&["--config", "/nowhere/scimd.toml"]).complaint();
    assert!(missing.starts_with("The settings file /nowhere/scimd.toml (`--config`) cannot be read:"), "{missing}");
}

#[test]
fn the_data_directory_does_not_depend_on_the_working_directory() {
    let default = |start: Start| start.config().expect("valid").data_dir;

    assert_eq!(default(Start::default().variable("XDG_DATA_HOME", "/x").variable("HOME", "/h")), Path::new("/x/scimd"));
    assert_eq!(
        default(Start::default().variable("XDG_DATA_HOME", "x").variable("HOME", "/h")),
        Path::new("/h/.local/share/scimd")
    );
    assert_eq!(default(Start::default().variable("HOME", "")), Path::new("/var/lib/scimd"));
}

#[test]
fn open_discovery_is_a_switch_that_can_also_be_given_a_value() {
    assert!(Start::flags(&["--open-discovery"]).config().expect("valid").open_discovery);
    assert!(!Start::flags(&["--open-discovery=false"]).config().expect("valid").open_discovery);
    assert!(Start::default().variable("SCIMD_OPEN_DISCOVERY", "1").config().expect("valid").open_discovery);
}

#[test]
fn the_base_url_without_a_public_one_is_where_clients_on_this_machine_connect() {
    let config = Start::flags(&["--listen", "0.0.0.0:0"]).config().expect("valid");
    for (bound, url) in [
        ("0.0.0.0:4711", "http://127.0.0.1:4711"),
        ("[::]:4711", "http://[::1]:4711"),
        ("192.0.2.7:80", "http://192.0.2.7:80"),
    ] {
        assert_eq!(config.base_url(bound.parse().expect("an address")), url);
    }
}

#[test]
fn every_flag_is_in_the_table_and_its_help_names_the_variable() {
    let command = Settings::augment_args(clap::Command::new("scimd"));
    let flags: Vec<&clap::Arg> = command.get_arguments().collect();

    // Everybody on the machine sees the arguments of a process.
    let is_flag = |name: &&str| *name != "admin-key";
    let names: Vec<&str> = Settings::names().into_iter().filter(is_flag).collect();
    assert_eq!(flags.iter().filter_map(|flag| flag.get_long()).collect::<Vec<_>>(), names);
    for flag in flags {
        let variable = flag.get_id().as_str().to_uppercase();
        let help = flag.get_help().expect("every flag has help").to_string();
        assert!(help.contains(&format!("[env: SCIMD_{variable}")), "{help}");
    }
    CommandLine::command().debug_assert();
}

#[test]
fn res_21_schemas_are_paths_between_commas_or_an_array() {
    let paths = |start: Start| start.config().expect("valid").schemas;
    let expected = [PathBuf::from("a.json"), PathBuf::from("more/schemas")];

    assert!(paths(Start::default()).is_empty());
    assert_eq!(paths(Start::flags(&["--schemas", "a.json, more/schemas"])), expected);
    assert_eq!(paths(Start::default().variable("SCIMD_SCHEMAS", "a.json,more/schemas,")), expected);
    assert_eq!(paths(Start::default().file("schemas = [\"a.json\", \"more/schemas\"]")), expected);
    assert_eq!(paths(Start::default().file("schemas = \"a.json\"")), expected[..1]);
    for wrong in ["schemas = 7", "schemas = [7]", "schemas = [\"a,b.json\"]", "schemas = {a = 1}"] {
        let complaint = Start::default().file(wrong).complaint();
        assert!(complaint.contains("`schemas` must be a path or an array of paths without commas."), "{complaint}");
    }
}

#[test]
fn res_21_a_directory_stands_for_its_json_files_in_order() {
    let dir = TempDir::new().expect("a temporary directory");
    for (name, text) in [("b.json", "2"), ("a.json", "\u{feff}1"), ("notes.txt", "3")] {
        std::fs::write(dir.path().join(name), text).expect("writable");
    }
    let read =
        |path: PathBuf| Config { schemas: vec![path], ..Start::default().config().expect("valid") }.schema_files();

    let texts: Vec<String> = read(dir.path().to_owned()).expect("readable").into_iter().map(|file| file.text).collect();
    let missing = read(dir.path().join("c.json")).expect_err("not there").to_string();
    let empty = read(TempDir::new().expect("a directory").path().to_owned()).expect_err("empty").to_string();

    assert_eq!(texts, ["1", "2"]);
    assert!(missing.contains("names the file") && missing.contains("c.json, which cannot be read"), "{missing}");
    assert!(empty.contains("which has no *.json file"), "{empty}");
}

#[test]
#[cfg(not(feature = "otlp"))]
fn a_build_without_traces_refuses_our_setting_and_leaves_the_standard_variables_alone() {
    let refused = Start::flags(&["--otlp-endpoint", "http://127.0.0.1:4318"]).complaint();
    let ambient = Start::default().variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");

    assert_eq!(refused, "`--otlp-endpoint` needs a build with the feature `otlp`: this one sends no traces.");
    assert_eq!(ambient.config().expect("valid").otlp_endpoint, None);
}

#[test]
fn traces_go_where_our_setting_says_else_where_the_standard_variables_say() {
    let endpoint = |start: Start| start.otlp_endpoint().expect("valid").unwrap_or_default();
    let ambient = || Start::default().variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");
    let special = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

    assert_eq!(endpoint(Start::default()), "");
    assert_eq!(endpoint(ambient()), "http://collector:4318/v1/traces");
    assert_eq!(
        endpoint(ambient().variable("SCIMD_OTLP_ENDPOINT", "https://o.example/x")),
        "https://o.example/x/v1/traces"
    );
    assert_eq!(endpoint(ambient().variable(special, "http://traces:1/spans")), "http://traces:1/spans");
    assert_eq!(endpoint(ambient().variable("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")), endpoint(ambient()));
    assert_eq!(endpoint(ambient().variable("OTEL_SDK_DISABLED", "TRUE")), "");
    assert_eq!(endpoint(ambient().variable("OTEL_TRACES_EXPORTER", "none")), "");
}

#[test]
fn an_endpoint_that_spans_cannot_be_sent_to_is_refused() {
    let ambient = |text| Start::default().variable("OTEL_EXPORTER_OTLP_ENDPOINT", text);
    let grpc = ambient("http://collector:4317").variable("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");

    for (start, part) in [
        (Start::flags(&["--otlp-endpoint", "collector:4318"]), "`--otlp-endpoint` must be"),
        (ambient("collector:4318"), "`OTEL_EXPORTER_OTLP_ENDPOINT` must be"),
        (grpc, "`OTEL_EXPORTER_OTLP_PROTOCOL` is grpc"),
    ] {
        let complaint = start.otlp_endpoint().expect_err("must be refused").to_string();
        assert!(complaint.contains(part), "{complaint}");
    }
}

#[test]
fn a_file_that_nobody_named_draws_no_key_to_its_own_server() {
    const URL: &str = "url = 'https://scim.example.com'";
    const BOTH: &str = "url = 'https://scim.example.com'\nadmin-key = 'of the file'";
    let with_key = |file: &'static str| Start::default().variable("SCIMD_ADMIN_KEY", "of the environment").file(file);
    // The file may name the key of whoever comes by, which lies where keys lie.
    let theirs = "url = 'https://scim.example.com'\nadmin-key-file = '/etc/scimd/admin-key'";
    for start in [
        with_key(URL),
        with_key(BOTH),
        Start::flags(&["--admin-key-file", "/nowhere/key"]).file(URL),
        Start::default().file(theirs),
    ] {
        let complaint = start.complaint();
        assert!(complaint.starts_with("`url` in ") && complaint.contains("takes no key but"), "{complaint}");
    }

    let remote = |start: Start| start.config().expect("valid").remote.expect("another server");
    assert_eq!(remote(Start::default().file(BOTH)).key, "of the file");
    let elsewhere = with_key(BOTH).variable("SCIMD_URL", "https://idm.example.com");
    assert_eq!(remote(elsewhere).key, "of the environment");

    let dir = TempDir::new().expect("a temporary directory");
    let file = dir.path().join("laptop.toml");
    let key = dir.path().join("key");
    std::fs::write(&key, "of a file\n").expect("writable");
    let named = |text: &str| {
        std::fs::write(&file, text).expect("writable");
        Start::default().variable("SCIMD_CONFIG", file.to_str().expect("UTF-8"))
    };
    assert_eq!(remote(named(URL).variable("SCIMD_ADMIN_KEY", "of the environment")).key, "of the environment");
    assert_eq!(remote(named(&format!("{URL}\nadmin-key-file = '{}'", key.display()))).key, "of a file");
}
