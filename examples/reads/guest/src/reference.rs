//! References among the objects of a container.

use crate::problem::Problem;

/// The container with the genomes: the resource's name in the Directive.
pub const GENOMES: &str = "genomes";

/// The container with the indexes that were built.
pub const CACHE: &str = "cache";

/// The largest index that is read, in bytes.
pub const LARGEST_INDEX: u64 = 8 << 20;

/// Endings of FASTA files, the first being preferred.
const ENDINGS: [&str; 3] = [".fa", ".fasta", ".fna"];

/// A reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its name: the file's name without the ending.
    pub name: String,
    /// The object with its sequences.
    pub object: String,
    /// The object with its index, if it lies beside.
    pub index: Option<String>,
}

/// The references among objects, in order of their names.
pub fn all(objects: &[String]) -> Vec<Reference> {
    let mut found: Vec<Reference> = Vec::new();
    for ending in ENDINGS {
        for object in objects {
            let Some(name) = object.strip_suffix(ending).filter(|name| !name.is_empty()) else {
                continue;
            };
            if found.iter().any(|earlier| earlier.name == name) {
                continue;
            }
            let index = format!("{object}.fai");
            found.push(Reference {
                name: name.to_owned(),
                object: object.clone(),
                index: objects.contains(&index).then_some(index),
            });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// The reference with this name.
///
/// # Errors
/// A 404 that lists what there is.
pub fn find(objects: &[String], name: &str) -> Result<Reference, Problem> {
    let references = all(objects);
    if let Some(reference) = references.iter().find(|reference| reference.name == name) {
        return Ok(reference.clone());
    }
    let names = references
        .into_iter()
        .map(|reference| reference.name)
        .collect();
    Err(Problem::not_found(
        format!("no reference is named {name}; the available ones are listed"),
        names,
    ))
}

/// The name in the cache of the index of an object of this size and age: when the object changes, the
/// name does.
pub fn cached_index(reference: &str, size: u64, created: u64) -> String {
    format!("{reference}.{size}.{created}.fai")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_files_without_their_endings() {
        let objects = [
            "b.fa",
            "a.fasta",
            "b.fa.fai",
            "a.fa.fai",
            "b.fna",
            "notes.txt",
            ".fa",
            "c.fna",
        ]
        .map(str::to_owned);
        let found = all(&objects);
        let names: Vec<_> = found
            .iter()
            .map(|r| (r.name.as_str(), r.object.as_str()))
            .collect();
        assert_eq!(names, [("a", "a.fasta"), ("b", "b.fa"), ("c", "c.fna")]);
        let indexes: Vec<_> = found.iter().map(|r| r.index.as_deref()).collect();
        assert_eq!(indexes, [None, Some("b.fa.fai"), None]);
        assert_eq!(find(&objects, "b").map(|r| r.object), Ok("b.fa".into()));
        let problem = find(&objects, "../b").expect_err("no such name");
        assert_eq!(
            (problem.status, problem.available.clone()),
            (404, Some(vec!["a".into(), "b".into(), "c".into()]))
        );
    }
}
