//! The worker's side.

use crate::cell::{Cell, Epoch, OFFLINE};
use crate::control::Published;
use crate::sync::{Arc, Ordering, fence};

/// A worker's right to read what is published. It starts online.
#[derive(Debug)]
pub struct Reader {
    epoch: Arc<Epoch>,
    cell: Arc<Cell>,
}

impl Reader {
    pub(crate) fn new(epoch: Arc<Epoch>, cell: Arc<Cell>) -> Self {
        let mut reader = Self { epoch, cell };
        reader.come_online();
        reader
    }

    /// What is published now, valid until this reader is next quiescent or offline.
    #[inline]
    pub fn load<'r, T>(&'r self, published: &'r Published<T>) -> &'r T {
        published.load(&self.epoch)
    }

    /// No reference that was loaded before is used any more: says which epoch this worker has seen.
    #[inline]
    pub fn quiescent(&mut self) {
        // Acquire: what was published before this epoch began is what is loaded from now on.
        let epoch = self.epoch.0.load(Ordering::Acquire);
        // Release: all uses of what was loaded before come before control sees this.
        self.cell.seen.store(epoch, Ordering::Release);
    }

    /// Holds no reference until the guard is dropped: control does not wait for this worker meanwhile. For blocking.
    pub fn offline(&mut self) -> Offline<'_> {
        self.cell.seen.store(OFFLINE, Ordering::Release);
        Offline(self)
    }

    fn come_online(&mut self) {
        let epoch = self.epoch.0.load(Ordering::Relaxed);
        // Release: control may see this without having seen that the worker was offline. All uses of what was loaded before that come
        // before it, too.
        self.cell.seen.store(epoch, Ordering::Release);
        // Between telling control and the first load: see the crate's argument, "comes online".
        fence(Ordering::SeqCst);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.cell.seen.store(OFFLINE, Ordering::Release);
    }
}

/// A worker that is offline. Dropping it brings the worker back.
#[derive(Debug)]
pub struct Offline<'r>(&'r mut Reader);

impl Drop for Offline<'_> {
    fn drop(&mut self) {
        self.0.come_online();
    }
}
