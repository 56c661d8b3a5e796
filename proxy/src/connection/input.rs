//! What a client has sent and nobody has consumed yet.

/// Beyond this size, an empty buffer is given back, and consumed bytes are forgotten.
const INPUT_BYTES_KEPT: usize = 16 * 1024;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Input {
    bytes: Vec<u8>,
    /// So many of them are consumed: many small requests are taken without moving what follows.
    consumed: usize,
}

impl Input {
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.consumed..]
    }

    pub fn len(&self) -> usize {
        self.bytes.len() - self.consumed
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn push(&mut self, received: &[u8]) {
        self.bytes.extend_from_slice(received);
    }

    pub fn consume(&mut self, count: usize) {
        self.consumed += count;
        if self.is_empty() {
            self.consumed = 0;
            self.bytes.clear();
            if self.bytes.capacity() > INPUT_BYTES_KEPT {
                self.bytes = Vec::new();
            }
        } else if self.consumed > INPUT_BYTES_KEPT && self.consumed * 2 > self.bytes.len() {
            self.bytes.drain(..self.consumed);
            self.consumed = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_consumed_is_forgotten_when_it_is_most() {
        let mut input = Input::default();
        let sent: Vec<u8> = (0..=250).cycle().take(100_000).collect();
        input.push(&sent);
        let mut moves = 0;
        for at in (0..sent.len()).step_by(10) {
            assert_eq!(input.unread(), &sent[at..]);
            let before = input.bytes.len();
            input.consume(10);
            moves += usize::from(input.bytes.len() < before);
        }
        assert!(input.is_empty() && moves < 10, "moved {moves} times");
        assert_eq!(input.bytes.capacity(), 0);
        input.push(b"x");
        assert_eq!((input.unread(), input.len()), (&b"x"[..], 1));
    }
}
