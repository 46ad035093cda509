//! The worlds that a function can be of, told by what its component exports.

use std::fmt;

use wasmtime::component::{Component, types::ComponentItem};

/// A function's world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum World {
    /// `wasi:http/handler@0.3`.
    Http03,
    /// `wasi:http/incoming-handler@0.2`.
    Http02,
    /// `strand:function/task`.
    Task,
    /// `wasi:cli/run@0.3`.
    Command03,
    /// `wasi:cli/run@0.2`, preview 1 modules included: the compiler turns them
    /// into such components.
    Command02,
}

impl World {
    /// All worlds, in the order in which a component that exports several is
    /// taken for one.
    pub const ALL: [Self; 5] = [
        Self::Http03,
        Self::Http02,
        Self::Task,
        Self::Command03,
        Self::Command02,
    ];

    /// The name used in a Directive.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http03 => "http@0.3",
            Self::Http02 => "http@0.2",
            Self::Task => "task",
            Self::Command03 => "command@0.3",
            Self::Command02 => "command@0.2",
        }
    }

    /// The interface that a component of this world exports, less the version's
    /// last part.
    const fn export(self) -> (&'static str, &'static str) {
        match self {
            Self::Http03 => ("wasi:http/handler", "0.3."),
            Self::Http02 => ("wasi:http/incoming-handler", "0.2."),
            Self::Task => ("strand:function/task", "0.1."),
            Self::Command03 => ("wasi:cli/run", "0.3."),
            Self::Command02 => ("wasi:cli/run", "0.2."),
        }
    }

    /// The worlds among a component's exports (`wasi:http/handler@0.3.0`), in
    /// order of precedence.
    pub fn among<'a>(exports: impl IntoIterator<Item = &'a str> + Clone) -> Vec<Self> {
        Self::ALL
            .into_iter()
            .filter(|world| {
                let (interface, version) = world.export();
                exports.clone().into_iter().any(|export| {
                    export
                        .split_once('@')
                        .is_some_and(|(name, v)| name == interface && v.starts_with(version))
                })
            })
            .collect()
    }

    /// Whether functions of this world take a command line.
    pub const fn is_command(self) -> bool {
        matches!(self, Self::Command03 | Self::Command02)
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names of the interfaces that a component imports and exports, as
/// `wasi:http/types@0.2.6`.
#[derive(Clone, Debug, Default)]
pub struct Interfaces {
    /// What it needs.
    pub imports: Vec<String>,
    /// What it offers.
    pub exports: Vec<String>,
}

pub(crate) fn interfaces(component: &Component) -> Interfaces {
    let engine = component.engine();
    let kind = component.component_type();
    // A type that is imported or exported by itself needs nobody to provide it.
    let provided = |item: &ComponentItem| !matches!(item, ComponentItem::Type(_));
    Interfaces {
        imports: kind
            .imports(engine)
            .filter(|(_, item)| provided(&item.ty))
            .map(|(name, _)| name.to_owned())
            .collect(),
        exports: kind
            .exports(engine)
            .filter(|(_, item)| provided(&item.ty))
            .map(|(name, _)| name.to_owned())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precedence_and_versions() {
        for (exports, worlds) in [
            (
                vec!["wasi:http/incoming-handler@0.2.6"],
                vec![World::Http02],
            ),
            (
                vec!["wasi:cli/run@0.2.3", "wasi:http/handler@0.3.0"],
                vec![World::Http03, World::Command02],
            ),
            (vec!["wasi:cli/run@0.3.0"], vec![World::Command03]),
            (vec!["strand:function/task@0.1.0"], vec![World::Task]),
            (vec!["wasi:http/handler@0.4.0", "wasi:cli/run", "x"], vec![]),
        ] {
            assert_eq!(World::among(exports.iter().copied()), worlds, "{exports:?}");
        }
    }
}
