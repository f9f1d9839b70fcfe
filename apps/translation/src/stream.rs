//! Lines as they come: one at a time from someone who types, many at once from a file.

use std::io::BufRead;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use anyhow::{Result, anyhow};

/// A line of the input and its number, from 1 on, or why it is none.
pub type Line = (usize, Result<String>);

/// Lines read ahead of their translation.
const AHEAD: usize = 1024;

/// Reads lines on a thread of its own.
pub struct Lines(Receiver<Line>);

impl Lines {
    /// The lines of `input`. One that is not UTF-8 is an error of that line; an input that fails ends
    /// with an error.
    pub fn of(mut input: impl BufRead + Send + 'static) -> Self {
        let (send, receive) = sync_channel(AHEAD);
        thread::spawn(move || {
            for number in 1.. {
                let mut bytes = Vec::new();
                let line = match input.read_until(b'\n', &mut bytes) {
                    Ok(0) => return,
                    Ok(_) => {
                        if bytes.ends_with(b"\n") {
                            bytes.pop();
                        }
                        String::from_utf8(bytes).map_err(|error| {
                            anyhow!("it is not UTF-8 from byte {} on", error.utf8_error().valid_up_to())
                        })
                    }
                    Err(error) => {
                        let _ = send.send((number, Err(anyhow!("it cannot be read: {error}"))));
                        return;
                    }
                };
                // Nobody listens any more when the program is about to end.
                if send.send((number, line)).is_err() {
                    return;
                }
            }
        });
        Self(receive)
    }

    /// Waits for a line and takes what else is there already, `most` lines in all; none at the end.
    pub fn next(&self, most: usize) -> Vec<Line> {
        let first = self.0.recv().ok();
        first.into_iter().chain(self.0.try_iter()).take(most.max(1)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn lines_come_in_order_and_a_bad_one_does_not_end_them() {
        let lines = Lines::of(Cursor::new(b"one\n\xff\xfe\n\nlast".to_vec()));
        let mut all = Vec::new();
        loop {
            let some = lines.next(3);
            if some.is_empty() {
                break;
            }
            assert!(some.len() <= 3);
            all.extend(some);
        }
        let told: Vec<_> = all.iter().map(|(n, line)| (*n, line.as_deref().unwrap_or("bad"))).collect();
        assert_eq!(told, [(1, "one"), (2, "bad"), (3, ""), (4, "last")]);
        assert!(all[1].1.as_ref().unwrap_err().to_string().contains("not UTF-8"));
    }
}
