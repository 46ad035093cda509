//! The kernel of Strand: loads, links, limits and runs WebAssembly functions.
//!
//! It opens no socket and no file of an app's, knows no app format and has no compiler:
//! artefacts come in sealed ([`ArtifactKey`]), grants as [`Capability`] objects,
//! requests as [`Call`]s, and answers go out as streamed HTTP responses or as a
//! [`Problem`]. The process that it is in should have its [`Allocator`]: what requests have
//! held goes back to the system only then ([`give_back_free_pages`]).

mod admission;
mod artifact;
mod background;
mod budget;
mod call;
mod cell;
mod config;
mod ctx;
mod engine;
mod function;
mod limits;
mod link;
mod mapping;
mod meter;
mod outcome;
mod outgoing;
mod problem;
mod residency;
mod shares;
mod stdio;
mod ticker;
mod world;
mod worlds;

pub use artifact::{Artifact, ArtifactError, ArtifactKey, Identity};
pub use background::Weights;
pub use budget::{MemoryBudget, Reservation};
pub use call::{
    Answer, Body, BodyError, Call, CallLimits, CommandLine, Dispatch, FunctionId, RequestId,
};
pub use config::{Allocation, Settings, base_config};
pub use ctx::{CallInfo, Capability, Ctx, CtxBuilder};
pub use engine::{Engine, EngineError, LoadedComponent};
pub use function::{FetchError, Fetching, Function, FunctionSpec, Reuse, Source};
pub use limits::{Limits, format_bytes};
pub use link::LinkError;
pub use mapping::{Allocator, give_back_free_pages};
pub use outgoing::{Callees, FUNCTION_DOMAIN, Outgoing, OutgoingAnswer, REQUEST_ID};
pub use problem::{Kind, Limit, Problem};
pub use residency::CodeInMemory;
pub use world::{Interfaces, World};
