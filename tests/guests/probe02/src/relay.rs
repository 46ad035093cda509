//! Passes a body on, piece by piece, as the two sides are ready for it.

use wasip2::http::types::{FutureTrailers, IncomingBody, Trailers};
use wasip2::io::poll::Pollable;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use crate::answer::Broken;

/// A body on its way.
pub(crate) struct Relay {
    // The stream goes first: it is the body's child, and the host insists.
    stream: InputStream,
    body: IncomingBody,
}

/// How far a body got.
pub(crate) enum Step {
    /// It goes on when this is ready.
    Wait(Pollable),
    /// All of it has been passed on.
    End,
}

impl Relay {
    pub(crate) fn new(body: IncomingBody) -> Result<Self, Broken> {
        let stream = body
            .stream()
            .map_err(|()| Broken::new("the body gives no stream"))?;
        Ok(Relay { stream, body })
    }

    /// Passes on what can be without waiting.
    pub(crate) fn step(&self, output: &OutputStream) -> Result<Step, Broken> {
        loop {
            let room = output.check_write()?;
            if room == 0 {
                return Ok(Step::Wait(output.subscribe()));
            }
            match self.stream.read(room) {
                Ok(bytes) if bytes.is_empty() => return Ok(Step::Wait(self.stream.subscribe())),
                Ok(bytes) => {
                    output.write(&bytes)?;
                    // Whoever waits for this piece shall have it before the next one comes.
                    output.flush()?;
                }
                Err(StreamError::Closed) => return Ok(Step::End),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Passes all of it on and returns its trailers.
    pub(crate) fn run(self, output: &OutputStream) -> Result<Option<Trailers>, Broken> {
        while let Step::Wait(ready) = self.step(output)? {
            ready.block();
        }
        self.trailers()
    }

    /// The trailers, once all of the body has been read.
    pub(crate) fn trailers(self) -> Result<Option<Trailers>, Broken> {
        let Relay { stream, body } = self;
        drop(stream);
        let future: FutureTrailers = IncomingBody::finish(body);
        loop {
            match future.get() {
                Some(Ok(trailers)) => return Ok(trailers?),
                Some(Err(())) => return Err(Broken::new("the trailers are taken")),
                None => future.subscribe().block(),
            }
        }
    }
}
