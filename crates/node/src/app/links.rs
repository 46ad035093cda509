//! Where symbolic links lead.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use super::DIRECTIVE_FILE;

/// Most links on the way to a file, as on Linux (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Whether a link on the way to a path leads out of the folder, as the gateway sees it: it opens
/// everything beneath the folder, so that an absolute link counts as one that leads out, wherever
/// it ends. What cannot be looked at does not.
pub(super) fn lead_out(folder: &Path, path: &str) -> bool {
    // Steps still to be made, the next one last.
    let mut steps = steps(Path::new(path));
    let mut here: Vec<OsString> = Vec::new();
    let mut links = 0;
    while let Some(step) = steps.pop() {
        let name = match step {
            Step::Root => return true,
            Step::Up => {
                if here.pop().is_none() {
                    return true;
                }
                continue;
            }
            Step::Down(name) => name,
        };
        here.push(name);
        let place = folder.join(here.iter().collect::<PathBuf>());
        let Ok(target) = std::fs::read_link(&place) else {
            // No link: it is the next folder, or the file.
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            return false;
        }
        here.pop();
        steps.extend(self::steps(&target));
    }
    false
}

/// Whether a path in the app's folder leads to its Directive or to a folder with that in it: by the
/// Directive's own name, or to the file that it is where that name is a link. What cannot be looked
/// at does not.
pub(super) fn lead_to_directive(folder: &Path, path: &str) -> bool {
    let Ok(place) = folder.join(path).canonicalize() else {
        return false;
    };
    let named = folder.canonicalize().map(|it| it.join(DIRECTIVE_FILE));
    let file = folder.join(DIRECTIVE_FILE).canonicalize();
    [named, file]
        .into_iter()
        .flatten()
        .any(|directive| directive.starts_with(&place))
}

enum Step {
    Root,
    Up,
    Down(OsString),
}

/// The steps of a path, the first one last.
fn steps(path: &Path) -> Vec<Step> {
    path.components()
        .rev()
        .filter_map(|component| match component {
            Component::RootDir | Component::Prefix(_) => Some(Step::Root),
            Component::ParentDir => Some(Step::Up),
            Component::Normal(name) => Some(Step::Down(name.to_owned())),
            Component::CurDir => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_that_stay_and_links_that_leave() {
        let dir = tempfile::tempdir().expect("a folder");
        let app = dir.path().join("app");
        fs::create_dir_all(app.join("deep/er")).expect("makes folders");
        fs::create_dir(dir.path().join("other")).expect("makes a folder");
        fs::write(app.join("file"), "").expect("writes");
        for (link, target) in [
            ("in", "deep"),
            ("deep/er/up", "../../file"),
            ("chain", "in/er"),
            ("out", "../other"),
            ("deep/out", "../../other"),
            ("back", "../app/file"),
            ("through", "deep/out"),
            ("loop", "loop"),
            ("dangling", "nothing"),
        ] {
            symlink(target, app.join(link)).expect(link);
        }
        symlink(app.join("file"), app.join("absolute")).expect("links");
        for (path, leaves) in [
            ("file", false),
            (".", false),
            ("nothing/at/all", false),
            ("in", false),
            ("in/er/up", false),
            ("chain/up", false),
            ("loop", false),
            ("dangling", false),
            ("out", true),
            ("out/x", true),
            ("in/out", true),
            ("through", true),
            // They come back, but by a way outside.
            ("back", true),
            ("absolute", true),
        ] {
            assert_eq!(lead_out(&app, path), leaves, "{path}");
        }
    }

    #[test]
    fn ways_to_the_directive() {
        let dir = tempfile::tempdir().expect("a folder");
        let app = dir.path();
        fs::create_dir_all(app.join("public/deep")).expect("makes folders");
        fs::create_dir(app.join("own")).expect("makes a folder");
        // Another app's, or an example for download.
        fs::write(app.join("public").join(DIRECTIVE_FILE), "").expect("writes");
        for (link, target) in [("whole", "public/.."), ("file", DIRECTIVE_FILE)] {
            symlink(target, app.join(link)).expect(link);
        }
        let expect = |cases: &[(&str, bool)]| {
            for (path, leads) in cases {
                assert_eq!(lead_to_directive(app, path), *leads, "{path}");
            }
        };
        fs::write(app.join(DIRECTIVE_FILE), "").expect("writes");
        expect(&[
            (".", true),
            ("whole", true),
            ("file", true),
            (DIRECTIVE_FILE, true),
            ("public", false),
            ("public/directive.yaml", false),
            ("public/deep", false),
            ("own", false),
            ("nothing", false),
        ]);
        // Kept elsewhere in the app.
        fs::rename(app.join(DIRECTIVE_FILE), app.join("own/app.yaml")).expect("moves");
        symlink("own/app.yaml", app.join(DIRECTIVE_FILE)).expect("links");
        expect(&[
            (".", true),
            ("own", true),
            ("own/app.yaml", true),
            ("file", true),
            ("public", false),
        ]);
    }
}
