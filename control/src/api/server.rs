//! Takes connections, and hands questions to the control thread.

use super::connection::{self, Connections};
use super::message::{Answer, Question, Refusal, RefusalKind};
use crossbeam_channel::{Receiver, Sender, bounded, select};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Questions that wait for the control thread, at most; whoever has more waits to hand them over.
const WAITING: usize = 64;

/// A question, and where its answer goes.
#[derive(Debug)]
pub struct Asked {
    /// What is asked.
    pub question: Question,
    reply: Sender<Result<Answer, Refusal>>,
}

impl Asked {
    /// Answers. Whoever asked may have gone.
    pub fn answer(self, answer: Result<Answer, Refusal>) {
        let _ = self.reply.send(answer);
    }
}

/// Something that a thread can be woken by while it polls.
#[derive(Clone, Debug)]
pub(super) struct Bell(Arc<OwnedFd>);

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?)))
    }

    pub(super) fn ring(&self) {
        // It fails only where it has rung 2^64 - 1 times already.
        let _ = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }

    pub(super) fn silence(&self) {
        let _ = rustix::io::read(&*self.0, &mut [0; 8]);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Where questions come to the control thread.
#[derive(Debug)]
pub struct Mailbox {
    questions: Receiver<Asked>,
    hand_over: Sender<Asked>,
    /// Nothing is sent by it: when it is gone, so is whoever answers.
    _alive: Sender<()>,
    gone: Receiver<()>,
    bell: Bell,
}

impl Mailbox {
    /// An empty one.
    pub fn new() -> io::Result<Self> {
        let (hand_over, questions) = bounded(WAITING);
        let (alive, gone) = bounded(0);
        Ok(Self { questions, hand_over, _alive: alive, gone, bell: Bell::new()? })
    }

    /// The next question, if there is one.
    pub fn take(&self) -> Option<Asked> {
        self.questions.try_recv().ok()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    /// To be called before questions are taken, so that one that comes later makes the mailbox ready again.
    pub fn silence(&self) {
        self.bell.silence();
    }

    pub(super) fn slot(&self) -> Slot {
        Slot { hand_over: self.hand_over.clone(), gone: self.gone.clone(), bell: self.bell.clone() }
    }
}

/// Ready when a question came.
impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// Where a connection hands its questions over.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    hand_over: Sender<Asked>,
    gone: Receiver<()>,
    bell: Bell,
}

impl Slot {
    /// Waits for the answer.
    pub(super) fn ask(&self, question: Question) -> Result<Answer, Refusal> {
        let stopping = || Refusal::new(RefusalKind::Stopping, "the process is being stopped");
        let (reply, answer) = bounded(1);
        self.hand_over.send(Asked { question, reply }).map_err(|_| stopping())?;
        self.bell.ring();
        // A question that nobody took may outlive the mailbox.
        select! {
            recv(answer) -> answer => answer.map_err(|_| stopping())?,
            recv(self.gone) -> _ => Err(stopping()),
        }
    }
}

/// Serves a socket until it is dropped.
#[derive(Debug)]
pub struct Server {
    connections: Arc<Connections>,
    stop: Arc<AtomicBool>,
    bell: Bell,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Takes connections from `listener`; their questions come to `mailbox`.
    pub fn start(listener: UnixListener, mailbox: &Mailbox) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let (connections, stop, bell) =
            (Arc::new(Connections::default()), Arc::new(AtomicBool::new(false)), Bell::new()?);
        let slot = mailbox.slot();
        let thread = {
            let (connections, stop, bell) = (Arc::clone(&connections), Arc::clone(&stop), bell.clone());
            std::thread::Builder::new().name("api".into()).spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    accept(&listener, &bell, &connections, &slot);
                }
            })?
        };
        Ok(Self { connections, stop, bell, thread: Some(thread) })
    }
}

impl Drop for Server {
    /// Ends all connections, and waits for their threads. The mailbox must have been dropped before, or be answered meanwhile.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.bell.ring();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.connections.end();
    }
}

/// Waits for connections, and takes them.
fn accept(listener: &UnixListener, bell: &Bell, connections: &Arc<Connections>, slot: &Slot) {
    let mut ready = [PollFd::new(listener, PollFlags::IN), PollFd::new(bell, PollFlags::IN)];
    if poll(&mut ready, None).is_err() {
        return;
    }
    match listener.accept() {
        Ok((stream, _)) => connection::serve(stream, connections, slot),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
        // Out of descriptors, most likely: it stays ready, so do not spin.
        Err(_) => std::thread::sleep(Duration::from_millis(100)),
    }
}
