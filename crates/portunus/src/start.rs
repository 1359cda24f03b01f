//! Builds and runs the process that `portunus serve` is, in order: log, sockets, store, first accounts, manifests, demo,
//! listeners; and in the reverse order when it is told to stop.

mod banner;
mod demo;
mod lock;
pub mod secret_key;
mod upkeep;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use portunus_control::accounts::ControlAccounts;
use portunus_control::admin_key::{self, AdminKey};
use portunus_control::api::apply;
use portunus_control::audit::checkpoints::Checkpointed;
use portunus_control::audit::event::Actor;
use portunus_control::audit::keeper::AuditSettings;
use portunus_control::bootstrap::{self, Chosen};
use portunus_control::control::{Control, ControlSettings};
use portunus_control::federation::{self, Federation};
use portunus_control::mail::Mailer;
use portunus_control::manifest as manifests;
use portunus_control::store::keys::MasterKeys;
use portunus_control::store::open::{OpenError, open};
use portunus_control::store::{Change, CommitError, Store};
use portunus_control::token::{TokenSettings, Tokens};
use portunus_gateway::listen::{self, Gateway};
use portunus_gateway::own;
use portunus_gateway::record::Telemetry;
use portunus_gateway::telemetry::log::{LineLayer, LogFormat, Sink};
use portunus_gateway::telemetry::metrics::Metrics;
use portunus_gateway::worker::Shared;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::fault::Faults;
use crate::manifest;
use crate::settings::Settings;
use crate::settings::choice::{self, Expose};
use banner::Banner;

/// What `serve` was asked for besides the settings.
#[derive(Debug, Clone, Copy)]
pub struct ServeOptions {
    /// Whether to start with the demo.
    pub demo: bool,
}

/// Threads of the control plane. They wait for the store most of the time.
const CONTROL_THREADS: usize = 2;

/// Serves until the process is told to stop.
pub fn run(settings: Settings, options: ServeOptions) -> anyhow::Result<()> {
    // The clock counts from its first reading.
    portunus_gateway::clock::monotonic_ns();
    let sink = log(&settings)?;
    let gateway = bind(settings.listen, "gateway", "PORTUNUS_LISTEN")?;
    let control = bind(settings.control_listen, "control", "PORTUNUS_CONTROL_LISTEN")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(CONTROL_THREADS).enable_all().build()?;
    let done = runtime.block_on(serve(settings, options, gateway, control, &sink));
    sink.flush();
    done
}

async fn serve(
    settings: Settings,
    options: ServeOptions,
    gateway: TcpListener,
    control: TcpListener,
    sink: &Sink,
) -> anyhow::Result<()> {
    // Listening for them from here on, a stop during the start is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let gateway_address = gateway.local_addr()?;
    let control_address = control.local_addr()?;
    let _lock = lock::data_dir(&settings.data_dir)?;
    let database = settings.database_path();
    let secret_key = secret_key::load(settings.secret_key.as_deref(), &settings.data_dir, &database)?;
    let masters = masters(&secret_key, &settings);
    let opened =
        open(&database, &masters, settings.references()).await.map_err(|error| Faults::one(store_sentence(&error)))?;
    let store = opened.store;
    let mut banner = Banner::new(gateway_address, control_address);
    if opened.is_empty {
        let chosen =
            Chosen { admin_password: settings.admin_password.clone(), client_secret: settings.client_secret.clone() };
        banner.made = Some(bootstrap::bootstrap(&store, chosen).await.context("the first accounts cannot be made")?);
    }
    bootstrap::complete(&store).await.context("the first resources cannot be made")?;
    apply_manifests(&store, &settings).await?;
    take_admin_key(&store, &settings).await?;
    apply_provider(&store, &settings).await?;
    if options.demo {
        banner.demo_key = Some(demo::seed(&store, gateway_address).await?);
    }
    let metrics = Arc::new(Metrics::new(store.snapshot.clone(), sink.clone()));
    let drain = Duration::from_secs(settings.drain_seconds);
    let tokens = Tokens::open(&store, token_settings(&settings, control_address)).await?;
    let federation = Federation::open(&store).await?;
    let (draining, watcher) = watch::channel(false);
    let listener = tokio::net::TcpListener::from_std(control)?;
    let of_control = ControlSettings {
        trusted_proxies: settings.trusted_proxies.clone(),
        public_url: settings
            .public_url
            .as_ref()
            .map_or_else(|| format!("http://localhost:{}", control_address.port()), |url| url.0.clone()),
        https_enabled: settings.https_enabled,
        people_token_seconds: settings.people_token_seconds(),
        refresh_token_seconds: settings.refresh_token_seconds(),
        audit: audit_settings(&settings),
    };
    let mailer = mailer(&settings, &store)?;
    let control = Control::new(store, tokens, federation, metrics, mailer, of_control);
    let (failures, store) = (control.failures.clone(), control.store.clone());
    let shared = Arc::new(Shared {
        snapshot: control.store.snapshot.clone(),
        telemetry: Telemetry { metrics: control.metrics.clone(), sink: sink.clone() },
        expose: own::Expose {
            health: settings.gateway_expose.contains(&Expose::Health),
            metrics: settings.gateway_expose.contains(&Expose::Metrics),
        },
        limits: settings.client_limits(),
        trusted_proxies: settings.trusted_proxies.clone(),
        accounts: Some(Arc::new(ControlAccounts::new(control.clone(), Handle::current()))),
        panic_drill_path: settings.drill_panic_path.clone(),
    });
    let gateway = Gateway::start(gateway, &shared, workers(&settings), drain)?;
    let upkeep = tokio::spawn(upkeep::run(control.clone()));
    let audit = control.audit.clone();
    audit.begin(opened.audit_fault).await;
    let (stopping, until) = watch::channel(false);
    let keeping = tokio::spawn(audit.clone().run(until));
    let control = tokio::spawn(portunus_control::serve::serve(listener, control, watcher, drain));
    tracing::info!(target: "portunus", listener = "gateway", address = %gateway_address, "listening");
    tracing::info!(target: "portunus", listener = "control", address = %control_address, "listening");
    tracing::info!(target: "portunus", version = portunus_gateway::VERSION, "ready");
    banner.show();

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!(target: "portunus", drain_seconds = settings.drain_seconds, "stopping");
    upkeep.abort();
    let _ = draining.send(true);
    tokio::task::spawn_blocking(|| gateway.stop()).await?;
    control.await?;
    failures.write(&store).await;
    let _ = stopping.send(true);
    keeping.await?;
    audit.finish().await;
    tracing::info!(target: "portunus", "stopped");
    Ok(())
}

/// The keys that open the store's own keys.
pub fn masters(secret_key: &[u8], settings: &Settings) -> MasterKeys {
    let previous: Vec<&[u8]> = settings.previous_secret_keys.iter().map(|key| key.0.as_bytes()).collect();
    MasterKeys::new(secret_key, &previous)
}

/// How the record of what happened is kept.
pub fn audit_settings(settings: &Settings) -> AuditSettings {
    let folder = settings.data_dir.join("audit");
    let checkpoints = settings.audit_checkpoints.clone().unwrap_or_else(|| folder.join("checkpoints.jsonl"));
    AuditSettings {
        folder,
        checkpoints: Checkpointed::File(checkpoints),
        checkpoint_every: Duration::from_secs(settings.audit_checkpoint_seconds),
        retention_days: settings.audit_retention_days,
    }
}

fn log(settings: &Settings) -> anyhow::Result<Sink> {
    let format = match settings.log_format {
        choice::LogFormat::Json => LogFormat::Json,
        choice::LogFormat::Plain => LogFormat::Plain,
    };
    let sink = Sink::stdout(format)?;
    let filter = tracing_subscriber::EnvFilter::builder().parse_lossy(settings.log_filter());
    tracing_subscriber::registry().with(filter).with(LineLayer(sink.clone())).try_init()?;
    Ok(sink)
}

fn bind(address: SocketAddr, listener: &str, variable: &str) -> Result<TcpListener, Faults> {
    listen::bind(address).map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::AddrInUse => "the address is in use by another process".to_owned(),
            std::io::ErrorKind::PermissionDenied => "this user may not use that port".to_owned(),
            std::io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
            _ => error.to_string(),
        };
        Faults::one(format!(
            "the {listener} listener cannot listen on {address}: {why}; set {variable} to another address"
        ))
    })
}

fn store_sentence(error: &OpenError) -> String {
    match error {
        OpenError::OtherMaster(_) => format!(
            "{error}; set PORTUNUS_SECRET_KEY to the one that it was made with, restore secret.key in the data folder, or, to change the key, name the old one in PORTUNUS_PREVIOUS_SECRET_KEYS"
        ),
        OpenError::Directory(..) => format!("{error}; make it writable, or set PORTUNUS_DATA_DIR to another directory"),
        _ => error.to_string(),
    }
}

fn token_settings(settings: &Settings, control: SocketAddr) -> TokenSettings {
    let own = || format!("http://{}", banner::reachable(control));
    TokenSettings {
        public_url: settings.public_url.as_ref().map_or_else(own, |url| url.0.clone()),
        lifetime: settings.access_token_seconds,
        longest: settings.access_token_seconds.max(settings.people_token_seconds()),
        key_days: settings.signing_key_days,
        epoch_secret: settings.jwt_secret_key.clone(),
    }
}

fn mailer(settings: &Settings, store: &Store) -> Result<Option<Mailer>, Faults> {
    let Some(url) = &settings.smtp_url else { return Ok(None) };
    let started = Mailer::start(url, &settings.mail_from, store.clone());
    started.map(Some).map_err(|error| Faults::one(error.to_string()))
}

fn workers(settings: &Settings) -> usize {
    match settings.workers {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        count => count,
    }
}

/// Makes the key of the settings the admin key.
async fn take_admin_key(store: &Store, settings: &Settings) -> anyhow::Result<()> {
    let Some(key) = &settings.admin_api_key else { return Ok(()) };
    match admin_key::ensure(store, key).await.context("the admin key cannot be taken")? {
        AdminKey::Known => {}
        AdminKey::Taken => {
            tracing::info!(target: "portunus", "the admin key of the settings is taken; any other has ended");
        }
        AdminKey::Dead => tracing::warn!(
            target: "portunus",
            "the admin key of the settings was replaced or revoked and stays dead; set PORTUNUS_ADMIN_API_KEY to the new one, or leave it out"
        ),
    }
    Ok(())
}

/// Makes the provider outside what the settings say.
async fn apply_provider(store: &Store, settings: &Settings) -> anyhow::Result<()> {
    let chosen = federation::settings::Chosen {
        issuer: settings.oidc_issuer.clone(),
        client_id: settings.oidc_client_id.clone(),
        client_secret: settings.oidc_client_secret.clone(),
        audience: settings.oidc_audience.clone(),
    };
    match federation::settings::apply(store, chosen).await {
        Ok(()) => Ok(()),
        Err(CommitError::Invalid(problems) | CommitError::Conflict(problems)) => {
            let mut faults = Faults::default();
            for problem in problems {
                faults.push(format!("the provider of PORTUNUS_OIDC_ISSUER: {problem}"));
            }
            Err(faults.into())
        }
        Err(error) => Err(Faults::one(format!("the provider of PORTUNUS_OIDC_ISSUER cannot be kept: {error}")).into()),
    }
}

/// Makes what the manifests describe true, all of it or nothing.
async fn apply_manifests(store: &Store, settings: &Settings) -> anyhow::Result<()> {
    if settings.manifests.is_empty() {
        return Ok(());
    }
    let read = manifest::load(&settings.manifests)?;
    let values: Vec<serde_json::Value> = read.iter().map(manifest::Document::value).collect();
    let (parsed, _) = manifests::parse_all(&values);
    let change = Change {
        actor: Actor::system("manifests"),
        principal: None,
        call: None,
        ops: apply::steps(&parsed),
        dry_run: false,
    };
    match store.commit(change).await {
        Ok(_) => Ok(()),
        Err(CommitError::Invalid(problems) | CommitError::Conflict(problems)) => {
            let mut faults = Faults::default();
            for problem in problems {
                faults.push(manifest::sentence(&read, &problem));
            }
            Err(faults.into())
        }
        Err(error) => Err(Faults::one(format!("the manifests cannot be applied: {error}")).into()),
    }
}
