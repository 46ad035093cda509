//! What is wrong with an invoice that can be read.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

use crate::Invoice;
use crate::text::{essence, shortened};

/// Most parcels of an invoice.
pub const MAX_PARCELS: usize = 10_000;
/// Most groups of an invoice.
pub const MAX_GROUPS: usize = 1_000;
/// Most signatures of an invoice.
const MAX_SIGNATURES: usize = 64;
/// Most groups that a parcel names, in each of its conditions.
const MAX_CONDITIONS: usize = 100;
/// Most bytes of what a parcel, a group or a signer is called.
const MAX_TEXT: usize = 1024;
/// Most problems that are told of one invoice; of the rest only the number is.
pub const MAX_PROBLEMS: usize = 100;

/// Something that an invoice says and that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `parcel[3].conditions.requires`, counted from 0.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// All that is wrong with an invoice: first its head, then its parcels and groups.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct Invalid {
    /// At most [`MAX_PROBLEMS`] of them, at least one.
    pub problems: Vec<Problem>,
    /// How many more there are.
    pub more: usize,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Found {
    problems: Vec<Problem>,
    more: usize,
}

impl Found {
    fn tell(&mut self, field: impl Into<String>, message: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem {
                field: field.into(),
                message: message.into(),
            });
        } else {
            self.more += 1;
        }
    }
}

impl Invoice {
    /// Looks whether what it says can be.
    ///
    /// # Errors
    /// All that is wrong, with its place: another version of the format, more parcels, groups or
    /// signatures than are read, a parcel of two sizes, groups that are not defined, are defined
    /// twice or require each other in a circle, numbers that cannot be written, and names that are
    /// too long or have what is not seen. Takes a time that grows with what is read, not faster.
    pub fn check(&self) -> Result<(), Invalid> {
        let mut found = Found::default();
        check_head(self, &mut found);
        let is_bounded = check_counts(self, &mut found);
        if is_bounded {
            check_parcels(self, &mut found);
            check_groups(self, &mut found);
        }
        if found.problems.is_empty() {
            return Ok(());
        }
        Err(Invalid {
            problems: found.problems,
            more: found.more,
        })
    }
}

fn check_head(invoice: &Invoice, found: &mut Found) {
    let version = semver::Version::parse(&invoice.bindle_version);
    if !version.is_ok_and(|version| version.major == 1) {
        let version = shortened(&invoice.bindle_version);
        found.tell(
            "bindleVersion",
            format!("`{version}` is not known: this reads `1.0.0`"),
        );
    }
    for (list, name) in [
        (&invoice.signature, "signature"),
        (&invoice.yanked_signature, "yankedSignature"),
    ] {
        for (index, signature) in list.iter().enumerate() {
            // What is signed is lines of text, so that one in a name could make it mean another
            // bindle.
            if let Some(problem) = problem_of_text(&signature.by) {
                found.tell(format!("{name}[{index}].by"), problem);
            }
            if i64::try_from(signature.at).is_err() {
                found.tell(
                    format!("{name}[{index}].at"),
                    "it is larger than TOML can write",
                );
            }
        }
    }
}

fn check_counts(invoice: &Invoice, found: &mut Found) -> bool {
    let mut is_bounded = true;
    for (count, most, field) in [
        (invoice.parcel.len(), MAX_PARCELS, "parcel"),
        (invoice.group.len(), MAX_GROUPS, "group"),
        (invoice.signature.len(), MAX_SIGNATURES, "signature"),
        (
            invoice.yanked_signature.len(),
            MAX_SIGNATURES,
            "yankedSignature",
        ),
    ] {
        if count > most {
            found.tell(
                field,
                format!("there are {count}, and at most {most} are read"),
            );
            is_bounded = false;
        }
    }
    for (index, parcel) in invoice.parcel.iter().enumerate().take(MAX_PARCELS) {
        for (groups, field) in [
            (&parcel.conditions.member_of, "memberOf"),
            (&parcel.conditions.requires, "requires"),
        ] {
            if groups.len() > MAX_CONDITIONS {
                let message = format!("it names {} groups: at most {MAX_CONDITIONS}", groups.len());
                found.tell(format!("parcel[{index}].conditions.{field}"), message);
                is_bounded = false;
            }
        }
    }
    is_bounded
}

/// Names go into lines of text, which they must not end.
pub(crate) fn problem_of_text(text: &str) -> Option<&'static str> {
    if text.len() > MAX_TEXT {
        return Some("it is longer than 1024 bytes");
    }
    text.chars()
        .any(char::is_control)
        .then_some("it has a control character")
}

fn check_parcels(invoice: &Invoice, found: &mut Found) {
    let mut sizes = BTreeMap::new();
    for (index, parcel) in invoice.parcel.iter().enumerate() {
        let label = &parcel.label;
        let at = |field: &str| format!("parcel[{index}].{field}");
        if i64::try_from(label.size).is_err() {
            found.tell(at("label.size"), "it is larger than TOML can write");
        }
        if let Some(problem) = problem_of_media_type(&label.media_type) {
            let value = shortened(&label.media_type);
            found.tell(at("label.mediaType"), format!("`{value}` {problem}"));
        }
        if let Some(problem) = problem_of_text(&label.name) {
            found.tell(at("label.name"), problem);
        }
        // The same bytes may well have two labels, as two files of the same content do.
        let earlier = *sizes.entry(label.sha256).or_insert(label.size);
        if earlier != label.size {
            let message = format!(
                "the parcel {} has {earlier} bytes above and {} here",
                label.sha256, label.size
            );
            found.tell(at("label.size"), message);
        }
    }
}

/// A media type goes into a header as it is.
fn problem_of_media_type(text: &str) -> Option<&'static str> {
    if text.len() > 255 {
        return Some("is longer than 255 bytes");
    }
    let token = |part: &str| {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        !part.is_empty() && part.chars().all(is_token)
    };
    let essence = essence(text);
    let is_written = essence
        .split_once('/')
        .is_some_and(|(kind, sub)| token(kind) && token(sub));
    let is_plain = text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    (!is_written || !is_plain).then_some("is not a media type, as `application/wasm` is")
}

fn check_groups(invoice: &Invoice, found: &mut Found) {
    let mut indices = BTreeMap::new();
    for (index, group) in invoice.group.iter().enumerate() {
        let name = shortened(&group.name);
        if group.name.is_empty() {
            found.tell(format!("group[{index}].name"), "it is empty");
        }
        if let Some(problem) = problem_of_text(&group.name) {
            found.tell(format!("group[{index}].name"), problem);
        }
        if indices.insert(&*group.name, index).is_some() {
            found.tell(
                format!("group[{index}].name"),
                format!("`{name}` is defined twice"),
            );
        }
    }
    // Groups lead to their parcels, and those to the groups that they require: the parcels' nodes
    // are behind the groups'.
    let groups = invoice.group.len();
    let mut edges = vec![Vec::new(); groups + invoice.parcel.len()];
    for (at, parcel) in invoice.parcel.iter().enumerate() {
        let conditions = &parcel.conditions;
        let mut resolve = |names: &[String], field: &str| {
            let mut groups = Vec::new();
            for name in names {
                match indices.get(&**name) {
                    Some(index) => groups.push(*index),
                    None => found.tell(
                        format!("parcel[{at}].conditions.{field}"),
                        format!("there is no group `{}`", shortened(name)),
                    ),
                }
            }
            groups
        };
        for group in resolve(&conditions.member_of, "memberOf") {
            edges[group].push(groups + at);
        }
        edges[groups + at] = resolve(&conditions.requires, "requires");
    }
    if let Some(circle) = circle(&edges) {
        let mut names: Vec<String> = circle
            .iter()
            .filter_map(|node| invoice.group.get(*node))
            .map(|group| format!("`{}`", shortened(&group.name)))
            .collect();
        // Whichever node it began with, it ends with the group that it began with.
        if names.first() != names.last() || names.len() == 1 {
            names.extend(names.first().cloned());
        }
        found.tell(
            "group",
            format!("groups require each other: {}", names.join(" → ")),
        );
    }
}

/// A way through a graph that ends where it began, if there is one: the first node is the last, too.
fn circle(edges: &[Vec<usize>]) -> Option<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Not,
        OnTheWay,
        Done,
    }
    let mut seen = vec![Seen::Not; edges.len()];
    for start in 0..edges.len() {
        if seen[start] != Seen::Not {
            continue;
        }
        seen[start] = Seen::OnTheWay;
        let mut way = vec![(start, edges[start].iter())];
        while let Some((node, rest)) = way.last_mut() {
            let Some(next) = rest.next() else {
                seen[*node] = Seen::Done;
                way.pop();
                continue;
            };
            match seen[*next] {
                Seen::Done => {}
                Seen::Not => {
                    seen[*next] = Seen::OnTheWay;
                    way.push((*next, edges[*next].iter()));
                }
                Seen::OnTheWay => {
                    let nodes = way.iter().map(|(node, _)| *node);
                    let mut circle: Vec<usize> = nodes.skip_while(|node| node != next).collect();
                    circle.push(*next);
                    return Some(circle);
                }
            }
        }
    }
    None
}
