//! The body of an answer, as it is made.

use strand_sdk::http::{Answer, Broken, Responder};

/// Bytes that are collected before they are sent.
pub const PIECE: usize = 64 * 1024;

/// Makes what is sent of what is collected.
type Change<'a> = Box<dyn FnMut(&[u8]) -> Vec<u8> + 'a>;

/// The answer's body. Its head is sent only with the first bytes, so that what goes wrong before can
/// still be answered with its problem.
pub struct Sink<'a> {
    responder: Option<(Responder, Vec<(&'a str, &'a str)>)>,
    answer: Option<Answer>,
    /// If what is collected is not sent as it is: of how many bytes at a time something else is made.
    change: Option<(usize, Change<'a>)>,
    /// What is collected; see [`Sink::pass_on`].
    pub collected: Vec<u8>,
}

impl<'a> Sink<'a> {
    /// A sink that begins the answer with these header fields.
    pub fn new(responder: Responder, fields: Vec<(&'a str, &'a str)>) -> Self {
        let responder = Some((responder, fields));
        // A record can go over the piece: reads of 65,536 bases have records of twice that.
        Self {
            responder,
            answer: None,
            change: None,
            collected: Vec::with_capacity(2 * PIECE),
        }
    }

    /// One that sends what `change` makes of each `block` bytes that are collected, at most [`PIECE`], and
    /// of the rest at the end. It gets one or several blocks at once.
    #[must_use]
    pub fn changed(mut self, block: usize, change: impl FnMut(&[u8]) -> Vec<u8> + 'a) -> Self {
        self.change = Some((block, Box::new(change)));
        self
    }

    /// The answer that nothing was sent of yet, if so.
    pub fn into_responder(self) -> Option<Responder> {
        self.responder.map(|(responder, _)| responder)
    }

    /// Sends bytes, with what was collected before.
    ///
    /// # Errors
    /// [`Broken`] when the client went away.
    pub fn write(&mut self, bytes: Vec<u8>) -> Result<(), Broken> {
        if self.collected.is_empty() {
            self.collected = bytes;
        } else {
            self.collected.extend_from_slice(&bytes);
        }
        self.pass_on()
    }

    /// Sends what is collected, if that is worth it.
    ///
    /// # Errors
    /// [`Broken`] when the client went away.
    pub fn pass_on(&mut self) -> Result<(), Broken> {
        let collected = self.collected.len();
        if collected < PIECE {
            return Ok(());
        }
        // What does not fill a block waits for more.
        let rest = self.change.as_ref().map(|(block, _)| collected % block);
        self.send(collected - rest.unwrap_or(0))
    }

    /// Sends so many of the bytes that are collected.
    fn send(&mut self, count: usize) -> Result<(), Broken> {
        if let Some((responder, fields)) = self.responder.take() {
            self.answer = Some(responder.start(200, &fields)?);
        }
        if let Some(answer) = &mut self.answer {
            let bytes = &self.collected[..count];
            match &mut self.change {
                Some((_, change)) => answer.write_all(&change(bytes))?,
                None => answer.write_all(bytes)?,
            }
        }
        self.collected.drain(..count);
        Ok(())
    }

    /// Sends the rest and ends the answer.
    ///
    /// # Errors
    /// [`Broken`] when the client went away.
    pub fn finish(mut self) -> Result<(), Broken> {
        self.send(self.collected.len())?;
        self.answer.map_or(Ok(()), Answer::finish)
    }
}
