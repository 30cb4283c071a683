//! `send`, `history`, `tail`, `chat`.

use super::args::{Chat, Global, History, Send, Tail};
use super::exit::{Exit, Failed, of_status};
use super::name;
use super::open::{self, RunningNode};
use super::output::{Names, Printer, without_receipts};
use super::prompt;
use super::recent::Recent;
use super::shown::Shown;
use super::verify::refuse_if_changed;
use serde_json::{Value, json};
use sotto_e2ee::content::TEXT_BYTES_MAX;
use sotto_node::node::{Progress, Status, Ticket};
use sotto_node_core::command::{Command, Who};
use sotto_node_core::event::{Event, Outcome};
use sotto_node_core::view::{ConversationView, Message, Origin};
use sotto_protocol::ids::{ConversationId, MessageNumber, Sequence, UnixMillis};
use std::collections::{HashMap, VecDeque};
use std::io::IsTerminal as _;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// How long one text may wait for its acknowledgement before it counts as queued.
const ACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Texts of one run that wait for their acknowledgement at once; half of what the relay takes.
const UNDER_WAY_MAX: usize = 32;

/// Lines that are fetched from the archive at once.
const PAGE: u32 = 200;

/// Lines that are read at once after events were missed.
const CATCH_UP_LINES: usize = 200;

/// What became of texts.
#[derive(Default)]
struct Delivery {
    sent: usize,
    queued: usize,
}

pub(crate) async fn send(global: &Global, printer: &Printer, args: Send) -> Result<(), Failed> {
    let text = match (&args.text, args.lines) {
        (Some(text), _) => Some(text.clone()),
        (None, false) => Some(prompt::whole_input(TEXT_BYTES_MAX)?),
        (None, true) => None,
    };
    let node = open::node(global, printer, !args.queue).await?;
    open::finishing(node, async |node| {
        if !args.queue {
            match open::caught_up(node).await {
                Err(failed) if failed.exit != Exit::Unreachable => return Err(failed),
                _ => {}
            }
        }
        let view = name::conversation_or_open(node, &args.name).await?;
        refuse_if_changed(node, &view, args.anyway).await?;
        let mut texts = Texts::new(node, printer, view.conversation);
        texts.reply_to = args.reply.map(Sequence);
        match text {
            Some(text) => texts.push(text).await?,
            None => {
                let mut lines = prompt::lines();
                while let Some(line) = lines.recv().await {
                    let line =
                        line.map_err(|error| Failed::usage(format!("standard input is not text: {error}")))?;
                    if !line.is_empty() {
                        texts.push(line).await?;
                    }
                }
            }
        }
        texts.end().await
    })
    .await
}

/// Where a text stands, for good or for now. It is on a disk either way.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Settled {
    /// On the relay's.
    Sent { number: MessageNumber, sequence: Sequence, time: UnixMillis },
    /// On this device's.
    Queued { number: MessageNumber },
}

impl Settled {
    pub(crate) fn object(self, conversation: ConversationId) -> Value {
        match self {
            Self::Sent { number, sequence, time } => json!({
                "type": "sent",
                "conversation": conversation,
                "number": number,
                "sequence": sequence,
                "time_ms": time,
            }),
            Self::Queued { number } => {
                json!({ "type": "queued", "conversation": conversation, "number": number })
            }
        }
    }
}

/// Waits until a text is acknowledged, or safe on this device while the relay is away.
pub(crate) async fn settled(node: &RunningNode, ticket: Ticket) -> Result<Settled, Failed> {
    settled_unless(ticket, node.wait(ACKNOWLEDGED, |now| !now.is_ready())).await
}

/// The same, however often the relay goes and comes meanwhile.
pub(crate) async fn settled_in_time(ticket: Ticket) -> Result<Settled, Failed> {
    settled_unless(ticket, tokio::time::sleep(ACKNOWLEDGED)).await
}

/// Waits until a text is acknowledged; once it is safe on this device, no longer than until something happens.
async fn settled_unless<T>(mut ticket: Ticket, happens: impl Future<Output = T>) -> Result<Settled, Failed> {
    let mut happens = std::pin::pin!(happens);
    let mut queued = None;
    loop {
        let progress = match queued {
            None => ticket.progress().await,
            Some(number) => tokio::select! {
                biased;
                progress = ticket.progress() => progress,
                _ = &mut happens => return Ok(Settled::Queued { number }),
            },
        };
        match progress {
            Progress::Queued { number, .. } => queued = Some(number),
            Progress::Done(Outcome::Sent { number, sequence, time, .. }) => {
                return Ok(Settled::Sent { number, sequence, time });
            }
            Progress::Done(other) => {
                return Err(Failed::internal(format!("an unexpected outcome: {other:?}")));
            }
            Progress::Failed(failure) => return Err(failure.into()),
        }
    }
}

/// Texts on their way to one conversation, in order, several at once.
struct Texts<'a> {
    node: &'a RunningNode,
    printer: &'a Printer,
    conversation: ConversationId,
    reply_to: Option<Sequence>,
    under_way: VecDeque<Ticket>,
    delivery: Delivery,
}

impl<'a> Texts<'a> {
    fn new(node: &'a RunningNode, printer: &'a Printer, conversation: ConversationId) -> Self {
        let (under_way, delivery) = (VecDeque::new(), Delivery::default());
        Self { node, printer, conversation, reply_to: None, under_way, delivery }
    }

    async fn push(&mut self, text: String) -> Result<(), Failed> {
        if text.is_empty() {
            return Err(Failed::usage("there is nothing to send: the text is empty"));
        }
        if self.under_way.len() >= UNDER_WAY_MAX {
            self.settle_first().await?;
        }
        let send = Command::Send { conversation: self.conversation, text, reply_to: self.reply_to };
        self.under_way.push_back(self.node.submit(send).await);
        Ok(())
    }

    /// Waits until the oldest text is acknowledged, or safe on this device while the relay is away.
    async fn settle_first(&mut self) -> Result<(), Failed> {
        let Some(ticket) = self.under_way.pop_front() else { return Ok(()) };
        let settled = settled(self.node, ticket).await?;
        match settled {
            Settled::Sent { .. } => self.delivery.sent += 1,
            Settled::Queued { .. } => self.delivery.queued += 1,
        }
        if self.printer.is_json() {
            self.printer.result(&settled.object(self.conversation), "")?;
        }
        Ok(())
    }

    /// Settles what is under way; a failure with the code for "queued" if not all were acknowledged.
    async fn end(mut self) -> Result<(), Failed> {
        while !self.under_way.is_empty() {
            self.settle_first().await?;
        }
        let Delivery { sent, queued } = self.delivery;
        if queued == 0 {
            return Ok(());
        }
        let why = match of_status(&self.node.status()) {
            Some(failed) if self.node.status() != Status::Offline => format!(" ({})", failed.sentence),
            _ => String::new(),
        };
        let sentence = format!(
            "{queued} queued, {sent} sent: what is queued waits in the outbox of this device{why}; the next sotto \
             command that reaches the relay sends it"
        );
        Err(Failed::new(Exit::Unreachable, "queued", sentence))
    }
}

pub(crate) async fn history(global: &Global, printer: &Printer, args: History) -> Result<(), Failed> {
    let node = open::node(global, printer, true).await?;
    open::finishing(node, async |node| {
        open::caught_up_if_reachable(node, printer).await?;
        let view = name::conversation(node, &args.name).await?;
        let before = args.before.map(Sequence);
        let wanted = usize::try_from(args.n).unwrap_or(usize::MAX);
        let lines = read_history(node, view.conversation, before, wanted).await?;
        let mut names = Names::default();
        names.add(&view);
        for message in &lines {
            learn_names(node, message, &mut names).await?;
            printer.message(message, None, &names)?;
        }
        if let Some(first) = lines.first().filter(|_| lines.len() == wanted) {
            printer.remark(&format!("(older lines: --before {})", first.sequence));
        }
        if let (None, Some(last)) = (before, lines.last()) {
            // Best effort: it only counts what is unread.
            let read = Command::MarkRead { conversation: view.conversation, upto: last.sequence };
            drop(node.submit(read).await);
        }
        Ok(())
    })
    .await
}

/// Names of accounts that are members no more, for lines that only hold ids.
pub(super) async fn learn_names(
    node: &RunningNode,
    message: &Message,
    names: &mut Names,
) -> Result<(), Failed> {
    for account in names.missing(message) {
        let contact = node.ask(move |client| client.contact(&Who::Account(account))).await??;
        if let Some(contact) = contact.filter(|contact| !contact.username.is_empty()) {
            names.insert(account, contact.username);
        }
    }
    Ok(())
}

/// Local lines, and older ones from the archive where the local ones do not reach far enough.
pub(crate) async fn read_history(
    node: &RunningNode,
    conversation: ConversationId,
    before: Option<Sequence>,
    wanted: usize,
) -> Result<Vec<Message>, Failed> {
    let local = async || {
        Ok::<_, Failed>(node.ask(move |client| client.history(conversation, before, wanted)).await??)
    };
    let mut lines = local().await?;
    let mut from = lines.first().map(|line| line.sequence).or(before);
    while lines.len() < wanted && node.status().is_ready() {
        let fetch = Command::FetchHistory { conversation, before: from, limit: PAGE };
        let next = match node.command(fetch).await {
            Ok(Outcome::History { next, .. }) => next,
            Ok(other) => return Err(Failed::internal(format!("an unexpected outcome: {other:?}"))),
            Err(failure) => {
                tracing::debug!(%failure, "no older lines from the archive");
                break;
            }
        };
        lines = local().await?;
        match next {
            Some(next) => from = Some(next),
            // The start of the log, or of what this device may read.
            None => break,
        }
    }
    Ok(lines)
}

pub(crate) async fn tail(global: &Global, printer: &Printer, args: Tail) -> Result<(), Failed> {
    let start = open::start(global, printer).await?;
    let shown = Shown::up_to_now(&start.client)?;
    let (node, events) = open::begin_with_events(start, printer)?;
    open::finishing(node, async |node| {
        node.serve_files().await;
        let mut live = Live::after(node, printer, events, shown).await?;
        first_connection(node, printer).await?;
        if let Some(name) = &args.name {
            live.only = Some(name::conversation(node, name).await?.conversation);
        }
        let mut end = std::pin::pin!(interrupted());
        loop {
            tokio::select! {
                () = &mut end => return Ok(()),
                // Only the wait may be dropped, not the showing.
                event = live.events.recv() => live.handle(event).await?,
                failed = for_good(node) => return Err(failed),
            }
        }
    })
    .await
}

pub(crate) async fn chat(global: &Global, printer: &Printer, args: Chat) -> Result<(), Failed> {
    let (node, events) = open::begin_with_events(open::start(global, printer).await?, printer)?;
    open::finishing(node, async |node| {
        node.serve_files().await;
        first_connection(node, printer).await?;
        let view = name::conversation_or_open(node, &args.name).await?;
        refuse_if_changed(node, &view, args.anyway).await?;
        let mut live = Live::new(node, printer, events).await?;
        live.only = Some(view.conversation);
        // What is typed at a terminal stands there already.
        live.skip_own = std::io::stdin().is_terminal() && !printer.is_json();
        let past = usize::try_from(args.n).unwrap_or(0);
        if past > 0 {
            for message in read_history(node, view.conversation, None, past).await? {
                live.show_past(&message).await?;
            }
            live.mark_read().await;
        }
        printer.remark("(type to send, Ctrl-D to end)");
        let mut texts = Texts::new(node, printer, view.conversation);
        let mut lines = prompt::lines();
        let mut end = std::pin::pin!(interrupted());
        loop {
            tokio::select! {
                () = &mut end => break,
                line = lines.recv() => match line {
                    Some(Ok(line)) if line.trim().is_empty() => {}
                    Some(Ok(line)) => texts.push(line).await?,
                    Some(Err(error)) => return Err(Failed::usage(format!("standard input is not text: {error}"))),
                    None => break,
                },
                event = live.events.recv() => {
                    live.handle(event).await?;
                    live.mark_read().await;
                }
                failed = for_good(node) => return Err(failed),
            }
        }
        texts.end().await
    })
    .await
}

/// Waits for the first connection; without one it goes on, and catches up when the relay is there.
async fn first_connection(node: &RunningNode, printer: &Printer) -> Result<(), Failed> {
    match open::caught_up(node).await {
        Err(failed) if failed.exit == Exit::Unreachable => {
            printer.remark(&format!("({}; trying again)", failed.sentence));
            Ok(())
        }
        other => other,
    }
}

/// The reason why no connection will come any more; never, while one may.
pub(crate) async fn for_good(node: &RunningNode) -> Failed {
    loop {
        let status = node.wait(Duration::from_secs(3600), |_| false).await;
        if status.is_final() {
            return of_status(&status).unwrap_or_else(|| Failed::internal("the connection ended"));
        }
    }
}

/// Ctrl-C, or a polite request to end.
pub(crate) async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                tokio::select! {
                    _ = tokio::signal::ctrl_c() => {}
                    _ = terminate.recv() => {}
                }
            }
            Err(_) => drop(tokio::signal::ctrl_c().await),
        }
    }
    #[cfg(not(unix))]
    drop(tokio::signal::ctrl_c().await);
}

/// Messages as they arrive. Events say that there is something; the store says what, so nothing is lost when
/// events come faster than a slow terminal takes them.
struct Live<'a> {
    node: &'a RunningNode,
    printer: &'a Printer,
    events: Receiver<Event>,
    only: Option<ConversationId>,
    skip_own: bool,
    names: Names,
    titles: HashMap<ConversationId, String>,
    shown: Shown,
    /// The last line that was shown in each conversation and is not marked as read yet.
    unread: HashMap<ConversationId, Sequence>,
    recent: Recent,
}

impl<'a> Live<'a> {
    /// Whatever is in the store at this moment was there before.
    async fn new(
        node: &'a RunningNode,
        printer: &'a Printer,
        events: Receiver<Event>,
    ) -> Result<Self, Failed> {
        let shown = node.ask(Shown::up_to_now).await??;
        Self::after(node, printer, events, shown).await
    }

    async fn after(
        node: &'a RunningNode,
        printer: &'a Printer,
        events: Receiver<Event>,
        shown: Shown,
    ) -> Result<Self, Failed> {
        let mut live = Self {
            node,
            printer,
            events,
            only: None,
            skip_own: false,
            names: Names::default(),
            titles: HashMap::new(),
            shown,
            unread: HashMap::new(),
            recent: Recent::default(),
        };
        for view in name::views(node).await? {
            live.learn(&view);
        }
        Ok(live)
    }

    fn learn(&mut self, view: &ConversationView) {
        self.names.add(view);
        self.titles.insert(view.conversation, view.title.clone());
    }

    async fn handle(&mut self, event: Result<Event, RecvError>) -> Result<(), Failed> {
        match event {
            Ok(Event::Message(message)) => self.show(&message).await,
            Ok(Event::Changed { conversation, sequence }) => self.changed(conversation, sequence).await,
            Ok(Event::Conversation(view)) => {
                self.learn(&view);
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(RecvError::Lagged(missed)) => {
                tracing::debug!(missed, "events were missed; reading the store");
                self.catch_up().await
            }
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }

    /// Reads on from what was shown last.
    async fn catch_up(&mut self) -> Result<(), Failed> {
        for view in name::views(self.node).await? {
            self.learn(&view);
            let id = view.conversation;
            if self.only.is_some_and(|only| only != id) {
                continue;
            }
            let mut after = self.shown.upto(id);
            loop {
                let lines =
                    self.node.ask(move |client| client.history_after(id, after, CATCH_UP_LINES)).await??;
                let Some(last) = lines.last() else { break };
                after = last.sequence;
                // What came from the archive is the past, and was no event.
                for line in lines.iter().filter(|line| matches!(line.origin, Origin::Message | Origin::Own)) {
                    self.show(line).await?;
                }
            }
        }
        Ok(())
    }

    /// Shows a line unless it was shown.
    async fn show(&mut self, message: &Message) -> Result<(), Failed> {
        let id = message.conversation;
        if self.only.is_some_and(|only| only != id) || !self.shown.is_new(message) {
            return Ok(());
        }
        self.unread(message);
        self.print(message, !(self.skip_own && message.own)).await
    }

    /// Shows a line that was there before.
    async fn show_past(&mut self, message: &Message) -> Result<(), Failed> {
        if !self.shown.has(message) {
            // It came a moment ago, and its event comes too.
            return Ok(());
        }
        self.unread(message);
        self.print(message, true).await
    }

    fn unread(&mut self, message: &Message) {
        let upto = self.unread.entry(message.conversation).or_default();
        *upto = message.sequence.max(*upto);
    }

    /// What was shown counts as read. Best effort: it only counts what is unread.
    async fn mark_read(&mut self) {
        for (conversation, upto) in self.unread.drain() {
            drop(self.node.submit(Command::MarkRead { conversation, upto }).await);
        }
    }

    /// Prints a line, or only remembers what it looks like where it stands on the screen already.
    async fn print(&mut self, message: &Message, aloud: bool) -> Result<(), Failed> {
        learn_names(self.node, message, &mut self.names).await?;
        let id = message.conversation;
        let title = if self.only.is_some() { None } else { self.titles.get(&id).map(String::as_str) };
        self.recent.is_news(id, message.sequence, without_receipts(message, title, &self.names));
        if aloud { self.printer.message(message, title, &self.names) } else { Ok(()) }
    }

    /// A line is another one than it was.
    async fn changed(&mut self, id: ConversationId, sequence: Sequence) -> Result<(), Failed> {
        if self.only.is_some_and(|only| only != id) {
            return Ok(());
        }
        let Some(message) = self.node.ask(move |client| client.line(id, sequence)).await?? else {
            return self.printer.gone(id, sequence);
        };
        learn_names(self.node, &message, &mut self.names).await?;
        let title = if self.only.is_some() { None } else { self.titles.get(&id).map(String::as_str) };
        let news = self.recent.is_news(id, sequence, without_receipts(&message, title, &self.names));
        // Who has read it is for programs: people would see each of their texts twice.
        if news || self.printer.is_json() {
            self.printer.changed(&message, title, &self.names)
        } else {
            Ok(())
        }
    }
}
