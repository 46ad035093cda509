//! Which way to a guest toolchain to try next: a pure function over what is known, so that the
//! order can be tested without machines of every kind.

/// What is known about this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The active Rust toolchain has the target's standard library.
    pub(crate) target_installed: bool,
    /// `rustup` is there, so a target might be added.
    pub(crate) rustup: bool,
    /// How adding the target went, if it was tried.
    pub(crate) adding: Adding,
    /// The active Rust toolchain ships `rust-lld`, `wasm-ld` and `wasm-component-ld`.
    pub(crate) linkers: bool,
    /// Debian's compiler, standard library source and wasi-libc are there and new enough.
    pub(crate) debian_packages: bool,
    /// Packages can be installed: a Debian-like system, as root, and not tried yet.
    pub(crate) can_install: bool,
}

/// How `rustup target add` went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Adding {
    Untried,
    /// In an earlier run, not long ago.
    FailedEarlier,
    FailedNow,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    UseInstalled,
    AddTarget,
    UseDebian,
    InstallDebian,
    GiveUp,
}

pub(crate) fn next(facts: &Facts) -> Step {
    let debian = facts.linkers && (facts.debian_packages || facts.can_install);
    // An earlier failure only spares the wait where there is another way: whoever has just mended
    // the network and has nothing else must not be told about yesterday.
    let add = match facts.adding {
        Adding::Untried => true,
        Adding::FailedEarlier => !debian,
        Adding::FailedNow => false,
    };
    if facts.target_installed {
        Step::UseInstalled
    } else if facts.rustup && add {
        Step::AddTarget
    } else if debian && facts.debian_packages {
        Step::UseDebian
    } else if debian {
        Step::InstallDebian
    } else {
        Step::GiveUp
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Facts = Facts {
        target_installed: false,
        rustup: false,
        adding: Adding::Untried,
        linkers: false,
        debian_packages: false,
        can_install: false,
    };

    /// A new Debian machine as root with rustup, where everything could work.
    const EVERYTHING: Facts = Facts {
        target_installed: true,
        rustup: true,
        adding: Adding::Untried,
        linkers: true,
        debian_packages: true,
        can_install: true,
    };

    #[test]
    fn the_order() {
        let mut facts = EVERYTHING;
        assert_eq!(next(&facts), Step::UseInstalled);
        facts.target_installed = false;
        assert_eq!(next(&facts), Step::AddTarget);
        facts.adding = Adding::FailedNow;
        assert_eq!(next(&facts), Step::UseDebian);
        facts.debian_packages = false;
        assert_eq!(next(&facts), Step::InstallDebian);
        facts.can_install = false;
        assert_eq!(next(&facts), Step::GiveUp);
    }

    #[test]
    fn an_earlier_failure_spares_the_wait_only_where_debian_can_do_it() {
        let failed = Facts {
            target_installed: false,
            adding: Adding::FailedEarlier,
            ..EVERYTHING
        };
        assert_eq!(next(&failed), Step::UseDebian);
        let to_install = Facts {
            debian_packages: false,
            ..failed
        };
        assert_eq!(next(&to_install), Step::InstallDebian);
        let no_other_way = Facts {
            can_install: false,
            ..to_install
        };
        assert_eq!(next(&no_other_way), Step::AddTarget);
        let no_linkers = Facts {
            linkers: false,
            ..failed
        };
        assert_eq!(next(&no_linkers), Step::AddTarget);
    }

    #[test]
    fn a_copied_toolchain_without_rustup_goes_debians_way() {
        let copied = Facts {
            linkers: true,
            can_install: true,
            ..NOTHING
        };
        assert_eq!(next(&copied), Step::InstallDebian);
    }

    #[test]
    fn debian_without_linkers_is_no_way() {
        let distribution_rust = Facts {
            debian_packages: true,
            can_install: true,
            ..NOTHING
        };
        assert_eq!(next(&distribution_rust), Step::GiveUp);
        assert_eq!(next(&NOTHING), Step::GiveUp);
    }

    /// Whatever fails is never tried again in the same run.
    #[test]
    fn every_way_ends() {
        for bits in 0..1 << 5_u32 {
            let has = |bit: u32| bits & (1 << bit) != 0;
            for adding in [Adding::Untried, Adding::FailedEarlier] {
                let mut facts = Facts {
                    target_installed: has(0),
                    rustup: has(1),
                    adding,
                    linkers: has(2),
                    debian_packages: has(3),
                    can_install: has(4),
                };
                let mut steps = 0;
                loop {
                    match next(&facts) {
                        Step::AddTarget => facts.adding = Adding::FailedNow,
                        Step::InstallDebian => facts.can_install = false,
                        Step::UseInstalled | Step::UseDebian | Step::GiveUp => break,
                    }
                    steps += 1;
                    assert!(steps <= 2, "{facts:?}");
                }
            }
        }
    }
}
