//! A bindle in a folder, or in a `.tar.gz` of that: where what is.
//!
//! The folder is called as [`folder`] says, and has the invoice in [`INVOICE`] and the parcels in
//! [`PARCELS`], which is there even if it is empty.

use crate::{Id, Sha256};

/// The invoice's file.
pub const INVOICE: &str = "invoice.toml";

/// The folder of parcels.
pub const PARCELS: &str = "parcels";

/// The ending of parcels' files.
const ENDING: &str = ".dat";

/// The name of a bindle's folder.
pub fn folder(id: &Id) -> String {
    id.digest().to_string()
}

/// The name of a parcel's file in [`PARCELS`].
pub fn parcel_file(digest: Sha256) -> String {
    format!("{digest}{ENDING}")
}

/// The parcel of a file in [`PARCELS`]; of another file, nothing.
pub fn parcel_of_file(name: &str) -> Option<Sha256> {
    name.strip_suffix(ENDING)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parcel_s_file_is_called_after_it() {
        let digest = Sha256::of("x");
        assert_eq!(parcel_of_file(&parcel_file(digest)), Some(digest));
        for name in [
            "",
            ".dat",
            "x.dat",
            &digest.to_string(),
            &format!("../{digest}.dat"),
        ] {
            assert_eq!(parcel_of_file(name), None, "{name}");
        }
    }
}
