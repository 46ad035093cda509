//! What the API says, as JSON with `camelCase` members.

use serde::{Deserialize, Serialize};

/// Where a node is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Not every function can serve yet.
    #[default]
    Starting,
    /// Every function can serve.
    Ready,
    /// It lets requests end and takes no new ones.
    Draining,
}

/// The answer of `/healthz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Where the node is in its life.
    pub state: State,
}

/// The answer of `/v1/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The node's version.
    pub version: String,
    /// Where the node is in its life.
    pub state: State,
    /// Seconds since its start.
    pub uptime_seconds: u64,
    /// Its memory budget.
    pub memory: MemoryStatus,
    /// What it runs.
    pub apps: Vec<AppStatus>,
}

/// The node's memory budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryStatus {
    /// Bytes in use by instances and buffers.
    pub used_bytes: u64,
    /// Bytes that they may use together.
    pub limit_bytes: u64,
}

/// An app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppStatus {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its functions.
    pub functions: Vec<FunctionStatus>,
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionStatus {
    /// Its name in the app.
    pub name: String,
    /// Its world, for example `http@0.2`.
    pub world: String,
    /// Its limits.
    pub limits: FunctionLimits,
}

/// The limits that a function runs with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionLimits {
    /// Bytes of memories and tables of an instance.
    pub memory_bytes: u64,
    /// Milliseconds of processor time.
    pub cpu_ms: u64,
    /// Milliseconds from admission to the end of the answer.
    pub wall_ms: u64,
    /// Calls that run at once.
    pub concurrency: u32,
    /// Calls that wait at once.
    pub queue: u32,
    /// Bytes of a request's body.
    pub body_bytes: u64,
}
