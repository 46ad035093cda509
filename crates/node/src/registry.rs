//! The functions of a node by name.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use strand_engine::{Answer, Call, Dispatch, Function, FunctionId, Kind, Problem};

/// Calls functions by name. Filled once, after the functions were made, which
/// hold a weak reference to it.
#[derive(Default)]
pub struct Registry {
    functions: OnceLock<HashMap<FunctionId, Arc<Function>>>,
}

impl Registry {
    pub(crate) fn fill(&self, functions: impl IntoIterator<Item = Arc<Function>>) {
        let functions = functions
            .into_iter()
            .map(|function| (function.id().clone(), function))
            .collect();
        // Filled once: the node does it at its start.
        let _ = self.functions.set(functions);
    }

    /// A function by its name.
    pub fn get(&self, id: &FunctionId) -> Option<&Arc<Function>> {
        self.functions.get()?.get(id)
    }

    /// All functions.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Function>> {
        self.functions.get().into_iter().flat_map(HashMap::values)
    }
}

impl Dispatch for Registry {
    fn dispatch(&self, call: Call) -> Answer<'_> {
        match self.get(&call.function) {
            Some(function) => Box::pin(function.call(call)),
            None => {
                let detail = format!("there is no function {}", call.function);
                Box::pin(std::future::ready(Err(Problem::new(
                    Kind::NotFound,
                    detail,
                ))))
            }
        }
    }
}
