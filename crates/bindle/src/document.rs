//! An invoice with the bytes that it came as.

use thiserror::Error;

use crate::check::Invalid;
use crate::text::shortened;
use crate::{Invoice, Sha256};

/// Most bytes of an invoice that is read.
pub const MAX_INVOICE_BYTES: usize = 4 << 20;

/// How an invoice is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `application/toml`.
    #[default]
    Toml,
    /// `application/json`.
    Json,
}

/// An invoice and its exact bytes, which signatures are over. Nothing changes either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    bytes: Vec<u8>,
    format: Format,
    invoice: Invoice,
}

/// Why bytes are no invoice.
#[derive(Debug, Error)]
pub enum DocumentError {
    /// There are too many.
    #[error("an invoice of {0} bytes is too large: at most {MAX_INVOICE_BYTES} are read")]
    TooLarge(usize),
    /// They are no text.
    #[error("the invoice is not UTF-8: byte {0} is wrong")]
    NotUtf8(usize),
    /// They are no TOML or JSON, or their fields are others than an invoice's.
    #[error("the invoice cannot be read: line {line}: {why}")]
    Syntax {
        /// Where, counted from 1.
        line: usize,
        /// What is wrong, in a line.
        why: String,
    },
    /// It cannot be written.
    #[error("the invoice cannot be written: {0}")]
    Write(String),
    /// What it says cannot be.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl Document {
    /// Reads an invoice in TOML.
    ///
    /// # Errors
    /// What is no invoice is refused, and what [`Invoice::check`] finds something in.
    pub fn from_toml(bytes: Vec<u8>) -> Result<Self, DocumentError> {
        Self::read(bytes, Format::Toml)
    }

    /// Reads an invoice.
    ///
    /// # Errors
    /// What is no invoice is refused, and what [`Invoice::check`] finds something in.
    pub fn read(bytes: Vec<u8>, format: Format) -> Result<Self, DocumentError> {
        if bytes.len() > MAX_INVOICE_BYTES {
            return Err(DocumentError::TooLarge(bytes.len()));
        }
        let text = std::str::from_utf8(&bytes)
            .map_err(|error| DocumentError::NotUtf8(error.valid_up_to()))?;
        let invoice: Invoice = match format {
            Format::Toml => toml::from_str(text).map_err(|error| {
                let begin = error.span().map_or(0, |span| span.start);
                syntax(1 + text[..begin].matches('\n').count(), error.message())
            })?,
            Format::Json => serde_json::from_str(text)
                .map_err(|error| syntax(error.line(), &error.to_string()))?,
        };
        invoice.check()?;
        Ok(Self {
            bytes,
            format,
            invoice,
        })
    }

    /// Writes an invoice in TOML.
    ///
    /// # Errors
    /// What [`Invoice::check`] finds, and one that is too large to be read again.
    pub fn write(invoice: Invoice) -> Result<Self, DocumentError> {
        invoice.check()?;
        let bytes = invoice.to_toml()?.into_bytes();
        if bytes.len() > MAX_INVOICE_BYTES {
            return Err(DocumentError::TooLarge(bytes.len()));
        }
        Ok(Self {
            bytes,
            format: Format::Toml,
            invoice,
        })
    }

    /// The bytes that it came as, or was written as.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What they are written in.
    pub fn format(&self) -> Format {
        self.format
    }

    /// What they say.
    pub fn invoice(&self) -> &Invoice {
        &self.invoice
    }

    /// The digest of its bytes.
    pub fn digest(&self) -> Sha256 {
        Sha256::of(&self.bytes)
    }

    /// Both of its parts.
    pub fn into_parts(self) -> (Vec<u8>, Invoice) {
        (self.bytes, self.invoice)
    }
}

/// Errors of parsers repeat what they found, which may be anything.
fn syntax(line: usize, why: &str) -> DocumentError {
    DocumentError::Syntax {
        line,
        why: shortened(why),
    }
}

impl Invoice {
    /// In TOML.
    ///
    /// # Errors
    /// A number beyond 2⁶³ - 1, which [`Invoice::check`] finds as well.
    pub fn to_toml(&self) -> Result<String, DocumentError> {
        toml::to_string(self).map_err(|error| DocumentError::Write(error.to_string()))
    }

    /// In JSON.
    ///
    /// # Errors
    /// None that is known of.
    pub fn to_json(&self) -> Result<String, DocumentError> {
        serde_json::to_string(self).map_err(|error| DocumentError::Write(error.to_string()))
    }
}
