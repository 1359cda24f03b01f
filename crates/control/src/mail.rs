//! Mail to people: one queue, one task, and a few attempts for each letter.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use portunus_gateway::kind::Id;
use serde_json::json;
use thiserror::Error;
use tokio::sync::mpsc;

use crate::audit::event::{Actor, NewEvent};
use crate::store::Store;

/// The most letters that wait.
const LONGEST_QUEUE: usize = 1_000;

/// How long the server may take for a letter.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How long to wait after each failure. After the last one the letter is given up.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];

/// A letter to one person.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Where to.
    pub to: String,
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub text: String,
    /// The tenant that it is sent for.
    pub tenant_id: Id,
    /// What it is for, in the record: `invitation`.
    pub purpose: &'static str,
}

/// Why the settings of mail cannot be used.
#[derive(Debug, Error)]
pub enum MailError {
    /// The server's URL.
    #[error("SMTP_URL is not a URL such as smtps://user:password@mail.example.com: {0}")]
    Url(String),
    /// The sender.
    #[error("MAIL_FROM is not an address such as Portunus <portunus@example.com>: {0}")]
    From(String),
}

/// Sends letters.
#[derive(Clone)]
pub struct Mailer(mpsc::Sender<Letter>);

impl Mailer {
    /// A mailer that hands letters to the server at `url`.
    pub fn start(url: &str, from: &str, store: Store) -> Result<Self, MailError> {
        let from: Mailbox = from.parse().map_err(|error| MailError::From(format!("{error}")))?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|error| MailError::Url(error.to_string()))?
            .timeout(Some(TIMEOUT))
            .build();
        let (queue, letters) = mpsc::channel(LONGEST_QUEUE);
        tokio::spawn(deliver(transport, from, store, letters));
        Ok(Self(queue))
    }

    /// Queues a letter. One too many is dropped, and the log says so.
    pub fn send(&self, letter: Letter) {
        if let Err(error) = self.0.try_send(letter) {
            tracing::error!(target: "control", error = %error, "mail_dropped");
        }
    }
}

type Transport = AsyncSmtpTransport<Tokio1Executor>;

async fn deliver(transport: Transport, from: Mailbox, store: Store, mut letters: mpsc::Receiver<Letter>) {
    while let Some(letter) = letters.recv().await {
        let message = match message(&from, &letter) {
            Ok(message) => message,
            Err(error) => {
                give_up(&store, &letter, &error).await;
                continue;
            }
        };
        // A letter that waits for its next attempt does not hold up the others.
        let (transport, store) = (transport.clone(), store.clone());
        match transport.send(message.clone()).await {
            Ok(_) => sent(&store, &letter).await,
            Err(error) => {
                tracing::warn!(target: "control", error = %error, purpose = letter.purpose, "mail_failed");
                tokio::spawn(again(transport, message, letter, store));
            }
        }
    }
}

async fn again(transport: Transport, message: Message, letter: Letter, store: Store) {
    let mut last = String::new();
    for pause in PAUSES {
        tokio::time::sleep(pause).await;
        match transport.send(message.clone()).await {
            Ok(_) => return sent(&store, &letter).await,
            Err(error) => {
                last = error.to_string();
                tracing::warn!(target: "control", error = last, purpose = letter.purpose, "mail_failed");
            }
        }
    }
    give_up(&store, &letter, &last).await;
}

fn message(from: &Mailbox, letter: &Letter) -> Result<Message, String> {
    let to: Mailbox = letter.to.parse().map_err(|error| format!("the address: {error}"))?;
    let message = Message::builder().from(from.clone()).to(to).subject(&letter.subject);
    message.body(letter.text.clone()).map_err(|error| error.to_string())
}

async fn sent(store: &Store, letter: &Letter) {
    record(store, told(letter, "mail.sent")).await;
}

async fn give_up(store: &Store, letter: &Letter, error: &str) {
    tracing::error!(target: "control", error, purpose = letter.purpose, "mail_given_up");
    record(store, told(letter, "mail.failed").failed("mail_failed")).await;
}

fn told(letter: &Letter, action: &str) -> NewEvent {
    let details = json!({ "purpose": letter.purpose });
    NewEvent::new(Actor::system("mail"), action).of(letter.tenant_id).with(details)
}

async fn record(store: &Store, event: NewEvent) {
    if let Err(error) = store.record(vec![event]).await {
        tracing::error!(target: "control", error = %error, "database_connection_failed");
    }
}
