//! Linking: a component with what its function is granted, ready to be instantiated.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime_wasi::{p2, p3};

use crate::config::TABLES;
use crate::ctx::{Capability, Ctx};
use crate::engine::{Engine, LoadedComponent};
use crate::residency::{Charge, Code};
use crate::world::World;
use crate::worlds::{command, http02, http03, task};

/// A component that cannot be a function: an import that nobody provides, or of another
/// type, or no export of the function's world.
#[derive(Debug, thiserror::Error)]
#[error("it cannot be linked: {0}")]
pub struct LinkError(String);

/// A component that is linked.
pub(crate) struct Linked {
    pre: Pre,
    /// Of the component, which lives no longer than this and the calls that hold this.
    charge: Arc<Charge>,
    /// What an instance of it takes.
    places: u64,
}

enum Pre {
    Http03(Box<http03::Handler>),
    Http02(http02::Handler),
    Task(task::TaskPre<Ctx>),
    Command03(p3::bindings::CommandPre<Ctx>),
    Command02(p2::bindings::CommandPre<Ctx>),
}

impl Linked {
    /// Links a component as a function of a world.
    pub(crate) fn new(
        engine: &Engine,
        component: &LoadedComponent,
        world: World,
        capabilities: &[Arc<dyn Capability>],
    ) -> Result<Self, LinkError> {
        let pre = link(engine, component, world, capabilities)
            .map_err(|error| LinkError(format!("{error:#}")))?;
        Ok(Self {
            pre,
            places: places(&component.component),
            charge: Arc::clone(&component.charge),
        })
    }

    pub(crate) fn instance_pre(&self) -> &InstancePre<Ctx> {
        match &self.pre {
            Pre::Http03(handler) => handler.instance_pre(),
            Pre::Http02(handler) => handler.instance_pre(),
            Pre::Task(pre) => pre.instance_pre(),
            Pre::Command03(pre) => pre.instance_pre(),
            Pre::Command02(pre) => pre.instance_pre(),
        }
    }

    /// Places in the pool that an instance takes.
    pub(crate) fn places(&self) -> u64 {
        self.places
    }

    pub(crate) fn http02(&self) -> Option<&http02::Handler> {
        match &self.pre {
            Pre::Http02(handler) => Some(handler),
            _ => None,
        }
    }

    pub(crate) fn http03(&self) -> Option<&http03::Handler> {
        match &self.pre {
            Pre::Http03(handler) => Some(handler),
            _ => None,
        }
    }

    pub(crate) fn task(&self) -> Option<&task::TaskPre<Ctx>> {
        match &self.pre {
            Pre::Task(pre) => Some(pre),
            _ => None,
        }
    }

    pub(crate) fn command(&self) -> Option<command::CommandPre<'_>> {
        match &self.pre {
            Pre::Command02(pre) => Some(command::CommandPre::P2(pre)),
            Pre::Command03(pre) => Some(command::CommandPre::P3(pre)),
            _ => None,
        }
    }
}

impl Code for Linked {
    fn charge(&self) -> &Charge {
        &self.charge
    }

    // Instances of 0.2 that wait for their next request are in the handler itself.
    fn waiting(&self) -> usize {
        self.http03().map_or(0, http03::Handler::waiting)
    }

    fn dismiss(&self) {
        if let Some(handler) = self.http03() {
            handler.dismiss();
        }
    }
}

/// Places in the pool that an instance of a component takes: one has room for one memory and
/// [`TABLES`] tables.
fn places(component: &Component) -> u64 {
    // Not known only where modules are imported, which nobody provides here.
    let needs = component.resources_required();
    let places = needs.map_or(1, |needs| {
        needs
            .num_memories
            .max(needs.num_tables.div_ceil(TABLES as u32))
    });
    places.max(1).into()
}

/// Linkers, by the kinds of capabilities that they link beside the inert base. To fill one
/// takes longer than all the rest of linking, and there are as few as there are sets of
/// kinds.
#[derive(Default)]
pub(crate) struct Linkers(Mutex<Vec<Filled>>);

/// A linker, and the kinds of capabilities that it links.
struct Filled {
    kinds: Vec<TypeId>,
    linker: Arc<Linker<Ctx>>,
}

impl Linkers {
    fn with(
        &self,
        wasm: &wasmtime::Engine,
        capabilities: &[Arc<dyn Capability>],
    ) -> wasmtime::Result<Arc<Linker<Ctx>>> {
        let kind = |capability: &Arc<dyn Capability>| {
            let capability: &dyn Any = &**capability;
            capability.type_id()
        };
        let kinds: Vec<TypeId> = capabilities.iter().map(kind).collect();
        // Held while one is filled: others want the same.
        let mut linkers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(filled) = linkers.iter().find(|filled| filled.kinds == kinds) {
            return Ok(Arc::clone(&filled.linker));
        }
        let linker = Arc::new(fill(wasm, capabilities)?);
        linkers.push(Filled {
            kinds,
            linker: Arc::clone(&linker),
        });
        Ok(linker)
    }
}

impl fmt::Debug for Linkers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linkers").finish_non_exhaustive()
    }
}

fn fill(
    wasm: &wasmtime::Engine,
    capabilities: &[Arc<dyn Capability>],
) -> wasmtime::Result<Linker<Ctx>> {
    let mut linker = Linker::<Ctx>::new(wasm);
    p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    for capability in capabilities {
        capability.add_to_linker(&mut linker)?;
    }
    Ok(linker)
}

fn link(
    engine: &Engine,
    component: &LoadedComponent,
    world: World,
    capabilities: &[Arc<dyn Capability>],
) -> wasmtime::Result<Pre> {
    let linker = engine.linkers.with(&engine.wasm, capabilities)?;
    let pre = linker.instantiate_pre(&component.component)?;
    Ok(match world {
        World::Http03 => Pre::Http03(Box::new(http03::Handler::new(
            wasmtime_wasi_http::p3::bindings::ServicePre::new(pre)?,
        ))),
        World::Http02 => Pre::Http02(http02::Handler::new(
            wasmtime_wasi_http::p2::bindings::ProxyPre::new(pre)?,
        )),
        World::Task => Pre::Task(task::TaskPre::new(pre)?),
        World::Command03 => Pre::Command03(p3::bindings::CommandPre::new(pre)?),
        World::Command02 => Pre::Command02(p2::bindings::CommandPre::new(pre)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::base_config;
    use crate::ctx::CtxBuilder;

    /// A capability, of a kind for each number.
    struct Kind<const N: u8>;

    impl<const N: u8> Capability for Kind<N> {
        fn add_to_linker(&self, _linker: &mut Linker<Ctx>) -> wasmtime::Result<()> {
            match N {
                0 => Err(wasmtime::Error::msg("it is there already")),
                _ => Ok(()),
            }
        }

        fn attach(&self, _builder: &mut CtxBuilder) {}
    }

    fn kind<const N: u8>() -> Arc<dyn Capability> {
        Arc::new(Kind::<N>)
    }

    #[test]
    fn functions_with_the_same_kinds_of_grants_share_a_linker_and_no_others() {
        let wasm = wasmtime::Engine::new(&base_config()).expect("an engine");
        let linkers = Linkers::default();
        let with = |granted: &[Arc<dyn Capability>]| linkers.with(&wasm, granted);
        let first = with(&[kind::<1>()]).expect("links");
        let again = with(&[kind::<1>()]).expect("links");
        assert!(Arc::ptr_eq(&first, &again));
        for granted in [vec![], vec![kind::<2>()], vec![kind::<1>(), kind::<2>()]] {
            let other = with(&granted).expect("links");
            assert!(!Arc::ptr_eq(&first, &other));
            let again = with(&granted).expect("links");
            assert!(Arc::ptr_eq(&other, &again));
        }
        // One that lacks what could not be added is not kept.
        for _ in 0..2 {
            assert!(with(&[kind::<0>()]).is_err());
        }
    }
}
