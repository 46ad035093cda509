//! Reading and writing streams.

use std::io;

use wasip2::io::streams::{InputStream, OutputStream, StreamError};

/// Bytes that are given to a stream at once: several times what the blocking calls take.
const PIECE: usize = 64 * 1024;

/// Writes all bytes, waiting whenever the other side is behind.
pub(crate) fn write_all(stream: &OutputStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    while !bytes.is_empty() {
        let room = stream.check_write()? as usize;
        if room == 0 {
            stream.subscribe().block();
            continue;
        }
        let (now, later) = bytes.split_at(room.min(PIECE).min(bytes.len()));
        stream.write(now)?;
        bytes = later;
    }
    Ok(())
}

/// At most `most` bytes, at least one; `None` at the end.
pub(crate) fn read_some(stream: &InputStream, most: u64) -> Result<Option<Vec<u8>>, StreamError> {
    loop {
        match stream.blocking_read(most) {
            // Nobody would take an empty piece for anything but the end.
            Ok(piece) if piece.is_empty() => {}
            Ok(piece) => return Ok(Some(piece)),
            Err(StreamError::Closed) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

/// What of a stream is there, at most so many bytes.
pub(crate) fn read_ready(stream: &InputStream, most: u64) -> Result<Ready, StreamError> {
    match stream.read(most) {
        Ok(piece) if piece.is_empty() => Ok(Ready::NotYet),
        Ok(piece) => Ok(Ready::Piece(piece)),
        Err(StreamError::Closed) => Ok(Ready::End),
        Err(error) => Err(error),
    }
}

/// What is to be had of a stream without waiting.
pub(crate) enum Ready {
    /// Nothing so far.
    NotYet,
    /// Some bytes, at least one.
    Piece(Vec<u8>),
    /// The end.
    End,
}

/// As [`std::io::Read::read`].
pub(crate) fn read_into<E>(
    buffer: &mut [u8],
    read: impl FnOnce(u64) -> Result<Option<Vec<u8>>, E>,
) -> io::Result<usize>
where
    E: std::error::Error + Send + Sync + 'static,
{
    if buffer.is_empty() {
        return Ok(0);
    }
    let Some(piece) = read(buffer.len() as u64).map_err(io::Error::other)? else {
        return Ok(0);
    };
    let room = buffer
        .get_mut(..piece.len())
        .ok_or_else(|| io::Error::other("the host gave more bytes than were asked for"))?;
    room.copy_from_slice(&piece);
    Ok(piece.len())
}

/// What is wrong with a stream, in words.
pub(crate) fn words(error: &StreamError) -> String {
    match error {
        StreamError::Closed => "the other side wants no more".into(),
        StreamError::LastOperationFailed(error) => error.to_debug_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::read_into;
    use std::fmt;

    #[test]
    fn a_buffer_gets_what_fits() {
        let mut buffer = [0; 4];
        let given = |bytes: &'static [u8]| {
            move |most: u64| {
                assert_eq!(most, 4);
                Ok::<_, fmt::Error>(Some(bytes.to_vec()))
            }
        };
        assert_eq!(read_into(&mut buffer, given(b"abc")).ok(), Some(3));
        assert_eq!(&buffer, b"abc\0");
        assert!(read_into(&mut buffer, given(b"abcde")).is_err());
        let end = |_| Ok::<_, fmt::Error>(None);
        assert_eq!(read_into(&mut buffer, end).ok(), Some(0));
        let fails = |_| Err(fmt::Error);
        assert!(read_into(&mut buffer, fails).is_err());
        // An empty buffer says nothing about the end, and asks for nothing.
        let never = |_| -> Result<_, fmt::Error> { unreachable!("nothing is wanted") };
        assert_eq!(read_into(&mut [], never).ok(), Some(0));
    }
}
