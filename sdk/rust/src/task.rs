//! Tasks: bytes in, bytes out.
//!
//! ```no_run
//! use strand_sdk::task::Failure;
//!
//! strand_sdk::task!(shout);
//!
//! fn shout(input: Vec<u8>) -> Result<String, Failure> {
//!     let text = String::from_utf8(input)
//!         .map_err(|error| Failure::new(400, format!("the input is to be UTF-8: {error}")))?;
//!     Ok(text.to_uppercase())
//! }
//! ```
//!
//! Over HTTP the input is the request's body, the output the answer's, and a failure a problem.

pub use crate::bindings::exports::strand::function::task::{Failure, Guest};

impl Failure {
    /// A failure; a code from 400 to 599 becomes the answer's status, any other one 500. Whoever
    /// called gets to read the message.
    pub fn new(code: u16, message: impl ToString) -> Self {
        Self {
            code,
            message: message.to_string(),
        }
    }
}

/// Makes a function `fn(Vec<u8>) -> Result<T, Failure>` the component's task, where `T` is a
/// `Vec<u8>`, a `String` or anything else that becomes bytes. The module [`task`](mod@crate::task) has an example.
#[macro_export]
macro_rules! task {
    ($handler:path) => {
        #[allow(unsafe_code, reason = "how a component exports")]
        const _: () = {
            struct Task;

            impl $crate::task::Guest for Task {
                fn run(
                    input: ::std::vec::Vec<u8>,
                ) -> ::std::result::Result<::std::vec::Vec<u8>, $crate::task::Failure> {
                    $handler(input).map(::std::convert::Into::into)
                }
            }

    $crate::bindings::export_task!(Task with_types_in $crate::bindings);
        };
    };
}
