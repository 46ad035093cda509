//! The picture of the page of `examples/reads`.

use anyhow::Result;

use crate::session::Session;
use crate::{genome, guests, peers};

/// Where README.md has it.
const PICTURE: &str = "docs/images/reads-page.png";

/// Makes it anew, of the page as it is.
pub(crate) fn make(session: &Session) -> Result<()> {
    genome::fetch(session, "ecoli")?;
    session.build_strand()?;
    guests::build_rust(session)?;
    peers::ensure(session, &[&peers::CHROMIUM], &[])?;
    let mut program = session.beside_tests("picture");
    program.arg(session.root.join(PICTURE));
    session.run("Drawing", PICTURE, &mut program)
}
