//! A value that stays on the thread that made it, inside a type that may be sent.
//!
//! tonic asks for request streams that are `Send`, but a worker's runtime has one thread: whatever it
//! spawns is polled and dropped there, and the data behind the stream is `Rc`. The thread is checked
//! at every use, so a runtime with more threads would stop with a panic instead of racing.
#![allow(unsafe_code)]

use std::{
    mem::ManuallyDrop,
    thread::{self, ThreadId},
};

/// A `T` that may be used on the thread that made it, and nowhere else.
pub struct Bound<T> {
    home: ThreadId,
    value: ManuallyDrop<T>,
}

// SAFETY: `get_mut` panics, and `drop` leaks, on any thread but the one that made the value. So the
// `T` inside is never reached from another thread, whichever thread holds the wrapper.
unsafe impl<T> Send for Bound<T> {}

impl<T> Bound<T> {
    pub fn new(value: T) -> Self {
        Self { home: thread::current().id(), value: ManuallyDrop::new(value) }
    }

    /// # Panics
    /// On another thread than the one that made the value.
    pub fn get_mut(&mut self) -> &mut T {
        assert!(thread::current().id() == self.home, "a worker's stream was polled on another thread");
        &mut self.value
    }
}

impl<T> Drop for Bound<T> {
    fn drop(&mut self) {
        if thread::current().id() == self.home {
            // SAFETY: dropped once, here, and not used afterwards; on the thread that made it.
            unsafe { ManuallyDrop::drop(&mut self.value) }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use super::*;

    #[test]
    fn usable_and_dropped_at_home() {
        let shared = Rc::new(Cell::new(0));
        let mut bound = Bound::new(shared.clone());
        bound.get_mut().set(5);
        drop(bound);
        assert_eq!((shared.get(), Rc::strong_count(&shared)), (5, 1));
    }

    #[test]
    fn neither_usable_nor_dropped_elsewhere() {
        let shared = Rc::new(());
        let mut bound = Bound::new(shared.clone());
        let elsewhere = std::thread::spawn(move || {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                bound.get_mut();
            }))
            .is_err()
        });
        assert!(elsewhere.join().expect("the thread catches the panic"));
        assert_eq!(Rc::strong_count(&shared), 2);
    }
}
