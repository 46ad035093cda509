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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_is_held_against_what_was_announced() {
        let mut five = Announced::new(Some(5));
        for (bytes, missing) in [(0, 5), (2, 3), (2, 1)] {
            five.came(bytes).unwrap();
            assert!(!five.is_complete());
            let detail = five.ended().unwrap_err().detail().to_owned();
            let expected = format!("the answer ended {missing} bytes before its announced length");
            assert_eq!(detail, expected);
        }
        five.came(1).unwrap();
        assert!(five.is_complete() && five.ended().is_ok());
        five.came(0).unwrap();
        assert!(five.came(1).is_err());

        let mut more = Announced::new(Some(5));
        assert!(more.came(6).is_err());
    }

    #[test]
    fn nothing_is_held_against_what_announced_nothing() {
        let mut open = Announced::new(None);
        open.came(usize::MAX).unwrap();
        assert!(open.ended().is_ok() && !open.is_complete());
        let nothing = Announced::new(Some(0));
        assert!(nothing.ended().is_ok() && nothing.is_complete());
    }
}
