//! One connection: a thread that reads questions and writes answers, for as long as the client behaves.

use super::line::{Line, Lines};
use super::message::{self, Question, Refusal, RefusalKind};
use super::server::Slot;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Connections at one time, each with a thread. When another one comes, the one that has been silent longest makes room: so
/// there must be more than come at once, or one would be closed before it has asked.
const MOST: usize = 256;

/// The longest question, bytes.
const LONGEST: usize = 64 << 10;

/// How long a client may be silent between questions, or take to send one or to read what it asked for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The connections that there are.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    last_number: u64,
    all: Vec<Connection>,
    /// Of connections that have ended or are about to.
    threads: Vec<JoinHandle<()>>,
    is_over: bool,
}

#[derive(Debug)]
struct Connection {
    number: u64,
    stream: UnixStream,
    /// Since when it has been waited for; None: it is being answered.
    silent_since: Option<Instant>,
    thread: Option<JoinHandle<()>>,
}

impl Connections {
    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        // Nothing is done under the lock that could leave it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all, and waits for their threads.
    pub(super) fn end(&self) {
        let threads = {
            let mut open = self.open();
            open.is_over = true;
            for connection in &mut open.all {
                let _ = connection.stream.shutdown(Shutdown::Both);
            }
            let ours = open.all.drain(..).filter_map(|connection| connection.thread).collect::<Vec<_>>();
            let mut threads = std::mem::take(&mut open.threads);
            threads.extend(ours);
            threads
        };
        for thread in threads {
            let _ = thread.join();
        }
    }

    /// Takes a connection in; None where there is no room.
    fn admit(&self, stream: &UnixStream) -> Option<u64> {
        let mut open = self.open();
        open.threads.retain(|thread| !thread.is_finished());
        if open.is_over {
            return None;
        }
        if open.all.len() >= MOST {
            let silent =
                open.all.iter().enumerate().filter_map(|(place, of)| Some((of.silent_since?, place)));
            let (_, place) = silent.min()?;
            let silent = open.all.swap_remove(place);
            let _ = silent.stream.shutdown(Shutdown::Both);
            open.threads.extend(silent.thread);
        }
        open.last_number += 1;
        let number = open.last_number;
        let stream = stream.try_clone().ok()?;
        open.all.push(Connection { number, stream, silent_since: Some(Instant::now()), thread: None });
        Some(number)
    }

    fn note(&self, number: u64, silent_since: Option<Instant>) {
        if let Some(connection) = self.open().all.iter_mut().find(|connection| connection.number == number) {
            connection.silent_since = silent_since;
        }
    }

    fn leave(&self, number: u64) {
        let mut open = self.open();
        if let Some(place) = open.all.iter().position(|connection| connection.number == number) {
            let gone = open.all.swap_remove(place);
            open.threads.extend(gone.thread);
        }
    }
}

/// Serves a connection on a thread of its own, if there is room for it.
pub(super) fn serve(stream: UnixStream, connections: &Arc<Connections>, slot: &Slot) {
    // Linux hands no flags of the listener on, but says nowhere that it will not.
    let is_set_up = stream.set_nonblocking(false).and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
    let number = match is_set_up {
        Ok(()) => connections.admit(&stream),
        Err(_) => return,
    };
    let Some(number) = number else {
        let refusal =
            Refusal::new(RefusalKind::Busy, format!("{MOST} connections are being answered: try again"));
        // One that does not read it at once goes without.
        let _ = stream.set_write_timeout(Some(Duration::from_millis(10)));
        let _ = (&stream).write_all(&message::to_line(&Err(refusal)));
        return;
    };
    let (theirs, slot) = (Arc::clone(connections), slot.clone());
    let thread = std::thread::Builder::new().name("api-client".into()).spawn(move || {
        converse(&stream, number, &theirs, &slot);
        let _ = stream.shutdown(Shutdown::Both);
        theirs.leave(number);
    });
    match thread {
        Ok(thread) => {
            let mut open = connections.open();
            match open.all.iter_mut().find(|connection| connection.number == number) {
                Some(connection) => connection.thread = Some(thread),
                None => open.threads.push(thread),
            }
        }
        Err(_) => connections.leave(number),
    }
}

/// Answers questions until the client has no more, goes, or breaks the rules.
fn converse(stream: &UnixStream, number: u64, connections: &Connections, slot: &Slot) {
    let Ok(input) = stream.try_clone() else { return };
    let mut lines = Lines::new(input, LONGEST);
    loop {
        connections.note(number, Some(Instant::now()));
        let line = lines.next(PATIENCE);
        connections.note(number, None);
        let (answer, is_last) = match line {
            Ok(Line::Whole(line)) if line.is_empty() => continue,
            Ok(Line::Whole(line)) => (Question::parse(&line).and_then(|question| slot.ask(question)), false),
            Ok(Line::TooLong) => {
                let message = format!("a line of more than {LONGEST} bytes");
                (Err(Refusal::new(RefusalKind::TooLong, message)), true)
            }
            Ok(Line::End) | Err(_) => return,
        };
        if write_within(stream, &message::to_line(&answer), PATIENCE).is_err() || is_last {
            return;
        }
    }
}

/// Writes all of it within a time, however slowly it is read.
fn write_within(mut stream: &UnixStream, mut bytes: &[u8], patience: Duration) -> std::io::Result<()> {
    let until = Instant::now() + patience;
    while !bytes.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        match stream.write(bytes) {
            Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
