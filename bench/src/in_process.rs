//! A function in this process, without a server: what the engine alone costs.

// Without the engine nobody makes what is described here.
#![cfg_attr(not(feature = "in-process"), allow(dead_code))]

#[cfg(feature = "in-process")]
mod engine;

use serde::Serialize;

#[cfg(feature = "in-process")]
pub(crate) use self::engine::measure;

/// What one guest takes.
#[derive(Debug, Serialize)]
pub(crate) struct InProcess {
    pub(crate) guest: &'static str,
    pub(crate) isolation: &'static str,
    /// How many instances, and how many calls.
    pub(crate) measured: usize,
    /// A store with what the function is given, an instance in it, and both torn down again. No
    /// request, and nothing of the guest's runs but what it does to start.
    pub(crate) instantiation: Times,
    /// A whole call: admission, a store, an instance, the guest, its answer read to the end, and
    /// all of it torn down again.
    pub(crate) call: Times,
}

/// Of all times, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Times {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// Says that there is nothing to measure with.
#[cfg(not(feature = "in-process"))]
pub(crate) async fn measure(
    _: &crate::setup::Setup,
    _: &[&'static str],
) -> anyhow::Result<Vec<InProcess>> {
    anyhow::bail!("this was built without the engine (the feature `in-process`)")
}
