//! Whatever a file holds, reading it ends well.

use strand_directive::{Diagnostic, parse, render};

use crate::{EXAMPLE, app, function, routes};

/// A generator of numbers (splitmix64), so that every run tries the same files.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }
}

const PIECES: [&str; 44] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ": ",
    ",",
    "\n",
    "\r\n",
    "\t",
    "  ",
    "- ",
    "? ",
    "& ",
    "&a ",
    "*a",
    "!!str ",
    "|\n",
    ">-\n",
    "'",
    "\"",
    "\\",
    "\0",
    "#",
    " #",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "<<: *a\n",
    "~",
    "5",
    "-1",
    "1e9",
    "true",
    "é",
    "🧬",
    "\u{feff}",
    "\u{2028}",
    "\u{85}",
    "{query.n}",
    "{{",
    "../",
    "/{*x}",
    "999999999999999999999999",
];

fn boundary(text: &str, numbers: &mut Numbers) -> usize {
    let mut at = numbers.below(text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn mutate(text: &mut String, numbers: &mut Numbers) {
    let (a, b) = (boundary(text, numbers), boundary(text, numbers));
    let (from, to) = (a.min(b), a.max(b));
    match numbers.below(5) {
        0 => text.insert_str(from, PIECES[numbers.below(PIECES.len())]),
        1 => {
            // Short cuts leave more of a file than long ones.
            let mut to = to.min(from + numbers.below(12));
            while !text.is_char_boundary(to) {
                to -= 1;
            }
            text.replace_range(from..to, "");
        }
        2 if text.len() < 20_000 => {
            let piece = text[from..to].to_owned();
            let at = boundary(text, numbers);
            text.insert_str(at, &piece);
        }
        3 => {
            let piece = PIECES[numbers.below(PIECES.len())];
            if let Some(c) = text[from..].chars().next() {
                text.replace_range(from..from + c.len_utf8(), piece);
            }
        }
        _ => {
            let mut lines: Vec<&str> = text.lines().collect();
            if lines.len() > 1 {
                let (x, y) = (numbers.below(lines.len()), numbers.below(lines.len()));
                lines.swap(x, y);
                *text = lines.join("\n");
            }
        }
    }
}

/// Line ends of a text before some byte: `\n`, `\r\n`, or `\r` alone.
fn line_ends(text: &str, byte: usize) -> usize {
    let bytes = text.as_bytes();
    (0..byte)
        .filter(|at| match bytes[*at] {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        })
        .count()
}

#[test]
fn mutated_files_end_well() {
    let seeds = [
        EXAMPLE.to_owned(),
        app("functions: &a { f: { source: { file: f } } }"),
        function("config: { \"größe\": |\n    text\n }"),
        routes("- { path: '/{a}/{*b}', function: f, command: { args: ['{path.a}'] } }"),
    ];
    let mut numbers = Numbers(20_261_123);
    let mut accepted = 0;
    for round in 0..5_000 {
        let mut text = seeds[round % seeds.len()].clone();
        for _ in 0..=numbers.below(8) {
            mutate(&mut text, &mut numbers);
        }
        let outcome = parse(&text);
        let failed = outcome.problems.iter().any(Diagnostic::is_error);
        assert_eq!(outcome.directive.is_none(), failed, "{text}");
        for problem in &outcome.problems {
            if let Some(span) = problem.span {
                assert_eq!(span.line, line_ends(&text, span.start) + 1, "{text}");
                assert!(text.get(span.range()).is_some(), "{text}");
                assert!(!text[span.range()].contains('\n'), "{problem:?}\n{text}");
            }
        }
        let rendered = render(&outcome.problems, "directive.yaml", &text, false);
        assert_eq!(rendered.is_empty(), outcome.problems.is_empty());
        accepted += usize::from(outcome.directive.is_some());
    }
    // Mutations so wild that nothing passes, or so tame that nothing fails, would test little.
    assert!((50..4_500).contains(&accepted), "{accepted}");
}
