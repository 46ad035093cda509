//! The length that an answer announced, as its body comes.

use strand_engine::Problem;

/// Bytes left of the announced length, if one was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announced(Option<u64>);

impl Announced {
    pub(crate) fn new(length: Option<u64>) -> Self {
        Self(length)
    }

    /// So many bytes came.
    ///
    /// # Errors
    /// When they are too many.
    pub(crate) fn came(&mut self, bytes: usize) -> Result<(), Problem> {
        if let Some(left) = self.0 {
            let left = left.checked_sub(bytes as u64);
            self.0 = Some(left.ok_or_else(|| {
                Problem::guest_fault("the answer is longer than its announced length")
            })?);
        }
        Ok(())
    }

    /// No more bytes come.
    ///
    /// # Errors
    /// When some are missing.
    pub(crate) fn ended(self) -> Result<(), Problem> {
        match self.0 {
            Some(left) if left > 0 => Err(Problem::guest_fault(format!(
                "the answer ended {left} bytes before its announced length"
            ))),
            _ => Ok(()),
        }
    }

    /// Whether all that was announced has come.
    pub(crate) fn is_complete(self) -> bool {
        self.0 == Some(0)
    }
}
