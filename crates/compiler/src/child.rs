//! The child process that compiles.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wit_component::ComponentEncoder;

use crate::inspect::{Shape, inspect};

/// The exit code that says: the source is at fault.
pub(crate) const REFUSED: u8 = 65;

/// What the child may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildLimits {
    /// Bytes of address space. Its own code and stacks take about 300 MiB of it.
    pub memory: u64,
    /// Seconds of CPU time, on all cores together.
    pub cpu_seconds: u64,
}

/// Compiles standard input to standard output within limits. The whole of the
/// child's work: the binary calls it first thing when it was started as a child.
pub fn child_main(limits: ChildLimits) -> ExitCode {
    match confine(limits).map_err(|error| format!("no limits: {error}")) {
        Ok(()) => {}
        Err(message) => return refuse(&message, ExitCode::FAILURE),
    }
    let mut wasm = Vec::new();
    if let Err(error) = io::stdin().lock().read_to_end(&mut wasm) {
        return refuse(&format!("no source: {error}"), ExitCode::FAILURE);
    }
    match compile(&wasm) {
        Err(message) => refuse(&message, ExitCode::from(REFUSED)),
        Ok(code) => match io::stdout().lock().write_all(&code) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
    }
}

fn refuse(message: &str, code: ExitCode) -> ExitCode {
    // The parent reads it; if it is gone there is nobody to tell.
    let _ = io::stderr().write_all(message.as_bytes());
    code
}

fn confine(limits: ChildLimits) -> io::Result<()> {
    let set = |resource, current, maximum| {
        let limit = Rlimit {
            current: Some(current),
            maximum: Some(maximum),
        };
        setrlimit(resource, limit)
    };
    // Where memory is short it goes before the server does. Only Linux knows this, and
    // only files there must still be opened.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    set(Resource::Core, 0, 0)?;
    set(Resource::Fsize, 0, 0)?;
    set(Resource::As, limits.memory, limits.memory)?;
    // At the first limit the system sends a signal of its own, at the second it kills:
    // so the parent can tell this limit from others who kill.
    set(Resource::Cpu, limits.cpu_seconds, limits.cpu_seconds + 1)?;
    #[cfg(target_os = "linux")]
    {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        rustix::thread::set_no_new_privs(true)?;
    }
    Ok(())
}

/// Compiles a component, or a module of preview 1 made one through the adapter.
fn compile(wasm: &[u8]) -> Result<Vec<u8>, String> {
    let adapted;
    let component = match inspect(wasm).map_err(|error| error.to_string())?.shape {
        Shape::Component => wasm,
        Shape::Module => {
            adapted = adapt(wasm)?;
            &adapted
        }
    };
    let engine =
        wasmtime::Engine::new(&strand_engine::base_config()).map_err(|e| format!("{e:#}"))?;
    engine
        .precompile_component(component)
        .map_err(|error| format!("{error:#}"))
}

fn adapt(module: &[u8]) -> Result<Vec<u8>, String> {
    ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| {
            encoder.adapter(
                WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
                WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
            )
        })
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| format!("the module is no WASI preview 1 command: {error:#}"))
}
