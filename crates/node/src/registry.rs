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

/// The functions of several apps.
pub(crate) struct Apps(HashMap<Arc<str>, Arc<Registry>>);

impl Apps {
    /// Of apps with these names.
    pub(crate) fn new<'a>(apps: impl IntoIterator<Item = (&'a str, &'a Arc<Registry>)>) -> Self {
        let apps = apps.into_iter();
        Self(
            apps.map(|(name, app)| (name.into(), Arc::clone(app)))
                .collect(),
        )
    }
}

impl Dispatch for Apps {
    fn dispatch(&self, call: Call) -> Answer<'_> {
        match self.0.get(&call.function.app) {
            Some(app) => app.dispatch(call),
            None => missing(&call.function),
        }
    }
}

fn missing<'a>(function: &FunctionId) -> Answer<'a> {
    let detail = format!("there is no function {function}");
    Box::pin(std::future::ready(Err(Problem::new(
        Kind::NotFound,
        detail,
    ))))
}

impl Dispatch for Registry {
    fn dispatch(&self, call: Call) -> Answer<'_> {
        match self.get(&call.function) {
            Some(function) => Box::pin(function.call(call)),
            None => missing(&call.function),
        }
    }
}
