//! A table of bindles and devices, and random ones against a search through all subsets.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::{Conditions, Group, Id, Parcel, SatisfiedBy};

/// A parcel in a line: `NAME GROUPS REQUIRES FEATURES`, with commas in each and `-` for none.
/// Features are of `strand`; `size` is the label's.
fn parcel(line: &str) -> Parcel {
    let mut words = line.split_whitespace();
    let name = words.next().unwrap();
    let mut list = || -> Vec<String> {
        let word = words.next().unwrap_or("-");
        word.split(',')
            .filter(|one| *one != "-")
            .map(str::to_owned)
            .collect()
    };
    let (member_of, requires, features) = (list(), list(), list());
    let mut label = Label {
        sha256: Sha256::of(name),
        media_type: "application/octet-stream".to_owned(),
        name: name.to_owned(),
        size: 0,
        origin: None,
        annotations: BTreeMap::new(),
        feature: BTreeMap::new(),
    };
    for feature in features {
        let (key, value) = feature.split_once('=').unwrap();
        if key == "size" {
            label.size = value.parse().unwrap();
        } else {
            let strand = label.feature.entry("strand".to_owned()).or_default();
            strand.insert(key.to_owned(), value.to_owned());
        }
    }
    Parcel {
        label,
        conditions: Conditions {
            member_of,
            requires,
        },
    }
}

/// Groups as `NAME:KIND`, with `!` behind it if required; and parcels, a line each.
fn invoice(groups: &str, parcels: &str) -> Invoice {
    let mut invoice = Invoice::new("example.com/x/1.0.0".parse::<Id>().unwrap());
    invoice.group = groups
        .split_whitespace()
        .map(|group| {
            let (name, kind) = group.split_once(':').unwrap();
            let satisfied_by = match kind.trim_end_matches('!') {
                "all" => SatisfiedBy::AllOf,
                "one" => SatisfiedBy::OneOf,
                "optional" => SatisfiedBy::Optional,
                other => panic!("{other}"),
            };
            Group {
                name: name.to_owned(),
                required: kind.ends_with('!'),
                satisfied_by,
            }
        })
        .collect();
    invoice.parcel = parcels
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .map(parcel)
        .collect();
    invoice
}

fn small() -> Device {
    Device {
        memory: 64 << 20,
        ..Device::default()
    }
}

/// Names of what is taken, or the error.
fn taken(invoice: &Invoice, wanted: &Wanted) -> String {
    match resolve(invoice, &small(), wanted) {
        Ok(choice) => {
            let names: Vec<&str> = choice.labels(invoice).map(|label| &*label.name).collect();
            names.join(" ")
        }
        Err(error) => format!("error: {error}"),
    }
}

fn groups(names: &[&str]) -> Wanted {
    Wanted {
        groups: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Wanted::default()
    }
}

fn prefer(prefer: Prefer) -> Wanted {
    Wanted {
        prefer,
        ..Wanted::default()
    }
}

#[test]
fn what_is_needed_is_taken() {
    for (what, defined, parcels, asked, expected) in [
        ("nothing", "", "", &[][..], ""),
        ("no group", "", "a\n b", &[], "a b"),
        ("a group that nobody asks for", "g:all", "a\n b g", &[], "a"),
        ("one that is required", "g:all!", "a g\n b g", &[], "a b"),
        (
            "one that is asked for",
            "g:all h:all",
            "a g\n b h",
            &["h"],
            "b",
        ),
        ("the first of several", "g:one!", "a g\n b g", &[], "a"),
        (
            "the next, if the first does not run",
            "g:one!",
            "a g - memory=65Mi\n b g",
            &[],
            "b",
        ),
        (
            "all that is optional and runs",
            "g:optional!",
            "a g\n b g - memory=65Mi\n c g",
            &[],
            "a c",
        ),
        (
            "nothing of what is optional",
            "g:optional!",
            "a g - memory=65Mi",
            &[],
            "",
        ),
        (
            "what is required by what is needed",
            "g:all",
            "a - g\n b g",
            &[],
            "a b",
        ),
        (
            "and so on",
            "g:all h:one",
            "a - g\n b g h\n c h\n d h",
            &[],
            "a b c",
        ),
        (
            "not what is required by what is not",
            "g:all h:all",
            "a g h\n b h",
            &[],
            "",
        ),
        (
            "the next, if what the first requires does not run",
            "g:one! h:all",
            "a g h\n b g\n c h - memory=65Mi",
            &[],
            "b",
        ),
        (
            "the next of what was decided before, if there is no other way",
            "g:one! h:one!",
            "a g,h - -\n b g\n c h - memory=65Mi",
            &[],
            "a",
        ),
        (
            "one that satisfies two groups",
            "g:one! h:one!",
            "a g\n b g,h",
            &[],
            "b",
        ),
        (
            "what is optional only if what it requires runs",
            "g:optional! h:all",
            "a g h\n b h - memory=65Mi\n c g",
            &[],
            "c",
        ),
        ("a group of no parcels", "g:all! h:optional!", "a", &[], "a"),
        (
            "two groups of one parcel",
            "g:all! h:all!",
            "a g,h",
            &[],
            "a",
        ),
    ] {
        assert_eq!(
            taken(&invoice(defined, parcels), &groups(asked)),
            expected,
            "{what}"
        );
    }
}

#[test]
fn what_cannot_be_says_why() {
    let memory = "it needs 65Mi of memory, and the device has 64Mi";
    for (defined, parcels, expected) in [
        (
            "",
            "a - - memory=65Mi",
            format!("always needed: `a`: {memory}"),
        ),
        (
            "g:all!",
            "a g\n b g - memory=65Mi",
            format!("group `g`: `b`: {memory}"),
        ),
        (
            "g:one!",
            "a g - memory=65Mi\n b g - cores=2",
            format!(
                "group `g`: `a`: {memory}\n  group `g`: `b`: it needs 2 cores, and the device has 1"
            ),
        ),
        ("g:one!", "", "group `g`: it has no parcels".to_owned()),
        (
            "g:one! h:all!",
            "a g,h\n b g,h",
            "group `h`: `a`: it is excluded by group `g`".to_owned(),
        ),
        (
            "g:all! h:one!",
            "a g,h\n b g,h",
            "group `h`: `a`: `b` is needed as well, and it is satisfied by one".to_owned(),
        ),
    ] {
        let error = taken(&invoice(defined, parcels), &Wanted::default());
        assert!(error.contains(&expected), "{parcels}: {error}");
    }
    assert_eq!(
        taken(&invoice("g:all h:one", ""), &groups(&["x"])),
        "error: there is no group `x` in this bundle: it has `g`, `h`".replace("bundle", "bindle")
    );
    let distrusted = Wanted {
        distrusted: [(Sha256::of("a"), "no key".to_owned())].into(),
        ..Wanted::default()
    };
    assert_eq!(taken(&invoice("g:one!", "a g\n b g"), &distrusted), "b");
}

/// Heavy where it fits, light where it does not.
const READS: (&str, &str) = (
    "simulate:one! genome:one",
    "native   simulate genome size=9000000,memory=256Mi,latency=1ms
     light    simulate genome size=800000,memory=16Mi,latency=20ms
     human.fa genome   -      size=3100000000,memory=64Mi
     lambda   genome   -      size=48502,memory=1Mi
     page     -        -      size=1000",
);

#[test]
fn a_device_gets_what_fits() {
    let reads = invoice(READS.0, READS.1);
    let choose = |device: &Device, wanted: &Wanted| {
        let choice = resolve(&reads, device, wanted).unwrap();
        let names: Vec<&str> = choice.labels(&reads).map(|label| &*label.name).collect();
        names.join(" ")
    };
    let large = Device {
        memory: 1 << 30,
        link: Some(1 << 20),
        ..Device::default()
    };
    let tiny = Device {
        memory: 16 << 20,
        ..Device::default()
    };
    assert_eq!(choose(&large, &Wanted::default()), "native human.fa page");
    assert_eq!(choose(&small(), &Wanted::default()), "light human.fa page");
    assert_eq!(choose(&tiny, &Wanted::default()), "light lambda page");
    assert_eq!(choose(&large, &prefer(Prefer::Memory)), "light lambda page");
    assert_eq!(choose(&large, &prefer(Prefer::Start)), "light lambda page");
    // What is there need not be fetched, and then answers sooner.
    let cached = ["native", "human.fa"].map(Sha256::of).into();
    let wanted = Wanted {
        cached,
        prefer: Prefer::Start,
        ..Wanted::default()
    };
    assert_eq!(choose(&large, &wanted), "native human.fa page");
}

#[test]
fn a_choice_is_explained() {
    let reads = invoice(READS.0, READS.1);
    let choice = resolve(&reads, &small(), &Wanted::default()).unwrap();
    assert_eq!(
        choice.explain(&reads),
        "- native: it needs 256Mi of memory, and the device has 64Mi\n\
         + light: for group `simulate`\n\
         + human.fa: for group `genome`\n\
         - lambda: group `genome` has `human.fa`\n\
         + page: always needed\n\
         group `genome` falls back to lambda\n\
         3100801000 bytes to fetch\n"
    );
    assert_eq!(choice.memory, 80 << 20);
    let large = resolve(&reads, &Device::default(), &Wanted::default()).unwrap();
    assert_eq!(large.groups[0].fallbacks, [1]);
    let text = "g:one! h:optional! i:all";
    let others = invoice(text, "a g\n b g i\n c g\n d h i\n e i - memory=65Mi\n f i");
    let choice = resolve(&others, &small(), &Wanted::default()).unwrap();
    // `b` requires what does not run, so that it is none.
    assert_eq!(choice.groups[0].fallbacks, [2]);
    assert_eq!(
        choice.parcels[3],
        Reason::Optional {
            group: "h".to_owned()
        }
    );
    assert_eq!(choice.parcels[5], Reason::Inactive);
}

#[test]
fn many_groups_that_have_nothing_to_do_with_each_other_are_no_problem() {
    let names: Vec<String> = (0..500).map(|n| format!("g{n}")).collect();
    let defined: String = names.iter().map(|name| format!("{name}:one! ")).collect();
    let parcels: String = names
        .iter()
        .flat_map(|group| {
            (0..4).map(move |n| format!("{group}-{n} {group} - memory={}Ki\n", 9 - n))
        })
        .collect();
    let many = invoice(&defined, &parcels);
    for (prefer_what, memory) in [(Prefer::Author, 9), (Prefer::Memory, 6), (Prefer::Start, 9)] {
        let choice = resolve(&many, &small(), &prefer(prefer_what)).unwrap();
        assert_eq!(choice.memory, 500 * memory * 1024, "{prefer_what:?}");
    }
}

#[test]
fn a_riddle_ends() {
    // Of two in each of 40 groups all but the last choice is open, and that is never possible.
    let names: Vec<String> = (0..40).map(|n| format!("g{n}")).collect();
    let mut defined: String = names.iter().map(|name| format!("{name}:one! ")).collect();
    defined.push_str("last:one! never:all");
    let mut parcels: String = names
        .iter()
        .map(|group| format!("{group}a {group}\n {group}b {group}\n"))
        .collect();
    parcels.push_str("x last never\n y never - memory=65Mi");
    let error = resolve(&invoice(&defined, &parcels), &small(), &Wanted::default()).unwrap_err();
    assert!(matches!(error, ResolveError::TooMany(_)), "{error}");

    // Nor do the fallbacks of a choice that was found at once: each of them ends in that riddle.
    let defined = defined
        .replace("never:all", "easy:one! never:all")
        .replace("last:one!", "last:one");
    let mut parcels = parcels.replacen("x last never", "x last never\n ok easy", 1);
    for n in 0..60 {
        parcels.push_str(&format!("\n h{n} easy last"));
    }
    let choice = resolve(&invoice(&defined, &parcels), &small(), &Wanted::default());
    assert!(choice.is_ok(), "{choice:?}");
}

#[test]
fn what_is_optional_is_taken_however_much_it_is() {
    let parcels: Vec<String> = (0..9_000).map(|n| format!("p{n} many")).collect();
    let large = invoice("many:optional!", &parcels.join("\n"));
    for prefer in [Prefer::Author, Prefer::Memory] {
        let wanted = Wanted {
            prefer,
            ..Wanted::default()
        };
        let choice = resolve(&large, &small(), &wanted).unwrap();
        let taken = if prefer == Prefer::Author { 9_000 } else { 0 };
        assert_eq!(choice.labels(&large).count(), taken, "{prefer:?}");
    }
}

/// All that a choice must be, without a thought for how one is found.
struct Oracle<'a> {
    invoice: &'a Invoice,
    members: Vec<Vec<usize>>,
    fits: Vec<bool>,
}

impl<'a> Oracle<'a> {
    fn new(invoice: &'a Invoice, device: &Device) -> Self {
        let has =
            |parcel: &Parcel, group: &Group| parcel.conditions.member_of.contains(&group.name);
        let members = |group: &Group| {
            let parcels = invoice.parcel.iter().enumerate();
            parcels
                .filter(|(_, parcel)| has(parcel, group))
                .map(|(place, _)| place)
                .collect()
        };
        Self {
            invoice,
            members: invoice.group.iter().map(members).collect(),
            fits: invoice
                .parcel
                .iter()
                .map(|one| device.unfit(&one.label).is_empty())
                .collect(),
        }
    }

    fn has(set: u32, parcel: usize) -> bool {
        set >> parcel & 1 == 1
    }

    fn required(&self, parcel: usize) -> impl Iterator<Item = usize> {
        let named = self.invoice.parcel[parcel].conditions.requires.iter();
        named.map(|name| {
            self.invoice
                .group
                .iter()
                .position(|group| group.name == *name)
                .unwrap()
        })
    }

    fn is_valid(&self, set: u32) -> bool {
        let parcels = || (0..self.fits.len()).filter(move |parcel| Self::has(set, *parcel));
        let mut active: BTreeSet<usize> = (0..self.members.len())
            .filter(|group| self.invoice.group[*group].required)
            .collect();
        active.extend(parcels().flat_map(|parcel| self.required(parcel)));
        let global = |parcel: usize| self.invoice.parcel[parcel].is_global();
        (0..self.fits.len()).all(|parcel| !global(parcel) || Self::has(set, parcel))
            && parcels().all(|parcel| {
                let is_member = active
                    .iter()
                    .any(|group| self.members[*group].contains(&parcel));
                self.fits[parcel] && (global(parcel) || is_member)
            })
            && active.iter().all(|group| {
                let members = &self.members[*group];
                let count = members
                    .iter()
                    .filter(|parcel| Self::has(set, **parcel))
                    .count();
                match self.invoice.group[*group].satisfied_by {
                    SatisfiedBy::AllOf => count == members.len(),
                    SatisfiedBy::OneOf => count == 1,
                    SatisfiedBy::Optional => true,
                }
            })
    }

    /// The decisions that lead to a set, as the author's order takes them: less is better.
    fn decisions(&self, set: u32) -> Vec<usize> {
        let mut taken = 0u32;
        let mut active: Vec<usize> = (0..self.members.len())
            .filter(|group| self.invoice.group[*group].required)
            .collect();
        let mut take = |parcel: usize, active: &mut Vec<usize>| {
            if !Self::has(taken, parcel) {
                taken |= 1 << parcel;
                for group in self.required(parcel) {
                    if !active.contains(&group) {
                        active.push(group);
                    }
                }
            }
            taken
        };
        let mut so_far = 0;
        for parcel in (0..self.fits.len()).filter(|one| self.invoice.parcel[*one].is_global()) {
            so_far = take(parcel, &mut active);
        }
        let mut decisions = Vec::new();
        let mut next = 0;
        while let Some(group) = active.get(next).copied() {
            let members = &self.members[group];
            let kind = self.invoice.group[group].satisfied_by;
            let is_decided = kind == SatisfiedBy::OneOf
                && members.iter().any(|parcel| Self::has(so_far, *parcel));
            for (rank, parcel) in members.iter().enumerate() {
                let is_in = Self::has(set, *parcel);
                match kind {
                    SatisfiedBy::OneOf if is_in && !is_decided => decisions.push(rank),
                    SatisfiedBy::Optional if !Self::has(so_far, *parcel) => {
                        decisions.push(usize::from(!is_in));
                    }
                    _ => {}
                }
                if is_in {
                    so_far = take(*parcel, &mut active);
                }
            }
            next += 1;
        }
        decisions
    }
}

/// An invoice of at most twelve parcels.
fn random(rng: &mut StdRng) -> Invoice {
    let count = rng.random_range(0..=5);
    let defined: String = (0..count)
        .map(|n| {
            let kind = ["all", "one", "one", "optional"][rng.random_range(0..4)];
            let required = if rng.random_bool(0.4) { "!" } else { "" };
            format!("g{n}:{kind}{required} ")
        })
        .collect();
    let parcels: String = (0..rng.random_range(0..=12))
        .map(|n| {
            let mut names = |from: usize, most: usize| {
                let mut groups = BTreeSet::new();
                for _ in 0..rng.random_range(0..=most) {
                    if from < count {
                        groups.insert(rng.random_range(from..count));
                    }
                }
                groups
            };
            let member_of = names(0, 2);
            // Only later groups, so that they go in no circle.
            let requires = names(member_of.last().map_or(0, |last| last + 1), 1);
            let written = |groups: BTreeSet<usize>| {
                let names: Vec<String> = groups.iter().map(|n| format!("g{n}")).collect();
                if names.is_empty() {
                    "-".to_owned()
                } else {
                    names.join(",")
                }
            };
            let memory = if rng.random_bool(0.15) {
                65
            } else {
                rng.random_range(0..5)
            };
            let (member_of, requires) = (written(member_of), written(requires));
            let size = rng.random_range(0..5);
            format!("p{n} {member_of} {requires} memory={memory}Mi,size={size}\n")
        })
        .collect();
    invoice(&defined, &parcels)
}

#[test]
fn nothing_better_is_found_by_looking_at_everything() {
    let device = small();
    let (mut possible, mut impossible) = (0, 0);
    for seed in 0..3_000 {
        let invoice = random(&mut StdRng::seed_from_u64(seed));
        let oracle = Oracle::new(&invoice, &device);
        let valid: Vec<u32> = (0..1 << invoice.parcel.len())
            .filter(|set| oracle.is_valid(*set))
            .collect();
        if valid.is_empty() {
            impossible += 1;
        } else {
            possible += 1;
        }
        for prefer_what in [Prefer::Author, Prefer::Memory, Prefer::Start] {
            let choice = match resolve(&invoice, &device, &prefer(prefer_what)) {
                Ok(choice) => choice,
                Err(ResolveError::Impossible(conflicts)) => {
                    assert!(valid.is_empty() && !conflicts.is_empty(), "seed {seed}");
                    continue;
                }
                Err(error) => panic!("seed {seed}: {error}"),
            };
            let set = (0..invoice.parcel.len())
                .filter(|parcel| choice.takes(*parcel))
                .fold(0u32, |set, parcel| set | 1 << parcel);
            assert!(oracle.is_valid(set), "seed {seed}: {set:b}");
            let sum = |set: u32, of: fn(&Label) -> u64| -> u64 {
                let parcels = invoice.parcel.iter().enumerate();
                let taken = parcels.filter(|(place, _)| Oracle::has(set, *place));
                taken.map(|(_, parcel)| of(&parcel.label)).sum()
            };
            let memory = |label: &Label| memory_of(label).unwrap();
            match prefer_what {
                Prefer::Author => {
                    let best = valid
                        .iter()
                        .min_by_key(|set| oracle.decisions(**set))
                        .unwrap();
                    assert_eq!(set, *best, "seed {seed}: {invoice:?}");
                }
                Prefer::Memory => {
                    let best = valid.iter().map(|set| sum(*set, memory)).min().unwrap();
                    assert_eq!(sum(set, memory), best, "seed {seed}");
                    assert_eq!(choice.memory, best);
                }
                Prefer::Start => {
                    let best = valid
                        .iter()
                        .map(|set| sum(*set, |label| label.size))
                        .min()
                        .unwrap();
                    assert_eq!(choice.fetch, best, "seed {seed}");
                }
            }
        }
    }
    assert!(
        possible > 500 && impossible > 300,
        "{possible} {impossible}"
    );
}
