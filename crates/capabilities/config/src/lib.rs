//! `wasi:config/store@0.2.0-rc.1` and the environment of `wasi:cli`, with the
//! values that the Directive gives to one function.
//!
//! # Guarantees
//! - A function sees its own values only. The node's environment is never passed
//!   on.
//! - The values do not change while the function is loaded, so that reading them
//!   never waits and never fails.
//! - All names and values together stay under [`Config::bytes`], because every
//!   instance may copy all of them into its memory at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use strand_engine::{Capability, Ctx, CtxBuilder, format_bytes};
use wasmtime::component::{HasData, Linker};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../../wit/deps/wasi-config-0.2.0-rc.1",
        world: "wasi:config/imports",
    });
}

use bindings::wasi::config::store;

/// What the node allows every function.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bytes of all names and values of one function together, its environment
    /// included. 256 KiB by default.
    pub bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { bytes: 256 << 10 }
    }
}

/// What the Directive gives to a function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// The values of `wasi:config`.
    pub config: BTreeMap<String, String>,
    /// The environment.
    pub env: BTreeMap<String, String>,
}

/// Why values cannot be given to a function.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// More than the node allows.
    #[error(
        "`config` and `env` hold {} together, this node allows {}: put large values in a blob",
        format_bytes(*.bytes as u64), format_bytes(*.limit as u64)
    )]
    TooLarge {
        /// Bytes of all names and values.
        bytes: usize,
        /// The node's limit.
        limit: usize,
    },
    /// A variable that no program could read back.
    #[error("`env` has a variable {0:?}: a name must not be empty nor hold `=` or a zero byte")]
    Name(String),
    /// A value that would end early in most programs.
    #[error("the variable `{0}` of `env` holds a zero byte")]
    Value(String),
}

/// One function's values, ready to be linked.
#[derive(Debug)]
pub struct Values {
    config: Arc<BTreeMap<String, String>>,
    env: Vec<(String, String)>,
}

impl Values {
    /// Checks the values of one function.
    ///
    /// # Errors
    /// When they are too large together, or cannot be an environment.
    pub fn new(config: &Config, grant: Grant) -> Result<Self, Error> {
        let bytes = grant
            .config
            .iter()
            .chain(&grant.env)
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if bytes > config.bytes {
            let limit = config.bytes;
            return Err(Error::TooLarge { bytes, limit });
        }
        for (name, value) in &grant.env {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(Error::Name(name.clone()));
            }
            if value.contains('\0') {
                return Err(Error::Value(name.clone()));
            }
        }
        Ok(Self {
            config: Arc::new(grant.config),
            env: grant.env.into_iter().collect(),
        })
    }
}

/// The slot in the store.
struct Slot(Arc<BTreeMap<String, String>>);

/// What the interface works on.
struct View<'a>(&'a BTreeMap<String, String>);

struct HasView;

impl HasData for HasView {
    type Data<'a> = View<'a>;
}

impl Capability for Values {
    fn add_to_linker(&self, linker: &mut Linker<Ctx>) -> wasmtime::Result<()> {
        store::add_to_linker::<Ctx, HasView>(linker, |ctx| {
            // `attach` fills the slot of every store that this linker serves.
            let (slot, _) = ctx.slot::<Slot>().expect("attached to the store");
            View(&slot.0)
        })
    }

    fn attach(&self, builder: &mut CtxBuilder) {
        builder.insert(Slot(Arc::clone(&self.config)));
        builder.wasi.envs(&self.env);
    }
}

impl store::Host for View<'_> {
    fn get(&mut self, key: String) -> Result<Option<String>, store::Error> {
        Ok(self.0.get(&key).cloned())
    }

    fn get_all(&mut self) -> Result<Vec<(String, String)>, store::Error> {
        let pair = |(name, value): (&String, &String)| (name.clone(), value.clone());
        Ok(self.0.iter().map(pair).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::store::Host as _;
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_function_reads_its_own_values() {
        let grant = Grant {
            config: values(&[("b", "2"), ("a", "1")]),
            env: values(&[("HOME", "/")]),
        };
        let values = Values::new(&Config::default(), grant).expect("valid values");
        let mut view = View(&values.config);
        assert_eq!(view.get("a".into()).expect("gets"), Some("1".to_owned()));
        assert_eq!(view.get("HOME".into()).expect("gets"), None);
        let all = view.get_all().expect("gets all");
        assert_eq!(
            all,
            [("a", "1"), ("b", "2")].map(|(n, v)| (n.into(), v.into()))
        );
        assert_eq!(values.env, [("HOME".to_owned(), "/".to_owned())]);
    }

    #[test]
    fn the_sum_of_both_is_bounded() {
        let config = Config { bytes: 8 };
        let grant = Grant {
            config: values(&[("a", "12")]),
            env: values(&[("bc", "345")]),
        };
        assert!(Values::new(&config, grant.clone()).is_ok());
        let larger = Grant {
            env: values(&[("bc", "3456")]),
            ..grant
        };
        let error = Values::new(&config, larger).expect_err("too large");
        assert_eq!(error, Error::TooLarge { bytes: 9, limit: 8 });
        assert_eq!(
            error.to_string(),
            "`config` and `env` hold 9 together, this node allows 8: put large values in a blob"
        );
    }

    #[test]
    fn an_environment_must_be_one() {
        for (name, value) in [("", "a"), ("a=b", "c"), ("a\0", "c"), ("a", "b\0c")] {
            let grant = Grant {
                env: values(&[(name, value)]),
                ..Grant::default()
            };
            let error = Values::new(&Config::default(), grant).expect_err("refused");
            match value.contains('\0') {
                true => assert_eq!(error, Error::Value(name.into())),
                false => assert_eq!(error, Error::Name(name.into())),
            }
        }
    }
}
